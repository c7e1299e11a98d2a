"""Keras's activation layers: elementwise functions that keep the shape."""

from typing import Annotated, ClassVar

from pydantic import Field

from layercli.layers.arguments import ActivationName as ActivationName
from layercli.layers.arguments import Constraint, Initializer, Regularizer
from layercli.layers.base import StandardLayer, Weight, refuse_activity_regularizer
from layercli.layers.dtypes import FLOATS, INTEGERS, NUMBERS
from layercli.layers.shapes import Shape, ShapeError, Tensor, format_shape, resolve_axis
from layercli.schema.field_types import Axes
from layercli.schema.suggestions import Suggestion

NegativeSlope = Annotated[float, Field(ge=0, description="Factor on what lies below the threshold.")]


class _ActivationLayer(StandardLayer):
    family: ClassVar[str] = "activations"
    input_description: ClassVar[str] = "any tensor"
    passes_mask: ClassVar[bool] = True

    def output(self, x: Tensor) -> Tensor:
        return Tensor(x.shape, self.compute_dtype)


class Activation(_ActivationLayer):
    """Applies a function by name.

    Input: (batch, ...). Output: the same.

    Example:
        {type: Activation, activation: relu}
    """

    activation: Annotated[
        ActivationName | None, Field(description="Name of the function; null: linear.", examples=["relu"])
    ]

    @property
    def _function(self) -> str:
        return "linear" if self.activation is None else str(self.activation)

    def find_accepted_dtypes(self) -> frozenset[str]:
        if self._function in ("linear", "tanh", "exponential"):
            return NUMBERS
        return FLOATS | INTEGERS if self._function in ("relu", "relu6", "leaky_relu") else FLOATS

    def run_dtype(self, declared: str, dtype: str) -> str:
        return dtype if self._function in ("linear", "relu", "relu6") else declared


class ReLU(_ActivationLayer):
    """Zero below a threshold, the input itself above it.

    Input: (batch, ...). Output: the same.

    Example:
        {type: ReLU, max_value: 6.0}
    """

    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS | INTEGERS

    max_value: Annotated[float | None, Field(ge=0, description="Largest output; null: no limit.")] = None
    negative_slope: NegativeSlope = 0.0
    threshold: Annotated[float, Field(ge=0, description="Input above which the output rises.")] = 0.0

    def run_dtype(self, declared: str, dtype: str) -> str:
        return declared if self.negative_slope else dtype


class LeakyReLU(_ActivationLayer):
    """The input above zero, a small multiple of it below.

    Input: (batch, ...). Output: the same.

    Example:
        {type: LeakyReLU, negative_slope: 0.1}
    """

    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS | INTEGERS
    hints: ClassVar[dict[str, str]] = {
        **StandardLayer.hints,
        "alpha": Suggestion("Keras renamed it: write `negative_slope`.", "negative_slope"),
    }

    negative_slope: NegativeSlope = 0.3


class ELU(_ActivationLayer):
    """The input above zero, ``alpha * (exp(x) - 1)`` below.

    Input: (batch, ...). Output: the same.

    Example:
        {type: ELU, alpha: 1.0}
    """

    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS

    alpha: Annotated[float, Field(description="Negated lower limit of the output.")] = 1.0

    def check(self) -> None:
        refuse_activity_regularizer(self)


class Softmax(_ActivationLayer):
    """Turns numbers into probabilities that add up to 1 along an axis.

    Input: (batch, ...). Output: the same.

    Example:
        {type: Softmax, axis: -1}
    """

    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS

    axis: Annotated[
        Axes | None, Field(description="Axis or axes along which the output adds up to 1; null: all.")
    ] = -1

    def output(self, x: Tensor) -> Tensor:
        for axis in [self.axis] if isinstance(self.axis, int) else self.axis or ():
            if resolve_axis(axis, x.rank) is None:
                message = f"{self.title()} cannot use axis {axis} of {format_shape(x.shape)}."
                raise ShapeError(
                    message, hint="Axis 0 is the batch, axis -1 is the last one.", argument="axis"
                )
        return super().output(x)

    def accepts_mask(self, x: Tensor, mask: Shape) -> bool:
        return len(mask) == x.rank


class PReLU(_ActivationLayer):
    """The input above zero, a learned multiple of it below, with one slope for each number that is not shared.

    Input: (batch, ...). Output: the same.

    Example:
        {type: PReLU, shared_axes: [1, 2]}
    """

    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS

    alpha_initializer: Annotated[Initializer, Field(description="Initializer of the slopes.")] = "zeros"
    alpha_regularizer: Annotated[Regularizer | None, Field(description="Penalty on the slopes.")] = None
    alpha_constraint: Annotated[Constraint | None, Field(description="Constraint on the slopes.")] = None
    shared_axes: Annotated[
        Axes | None,
        Field(description="Axes that share a slope, counted from 1 after the batch axis; null: none."),
    ] = None

    def weights(self, x: Tensor) -> list[Weight]:
        shape = list(x.shape[1:])
        for axis in self._list_shared_axes():
            # Keras indexes the shape without its batch axis: 0 is the last axis, -1 the one before.
            if not -len(shape) <= axis - 1 < len(shape):
                raise ShapeError(
                    f"`shared_axes` must be axes of {format_shape(x.shape)} after the batch, got {axis}.",
                    hint=f"Valid axes are 1 to {len(shape)}." if shape else "Remove `shared_axes`.",
                    argument="shared_axes",
                )
            shape[axis - 1] = 1
        unknown = [index for index, size in enumerate(shape, 1) if size is None]
        if unknown:
            raise ShapeError(
                f"PReLU learns a slope for each number, "
                f"but the size of axis {unknown[0]} of {format_shape(x.shape)} is unknown.",
                hint=f"Share the slope along this axis: `shared_axes: {unknown}`.",
                argument="shared_axes",
            )
        return [Weight("alpha", tuple(size for size in shape if size is not None))]

    def _list_shared_axes(self) -> list[int]:
        axes = self.shared_axes
        return [] if axes is None else [axes] if isinstance(axes, int) else axes
