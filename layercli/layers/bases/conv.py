"""Base class of Keras's convolution layers: a window that slides over the input, a bias and an activation."""

from typing import Annotated, ClassVar, Literal, TypeAlias, TypeVar

from pydantic import Field

from layercli.layers.arguments import DataFormat
from layercli.layers.base import Weight
from layercli.layers.bases.spatial import SpatialLayer, format_lengths
from layercli.layers.bases.weight_arguments import (
    ActivationArgument,
    BiasConstraint,
    BiasInitializer,
    BiasRegularizer,
    UseBias,
)
from layercli.layers.dtypes import FLOATS
from layercli.layers.shapes import Shape, Tensor
from layercli.schema.field_types import CaseInsensitive, PositiveInt
from layercli.schema.strict_model import ArgumentError

T = TypeVar("T")
Filters: TypeAlias = Annotated[
    PositiveInt, Field(description="Number of channels of the output.", examples=[32])
]
KernelSize: TypeAlias = Annotated[T, Field(description="Size of the window.", examples=[3])]
ConvStrides: TypeAlias = Annotated[T, Field(description="Step of the window along each axis.")]
DilationRate: TypeAlias = Annotated[
    T, Field(description="Distance between neighboring points of the window; 1: no gaps.")
]
OutputPadding: TypeAlias = Annotated[
    T | None, Field(description="Length added to one side of the output; below strides. null: derived.")
]
CausalPadding: TypeAlias = Annotated[
    Literal["valid", "same", "causal"],
    CaseInsensitive,
    Field(
        description="valid: no padding; same: the output is as long as the input / strides; "
        "causal: as long, and no output sees later inputs."
    ),
]


class ConvolutionLayer(SpatialLayer):
    """A convolution: a sliding window, a bias and an activation."""

    family: ClassVar[str] = "convolutional"
    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS

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

    def output_lengths(self, x: Tensor) -> Shape:
        """Return the number of window positions along each axis."""
        return self.slide_window(
            x, self.kernel_size, self.strides, self.padding, self.dilation_rate, argument="kernel_size"
        )

    def infer_kernels(self, channels: int) -> tuple[list[Weight], int]:
        """Return the weights without the bias, and the number of output channels, for a number of input channels."""
        raise NotImplementedError

    def output(self, x: Tensor) -> Tensor:
        _, channels = self.infer_kernels(self.require_size(x, self.channel_axis))
        return self.build_output(x, self.output_lengths(x), channels)

    def weights(self, x: Tensor) -> list[Weight]:
        weights, channels = self.infer_kernels(self.require_size(x, self.channel_axis))
        return [*weights, Weight("bias", (channels,))] if self.use_bias else weights

    def check_strides_and_dilation(self) -> None:
        """Check that strides and dilation are not combined.

        Raises:
            ArgumentError: both are above 1.
        """
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            message = (
                f"{self.title()} accepts `strides` or `dilation_rate` above 1, not both, "
                f"got {format_lengths(self.strides)} and {format_lengths(self.dilation_rate)}."
            )
            raise ArgumentError("dilation_rate", message, "Remove `dilation_rate`, or `strides`.")
