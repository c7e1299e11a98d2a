"""Layers over sequences, images and volumes: axes between the batch and the channels."""

from collections.abc import Sequence
from math import prod
from typing import ClassVar, Final

from layercli.layers.base import Layer, StandardLayer
from layercli.layers.shapes import (
    Dim,
    RankError,
    Shape,
    ShapeError,
    Tensor,
    format_shape,
    window_length,
    window_span,
)

SEQUENCE_INPUT = "sequences of shape (batch, steps, channels), rank 3"
IMAGE_INPUT = "images of shape (batch, height, width, channels), rank 4"
VOLUME_INPUT = "volumes of shape (batch, depth, height, width, channels), rank 5"

_MAX_PADDED_WINDOW: Final = 1_000_000
"""Most positions of a window that can be larger than its input; Keras pads the input to it, or visits each one."""


class SpatialLayer(StandardLayer):
    """A layer with separate spatial and channel axes; an optional ``data_format`` sets the position of the channels."""

    input_description: ClassVar[str]
    rank_range: ClassVar[tuple[int, int | None]]

    @property
    def is_channels_first(self) -> bool:
        """Return whether the channels are axis 1; otherwise they are the last axis."""
        return getattr(self, "data_format", None) == "channels_first"

    @property
    def channel_axis(self) -> int:
        """The index of the channel axis in a shape with the batch axis."""
        return 1 if self.is_channels_first else -1

    def check_rank(self, shape: Shape) -> None:
        try:
            super().check_rank(shape)
        except RankError:
            raise self.rank_error(shape) from None

    def rank_error(self, shape: Shape) -> RankError:
        """Return the error for a shape with the wrong number of axes; it names the position of the channel axis."""
        layout = self.input_description
        if self.is_channels_first:
            layout = layout.replace("(batch,", "(batch, channels,").replace(", channels)", ")")
        return RankError(f"{self.title()} expects {layout}, got {format_shape(shape)}.")

    def spatial_lengths(self, x: Tensor) -> Shape:
        """Return the sizes of all axes except batch and channels."""
        return x.shape[2:] if self.is_channels_first else x.shape[1:-1]

    def channels(self, x: Tensor) -> Dim:
        """Return the number of channels."""
        return x.shape[self.channel_axis]

    def build_output(self, x: Tensor, lengths: Sequence[Dim], channels: Dim) -> Tensor:
        """Return the output for the given spatial lengths, in the input's data format."""
        inner = (channels, *lengths) if self.is_channels_first else (*lengths, channels)
        return Tensor((x.shape[0], *inner), self.compute_dtype)

    def slide_window(
        self,
        x: Tensor,
        window: Sequence[int],
        strides: Sequence[int],
        padding: str,
        dilation: Sequence[int] | None = None,
        *,
        argument: str,
    ) -> Shape:
        """Return the number of positions of a sliding window along each axis.

        Raises:
            ShapeError: the window is larger than the input, or than any useful padding.
        """
        dilation = dilation or (1,) * len(window)
        spans = [window_span(size, gap) for size, gap in zip(window, dilation, strict=True)]
        if padding != "valid":
            check_padded_window(self, spans, padding, "dilation_rate" if max(dilation) > 1 else argument)
        lengths = self.spatial_lengths(x)
        axes = zip(lengths, window, strides, dilation, strict=True)
        output_lengths = tuple(
            window_length(length, size, stride, padding, gap) for length, size, stride, gap in axes
        )
        if padding == "valid" and any(count is not None and count <= 0 for count in output_lengths):
            spread = f", dilated to {format_lengths(spans)}" if max(dilation) > 1 else ""
            message = (
                f"{self.title()} has a window of {format_lengths(window)}{spread}, "
                f"but its input {format_shape(x.shape)} has only {format_lengths(lengths)} positions."
            )
            hint = f"Use a smaller `{argument}`, `padding: same`, or fewer shrinking layers before it."
            raise ShapeError(message, hint=hint, argument=argument)
        return output_lengths


def check_padded_window(layer: Layer, spans: Sequence[int], padding: str, argument: str) -> None:
    """Check the size of a window that can be larger than its input.

    Raises:
        ShapeError: it has too many positions.
    """
    if prod(spans) > _MAX_PADDED_WINDOW:
        raise ShapeError(
            f"The window of {layer.title()} must have at most {_MAX_PADDED_WINDOW:,} positions with `padding: {padding}`, "
            f"got {format_lengths(spans)}.",
            hint=f"Use a smaller `{argument}`.",
            argument=argument,
        )


def format_lengths(lengths: Sequence[Dim]) -> str:
    """Return lengths in the form ``3 x 3``."""
    return " x ".join("?" if length is None else str(length) for length in lengths)
