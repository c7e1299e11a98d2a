"""Alignment of the layers of two models."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from difflib import SequenceMatcher
from typing import TypeAlias

from layercli.graph.build import GraphNode
from layercli.graph.shapes import ModelShapes, NodeShapes
from layercli.layers.custom_layers import CustomLayer
from layercli.schema.component import snake_case

LayerMatches: TypeAlias = dict[int, int]
"""Index of a layer of the first model -> index of its counterpart in the second model."""

_MAX_TABLE_CELLS = 250_000
"""Maximum size of the table that aligns two ranges of layers one by one."""
_TYPE_SCORE, _ARGUMENTS_SCORE, _SOME_ARGUMENTS_SCORE, _NAME_SCORE = 4.0, 6.0, 1.0, 1.0
"""Weights of a pair's similarity: same type, all or some arguments equal, same name. An equal pair outweighs two different
pairs, so that an inserted layer does not turn all later layers into changed ones."""


def align_layers(before: ModelShapes, after: ModelShapes) -> LayerMatches:
    """Match explicitly named layers by name, and other layers by type, order and similarity."""
    old_indices, new_indices = _index_explicit_names(before), _index_explicit_names(after)
    matches_by_name = {
        name: (index, new_indices[name]) for name, index in old_indices.items() if name in new_indices
    }
    return dict(_Alignment(before.rows, after.rows, matches_by_name).match_layers()) | dict(
        matches_by_name.values()
    )


def _index_explicit_names(shapes: ModelShapes) -> dict[str, int]:
    return {row.node.name: index for index, row in enumerate(shapes.rows) if not is_auto_named(row.node)}


def is_auto_named(node: GraphNode) -> bool:
    """Return whether the layer's name looks derived from its type or block and a number."""
    if "." in node.name:
        return True
    layer = node.layer
    base = layer.class_name if isinstance(layer, CustomLayer) else layer.type_name()
    base = snake_case(base) if node.reuse_of is None else node.reuse_of.rpartition(".")[2]
    return re.fullmatch(rf"{re.escape(base)}(_\d+)?", node.name) is not None


class _Alignment:
    """The alignment of two stacks of layers; each pair of declarations is scored once."""

    def __init__(
        self, before: Sequence[NodeShapes], after: Sequence[NodeShapes], matched_names: Container[str]
    ) -> None:
        self._matched_names = matched_names
        self._declaration_ids: dict[str, int] = {}
        self._arguments: list[dict[str, str] | None] = []
        """The arguments of each declaration; None for a layer that is matched by name."""
        self._argument_scores: dict[tuple[int, int], float] = {}
        self._before, self._after = before, after
        self._old_ids, self._new_ids = (
            [*map(self._declaration_id, before)],
            [*map(self._declaration_id, after)],
        )

    def match_layers(self) -> Iterator[tuple[int, int]]:
        """Yield the indices of matching layers, in ascending order of both."""
        start = _common_prefix_length(self._old_ids, self._new_ids)
        end = _common_prefix_length(self._old_ids[start:][::-1], self._new_ids[start:][::-1])
        stops = len(self._old_ids) - end, len(self._new_ids) - end
        yield from ((number, number) for number in range(start))
        yield from self._align_ranges(range(start, stops[0]), range(start, stops[1]))
        yield from ((stops[0] + number, stops[1] + number) for number in range(end))

    def _align_ranges(
        self, before: range, after: range, *, is_split: bool = False
    ) -> Iterator[tuple[int, int]]:
        """Yield the matches of two ranges of layers."""
        if len(before) * len(after) <= _MAX_TABLE_CELLS:
            yield from self._align_by_score(before, after)
        elif is_split:  # the ranges differ too much to score each pair, so match by name
            indices_by_name = {self._after[number].node.name: number for number in after}
            for number in before:
                at = indices_by_name.get(self._before[number].node.name)
                if at is not None and self._is_pairable(number, at):
                    yield number, at
        else:
            old, new = (
                keys[of.start : of.stop] for keys, of in ((self._old_ids, before), (self._new_ids, after))
            )
            start = before.start, after.start
            for block in SequenceMatcher(None, old, new).get_matching_blocks():
                i, j = before.start + block.a, after.start + block.b
                yield from self._align_ranges(range(start[0], i), range(start[1], j), is_split=True)
                yield from ((i + step, j + step) for step in range(block.size))
                start = i + block.size, j + block.size

    def _align_by_score(self, before: range, after: range) -> Iterator[tuple[int, int]]:
        """Yield the pairs with the highest total score, in ascending order of both."""
        best = [[0.0] * (len(after) + 1)]  # scores of the remaining layers, from the last layer on
        for i in reversed(before):
            below, row = best[-1], [0.0] * (len(after) + 1)
            for at in range(len(after) - 1, -1, -1):
                j = after[at]
                score = max(below[at], row[at + 1])
                if self._is_pairable(i, j):
                    score = max(score, below[at + 1] + self._pair_score(i, j))
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

    def _is_pairable(self, i: int, j: int) -> bool:
        """Return whether two layers can match: equal declarations or types, and neither is matched by name."""
        old, new = self._old_ids[i], self._new_ids[j]
        if old == new:
            return True
        if self._arguments[old] is None or self._arguments[new] is None:
            return False
        return self._before[i].node.type_name == self._after[j].node.type_name

    def _pair_score(self, i: int, j: int) -> float:
        same_name = self._before[i].node.name == self._after[j].node.name
        return (
            _TYPE_SCORE + self._argument_score(self._old_ids[i], self._new_ids[j]) + _NAME_SCORE * same_name
        )

    def _argument_score(self, old: int, new: int) -> float:
        if old == new:
            return _ARGUMENTS_SCORE
        if (old, new) not in self._argument_scores:
            first, second = self._arguments[old] or {}, self._arguments[new] or {}
            equal = sum(second.get(key) == value for key, value in first.items())
            self._argument_scores[old, new] = _SOME_ARGUMENTS_SCORE * equal / max(len(first), len(second), 1)
        return self._argument_scores[old, new]

    def _declaration_id(self, row: NodeShapes) -> int:
        """Return a number that is equal for layers with equal declarations or the same explicit name."""
        is_matched_by_name = row.node.name in self._matched_names
        plain = row.node.layer.to_plain()
        text = row.node.name if is_matched_by_name else repr((plain, row.node.reuse_of is not None))
        if text not in self._declaration_ids:
            self._declaration_ids[text] = len(self._arguments)
            arguments = None if is_matched_by_name else {key: repr(value) for key, value in plain.items()}
            self._arguments.append(arguments)
        return self._declaration_ids[text]


def _common_prefix_length(before: Sequence[int], after: Sequence[int]) -> int:
    """Return the number of equal items at the start of both."""
    limit = min(len(before), len(after))
    return next((number for number in range(limit) if before[number] != after[number]), limit)
