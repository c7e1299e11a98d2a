"""The layers of a new config that return a class for each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_MAX_HALVINGS: Final = 3
SIZE_MULTIPLE: Final = 1 << _MAX_HALVINGS
"""Images whose height and width are multiples of this can be halved as often as the layers do."""


def list_segmentation_layers(shape: Sequence[int], filters: int) -> list[str]:
    """Return the lines of a U-Net: layers that halve the image several times, and then double it again.

    Args:
        shape: The shape of an image: (height, width, ...).
        filters: The filters of the first layer; the others have more.
    """
    halvings = 0
    while halvings < _MAX_HALVINGS and not any(size % (2 << halvings) for size in shape[:2]):
        halvings += 1
    lines: list[str] = []
    for step in range(halvings):
        lines += [
            *_list_convolutions(filters << step, f"skip_{step + 1}"),
            "    - MaxPooling2D               # halves height and width",
        ]
    lines += _list_convolutions(filters << halvings, "bottom")
    for step in reversed(range(halvings)):
        lines += [
            f"    - {{type: UpSampling2D, name: up_{step + 1}}}   # doubles height and width",
            f"    - {{type: Concatenate, inputs: [up_{step + 1}, skip_{step + 1}]}}",
            *_list_convolutions(filters << step, f"out_{step + 1}"),
        ]
    return lines


def _list_convolutions(filters: int, name: str) -> list[str]:
    return [
        f"    - {{type: Conv2D, filters: {filters}, kernel_size: 3, padding: same, activation: relu}}",
        f"    - {{type: Conv2D, name: {name}, filters: {filters}, kernel_size: 3, padding: same, activation: relu}}",
    ]
