"""What Keras's convolution layers share: a window that slides over the input, and what follows it."""

from typing import Annotated, ClassVar, Literal, TypeAlias, TypeVar

from pydantic import Field

from layercli.layers.arguments import AnyCase, DataFormat, PositiveInt
from layercli.layers.base import Weight
from layercli.layers.bases.spatial import Spatial, by
from layercli.layers.families.core import (
    ActivationArgument,
    BiasConstraint,
    BiasInitializer,
    BiasRegularizer,
    UseBias,
)
from layercli.layers.shapes import Shape, Tensor
from layercli.schema.strict_model import ArgumentError

T = TypeVar("T")
Filters: TypeAlias = Annotated[
    PositiveInt, Field(description="Number of channels of the output.", examples=[32])
]
Kernel: TypeAlias = Annotated[T, Field(description="Size of the window.", examples=[3])]
Strides: TypeAlias = Annotated[T, Field(description="Step of the window along each axis.")]
Dilation: TypeAlias = Annotated[
    T, Field(description="Distance between neighbouring points of the window; 1: no gaps.")
]
OutputPadding: TypeAlias = Annotated[
    T | None, Field(description="Length added to one side of the output; below strides. null: derived.")
]
CausalPadding: TypeAlias = Annotated[
    Literal["valid", "same", "causal"],
    AnyCase,
    Field(
        description="valid: no padding; same: the output is as long as the input / strides; "
        "causal: as long, and no output sees later inputs."
    ),
]


class Windowed(Spatial):
    """What all convolutions share: a window, and what follows it."""

    family: ClassVar[str] = "convolutional"

    kernel_size: tuple[int, ...]
    strides: tuple[int, ...] = (1,)
    padding: CausalPadding = "valid"
    data_format: DataFormat = None
    dilation_rate: tuple[int, ...] = (1,)
    activation: ActivationArgument = None
    use_bias: UseBias = True
    bias_initializer: BiasInitializer = "zeros"
    bias_regularizer: BiasRegularizer = None
    bias_constraint: BiasConstraint = None

    def positions(self, x: Tensor) -> Shape:
        """Where the window stops, along each axis."""
        return self.slide(
            x, self.kernel_size, self.strides, self.padding, self.dilation_rate, argument="kernel_size"
        )

    def kernels(self, channels: int) -> tuple[list[Weight], int]:
        """For an input of so many channels: the weights, bias aside, and the output's number of channels."""
        raise NotImplementedError

    def output(self, x: Tensor) -> Tensor:
        _, channels = self.kernels(self.known(x, self.channel_axis))
        return self.tensor(x, self.positions(x), channels)

    def weights(self, x: Tensor) -> list[Weight]:
        weights, channels = self.kernels(self.known(x, self.channel_axis))
        return [*weights, Weight("bias", (channels,))] if self.use_bias else weights

    def no_strided_dilation(self) -> None:
        """Refuse strides together with dilation.

        Raises:
            ArgumentError: both are above 1.
        """
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            message = (
                f"{self.title()} has strides {by(self.strides)} and dilation_rate {by(self.dilation_rate)}; "
                "at most one of them may be above 1."
            )
            raise ArgumentError("dilation_rate", message, "Remove `dilation_rate`, or `strides`.")
