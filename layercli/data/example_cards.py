"""Single examples in a form that a page can show: thumbnails, texts, numbers and lines, with target and prediction."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from layercli.data.contact_sheet import is_image_batch, scale_to_bytes
from layercli.data.evaluation.selections import TopExamples
from layercli.data.types import Array
from layercli.graph.output_kind import OutputKind

_MAX_SIDE: Final = 160
"""Largest width or height of a thumbnail in pixels."""
UNNAMED_INPUT: Final = "x"
_MAX_TEXT: Final = 500
_MAX_VALUES: Final = 24
_MAX_SHOWN_TARGETS: Final = 4
_MAX_LINES: Final = 6
_MAX_LINE_POINTS: Final = 200
_COLOR_NAME: Final = re.compile("#[0-9a-f]{6}")
"""The name of a class of masks whose classes are colors."""
_SALIENCY_COLOR: Final = (220, 38, 38)
_CLASS_COLORS: Final = np.array(
    [
        (37, 99, 235),
        (217, 72, 15),
        (15, 118, 110),
        (162, 28, 175),
        (234, 179, 8),
        (190, 18, 60),
        (77, 124, 15),
        (71, 85, 105),
    ],
    np.uint8,
)


@dataclass(slots=True)
class ExampleCard:
    """One example."""

    name: str
    facts: list[tuple[str, str]]
    """Target, prediction and their distance, as names and values."""
    pictures: list[tuple[str, bytes]] = field(default_factory=list)
    """PNG images with their captions."""
    texts: list[str] = field(default_factory=list)
    values: list[tuple[str, str]] = field(default_factory=list)
    """Columns of a table, or other numbers."""
    lines: list[list[tuple[str, list[float]]]] = field(default_factory=list)
    """Sequences, each with the name and the values of its columns."""


def make_cards(
    selected: TopExamples,
    kind: OutputKind,
    class_names: Sequence[str],
    name_example: Callable[[int], str],
    saliency: dict[str | None, Array] | None = None,
    find_missing: Callable[[int], Collection[str]] = lambda _: (),
) -> list[ExampleCard]:
    """Return the cards of selected examples.

    Args:
        selected: The examples, with targets and outputs; outputs that are probabilities are not logits any more.
        kind: The meaning of the output.
        class_names: The names of the classes or labels, if there are any.
        name_example: Returns the name of the example at a position of its set.
        find_missing: Returns the columns that the file lacks for the example at a position; their values are replacements.
        saliency: Maps of shape (samples, height, width) for inputs that are images.
    """
    if selected.examples is None:
        return []
    cards = []
    scaled = {
        name: scale_to_bytes(array) for name, array in selected.examples.inputs if is_image_batch(array)
    }
    for row, position in enumerate(selected.positions.tolist()):
        target, output = selected.targets[row], selected.outputs[row]
        card = ExampleCard(name_example(position), _describe_prediction(kind, class_names, target, output))
        for name, array in selected.examples.inputs:
            if name in scaled:
                caption = name or "input"
                card.pictures.append((caption, encode_thumbnail(scaled[name][row])))
                if saliency is not None and name in saliency:
                    marked = _mark_saliency(scaled[name][row], saliency[name][row])
                    card.pictures.append(("saliency", encode_thumbnail(marked)))
            else:
                _add_input(card, name, array[row], selected.examples.columns.get(name, ()))
        missing = find_missing(position) if card.values else ()
        card.values = [
            (name, f"missing, read as {value or 'an empty text'}" if name in missing else value)
            for name, value in card.values
        ]
        if np.ndim(output) >= 1:
            _add_positions(card, kind, class_names, target, output, scaled)
        cards.append(card)
    return cards


def list_class_keys(
    selected: TopExamples, kind: OutputKind, class_names: Sequence[str]
) -> list[tuple[str, str]]:
    """Return the name and the color, such as "#2563eb", of each class in the pictures of masks; empty without such pictures.

    The colors repeat, so each color has the names of all of its classes.
    """
    has_images = selected.examples is not None and any(
        is_image_batch(array) for _, array in selected.examples.inputs
    )
    if selected.outputs.ndim != 4 or not has_images:
        return []
    if kind.kind == "two":
        return list(zip(class_names, ("#000000", "#ffffff"), strict=False))
    colors, keys = _choose_colors(class_names), []
    for index, color in enumerate(colors[: len(class_names)].tolist() if kind.kind == "classes" else ()):
        names = list(class_names[index :: len(colors)])
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        keys.append((", ".join(names[:3]) + more, "#{:02x}{:02x}{:02x}".format(*color)))
    return keys


def encode_thumbnail(image: Array) -> bytes:
    """Return an image of shape (height, width, channels) and dtype uint8 as a PNG of at most 160 by 160 pixels."""
    from PIL import Image

    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    if max(picture.size) > _MAX_SIDE:
        picture.thumbnail((_MAX_SIDE, _MAX_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _describe_prediction(
    kind: OutputKind, class_names: Sequence[str], true: Array, scores: Array
) -> list[tuple[str, str]]:
    """Return the target, the prediction, and how sure or how far it is; for positions their share of errors."""
    if kind.kind == "classes" and scores.ndim > 1:
        return [("wrong positions", f"{100 * float((scores.argmax(-1) != true).mean()):.1f} %")]
    if kind.kind == "classes":
        predicted, number = int(scores.argmax()), int(true)
        facts = [
            ("true", _name_class(class_names, number)),
            ("predicted", _name_class(class_names, predicted)),
        ]
        title = "probability" if kind.has_probabilities else "score"
        facts.append((title, f"{float(scores[predicted]):.3f}"))
        if predicted != number and 0 <= number < len(scores):
            facts.append(("of the true class", f"{float(scores[number]):.3f}"))
        return facts
    if kind.kind in ("two", "sign") and scores.size == 1:
        score = float(scores.ravel()[0])
        names = _name_class(class_names, int(true)), _name_class(class_names, int(score > kind.threshold))
        title = f"probability of {_name_class(class_names, 1)}" if kind.has_probabilities else "score"
        return [("true", names[0]), ("predicted", names[1]), (title, f"{score:.3f}")]
    if kind.kind == "labels" and scores.ndim == 1:
        predicted_names = _list_names(class_names, scores > kind.threshold)
        return [("true", _list_names(class_names, true)), ("predicted", predicted_names)]
    return _describe_numbers(np.ravel(true).astype(float), np.ravel(scores).astype(float))


def _describe_numbers(true: Array, predicted: Array) -> list[tuple[str, str]]:
    difference = predicted - true
    if difference.size == 1:
        values = [("true", _format_number(true[0])), ("predicted", _format_number(predicted[0]))]
        return [*values, ("error", f"{difference[0]:+.4g}")]
    mean = ("mean error", _format_number(np.abs(difference).mean()))
    if difference.size > _MAX_SHOWN_TARGETS:
        return [mean]
    pairs = enumerate(zip(true.tolist(), predicted.tolist(), strict=True), start=1)
    return [*((f"value {index}", f"{a:.4g}, predicted {b:.4g}") for index, (a, b) in pairs), mean]


def _name_class(class_names: Sequence[str], number: int) -> str:
    return class_names[number] if 0 <= number < len(class_names) else str(number)


def _list_names(class_names: Sequence[str], is_set: Array) -> str:
    names = [_name_class(class_names, int(index)) for index in np.flatnonzero(is_set)]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") or "none"


def _format_number(value: Any) -> str:
    return f"{float(value):.4g}"


def _add_input(card: ExampleCard, name: str | None, value: Array, columns: tuple[str, ...]) -> None:
    """Add one input of an example, of shape (...)."""
    flat = np.ravel(value)
    if value.dtype.kind == "O":
        texts = [str(item) for item in flat[:_MAX_VALUES].tolist()]
        if len(columns) == len(texts):
            card.values += [
                (column, _shorten_text(text, 60)) for column, text in zip(columns, texts, strict=True)
            ]
        else:
            card.texts += [_shorten_text(text, _MAX_TEXT) for text in texts[:4]]
    elif value.ndim == 2 and min(value.shape) > 0:
        step = max(1, -(-len(value) // _MAX_LINE_POINTS))
        titles = columns if len(columns) == value.shape[1] else _number_titles(name, value.shape[1])
        shown = range(min(value.shape[1], _MAX_LINES))
        card.lines.append(
            [(titles[column], value[::step, column].astype(float).tolist()) for column in shown]
        )
    elif value.ndim <= 1 and (columns or flat.size <= _MAX_VALUES):
        titles = columns if len(columns) == flat.size else _number_titles(name, flat.size)
        pairs = list(zip(titles, flat.tolist(), strict=True))[:_MAX_VALUES]
        card.values += [(title, _format_number(item)) for title, item in pairs]
    elif value.ndim == 1:
        step = max(1, -(-flat.size // _MAX_LINE_POINTS))
        card.lines.append([(name or "input", flat[::step].astype(float).tolist())])
    else:
        card.values.append((name or "input", f"{flat.size:,} numbers, mean {_format_number(flat.mean())}"))


def _number_titles(name: str | None, size: int) -> list[str]:
    title = name or UNNAMED_INPUT
    return [title] if size == 1 else [f"{title}[{index}]" for index in range(size)]


def _add_positions(
    card: ExampleCard,
    kind: OutputKind,
    class_names: Sequence[str],
    true: Array,
    scores: Array,
    images: dict[str | None, Array],
) -> None:
    """Add target and prediction of an output with positions: as pictures if the input is one, else as lines."""
    if kind.kind == "classes" and scores.ndim == 3 and images:
        card.pictures.append(("true", encode_thumbnail(_color_classes(true, class_names))))
        card.pictures.append(("predicted", encode_thumbnail(_color_classes(scores.argmax(-1), class_names))))
    elif kind.kind in ("numbers", "two") and scores.ndim == 3 and scores.shape[-1] in (1, 3):
        pair = scale_to_bytes(np.stack([true.reshape(scores.shape), scores]).astype(np.float64))
        card.pictures.append(("true", encode_thumbnail(pair[0])))
        card.pictures.append(("predicted", encode_thumbnail(pair[1])))
    elif kind.kind == "numbers" and _MAX_SHOWN_TARGETS < scores.size <= _MAX_LINE_POINTS:
        both = (("true", np.ravel(true)), ("predicted", np.ravel(scores)))
        card.lines.append([(title, values.astype(float).tolist()) for title, values in both])


def _choose_colors(class_names: Sequence[str]) -> Array:
    """Return the color of each class, which repeat: uint8 of shape (colors, 3). Classes that are colors have their own."""
    if class_names and all(_COLOR_NAME.fullmatch(name) for name in class_names):
        return np.array([tuple(bytes.fromhex(name[1:])) for name in class_names], np.uint8)
    return _CLASS_COLORS


def _color_classes(numbers: Array, class_names: Sequence[str]) -> Array:
    colors = _choose_colors(class_names)
    colored: Array = colors[np.clip(numbers.astype(np.int64), 0, None) % len(colors)]
    return colored


def _mark_saliency(image: Array, saliency: Array) -> Array:
    """Return the image in grey, with the pixels that matter in red: uint8 of shape (height, width, 3)."""
    grey = image[..., :3].mean(-1, keepdims=True).repeat(3, axis=-1)
    share = saliency[..., None]
    marked: Array = (
        grey * (0.75 - 0.65 * share) + np.array(_SALIENCY_COLOR) * share + 40 * (1 - share)
    ).clip(0, 255)
    return marked.astype(np.uint8)


def _shorten_text(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
