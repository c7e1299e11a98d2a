"""Two models side by side: which layers are the same, and what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from layercli.config.config import Config
from layercli.graph.shapes import Row, Shapes
from layercli.layers.shapes import show
from layercli.source.nodes import KeyPath, format_path


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that differs: None where one side has none."""

    what: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Pair:
    """A layer of the one model and the layer of the other that stands for it; None where there is none."""

    before: Row | None
    after: Row | None
    differences: list[Difference] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """same, changed, added or removed."""
        if self.before is None or self.after is None:
            return "added" if self.before is None else "removed"
        return "changed" if self.differences or self.before.parameters != self.after.parameters else "same"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two models."""

    config: Config
    shapes: Shapes


def compare(before: Side, after: Side) -> list[Pair]:
    """Every layer of both models, in the order of the second; removed ones stand where they stood."""
    matched = _align(before, after)
    back = {new: old for old, new in matched.items()}
    names = {
        before.shapes.rows[old].node.name: after.shapes.rows[new].node.name for old, new in matched.items()
    }
    pairs: list[Pair] = []
    told = 0
    for number, row in enumerate(after.shapes.rows):
        old = back.get(number)
        if old is not None:
            pairs.extend(Pair(gone, None) for gone in _gone(before, matched, told, old))
            told = max(told, old + 1)
        found = before.shapes.rows[old] if old is not None else None
        pairs.append(Pair(found, row, [] if found is None else list(_differences(found, row, names))))
    pairs.extend(Pair(gone, None) for gone in _gone(before, matched, told, len(before.shapes.rows)))
    return pairs


def carried_over(before: Shapes, after: Shapes) -> dict[str, str | None]:
    """Of each layer with weights, by its name in the second model: None if the first model's fit, else why not."""
    found: dict[str, str | None] = {}
    for row in after.rows:
        if not row.weights:
            continue
        name = row.node.name
        other = before.by_name.get(name)
        if other is None or not other.weights:
            found[name] = "no layer of that name has weights" if other is None else "the layer had no weights"
            continue
        wrong = [
            f"{weight.name} {show(weight.shape)} was {show(was.shape)}"
            for weight, was in zip(row.weights, other.weights, strict=False)
            if weight.shape != was.shape
        ]
        if len(row.weights) != len(other.weights):
            wrong.append(f"{len(row.weights)} weights were {len(other.weights)}")
        others = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        found[name] = wrong[0] + others if wrong else None
    return found


def value_differences(before: Any, after: Any, path: KeyPath = ()) -> Iterator[Difference]:
    """Where two plain values differ, by path."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            yield from value_differences(before.get(key), after.get(key), (*path, key))
    elif _has_mappings(before) and _has_mappings(after):
        for index in range(max(len(before), len(after))):
            old, new = (side[index] if index < len(side) else None for side in (before, after))
            yield from value_differences(old, new, (*path, index))
    elif before != after or type(before) is not type(after):
        yield Difference(format_path(path), before, after)


def _has_mappings(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, Mapping) for item in value)


def _gone(side: Side, matched: Mapping[int, int], start: int, end: int) -> list[Row]:
    return [side.shapes.rows[number] for number in range(start, end) if number not in matched]


def _align(before: Side, after: Side) -> dict[int, int]:
    """Which layer of the second model stands for which of the first, by index: by given names, then by order and type."""
    given = [{entry.name: number for number, entry in enumerate(side.config.model.layers) if entry.name}
             for side in (before, after)]  # fmt: skip
    matched = {number: given[1][name] for name, number in given[0].items() if name in given[1]}
    named = {new: old for old, new in matched.items()}
    exact = [
        [
            ("name", number) if number in matched else _signature(row)
            for number, row in enumerate(before.shapes.rows)
        ],
        [
            ("name", named[number]) if number in named else _signature(row)
            for number, row in enumerate(after.shapes.rows)
        ],
    ]
    for loose in (False, True):
        keys = [[key if key[0] == "name" or not loose else key[:1] for key in side] for side in exact]
        for old, new in _in_order(*keys):
            if old not in matched and new not in named:
                matched[old] = new
                named[new] = old
        exact = [
            [("name", number) if number in matched else key for number, key in enumerate(exact[0])],
            [("name", named[number]) if number in named else key for number, key in enumerate(exact[1])],
        ]
    return matched


def _signature(row: Row) -> tuple[Any, ...]:
    return row.node.type_name, repr(row.node.layer.plain()), row.node.shares is not None


def _in_order(before: Sequence[Any], after: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """Indices of the longest runs of equal keys that both sequences have in the same order."""
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        yield start, start
        start += 1
    matcher = SequenceMatcher(None, before[start:], after[start:], autojunk=len(before) + len(after) > 4000)
    for block in matcher.get_matching_blocks():
        for step in range(block.size):
            yield start + block.a + step, start + block.b + step


def _differences(before: Row, after: Row, names: Mapping[str, str]) -> Iterator[Difference]:
    old, new = before.node, after.node
    if old.name != new.name:
        yield Difference("name", old.name, new.name)
    if old.type_name != new.type_name:
        yield Difference("type", old.type_name, new.type_name)
    else:
        yield from value_differences(old.layer.plain(), new.layer.plain())
    moved = [f"{names.get(head, head)}{colon}{pick}" for head, colon, pick in map(_parted, old.references)]
    if tuple(moved) != new.references:
        yield Difference("inputs", list(old.references), list(new.references))
    shapes = [[list(tensor.shape) for tensor in row.outputs] for row in (before, after)]
    if shapes[0] != shapes[1]:
        yield Difference("output", shapes[0], shapes[1])


def _parted(reference: str) -> tuple[str, str, str]:
    return reference.partition(":")
