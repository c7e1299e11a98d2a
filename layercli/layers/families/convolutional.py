"""Keras's convolution layers."""

import math
from typing import Annotated, ClassVar

from pydantic import Field

from layercli.layers.arguments import Constraint, Initializer, Padding, Regularizer
from layercli.layers.base import Weight
from layercli.layers.bases.conv import (
    ConvolutionLayer,
    ConvStrides,
    DilationRate,
    Filters,
    KernelSize,
    OutputPadding,
)
from layercli.layers.bases.spatial import IMAGE_INPUT, SEQUENCE_INPUT, VOLUME_INPUT, format_lengths
from layercli.layers.bases.weight_arguments import (
    KernelConstraint,
    KernelInitializer,
    KernelRegularizer,
    LoraAlpha,
    LoraRank,
    check_lora,
)
from layercli.layers.shapes import Shape, ShapeError, Tensor, format_shape, multiply_dims, window_span
from layercli.schema.field_types import Count1D, Count2D, Count3D, PositiveInt, Size1D, Size2D, Size3D
from layercli.schema.strict_model import ArgumentError


class _Conv(ConvolutionLayer):
    filters: Filters
    groups: Annotated[
        PositiveInt, Field(description="Number of channel groups, each convolved with separate filters.")
    ] = 1
    kernel_initializer: KernelInitializer = "glorot_uniform"
    kernel_regularizer: KernelRegularizer = None
    kernel_constraint: KernelConstraint = None
    lora_rank: LoraRank = None
    lora_alpha: LoraAlpha = None

    def check(self) -> None:
        self.check_strides_and_dilation()
        if self.filters % self.groups:
            message = (
                f"{self.title()} divides {self.filters} filters into {self.groups} groups, "
                f"but {self.filters} is not divisible by {self.groups}."
            )
            filters = max(self.filters - self.filters % self.groups, self.groups)
            hint = f"Use `groups: {math.gcd(self.filters, self.groups)}`, or `filters: {filters}`."
            raise ArgumentError("groups", message, hint)
        check_lora(self.lora_rank, self.kernel_constraint, "kernel_constraint")

    def infer_kernels(self, channels: int) -> tuple[list[Weight], int]:
        if channels % self.groups:
            message = (
                f"{self.title()} splits the {channels} channels of its input into {self.groups} groups, "
                f"but {channels} is not divisible by {self.groups}."
            )
            hint = f"Use `groups: {math.gcd(channels, self.groups)}`."
            raise ShapeError(message, hint=hint, argument="groups")
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        return [Weight("kernel", shape, trainable=self.lora_rank is None)], self.filters

    def weights(self, x: Tensor) -> list[Weight]:
        weights = super().weights(x)
        if self.lora_rank is not None:
            shape = (*weights[0].shape[:-1], self.lora_rank)
            weights.append(Weight("lora_kernel_a", shape, dtype="float32"))
            weights.append(Weight("lora_kernel_b", (self.lora_rank, self.filters), dtype="float32"))
        return weights

    def multiply_adds(self, x: Tensor) -> int | None:
        total = multiply_dims(*self.output_lengths(x), *self.kernel_size, self.channels(x), self.filters)
        return None if total is None else total // self.groups


class Conv1D(_Conv):
    """A convolution along sequences: each output step is computed from a window of steps.

    Input: (batch, steps, channels). Output: (batch, new steps, filters).

    Example:
        {type: Conv1D, filters: 32, kernel_size: 3, activation: relu}
    """

    input_description: ClassVar[str] = SEQUENCE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (3, 3)

    kernel_size: KernelSize[Size1D]
    strides: ConvStrides[Size1D] = (1,)
    dilation_rate: DilationRate[Size1D] = (1,)


class Conv2D(_Conv):
    """A convolution over images: each output pixel is computed from a window of pixels.

    Input: (batch, height, width, channels). Output: (batch, new height, new width, filters).

    Example:
        {type: Conv2D, filters: 32, kernel_size: 3, activation: relu}
    """

    input_description: ClassVar[str] = IMAGE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (4, 4)

    kernel_size: KernelSize[Size2D]
    strides: ConvStrides[Size2D] = (1, 1)
    padding: Padding = "valid"
    dilation_rate: DilationRate[Size2D] = (1, 1)


class Conv3D(_Conv):
    """A convolution over volumes, such as video or scans.

    Input: (batch, depth, height, width, channels). Output: the same axes, with filters channels.

    Example:
        {type: Conv3D, filters: 16, kernel_size: 3, activation: relu}
    """

    input_description: ClassVar[str] = VOLUME_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (5, 5)

    kernel_size: KernelSize[Size3D]
    strides: ConvStrides[Size3D] = (1, 1, 1)
    padding: Padding = "valid"
    dilation_rate: DilationRate[Size3D] = (1, 1, 1)


class _ConvTranspose(ConvolutionLayer):
    filters: Filters
    padding: Padding = "valid"
    output_padding: tuple[int, ...] | None = None
    kernel_initializer: KernelInitializer = "glorot_uniform"
    kernel_regularizer: KernelRegularizer = None
    kernel_constraint: KernelConstraint = None

    def check(self) -> None:
        self.check_strides_and_dilation()
        output_padding = self.output_padding or ()
        if any(extra >= stride for extra, stride in zip(output_padding, self.strides, strict=False)):
            message = (
                "`output_padding` must be below `strides` along each axis, "
                f"got {format_lengths(output_padding)} with strides {format_lengths(self.strides)}."
            )
            raise ArgumentError("output_padding", message, "Remove `output_padding`, or use larger strides.")

    def output_lengths(self, x: Tensor) -> Shape:
        output_padding = self.output_padding or (None,) * len(self.strides)
        axes = zip(
            self.spatial_lengths(x),
            self.kernel_size,
            self.strides,
            self.dilation_rate,
            output_padding,
            strict=True,
        )
        lengths = tuple(
            None
            if length is None
            else self._compute_transposed_length(length, window_span(size, gap), stride, extra)
            for length, size, stride, gap, extra in axes
        )
        if any(length is not None and length < 0 for length in lengths):
            message = f"The output of {self.title()} is empty: its input is {format_shape(x.shape)}."
            raise ShapeError(message, hint="Give every axis of its input a positive length.")
        return lengths

    def _compute_transposed_length(self, length: int, span: int, stride: int, extra: int | None) -> int:
        if self.padding == "valid":
            return (length - 1) * stride + (max(span, stride) if extra is None else span + extra)
        return length * stride if extra is None else (length - 1) * stride + span % 2 + extra

    def infer_kernels(self, channels: int) -> tuple[list[Weight], int]:
        return [Weight("kernel", (*self.kernel_size, self.filters, channels))], self.filters

    def multiply_adds(self, x: Tensor) -> int | None:
        return multiply_dims(*self.spatial_lengths(x), *self.kernel_size, self.channels(x), self.filters)


class Conv1DTranspose(_ConvTranspose):
    """A transposed convolution along sequences, which makes them longer.

    Input: (batch, steps, channels). Output: (batch, new steps, filters).

    Example:
        {type: Conv1DTranspose, filters: 32, kernel_size: 3, strides: 2, padding: same}
    """

    input_description: ClassVar[str] = SEQUENCE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (3, 3)

    kernel_size: KernelSize[Size1D]
    strides: ConvStrides[Size1D] = (1,)
    output_padding: OutputPadding[Count1D] = None
    dilation_rate: DilationRate[Size1D] = (1,)


class Conv2DTranspose(_ConvTranspose):
    """A transposed convolution over images, which makes them larger.

    Input: (batch, height, width, channels). Output: (batch, new height, new width, filters).

    Example:
        {type: Conv2DTranspose, filters: 32, kernel_size: 3, strides: 2, padding: same}
    """

    input_description: ClassVar[str] = IMAGE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (4, 4)

    kernel_size: KernelSize[Size2D]
    strides: ConvStrides[Size2D] = (1, 1)
    output_padding: OutputPadding[Count2D] = None
    dilation_rate: DilationRate[Size2D] = (1, 1)


class Conv3DTranspose(_ConvTranspose):
    """A transposed convolution over volumes, which makes them larger.

    Input: (batch, depth, height, width, channels). Output: the same axes, with filters channels.

    Example:
        {type: Conv3DTranspose, filters: 16, kernel_size: 3, strides: 2, padding: same}
    """

    input_description: ClassVar[str] = VOLUME_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (5, 5)

    kernel_size: KernelSize[Size3D]
    strides: ConvStrides[Size3D] = (1, 1, 1)
    output_padding: OutputPadding[Count3D] = None
    dilation_rate: DilationRate[Size3D] = (1, 1, 1)


class _DepthwiseConv(ConvolutionLayer):
    padding: Padding = "valid"
    depth_multiplier: Annotated[
        PositiveInt, Field(description="Number of depthwise kernels for each input channel.")
    ] = 1
    depthwise_initializer: Annotated[
        Initializer, Field(description="Initializer of the depthwise kernel.")
    ] = "glorot_uniform"
    depthwise_regularizer: Annotated[
        Regularizer | None, Field(description="Penalty on the depthwise kernel, added to the loss.")
    ] = None
    depthwise_constraint: Annotated[
        Constraint | None, Field(description="Constraint on the depthwise kernel, applied after each step.")
    ] = None

    def infer_kernels(self, channels: int) -> tuple[list[Weight], int]:
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        return [Weight("kernel", shape)], channels * self.depth_multiplier

    def multiply_adds(self, x: Tensor) -> int | None:
        return multiply_dims(
            *self.output_lengths(x), *self.kernel_size, self.channels(x), self.depth_multiplier
        )


class DepthwiseConv1D(_DepthwiseConv):
    """A depthwise convolution along sequences: each channel is convolved separately.

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
    """A depthwise convolution over images: each channel is convolved separately.

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
        Initializer, Field(description="Initializer of the pointwise kernel.")
    ] = "glorot_uniform"
    pointwise_regularizer: Annotated[
        Regularizer | None, Field(description="Penalty on the pointwise kernel, added to the loss.")
    ] = None
    pointwise_constraint: Annotated[
        Constraint | None, Field(description="Constraint on the pointwise kernel, applied after each step.")
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
    """A depthwise convolution, then a mixing of channels: fewer weights than Conv1D.

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
    """A depthwise convolution, then a mixing of channels: fewer weights than Conv2D.

    Input: (batch, height, width, channels). Output: (batch, new height, new width, filters).

    Example:
        {type: SeparableConv2D, filters: 32, kernel_size: 3}
    """

    input_description: ClassVar[str] = IMAGE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (4, 4)

    kernel_size: KernelSize[Size2D]
    strides: ConvStrides[Size2D] = (1, 1)
    dilation_rate: DilationRate[Size2D] = (1, 1)
