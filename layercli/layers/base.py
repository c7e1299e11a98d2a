"""The contract of a layer: arguments in, shapes, weights and cost out."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from layercli.layers.arguments import DType, Regularizer
from layercli.layers.shapes import RankError, Shape, ShapeError, Tensor, format_shape
from layercli.schema.component import Component

_dtype_policy: ContextVar[str] = ContextVar("dtype policy", default="float32")


@contextmanager
def use_dtype_policy(policy: str | None) -> Iterator[None]:
    """While shapes are inferred: the dtype policy of layers that have none of their own; None: float32."""
    token = _dtype_policy.set(policy or "float32")
    try:
        yield
    finally:
        _dtype_policy.reset(token)


@dataclass(frozen=True, slots=True)
class Weight:
    """A variable that the layer makes in ``build()``."""

    name: str
    shape: tuple[int, ...]
    trainable: bool = True
    dtype: str | None = None
    """None: the layer's variable dtype."""

    @property
    def size(self) -> int:
        """Number of scalars."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class InferredLayer:
    """What is known of a layer once its inputs are known."""

    outputs: tuple[Tensor, ...]
    """Empty where they are unknown."""
    weights: tuple[Weight, ...] = ()
    multiply_adds: int | None = 0
    """Of products, per example, forward; None where an axis that counts is unknown."""
    has_known_weights: bool = True
    """False where the weights are unknown: the layer is not in the catalogue."""


class Layer(Component):
    """A Keras layer: its arguments are the fields, its rules are the methods."""

    family: ClassVar[str]
    input_description: ClassVar[str] = "one tensor"
    """What the layer takes, for messages: "images of shape (batch, height, width, channels)"."""
    rank_range: ClassVar[tuple[int, int | None]] = (1, None)
    """Fewest and most axes of the input, the batch axis included."""
    input_names: ClassVar[tuple[str, ...]] = ()
    """What the layer calls its several inputs, in the order of ``infer``."""
    has_separate_inputs: ClassVar[bool] = False
    """Whether Keras takes several inputs as arguments of their own, not as one list."""
    hints: ClassVar[dict[str, str]] = {
        "input_shape": "The input's shape is declared once, as `model.input`, without the batch axis.",
        "input_dim": "The input's shape is declared once, as `model.input`, without the batch axis.",
        "batch_input_shape": "The input's shape is declared once, as `model.input`, without the batch axis.",
        "batch_size": "The batch size is `train.batch_size`.",
    }

    dtype: Annotated[
        DType | None,
        Field(description="Dtype or dtype policy of computation and weights; null: Keras's default."),
    ] = None

    @property
    def compute_dtype(self) -> str:
        """The dtype that the layer casts its floating-point inputs to and computes in."""
        policy = self.dtype or _dtype_policy.get()
        return policy.removeprefix("mixed_")

    @property
    def variable_dtype(self) -> str:
        """The dtype of the layer's weights."""
        policy = self.dtype or "float32"
        return "float32" if policy.startswith("mixed_") else policy

    @property
    def is_trainable(self) -> bool:
        """Whether the layer's weights are trained."""
        return bool(getattr(self, "trainable", True))

    def infer(self, inputs: tuple[Tensor, ...]) -> InferredLayer:
        """Outputs, weights and cost for the given inputs (shapes with the batch axis).

        Raises:
            ShapeError: the layer cannot take these inputs.
        """
        if len(inputs) != 1:
            raise ShapeError(f"{self.title()} takes one input; it gets {len(inputs)}.")
        x = self.cast(inputs[0])
        self.check_rank(x.shape)
        output = self.output(x)
        outputs = output if isinstance(output, tuple) and not isinstance(output, Tensor) else (output,)
        return InferredLayer(outputs, tuple(self.weights(x)), self.multiply_adds(x))

    def cast(self, x: Tensor) -> Tensor:
        """The input as the layer sees it: floating-point inputs are cast to the compute dtype."""
        autocast = getattr(self, "autocast", True)
        return Tensor(x.shape, self.compute_dtype) if autocast and is_float_dtype(x.dtype) else x

    def check_rank(self, shape: Shape) -> None:
        """Refuse a shape of too few or too many axes.

        Raises:
            RankError: it has.
        """
        low, high = self.rank_range
        if len(shape) < low or (high is not None and len(shape) > high):
            raise RankError(f"{self.title()} takes {self.input_description}; it gets {format_shape(shape)}.")

    def output(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The output for an input that has passed ``check_rank``.

        Raises:
            ShapeError: the layer cannot take this input.
        """
        return x

    def weights(self, x: Tensor) -> list[Weight]:
        """The weights that ``build()`` makes for this input."""
        return []

    def multiply_adds(self, x: Tensor) -> int | None:
        """Multiply-adds of products, per example, forward; None where an unknown axis counts."""
        return 0

    def require_size(self, x: Tensor, axis: int) -> int:
        """The size of an axis that the layer's weights depend on.

        Raises:
            ShapeError: it is unknown (null).
        """
        size = x.shape[axis]
        if size is None:
            raise ShapeError(
                f"{self.title()} needs to know axis {axis} of its input to make its weights; it gets {format_shape(x.shape)}.",
                hint="Give that axis a size in `model.input`, or before this layer.",
            )
        return size


class StandardLayer(Layer):
    """A layer with the arguments that nearly all of Keras's layers share."""

    trainable: Annotated[bool, Field(description="Whether training changes the weights.")] = True
    autocast: Annotated[bool, Field(description="Whether inputs are cast to the layer's compute dtype.")] = (
        True
    )
    activity_regularizer: Annotated[
        Regularizer | None, Field(description="Penalty on the layer's output, added to the loss.")
    ] = None


def is_float_dtype(dtype: str) -> bool:
    """Whether a dtype holds floating-point numbers."""
    return "float" in dtype


def require_nonempty(shape: Any, layer: Layer, x: Tensor, *, argument: str, hint: str) -> None:
    """Refuse an output shape with an axis of no length.

    Raises:
        ShapeError: an axis is zero or negative.
    """
    if any(dim is not None and dim <= 0 for dim in shape[1:]):
        message = f"{layer.title()} leaves nothing of its input: {format_shape(x.shape)} becomes {format_shape(shape)}."
        raise ShapeError(message, hint=hint, argument=argument)
