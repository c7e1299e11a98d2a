"""Which layers of two models stand for each other."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from difflib import SequenceMatcher
from typing import TypeAlias

from layercli.config.custom_layers import CustomLayer
from layercli.graph.build import Node
from layercli.graph.shapes import Row, Shapes
from layercli.schema.component import snake_case

Pairs: TypeAlias = dict[int, int]
"""Index of a layer of the first model -> index of the one that stands for it in the second."""

_MOST_CELLS = 250_000
"""Of the table in which two stretches of layers are aligned one by one."""
_TYPE, _ARGUMENTS, _SOME_ARGUMENTS, _NAME = 4.0, 6.0, 1.0, 1.0
"""What makes two layers alike: one type, all arguments or some, the name. Two that are equal count as much as two pairs
that are not, so that a layer which was inserted does not make changed ones of all those after it."""


def align(before: Shapes, after: Shapes) -> Pairs:
    """Layers with a name of their own by that name; others by type, order and likeness."""
    named = [{row.node.name: number for number, row in enumerate(side.rows) if not is_numbered(row.node)}
             for side in (before, after)]  # fmt: skip
    same = {name: (number, named[1][name]) for name, number in named[0].items() if name in named[1]}
    return dict(_Alignment(before.rows, after.rows, same).pairs()) | dict(same.values())


def is_numbered(node: Node) -> bool:
    """Whether the layer's name is, or may be, one that it got from its type or block and its place among others."""
    if "." in node.name:
        return True
    layer = node.layer
    base = layer.class_name if isinstance(layer, CustomLayer) else layer.type_name()
    base = snake_case(base) if node.shares is None else node.shares.rpartition(".")[2]
    return re.fullmatch(rf"{re.escape(base)}(_\d+)?", node.name) is not None


class _Alignment:
    """Two stacks of layers; what two declarations have in common is counted once."""

    def __init__(self, before: Sequence[Row], after: Sequence[Row], same: Container[str]) -> None:
        self._same = same
        self._declared: dict[str, int] = {}
        self._arguments: list[dict[str, str] | None] = []
        """Of each declaration; None: of a layer that is found by its name."""
        self._alike: dict[tuple[int, int], float] = {}
        self._before, self._after = before, after
        self._old, self._new = [*map(self._key, before)], [*map(self._key, after)]

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Indices of layers that stand for each other, in the order of both."""
        start = _common(self._old, self._new)
        end = _common(self._old[start:][::-1], self._new[start:][::-1])
        stops = len(self._old) - end, len(self._new) - end
        yield from ((number, number) for number in range(start))
        yield from self._core(range(start, stops[0]), range(start, stops[1]))
        yield from ((stops[0] + number, stops[1] + number) for number in range(end))

    def _core(self, before: range, after: range, *, carved: bool = False) -> Iterator[tuple[int, int]]:
        """Layers between those that both ends have in common."""
        if len(before) * len(after) <= _MOST_CELLS:
            yield from self._best(before, after)
        elif carved:  # too much differs: names are all there is to go by
            places = {self._after[number].node.name: number for number in after}
            for number in before:
                at = places.get(self._before[number].node.name)
                if at is not None and self._may_pair(number, at):
                    yield number, at
        else:
            old, new = (keys[of.start : of.stop] for keys, of in ((self._old, before), (self._new, after)))
            start = before.start, after.start
            for block in SequenceMatcher(None, old, new).get_matching_blocks():
                i, j = before.start + block.a, after.start + block.b
                yield from self._core(range(start[0], i), range(start[1], j), carved=True)
                yield from ((i + step, j + step) for step in range(block.size))
                start = i + block.size, j + block.size

    def _best(self, before: range, after: range) -> Iterator[tuple[int, int]]:
        """The pairs, in the order of both, that are the most alike taken together."""
        best = [[0.0] * (len(after) + 1)]  # of what follows; the last layers come first
        for i in reversed(before):
            below, row = best[-1], [0.0] * (len(after) + 1)
            for at in range(len(after) - 1, -1, -1):
                j = after[at]
                score = max(below[at], row[at + 1])
                if self._may_pair(i, j):
                    score = max(score, below[at + 1] + self._score(i, j))
                row[at] = score
            best.append(row)
        best.reverse()
        i = j = 0
        while i < len(before) and j < len(after):
            if best[i][j] == best[i + 1][j]:
                i += 1
            elif best[i][j] == best[i][j + 1]:
                j += 1
            else:
                yield before[i], after[j]
                i, j = i + 1, j + 1

    def _may_pair(self, i: int, j: int) -> bool:
        """Whether the two are of one type; one that is found by its name stands for no other."""
        old, new = self._old[i], self._new[j]
        if old == new:
            return True
        if self._arguments[old] is None or self._arguments[new] is None:
            return False
        return self._before[i].node.type_name == self._after[j].node.type_name

    def _score(self, i: int, j: int) -> float:
        same_name = self._before[i].node.name == self._after[j].node.name
        return _TYPE + self._in_common(self._old[i], self._new[j]) + _NAME * same_name

    def _in_common(self, old: int, new: int) -> float:
        if old == new:
            return _ARGUMENTS
        if (old, new) not in self._alike:
            first, second = self._arguments[old] or {}, self._arguments[new] or {}
            equal = sum(second.get(key) == value for key, value in first.items())
            self._alike[old, new] = _SOME_ARGUMENTS * equal / max(len(first), len(second), 1)
        return self._alike[old, new]

    def _key(self, row: Row) -> int:
        """A number for what the layer declares: equal for layers that declare the same, or have one name of their own."""
        found = row.node.name in self._same
        plain = row.node.layer.plain()
        text = row.node.name if found else repr((plain, row.node.shares is not None))
        if text not in self._declared:
            self._declared[text] = len(self._arguments)
            arguments = None if found else {key: repr(value) for key, value in plain.items()}
            self._arguments.append(arguments)
        return self._declared[text]


def _common(before: Sequence[int], after: Sequence[int]) -> int:
    """How many items both begin with."""
    most = min(len(before), len(after))
    return next((number for number in range(most) if before[number] != after[number]), most)
