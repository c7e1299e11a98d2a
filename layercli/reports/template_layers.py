"""The layers of a new config: those that suit the kind of its examples, and the output layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from layercli.reports.template_quotes import quote_class_name

if TYPE_CHECKING:
    from layercli.reports.config_template import ConfigTemplate, ModelSize

_LAYER_WIDTHS: Final[dict[ModelSize, int]] = {"small": 32, "medium": 64, "large": 256}
_TABLE_WIDTHS: Final[dict[ModelSize, int]] = {"small": 64, "medium": 128, "large": 256}
FEW_EXAMPLES: Final = 1_000
"""With fewer, a table needs a larger validation set, a smaller model and more weight decay, as it has fewer steps."""
_MAX_CHANNELS: Final = 4
_MANY_TEXTS: Final = 5_000
_MAX_HALVINGS: Final = 3
SIZE_MULTIPLE: Final = 1 << _MAX_HALVINGS
"""Images whose height and width are multiples of this can be halved as often as the layers do."""


def list_first_layers(template: ConfigTemplate) -> list[str]:
    """Return the lines of the layers before the output layers."""
    width = _LAYER_WIDTHS[template.size]
    if template.kind == "vectors":
        return [
            *_list_scaling_layers(template),
            *["    - Flatten"] * (len(template.shape) > 1),
            *list_hidden_layers(template.size, template.row_count),
        ]
    if template.kind == "sequences":
        units = width // 2
        layer = (
            f"    - {{type: Bidirectional, layer: {{type: LSTM, units: {units}, return_sequences: true}}}}"
        )
        if template.target_form == "positions":
            return [*_list_scaling_layers(template), layer, layer]
        last = f"    - {{type: LSTM, units: {units}}}   # without return_sequences: only the last timestep"
        return [*_list_scaling_layers(template), layer, last]
    if template.kind == "images" and template.target_form == "positions":
        return [
            *_list_image_scaling_layers(template),
            *_list_segmentation_layers(_find_image_size(template), _LAYER_WIDTHS[template.size] // 4),
        ]
    if template.kind == "images":
        return _list_image_layers(template)
    return [
        "    # which of the most frequent words and pairs of words are in the text, learned from the training examples",
        "    - type: TextVectorization",
        *list_vectorization_arguments(template.row_count or _MANY_TEXTS),
        "    - {type: Dense, units: 16, activation: relu}",
        "    - {type: Dropout, rate: 0.5}",
    ]


def list_vectorization_arguments(rows: int) -> list[str]:
    """Return the arguments of TextVectorization for a number of texts."""
    return [
        f"      max_tokens: {20_000 if rows >= _MANY_TEXTS else 4_000}",
        "      ngrams: 2",
        "      output_mode: multi_hot",
        "      pad_to_max_tokens: true   # the size of the next layer does not depend on the texts",
    ]


def _list_scaling_layers(template: ConfigTemplate) -> list[str]:
    if template.row_count is not None and not template.is_scaled:
        return ["    - {type: Rescaling, scale: 0.00392157}   # scales 0-255 to 0-1"]
    return [
        "    - Normalization            # learns mean and variance of each feature from the training examples"
    ]


def _list_image_layers(template: ConfigTemplate) -> list[str]:
    height, width = _find_image_size(template)
    first = _LAYER_WIDTHS[template.size] // 2
    pools = max(
        0, min({"small": 2, "medium": 3, "large": 4}[template.size], int(math.log2(min(height, width))))
    )
    stages = [
        f"    - {{type: Conv2D, filters: {first * 2**step}, kernel_size: 3, padding: same, activation: relu}}"
        + ("\n    - MaxPooling2D               # halves height and width" if step < pools else "")
        for step in range(pools + 1)
    ]
    return [
        *_list_image_scaling_layers(template),
        *stages,
        "    - GlobalAveragePooling2D   # one number for each filter",
        "    - {type: Dropout, rate: 0.3}",
    ]


def _list_image_scaling_layers(template: ConfigTemplate) -> list[str]:
    height, width = template.shape[:2]
    scaling = (
        "    - {type: Normalization, axis: null}   # one mean and variance for all pixels"
        if template.is_scaled
        else "    - {type: Rescaling, scale: 0.00392157}   # scales 0-255 to 0-1; remove it if yours are scaled"
    )
    if len(template.shape) == 2:
        return [scaling, f"    - {{type: Reshape, target_shape: [{height}, {width}, 1]}}"]
    if has_channels_first(template.shape):
        return [scaling, "    - {type: Permute, dims: [2, 3, 1]}   # height, width, channels"]
    return [scaling]


def _find_image_size(template: ConfigTemplate) -> Sequence[int]:
    """Return the height and width of an image."""
    return template.shape[1:] if has_channels_first(template.shape) else template.shape[:2]


def has_channels_first(shape: Sequence[int]) -> bool:
    """Return whether an image has the shape (channels, height, width), as PyTorch expects it."""
    return len(shape) == 3 and shape[0] <= _MAX_CHANNELS < min(shape[1:])


def list_hidden_layers(size: ModelSize, rows: int | None, *, name: str | None = None) -> list[str]:
    """Return the hidden layers for a number of vectors; ``name`` is that of the last one."""
    is_small = rows is not None and rows < FEW_EXAMPLES
    width = _TABLE_WIDTHS[size] // (4 if is_small else 1)
    count = {"small": 1, "medium": 2, "large": 3}[size]
    repeat = f", repeat: {count}" if count > 1 else ""
    return [
        f"    - {{type: Dense, units: {width}, activation: relu{repeat}}}",
        f"    - {{type: Dropout, {'' if name is None else f'name: {name}, '}rate: 0.1}}",
    ]


def list_output_layers(template: ConfigTemplate) -> list[str]:
    """Return the lines of the last layers."""
    # Small tables need it: the model starts at the mean of the target, and its linear part learns first.
    zeros = ", kernel_initializer: zeros" if template.is_table else ""
    if template.class_count is None:
        return [
            f"    - {{type: Dense, units: {template.output_units}{zeros}}}",
            "    - {type: Normalization, invert: true}   # to the target's units: its mean and variance are learned",
        ]
    if template.target_form == "multi-label":
        return [
            f"    - {{type: Dense, units: {template.class_count}, activation: sigmoid{zeros}}}   # a probability for each value"
        ]
    if template.class_count == 2 and template.target_form == "value":
        name = quote_class_name(template.class_names[1]) if template.class_names else "class 1"
        return [f"    - {{type: Dense, units: 1, activation: sigmoid{zeros}}}   # the probability of {name}"]
    units = template.class_count
    if template.kind == "images" and template.target_form == "positions":
        return [
            f"    - {{type: Conv2D, filters: {units}, kernel_size: 1, activation: softmax}}   # a probability for each class"
        ]
    return [
        f"    - {{type: Dense, units: {units}, activation: softmax{zeros}}}   # a probability for each class"
    ]


def _list_segmentation_layers(shape: Sequence[int], filters: int) -> list[str]:
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
