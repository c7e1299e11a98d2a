"""Check that images have their channels on the axis that layers read as channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from layercli.graph.finding import Finding
from layercli.graph.shapes import ModelShapes
from layercli.layers.bases.spatial import SpatialLayer
from layercli.layers.shapes import Shape, format_shape

CHANNEL_COUNTS: Final = (1, 3, 4)
"""Numbers of channels of images: grey, colours, colours with transparency."""
_MIN_SIDE: Final = 8


def check_image_channels(shapes: ModelShapes, *, input_is_editable: bool) -> Iterator[Finding]:
    """Yield a warning for the first layer that reads the height of an image with the channels first as its channels."""
    if not has_channels_first_input(shapes):
        return
    x = next(iter(shapes.graph.inputs.values()))
    for row in shapes.rows:
        layer = row.node.layer
        if not isinstance(layer, SpatialLayer) or row.inputs[:1] != (x,):
            continue
        if layer.is_channels_first:
            return
        height, width, channels = x.shape[1:]
        yield Finding(
            code="channels-first-input",
            message=f"{layer.title()} reads its input {format_shape(x.shape)} as {height} x {width} pixels with "
            f"{channels} channels.",
            path=row.node.path,
            hint=suggest_channels_last(x.shape, input_is_editable=input_is_editable),
            severity="warning",
        )
        return


def has_channels_first_input(shapes: ModelShapes) -> bool:
    """Return whether the only input is square images, (batch, channels, side, side)."""
    inputs = [*shapes.graph.inputs.values()]
    if len(inputs) != 1 or inputs[0].rank != 4:
        return False
    channels, height, width = inputs[0].shape[1:]
    is_square = height is not None and height == width and height >= _MIN_SIDE
    return is_square and channels in CHANNEL_COUNTS


def suggest_channels_last(shape: Shape, *, input_is_editable: bool) -> str:
    """Return how to move the channels of a shape (batch, channels, height, width) to the last axis."""
    _, channels, height, width = shape
    if input_is_editable:
        return f"Declare `model.input: [{height}, {width}, {channels}]`: the channels are the last axis."
    return "Put {type: Permute, dims: [2, 3, 1]} as the first layer of the model: it moves the channels to the last axis."
