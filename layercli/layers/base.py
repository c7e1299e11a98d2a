"""The interface of a layer: it takes arguments and returns shapes, weights and cost."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import Field

from layercli.layers.arguments import DType, Regularizer
from layercli.layers.dtypes import ANY_DTYPE, FLOATS, NUMBERS
from layercli.layers.shapes import RankError, Shape, ShapeError, Tensor, UnknownSizeError, format_shape
from layercli.schema.component import Component
from layercli.schema.strict_model import ArgumentError

_dtype_policy: ContextVar[str] = ContextVar("dtype policy", default="float32")


@contextmanager
def use_dtype_policy(policy: str | None) -> Iterator[None]:
    """Set the dtype policy of layers without a ``dtype`` while shapes are inferred; None means float32."""
    token = _dtype_policy.set(policy or "float32")
    try:
        yield
    finally:
        _dtype_policy.reset(token)


class Weight(NamedTuple):
    """A variable that the layer creates in ``build()``."""

    name: str
    shape: tuple[int, ...]
    trainable: bool = True
    dtype: str | None = None
    """None: the layer's variable dtype."""

    @property
    def size(self) -> int:
        """The number of scalars."""
        return math.prod(self.shape)


class InferredLayer(NamedTuple):
    """Outputs, weights and cost of a layer for known inputs."""

    outputs: tuple[Tensor, ...]
    """Empty if they are unknown."""
    weights: tuple[Weight, ...] = ()
    multiply_adds: int | None = 0
    """Multiply-adds per example in the forward pass; None if they depend on an unknown axis."""
    has_known_weights: bool = True
    """False if the weights are unknown because the layer is not in the catalogue."""


class CallInputs(NamedTuple):
    """The inputs of a layer in the form of Keras's call."""

    positional: list[Any]
    named: dict[str, Any]


_INPUT_HINT = "Remove it, and declare the input's shape once, as `model.input`, without the batch axis."


class Layer(Component):
    """A Keras layer: its arguments are the fields, its rules are the methods."""

    family: ClassVar[str]
    input_description: ClassVar[str] = "one tensor"
    """The expected input, for messages: "images of shape (batch, height, width, channels)"."""
    rank_range: ClassVar[tuple[int, int | None]] = (1, None)
    """Smallest and largest rank of the input, including the batch axis."""
    input_names: ClassVar[tuple[str, ...]] = ()
    """Keras's names of several inputs, in the order of ``infer``."""
    has_separate_inputs: ClassVar[bool] = False
    """Whether Keras takes several inputs as separate arguments instead of one list."""
    call_arguments: ClassVar[tuple[str, ...]] = ()
    """Arguments that Keras takes in the call, not in the constructor."""
    accepted_dtypes: ClassVar[frozenset[str]] = NUMBERS
    """The dtypes of real inputs that Keras computes with; a symbolic call accepts any."""
    compute_dtypes: ClassVar[frozenset[str]] = ANY_DTYPE
    """The dtypes that TensorFlow can compute the layer in; Keras accepts others as ``dtype``, and fails when it runs."""
    gpu_dtypes: ClassVar[frozenset[str]] = frozenset()
    """Those of them that need a GPU."""
    keeps_dtype: ClassVar[bool] = False
    """Whether a real output has the dtype of an integer input, although Keras declares the compute dtype."""
    passes_mask: ClassVar[bool] = False
    """Whether Keras uses the mask of the input or passes it on; otherwise it drops the mask with a warning."""
    must_be_nested: ClassVar[bool] = False
    """Whether Keras can call the layer only inside another one, such as Pipeline."""
    can_be_nested: ClassVar[bool] = True
    """Whether the layer can be an argument of another one, such as TimeDistributed."""
    hints: ClassVar[dict[str, str]] = {
        "input_shape": _INPUT_HINT,
        "input_dim": _INPUT_HINT,
        "batch_input_shape": _INPUT_HINT,
        "batch_size": "The batch size is `train.batch_size`.",
    }

    dtype: Annotated[
        DType | None,
        Field(description="Dtype or dtype policy of computation and weights; null: Keras's default."),
    ] = None

    @property
    def compute_dtype(self) -> str:
        """The dtype of the computation; floating-point inputs are cast to it."""
        policy = self.dtype or _dtype_policy.get()
        return policy.removeprefix("mixed_")

    @property
    def variable_dtype(self) -> str:
        """The dtype of the layer's weights."""
        policy = self.dtype or "float32"
        return "float32" if policy.startswith("mixed_") else policy

    @property
    def is_trainable(self) -> bool:
        """Return whether the layer's weights are trained."""
        return bool(getattr(self, "trainable", True))

    def keras_arguments(self) -> dict[str, Any]:
        """Return the arguments of Keras's constructor."""
        return {name: value for name, value in self.arguments().items() if name not in self.call_arguments}

    def infer(self, inputs: tuple[Tensor, ...]) -> InferredLayer:
        """Return outputs, weights and cost for the given inputs (shapes with the batch axis).

        Raises:
            ShapeError: the layer does not accept these inputs.
        """
        x = self.require_one_input(inputs)
        output = self.output(x)
        outputs = output if isinstance(output, tuple) and not isinstance(output, Tensor) else (output,)
        return InferredLayer(outputs, tuple(self.weights(x)), self.multiply_adds(x))

    def require_one_input(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Return the only input with the compute dtype, after a check of its rank.

        Raises:
            ShapeError: there are several inputs, or the input has another rank.
        """
        if len(inputs) != 1:
            raise ShapeError(f"{self.title()} expects one input, got {len(inputs)}.")
        x = self.cast(inputs[0])
        self.check_rank(x.shape)
        return x

    def infer_named(self, inputs: tuple[Tensor, ...], names: tuple[str, ...] | None) -> InferredLayer:
        """Return what ``infer`` returns, for inputs with Keras's names, or in the order of ``infer`` if there are none."""
        del names
        return self.infer(inputs)

    def arrange_inputs(self, inputs: Sequence[Any], names: tuple[str, ...] | None) -> CallInputs:
        """Return the inputs in the form of Keras's call: one tensor or a list, by default."""
        del names
        return CallInputs([inputs[0] if len(inputs) == 1 else list(inputs)], {})

    def cast(self, x: Tensor) -> Tensor:
        """Return the input with the compute dtype if it is a floating-point tensor that the layer casts."""
        autocast = getattr(self, "autocast", True)
        return Tensor(x.shape, self.compute_dtype) if autocast and is_float_dtype(x.dtype) else x

    def find_accepted_dtypes(self) -> frozenset[str]:
        """Return the dtypes of real inputs that the layer accepts with its arguments."""
        return self.accepted_dtypes

    def find_compute_dtypes(self) -> frozenset[str]:
        """Return the dtypes that the layer with its arguments can compute in."""
        return self.compute_dtypes

    def run_dtype(self, declared: str, dtype: str) -> str:
        """Return the dtype of a real output for a real input of ``dtype``; ``declared`` is the one that Keras declares."""
        return dtype if self.keeps_dtype and dtype not in FLOATS else declared

    @property
    def traced_layer_count(self) -> int:
        """Return the number of layers that ``infer`` computes and that are not arguments."""
        return 0

    @property
    def learns_output_size(self) -> bool:
        """Return whether the size of the output's last axis is learned from data."""
        return False

    def hands_mask_on(self) -> bool:
        """Return whether the layer with its arguments uses the mask of the input or passes it on."""
        return self.passes_mask

    @property
    def creates_mask(self) -> bool:
        """Return whether the layer marks timesteps to skip."""
        return False

    def output_masks(
        self, masks: tuple[Shape | None, ...], outputs: tuple[Tensor, ...]
    ) -> tuple[Shape | None, ...]:
        """Return the shape of each output's mask, or None without one.

        Args:
            masks: The shape of the mask of each input, or None without one.
            outputs: The outputs of the layer.
        """
        del outputs
        return masks[:1]

    def accepts_mask(self, x: Tensor, mask: Shape) -> bool:
        """Return whether Keras accepts an input with a mask of this shape."""
        del x, mask
        return True

    def check_rank(self, shape: Shape) -> None:
        """Check the number of axes of an input shape (with the batch axis).

        Raises:
            RankError: the shape has too few or too many axes.
        """
        low, high = self.rank_range
        if len(shape) < low or (high is not None and len(shape) > high):
            raise RankError(f"{self.title()} expects {self.input_description}, got {format_shape(shape)}.")

    def output(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the output for an input that has passed ``check_rank``.

        Raises:
            ShapeError: the layer does not accept this input.
        """
        return x

    def weights(self, x: Tensor) -> list[Weight]:
        """Return the weights that ``build()`` creates for this input."""
        return []

    def multiply_adds(self, x: Tensor) -> int | None:
        """Return the multiply-adds per example in the forward pass; None if they depend on an unknown axis."""
        return 0

    def require_size(self, x: Tensor, axis: int) -> int:
        """Return the size of an axis that the layer's weights depend on.

        Raises:
            UnknownSizeError: the size is unknown (null).
        """
        size = x.shape[axis]
        if size is None:
            raise UnknownSizeError(
                f"{self.title()} needs the size of axis {axis} of its input to create its weights, "
                f"got {format_shape(x.shape)}.",
                hint="Declare the size of that axis in `model.input` or before this layer.",
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


def refuse_activity_regularizer(layer: StandardLayer) -> None:
    """Refuse an activity regularizer of a layer that Keras cannot save with one.

    Raises:
        ArgumentError: it has one.
    """
    if layer.activity_regularizer is not None:
        message = f"Keras cannot save {layer.title()} with `activity_regularizer`."
        hint = "Remove it, and add `{type: ActivityRegularization, l2: 0.01}` after this layer."
        raise ArgumentError("activity_regularizer", message, hint)


def is_float_dtype(dtype: str) -> bool:
    """Return whether a dtype is a floating-point type."""
    return "float" in dtype


def require_nonempty(shape: Any, layer: Layer, x: Tensor, *, argument: str, hint: str) -> None:
    """Check that no axis of an output shape has length zero or less.

    Raises:
        ShapeError: an axis is zero or negative.
    """
    if any(dim is not None and dim <= 0 for dim in shape[1:]):
        message = (
            f"The output of {layer.title()} is empty: {format_shape(x.shape)} becomes {format_shape(shape)}."
        )
        raise ShapeError(message, hint=hint, argument=argument)
