"""Keras's convolutions of each channel on its own; part of ``layercli.layers.families.convolutional``."""

import math
from typing import Annotated, ClassVar

from pydantic import Field

from layercli.layers.arguments import (
    Constraint,
    Initializer,
    Padding,
    PositiveInt,
    Regularizer,
    Size1D,
    Size2D,
)
from layercli.layers.base import Weight
from layercli.layers.bases.conv import ConvolutionLayer, ConvStrides, DilationRate, Filters, KernelSize
from layercli.layers.bases.spatial import IMAGE_INPUT, SEQUENCE_INPUT
from layercli.layers.shapes import Tensor, multiply_dims


class _DepthwiseConv(ConvolutionLayer):
    padding: Padding = "valid"
    depth_multiplier: Annotated[PositiveInt, Field(description="Windows for each channel of the input.")] = 1
    depthwise_initializer: Annotated[
        Initializer, Field(description="How the windows are drawn before training.")
    ] = "glorot_uniform"
    depthwise_regularizer: Annotated[
        Regularizer | None, Field(description="Penalty on the windows, added to the loss.")
    ] = None
    depthwise_constraint: Annotated[
        Constraint | None, Field(description="What the windows are held to after each step.")
    ] = None

    def infer_kernels(self, channels: int) -> tuple[list[Weight], int]:
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        return [Weight("kernel", shape)], channels * self.depth_multiplier

    def multiply_adds(self, x: Tensor) -> int | None:
        return multiply_dims(
            *self.output_lengths(x), *self.kernel_size, self.channels(x), self.depth_multiplier
        )


class DepthwiseConv1D(_DepthwiseConv):
    """A convolution of each channel on its own, along sequences.

    Input: (batch, steps, channels). Output: (batch, new steps, channels * depth_multiplier).

    Example:
        {type: DepthwiseConv1D, kernel_size: 3}
    """

    input_description: ClassVar[str] = SEQUENCE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (3, 3)

    kernel_size: KernelSize[Size1D]
    strides: ConvStrides[Size1D] = (1,)
    dilation_rate: DilationRate[Size1D] = (1,)


class DepthwiseConv2D(_DepthwiseConv):
    """A convolution of each channel on its own, over images.

    Input: (batch, height, width, channels).
    Output: (batch, new height, new width, channels * depth_multiplier).

    Example:
        {type: DepthwiseConv2D, kernel_size: 3}
    """

    input_description: ClassVar[str] = IMAGE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (4, 4)

    kernel_size: KernelSize[Size2D]
    strides: ConvStrides[Size2D] = (1, 1)
    dilation_rate: DilationRate[Size2D] = (1, 1)


class _SeparableConv(_DepthwiseConv):
    filters: Filters
    pointwise_initializer: Annotated[
        Initializer, Field(description="How the mixing of channels is drawn before training.")
    ] = "glorot_uniform"
    pointwise_regularizer: Annotated[
        Regularizer | None, Field(description="Penalty on the mixing of channels, added to the loss.")
    ] = None
    pointwise_constraint: Annotated[
        Constraint | None, Field(description="What the mixing of channels is held to after each step.")
    ] = None

    def infer_kernels(self, channels: int) -> tuple[list[Weight], int]:
        depthwise = (*self.kernel_size, channels, self.depth_multiplier)
        pointwise = (*(1 for _ in self.kernel_size), channels * self.depth_multiplier, self.filters)
        weights = [Weight("depthwise_kernel", depthwise), Weight("pointwise_kernel", pointwise)]
        return weights, self.filters

    def multiply_adds(self, x: Tensor) -> int | None:
        cost_per_channel = math.prod(self.kernel_size) + self.filters
        return multiply_dims(
            *self.output_lengths(x), self.channels(x), self.depth_multiplier, cost_per_channel
        )


class SeparableConv1D(_SeparableConv):
    """A convolution of each channel on its own, then a mixing of channels: fewer weights than Conv1D.

    Input: (batch, steps, channels). Output: (batch, new steps, filters).

    Example:
        {type: SeparableConv1D, filters: 32, kernel_size: 3}
    """

    input_description: ClassVar[str] = SEQUENCE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (3, 3)

    kernel_size: KernelSize[Size1D]
    strides: ConvStrides[Size1D] = (1,)
    dilation_rate: DilationRate[Size1D] = (1,)


class SeparableConv2D(_SeparableConv):
    """A convolution of each channel on its own, then a mixing of channels: fewer weights than Conv2D.

    Input: (batch, height, width, channels). Output: (batch, new height, new width, filters).

    Example:
        {type: SeparableConv2D, filters: 32, kernel_size: 3}
    """

    input_description: ClassVar[str] = IMAGE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (4, 4)

    kernel_size: KernelSize[Size2D]
    strides: ConvStrides[Size2D] = (1, 1)
    dilation_rate: DilationRate[Size2D] = (1, 1)
