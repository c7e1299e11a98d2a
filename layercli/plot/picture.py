"""The contents of a picture: boxes for layers or blocks, and arrows between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from layercli.graph.shapes import ModelShapes, NodeShapes, sum_if_known
from layercli.layers.base import Layer
from layercli.layers.custom_layers import CustomLayer
from layercli.layers.shapes import Tensor
from layercli.schema.component import snake_case
from layercli.source.nodes import sanitize_text

_MAX_TEXT_LENGTH = 44
_COUNTS: Final = {
    "units": ("{} unit", "{} units"),
    "filters": ("{} filter", "{} filters"),
    "num_heads": ("{} head", "{} heads"),
    "key_dim": ("key size {}", "key size {}"),
    "input_dim": ("{} id", "{} ids"),
    "output_dim": ("size {}", "size {}"),
}
"""Arguments that are numbers, with the text for 1 and for other values."""
_WINDOWS: Final = {"kernel_size": "kernel", "pool_size": "pool", "strides": "stride", "rate": "rate"}
"""Arguments with a value for each axis, or a fraction, with their names."""


@dataclass(frozen=True, slots=True)
class Box:
    """A layer, an input, or a block with its layers."""

    key: str
    title: str
    name: str = ""
    shape: str = ""
    """The shape of the output without the batch axis, such as ``8 x 8 x 16``."""
    parameters: str = ""
    """The number of parameters as text, or ``shared``."""
    details: str = ""
    """The main arguments, such as ``16 filters, kernel 3 x 3, relu``."""
    family: str = "core"
    group: str | None = None
    """The block around it."""
    repeat_count: int = 1
    is_output: bool = False

    @property
    def shape_text(self) -> str:
        """The shape with the word that names it."""
        return f"{'shape' if self.family == 'input' else 'output'} {self.shape}" if self.shape else ""

    @property
    def parameters_text(self) -> str:
        """The number of parameters with the word that names it."""
        if not self.parameters or not self.parameters[-1].isdigit():
            return self.parameters
        return f"{self.parameters} parameter{'' if self.parameters == '1' else 's'}"


@dataclass(slots=True)
class Picture:
    """Boxes in topological order, and arrows between them."""

    boxes: list[Box]
    arrows: list[tuple[str, str]]
    sizes: dict[str, tuple[float, float]] = field(default_factory=dict)


def build_picture(shapes: ModelShapes, *, unfold: bool) -> Picture:
    """Return the boxes and arrows of a model; ``unfold`` shows the layers inside blocks."""
    graph = shapes.graph
    box_of: dict[str, str] = {name: name for name in graph.inputs}
    sizes = Counter(_outer_block(row) for row in shapes.rows)
    boxes = [
        Box(name, "Input", "" if len(graph.inputs) == 1 else name, _format_outputs([tensor]), family="input")
        for name, tensor in graph.inputs.items()
    ]
    rows_by_box: dict[str, list[NodeShapes]] = {}
    for row in shapes.rows:
        block = _outer_block(row)
        is_folded = not unfold and block is not None and sizes[block] > 1
        key = f"{block}." if is_folded else row.node.name
        box_of[row.node.name] = key
        rows_by_box.setdefault(key, []).append(row)
    for key, rows in rows_by_box.items():
        is_output = any(row.node.name in graph.outputs for row in rows)
        block = _outer_block(rows[0])
        if len(rows) > 1:
            boxes.append(_block_box(key, rows, is_output=is_output))
        else:
            boxes.append(
                _layer_box(rows[0], block if unfold and sizes[block] > 1 else None, is_output=is_output)
            )
    arrows = list(
        dict.fromkeys(
            (box_of[name], box_of[row.node.name])
            for row in shapes.rows
            for name in row.node.inputs
            if box_of[name] != box_of[row.node.name]
        )
    )
    unmerged = Picture(boxes, arrows)
    return unmerged if unfold else _merge_repeats(unmerged, rows_by_box)


def _outer_block(row: NodeShapes) -> str | None:
    """Return the outermost block around a layer."""
    head, dot, _ = row.node.name.partition(".")
    return head if dot else None


def _layer_box(row: NodeShapes, block: str | None, *, is_output: bool) -> Box:
    node = row.node
    is_custom = isinstance(node.layer, CustomLayer)
    kind = node.layer.class_name if isinstance(node.layer, CustomLayer) else node.type_name
    name = node.name if block is None else node.name.removeprefix(f"{block}.")
    base = snake_case(kind)
    is_default_name = name == base or (name.startswith(f"{base}_") and name[len(base) + 1 :].isdigit())
    parameters = "shared" if node.reuse_of is not None else _format_parameters(row.parameters)
    return Box(
        node.name,
        _truncate_text(kind),
        "" if is_default_name else _truncate_text(name),
        _format_outputs(row.outputs),
        parameters,
        _describe_arguments(node.layer),
        "custom" if is_custom else node.layer.family,
        block,
        is_output=is_output,
    )


def _block_box(key: str, rows: Sequence[NodeShapes], *, is_output: bool) -> Box:
    count = sum_if_known(row.parameters for row in rows)
    is_shared = all(row.node.reuse_of is not None for row in rows)
    return Box(
        key,
        _truncate_text(key.removesuffix(".")),
        f"{len(rows)} layers",
        _format_outputs(rows[-1].outputs),
        "shared" if is_shared else _format_parameters(count),
        "",
        "block",
        is_output=is_output,
    )


def _describe_arguments(layer: Layer) -> str:
    """Return the sizes and the activation of a layer; for a wrapper, those of the layer in it."""
    inner = getattr(layer, "layer", None)
    if isinstance(inner, Layer):
        return _truncate_text(
            ", ".join(part for part in (inner.type_name(), _describe_arguments(inner)) if part)
        )
    parts = [
        texts[value != 1].format(value)
        for name, texts in _COUNTS.items()
        if type(value := getattr(layer, name, None)) is int
    ]
    for name, title in _WINDOWS.items():
        value = getattr(layer, name, None)
        is_plain_stride = name == "strides" and set(
            value if isinstance(value, (list, tuple)) else [value]
        ) == {1}
        if value is not None and not is_plain_stride:
            parts.append(f"{title} {_format_window(value)}")
    activation = getattr(layer, "activation", None)
    name = activation if isinstance(activation, str) else ""
    return _truncate_text(", ".join([*parts, *([name] if name and name != "linear" else [])]))


def _format_window(value: Any) -> str:
    return (
        " x ".join(map(str, value))
        if isinstance(value, (list, tuple))
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _format_parameters(count: int | None) -> str:
    return "?" if count is None else f"{count:,}" if count else ""


def _format_outputs(outputs: Iterable[Tensor]) -> str:
    """Return the output shapes without the batch axis."""
    texts = [" x ".join("?" if dim is None else str(dim) for dim in x.shape[1:]) or "1" for x in outputs]
    return _truncate_text(", ".join(texts)) or "?"


def _truncate_text(text: str) -> str:
    return sanitize_text(text, limit=_MAX_TEXT_LENGTH)


def _merge_repeats(picture: Picture, rows_by_box: dict[str, list[NodeShapes]]) -> Picture:
    """Return the picture with each run of equal boxes merged into one box with a count."""
    sources_by_box: dict[str, list[str]] = {}
    use_counts: Counter[str] = Counter()
    for source, target in picture.arrows:
        sources_by_box.setdefault(target, []).append(source)
        use_counts[source] += 1
    merged: dict[str, Box] = {}
    merged_into: dict[str, str] = {}
    merged_rows: dict[str, list[NodeShapes]] = {}
    signatures: dict[str, Any] = {}
    for box in picture.boxes:
        sources = sources_by_box.get(box.key, [])
        previous = merged_into.get(sources[0]) if len(sources) == 1 else None
        signature = signatures[box.key] = _rows_signature(rows_by_box.get(box.key, []))
        is_repeat = (
            previous is not None
            and use_counts[sources[0]] == 1
            and signature is not None
            and signature == signatures[sources[0]]
            and not merged[previous].is_output
        )
        if not is_repeat or previous is None:
            merged[box.key] = box
            merged_into[box.key] = box.key
            merged_rows[box.key] = list(rows_by_box.get(box.key, []))
            continue
        merged_into[box.key] = previous
        merged_rows[previous] += rows_by_box[box.key]
        count = _format_parameters(sum_if_known(row.parameters for row in merged_rows[previous]))
        title = merged[previous].title
        stem = title.rpartition("_")[0]
        if (
            merged[previous].family == "block"
            and box.title.rpartition("_")[0] in (stem, title)
            and merged[previous].repeat_count == 1
        ):
            title = stem if box.title.rpartition("_")[0] == stem and stem else title
        merged[previous] = replace(
            merged[previous],
            title=title,
            repeat_count=merged[previous].repeat_count + 1,
            parameters=count,
            shape=box.shape,
            is_output=box.is_output,
        )
    arrows = dict.fromkeys(
        (merged_into[source], merged_into[target])
        for source, target in picture.arrows
        if merged_into[source] != merged_into[target]
    )
    return Picture(list(merged.values()), list(arrows))


def _rows_signature(rows: Sequence[NodeShapes]) -> Any:
    """Return a value that is equal for boxes that do the same; None if the boxes must not be merged."""
    if not rows or any(row.node.reuse_of is not None for row in rows):
        return None
    inside = {row.node.name: number for number, row in enumerate(rows)}
    return [
        (
            row.node.type_name,
            row.node.layer.arguments(),
            [
                (inside.get(name, -1), pick)
                for name, pick in zip(row.node.inputs, row.node.input_indices, strict=True)
            ],
            [tensor.shape for tensor in row.outputs],
        )
        for row in rows
    ]
