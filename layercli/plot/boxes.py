"""What a picture of a model shows: boxes for layers, or for blocks, and arrows between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from layercli.config.custom_layers import CustomLayer
from layercli.graph.shapes import ModelShapes, NodeShapes, sum_if_known
from layercli.layers.shapes import Tensor
from layercli.schema.component import snake_case
from layercli.source.nodes import sanitize_text

_LONGEST = 44


@dataclass(frozen=True, slots=True)
class Box:
    """A layer, an input, or a block with all its layers."""

    key: str
    title: str
    name: str = ""
    shape: str = ""
    count: str = ""
    """Its parameters."""
    family: str = "core"
    group: str | None = None
    """The block around it."""
    times: int = 1
    is_output: bool = False


@dataclass(slots=True)
class Picture:
    """Boxes, each after those that feed it, and arrows from one to another."""

    boxes: list[Box]
    arrows: list[tuple[str, str]]
    sizes: dict[str, tuple[float, float]] = field(default_factory=dict)


def picture(shapes: ModelShapes, *, unfold: bool) -> Picture:
    """The boxes and arrows of a model; ``unfold`` shows the layers inside blocks."""
    graph = shapes.graph
    owner: dict[str, str] = {name: name for name in graph.inputs}
    sizes = Counter(_block(row) for row in shapes.rows)
    boxes = [
        Box(name, "Input", "" if len(graph.inputs) == 1 else name, _shape([tensor]), "", "input")
        for name, tensor in graph.inputs.items()
    ]
    parts: dict[str, list[NodeShapes]] = {}
    for row in shapes.rows:
        block = _block(row)
        folded = not unfold and block is not None and sizes[block] > 1
        key = f"{block}." if folded else row.node.name
        owner[row.node.name] = key
        parts.setdefault(key, []).append(row)
    for key, rows in parts.items():
        is_output = any(row.node.name in graph.outputs for row in rows)
        block = _block(rows[0])
        if len(rows) > 1:
            boxes.append(_folded(key, rows, is_output=is_output))
        else:
            boxes.append(_layer(rows[0], block if unfold and sizes[block] > 1 else None, is_output=is_output))
    arrows = list(
        dict.fromkeys(
            (owner[name], owner[row.node.name])
            for row in shapes.rows
            for name in row.node.inputs
            if owner[name] != owner[row.node.name]
        )
    )
    made = Picture(boxes, arrows)
    return made if unfold else _merged(made, parts, owner)


def _block(row: NodeShapes) -> str | None:
    """The outermost block around a layer."""
    head, dot, _ = row.node.name.partition(".")
    return head if dot else None


def _layer(row: NodeShapes, block: str | None, *, is_output: bool) -> Box:
    node = row.node
    own = isinstance(node.layer, CustomLayer)
    kind = node.layer.class_name if isinstance(node.layer, CustomLayer) else node.type_name
    name = node.name if block is None else node.name.removeprefix(f"{block}.")
    base = snake_case(kind)
    plain = name == base or (name.startswith(f"{base}_") and name[len(base) + 1 :].isdigit())
    shared = "shared" if node.reuse_of is not None else _number(row.parameters)
    return Box(node.name, _cut(kind), "" if plain else _cut(name), _shape(row.outputs), shared,
               "custom" if own else node.layer.family, block, is_output=is_output)  # fmt: skip


def _folded(key: str, rows: Sequence[NodeShapes], *, is_output: bool) -> Box:
    count = sum_if_known(row.parameters for row in rows)
    shared = all(row.node.reuse_of is not None for row in rows)
    return Box(key, _cut(key.removesuffix(".")), f"{len(rows)} layers", _shape(rows[-1].outputs),
               "shared" if shared else _number(count), "block", is_output=is_output)  # fmt: skip


def _number(count: int | None) -> str:
    return "?" if count is None else f"{count:,}" if count else ""


def _shape(outputs: Iterable[Tensor]) -> str:
    """Shapes of one example."""
    listed = [" x ".join("?" if dim is None else str(dim) for dim in x.shape[1:]) or "1" for x in outputs]
    if not listed:
        return "?"
    return listed[0] if len(set(listed)) == 1 and len(listed) == 1 else _cut(", ".join(listed))


def _cut(text: str) -> str:
    return sanitize_text(text, limit=_LONGEST)


def _merged(made: Picture, parts: dict[str, list[NodeShapes]], owner: dict[str, str]) -> Picture:
    """Boxes that repeat the one before them as one, with how often."""
    feeds: dict[str, list[str]] = {}
    fed: Counter[str] = Counter()
    for source, target in made.arrows:
        feeds.setdefault(target, []).append(source)
        fed[source] += 1
    kept: dict[str, Box] = {}
    stands_for: dict[str, str] = {}
    counted: dict[str, list[NodeShapes]] = {}
    marks: dict[str, Any] = {}
    for box in made.boxes:
        sources = feeds.get(box.key, [])
        before = stands_for.get(sources[0]) if len(sources) == 1 else None
        mark = marks[box.key] = _mark(parts.get(box.key, []), owner)
        alike = (
            before is not None
            and fed[sources[0]] == 1
            and mark is not None
            and mark == marks[sources[0]]
            and not kept[before].is_output
        )
        if not alike or before is None:
            kept[box.key] = box
            stands_for[box.key] = box.key
            counted[box.key] = list(parts.get(box.key, []))
            continue
        stands_for[box.key] = before
        counted[before] += parts[box.key]
        count = _number(sum_if_known(row.parameters for row in counted[before]))
        title = kept[before].title
        stem = title.rpartition("_")[0]
        if (
            kept[before].family == "block"
            and box.title.rpartition("_")[0] in (stem, title)
            and kept[before].times == 1
        ):
            title = stem if box.title.rpartition("_")[0] == stem and stem else title
        kept[before] = replace(
            kept[before],
            title=title,
            times=kept[before].times + 1,
            count=count,
            shape=box.shape,
            is_output=box.is_output,
        )
    arrows = dict.fromkeys(
        (stands_for[source], stands_for[target])
        for source, target in made.arrows
        if stands_for[source] != stands_for[target]
    )
    return Picture(list(kept.values()), list(arrows))


def _mark(rows: Sequence[NodeShapes], owner: dict[str, str]) -> Any:
    """What is equal in boxes that do the same; None for one that has no equal."""
    if not rows or any(row.node.reuse_of is not None for row in rows):
        return None
    inside = {row.node.name: number for number, row in enumerate(rows)}
    del owner
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
