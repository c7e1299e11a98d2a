"""Keras's convolutional recurrent layers."""

from typing import Annotated, ClassVar

from pydantic import Field

from layercli.layers.arguments import DataFormat, Padding, Seed
from layercli.layers.base import Weight, require_nonempty
from layercli.layers.bases.nested import NestingLayer
from layercli.layers.bases.spatial import check_padded_window
from layercli.layers.bases.weight_arguments import (
    ActivationArgument,
    BiasConstraint,
    BiasInitializer,
    BiasRegularizer,
    KernelConstraint,
    KernelInitializer,
    KernelRegularizer,
    UseBias,
)
from layercli.layers.dtypes import FLOATS
from layercli.layers.families.recurrent import (
    ForgetBias,
    InputDropout,
    RecurrentActivation,
    RecurrentConstraint,
    RecurrentDropout,
    RecurrentInitializer,
    RecurrentLayer,
    RecurrentRegularizer,
)
from layercli.layers.shapes import (
    Dim,
    Shape,
    ShapeError,
    Tensor,
    format_shape,
    multiply_dims,
    product_of,
    window_length,
    window_span,
)
from layercli.schema.field_types import PositiveInt, Size1D, Size2D, Size3D
from layercli.schema.strict_model import ArgumentError

_KERNEL_SIZE_TEXT = "Size of the convolution's window."
_STRIDES_TEXT = "Step of the window."
_DILATION_RATE_TEXT = "Distance between the window's cells; 1: they touch."


class ConvLSTM(RecurrentLayer, NestingLayer):
    """LSTM whose matrix products are convolutions."""

    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS

    filters: Annotated[PositiveInt, Field(description="Number of channels of the output.", examples=[16])]
    padding: Padding = "valid"
    data_format: DataFormat = None
    activation: ActivationArgument = "tanh"
    recurrent_activation: RecurrentActivation = "sigmoid"
    use_bias: UseBias = True
    kernel_initializer: KernelInitializer = "glorot_uniform"
    recurrent_initializer: RecurrentInitializer = "orthogonal"
    bias_initializer: BiasInitializer = "zeros"
    unit_forget_bias: ForgetBias = True
    kernel_regularizer: KernelRegularizer = None
    recurrent_regularizer: RecurrentRegularizer = None
    bias_regularizer: BiasRegularizer = None
    kernel_constraint: KernelConstraint = None
    recurrent_constraint: RecurrentConstraint = None
    bias_constraint: BiasConstraint = None
    dropout: InputDropout = 0.0
    recurrent_dropout: RecurrentDropout = 0.0
    seed: Seed = None

    @property
    def window_arguments(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """The kernel size, strides and dilation rate along each axis of the image."""
        raise NotImplementedError

    @property
    def _is_channels_first(self) -> bool:
        return self.data_format == "channels_first"

    def check(self) -> None:
        _, strides, dilation = self.window_arguments
        if max(strides) > 1 and max(dilation) > 1:
            raise ArgumentError(
                "dilation_rate",
                f"{self.title()} accepts strides or a dilation rate above 1, not both, "
                f"got strides {format_shape(strides)} and dilation rate {format_shape(dilation)}.",
                "Remove one of them.",
            )

    def _image_sizes(self, shape: Shape) -> Shape:
        """Return the sizes of the image axes, without batch, timesteps and channels."""
        return shape[3:] if self._is_channels_first else shape[2:-1]

    def _step_shape(self, x: Tensor) -> Shape:
        """Return the output shape of one timestep, without the batch axis.

        Raises:
            ShapeError: an axis of the image is unknown, or the window is larger than the image.
        """
        image = self._image_sizes(x.shape)
        if None in image:
            raise ShapeError(
                f"{self.title()} needs the size of its images, got {format_shape(x.shape)}.",
                hint="Declare the size of every image axis in `model.input`; only timesteps may be null.",
            )
        windows, _, dilation = self.window_arguments
        spans = [window_span(window, rate) for window, rate in zip(windows, dilation, strict=True)]
        argument = "dilation_rate" if max(dilation) > 1 else "kernel_size"
        # The recurrent convolution has `padding: same`, whatever the padding of the other one.
        check_padded_window(self, spans, "same", argument)
        sizes = zip(image, *self.window_arguments, strict=True)
        output_lengths = tuple(window_length(size, k, s, self.padding, d) for size, k, s, d in sizes)
        step = (self.filters, *output_lengths) if self._is_channels_first else (*output_lengths, self.filters)
        if self.padding == "valid":
            hint = "Make the window smaller, or write `padding: same`."
            require_nonempty((x.shape[0], *step), self, x, argument="kernel_size", hint=hint)
        return step

    def output(self, x: Tensor) -> tuple[Tensor, ...]:
        self.check_sequence(x)
        step = self._step_shape(x)
        return self.build_outputs(x.shape[0], x.shape[1], step, [step, step])

    def weights(self, x: Tensor) -> list[Weight]:
        kernel = self.window_arguments[0]
        channels = self.require_size(x, 2 if self._is_channels_first else -1)
        weights = [
            Weight("kernel", (*kernel, channels, 4 * self.filters)),
            Weight("recurrent_kernel", (*kernel, self.filters, 4 * self.filters)),
        ]
        return [*weights, Weight("bias", (4 * self.filters,))] if self.use_bias else weights

    def multiply_adds(self, x: Tensor) -> int | None:
        channels: Dim = x.shape[2 if self._is_channels_first else -1]
        if channels is None:
            return None
        return multiply_dims(
            x.shape[1],
            product_of(self._step_shape(x)),
            *self.window_arguments[0],
            4 * (channels + self.filters),
        )


class ConvLSTM1D(ConvLSTM):
    """LSTM over sequences of rows, with convolutions.

    Input: (batch, timesteps, length, channels). Output: (batch, new length, filters), with return_sequences
    (batch, timesteps, new length, filters); with return_state two states of (batch, new length, filters) too.

    Example:
        {type: ConvLSTM1D, filters: 16, kernel_size: 3}
    """

    input_description: ClassVar[str] = (
        "sequences of rows, of shape (batch, timesteps, length, channels), rank 4"
    )
    rank_range: ClassVar[tuple[int, int | None]] = (4, 4)

    kernel_size: Annotated[Size1D, Field(description=_KERNEL_SIZE_TEXT, examples=[3])]
    strides: Annotated[Size1D, Field(description=_STRIDES_TEXT)] = (1,)
    dilation_rate: Annotated[Size1D, Field(description=_DILATION_RATE_TEXT)] = (1,)

    @property
    def window_arguments(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        return self.kernel_size, self.strides, self.dilation_rate


class ConvLSTM2D(ConvLSTM):
    """LSTM over sequences of images, with convolutions.

    Input: (batch, timesteps, height, width, channels). Output: (batch, new height, new width, filters), with
    return_sequences the timesteps too; with return_state two states of the same shape too.

    Example:
        {type: ConvLSTM2D, filters: 16, kernel_size: 3}
    """

    input_description: ClassVar[str] = (
        "sequences of images, of shape (batch, timesteps, height, width, channels), rank 5"
    )
    rank_range: ClassVar[tuple[int, int | None]] = (5, 5)

    kernel_size: Annotated[Size2D, Field(description=_KERNEL_SIZE_TEXT, examples=[3])]
    strides: Annotated[Size2D, Field(description=_STRIDES_TEXT)] = (1, 1)
    dilation_rate: Annotated[Size2D, Field(description=_DILATION_RATE_TEXT)] = (1, 1)

    @property
    def window_arguments(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        return self.kernel_size, self.strides, self.dilation_rate


class ConvLSTM3D(ConvLSTM):
    """LSTM over sequences of volumes, with convolutions.

    Input: (batch, timesteps, z, y, x, channels). Output: (batch, new z, new y, new x, filters), with
    return_sequences the timesteps too; with return_state two states of the same shape too.

    Example:
        {type: ConvLSTM3D, filters: 16, kernel_size: 3}
    """

    input_description: ClassVar[str] = (
        "sequences of volumes, of shape (batch, timesteps, z, y, x, channels), rank 6"
    )
    rank_range: ClassVar[tuple[int, int | None]] = (6, 6)

    kernel_size: Annotated[Size3D, Field(description=_KERNEL_SIZE_TEXT, examples=[3])]
    strides: Annotated[Size3D, Field(description=_STRIDES_TEXT)] = (1, 1, 1)
    dilation_rate: Annotated[Size3D, Field(description=_DILATION_RATE_TEXT)] = (1, 1, 1)

    @property
    def window_arguments(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        return self.kernel_size, self.strides, self.dilation_rate
