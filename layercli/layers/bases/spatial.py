"""Layers over sequences, images and volumes: axes between the batch and the channels."""

from collections.abc import Sequence
from typing import ClassVar

from layercli.layers.base import StandardLayer
from layercli.layers.shapes import Dim, RankError, Shape, ShapeError, Tensor, show, window_length

SEQUENCES = "sequences of shape (batch, steps, channels), rank 3"
IMAGES = "images of shape (batch, height, width, channels), rank 4"
VOLUMES = "volumes of shape (batch, depth, height, width, channels), rank 5"


class Spatial(StandardLayer):
    """A layer that treats channels apart from positions; ``data_format``, if any, says where they stand."""

    takes: ClassVar[str]
    ranks: ClassVar[tuple[int, int | None]]

    @property
    def channels_first(self) -> bool:
        """Whether the channels are axis 1; they are the last axis otherwise."""
        return getattr(self, "data_format", None) == "channels_first"

    @property
    def channel_axis(self) -> int:
        """The channels' axis, as an index into a shape with the batch axis."""
        return 1 if self.channels_first else -1

    def check_rank(self, shape: Shape) -> None:
        try:
            super().check_rank(shape)
        except RankError:
            raise self.wrong_rank(shape) from None

    def wrong_rank(self, shape: Shape) -> RankError:
        """The error for a shape of too few or too many axes; it shows where the channels stand."""
        layout = self.takes
        if self.channels_first:
            layout = layout.replace("(batch,", "(batch, channels,").replace(", channels)", ")")
        return RankError(f"{self.title()} takes {layout}; it gets {show(shape)}.")

    def lengths(self, x: Tensor) -> Shape:
        """The axes that are neither batch nor channels."""
        return x.shape[2:] if self.channels_first else x.shape[1:-1]

    def channels(self, x: Tensor) -> Dim:
        """The number of channels."""
        return x.shape[self.channel_axis]

    def tensor(self, x: Tensor, lengths: Sequence[Dim], channels: Dim) -> Tensor:
        """The output over ``lengths`` positions, laid out as the input is."""
        inner = (channels, *lengths) if self.channels_first else (*lengths, channels)
        return Tensor((x.shape[0], *inner), self.compute_dtype)

    def slide(
        self,
        x: Tensor,
        window: Sequence[int],
        strides: Sequence[int],
        padding: str,
        dilation: Sequence[int] | None = None,
        *,
        argument: str,
    ) -> Shape:
        """How often a window fits along each axis.

        Raises:
            ShapeError: the window is larger than the input.
        """
        dilation = dilation or (1,) * len(window)
        lengths = self.lengths(x)
        axes = zip(lengths, window, strides, dilation, strict=True)
        fits = tuple(window_length(length, size, stride, padding, gap) for length, size, stride, gap in axes)
        if padding == "valid" and any(count is not None and count <= 0 for count in fits):
            span = [(size - 1) * gap + 1 for size, gap in zip(window, dilation, strict=True)]
            spread = f", spread by `dilation_rate` to {by(span)}" if max(dilation) > 1 else ""
            message = (
                f"{self.title()} has a window of {by(window)}{spread}, "
                f"but its input {show(x.shape)} has only {by(lengths)} positions."
            )
            hint = f"Use a smaller `{argument}`, `padding: same`, or fewer shrinking layers before it."
            raise ShapeError(message, hint=hint, argument=argument)
        return fits


def by(lengths: Sequence[Dim]) -> str:
    """Lengths as a person writes them: ``3 x 3``."""
    return " x ".join("?" if length is None else str(length) for length in lengths)
