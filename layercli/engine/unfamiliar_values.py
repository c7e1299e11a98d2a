"""Values of new examples that a model cannot have learned: unknown categories and words, and numbers far outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final

import numpy as np
import tensorflow as tf

from layercli.check import ValidConfig
from layercli.data.examples import Subset
from layercli.data.new_examples import NewExamples, iterate_new_examples
from layercli.data.types import Array
from layercli.engine.adapt import to_tensor
from layercli.errors import Problem
from layercli.graph.adaptable import ORDER_KEEPING_LAYERS, is_adaptable
from layercli.graph.build import Graph, GraphNode
from layercli.source.nodes import quote_value, sanitize_text

_CHECKED_LAYERS: Final = ("Normalization", "StringLookup", "IntegerLookup", "TextVectorization")
_ROUNDING: Final = 1e-3
"""Part of the mean and the deviation by which float32 may change them."""
_EXAMPLES_AT_ONCE: Final = 4096
_RARE_TOKENS: Final = 2
"""Indices of ``output_mode: int`` for padding and unknown words."""


@dataclass(frozen=True, slots=True)
class _Check:
    """Finds the unfamiliar values that a layer receives from an input of the model."""

    node: GraphNode
    layer: Any
    input_name: str

    def is_unfamiliar(self, values: Array) -> Array:
        """Return whether each value is unfamiliar: bool of the same shape, at least of shape (examples, 1)."""
        raise NotImplementedError

    def describe_values(self, title: str, where: str) -> tuple[str, str, str]:
        """Return the code, the message up to the first value, and the hint."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class _VocabularyCheck(_Check):
    """Finds values that are not in the vocabulary of a StringLookup or IntegerLookup."""

    known: frozenset[Any]

    def is_unfamiliar(self, values: Array) -> Array:
        """Return whether each value is not in the vocabulary."""
        known = self.known
        flags = [value not in known for value in values.ravel().tolist()]
        return np.array(flags, dtype=bool).reshape(values.shape)

    def describe_values(self, title: str, where: str) -> tuple[str, str, str]:
        """Return the code, the message up to the first value, and the hint."""
        message = f"`{title}` has a value that the model does not know{where}"
        hint = (
            f"It is not in the vocabulary of `{self.node.name}`, which treats all unknown values alike. "
            "Check the spelling, or train again with enough rows that have it."
        )
        return "unlearned-value", message, hint


@dataclass(frozen=True, slots=True)
class _WordsCheck(_Check):
    """Finds texts without any word of the vocabulary of a TextVectorization."""

    call: Any
    """The layer as a function of TensorFlow, which is faster."""

    def is_unfamiliar(self, values: Array) -> Array:
        """Return whether each text has only unknown words."""
        indices = np.asarray(self.call(to_tensor(values)))
        rows = indices.reshape(len(values), -1)
        has_known = (
            rows >= _RARE_TOKENS if self.layer._lookup_layer.output_mode == "int" else rows[:, 1:] != 0
        )
        return np.logical_not(has_known.any(axis=1, keepdims=True))

    def describe_values(self, title: str, where: str) -> tuple[str, str, str]:
        """Return the code, the message up to the first value, and the hint."""
        message = f"`{title}` has no word that the model knows{where}"
        hint = (
            f"Its words are not in the vocabulary of `{self.node.name}`. Check the language, "
            "or train again with such texts."
        )
        return "unlearned-value", message, hint


@dataclass(frozen=True, slots=True)
class _RangeCheck(_Check):
    """Finds numbers that no training example can have had.

    No number of N is farther from their mean than the square root of N - 1 standard deviations.
    """

    learned_examples: int

    def is_unfamiliar(self, values: Array) -> Array:
        """Return whether each number is too far from the mean."""
        mean, variance = (np.asarray(value, np.float64) for value in (self.layer.mean, self.layer.variance))
        count = self.learned_examples * prod(values.shape[1:]) // mean.size
        distance = (
            np.sqrt(np.maximum(variance, 0) * max(count - 1, 1)) * (1 + _ROUNDING) + np.abs(mean) * _ROUNDING
        )
        return np.asarray(np.abs(values.astype(np.float64) - mean) > distance)

    def describe_values(self, title: str, where: str) -> tuple[str, str, str]:
        """Return the code, the message up to the first value, and the hint."""
        message = f"`{title}` is outside the range of the training data{where}"
        return (
            "outside-training",
            message,
            "Check its unit and its number format. Predictions this far outside are not reliable.",
        )


@dataclass(slots=True)
class _Count:
    """The examples in which a column has unfamiliar values."""

    check: _Check
    title: str
    count: int
    first: str
    """The first value, and the example that has it."""


@dataclass(frozen=True, slots=True)
class UnfamiliarValues:
    """Checks of the values that the layers of a trained model receive from its inputs."""

    checks: tuple[_Check, ...]

    @classmethod
    def of(cls, model: Any, valid: ValidConfig, learned_examples: int | None) -> UnfamiliarValues:
        """Return the checks of a model.

        Args:
            model: A trained model.
            valid: Its config.
            learned_examples: The number of examples from which it learned, at most; None: numbers are not checked.
        """
        return cls(tuple(_list_checks(model, valid, learned_examples)))

    def count(self) -> UnfamiliarCounter:
        """Return a new counter of examples."""
        return UnfamiliarCounter(self)


@dataclass(slots=True)
class UnfamiliarCounter:
    """Counts the examples that have unfamiliar values, and remembers the first one of each column."""

    values: UnfamiliarValues
    _examples: int = 0
    _counts: dict[tuple[str, type[_Check]], _Count] = field(default_factory=dict)

    def watch_pieces(self, pieces: Iterable[NewExamples]) -> Iterator[NewExamples]:
        """Yield the same pieces."""
        for piece in pieces:
            self.add(piece)
            yield piece

    def add(self, piece: NewExamples) -> None:
        """Add some examples."""
        arrays = dict(piece.examples.inputs)
        for check in self.values.checks:
            array = arrays[check.input_name] if check.input_name in arrays else arrays[None]
            if not len(array):
                continue
            flags = check.is_unfamiliar(array)
            if not flags.any():
                continue
            columns = piece.examples.columns.get(check.input_name, piece.examples.columns.get(None, ()))
            self._add_flags(check, piece, array, flags, columns)
        self._examples += len(piece)

    def add_subset(self, subset: Subset) -> None:
        """Add all examples of a subset."""
        if self.values.checks:
            for piece in iterate_new_examples(subset, _EXAMPLES_AT_ONCE):
                self.add(piece)

    def _add_flags(
        self, check: _Check, piece: NewExamples, array: Array, flags: Array, columns: Sequence[str]
    ) -> None:
        width = len(columns) if len(columns) and flags.size % len(columns) == 0 else 1
        values = array.reshape(len(array), -1, width)
        by_column = flags.reshape(len(array), -1, width)
        for index in np.flatnonzero(by_column.any(axis=(0, 1))).tolist():
            title = columns[index] if len(columns) == width else check.input_name
            found = by_column[:, :, index]
            rows = np.flatnonzero(found.any(axis=1))
            place = int(np.flatnonzero(found[rows[0]])[0])
            value = values[rows[0], place, index]
            first = f"{_quote(value)} in {self._name_example(piece, int(rows[0]))}"
            entry = self._counts.setdefault((title, type(check)), _Count(check, title, 0, first))
            if entry.check is check:  # other layers may receive the same values
                entry.count += len(rows)

    def _name_example(self, piece: NewExamples, usable: int) -> str:
        """Return where an example is, from its index among those without an error."""
        index = int(np.flatnonzero(piece.is_usable)[usable])
        if "row" in piece.columns:
            return f"row {int(piece.columns['row'][index]):,}"
        if "file" in piece.columns:
            return sanitize_text(str(piece.columns["file"][index]), limit=200)
        return f"example {self._examples + index + 1:,}"

    def list_problems(self) -> list[Problem]:
        """Return a warning for each column with unfamiliar values."""
        problems = []
        for entry in self._counts.values():
            where = f" in {entry.count:,} of {self._examples:,} examples" if self._examples > 1 else ""
            code, message, hint = entry.check.describe_values(sanitize_text(entry.title, limit=60), where)
            first = f"; the first is {entry.first}." if where else f": {entry.first}."
            problems.append(Problem(code=code, severity="warning", message=message + first, hint=hint))
        return problems


def _quote(value: Any) -> str:
    if isinstance(value, str):
        return quote_value(sanitize_text(value, limit=40))
    return f"{value:.7g}" if isinstance(value, np.floating) else str(value)


def _list_checks(model: Any, valid: ValidConfig, learned_examples: int | None) -> Iterator[_Check]:
    for node in valid.graph.nodes:
        name = node.layer.type_name()
        source = _find_input(valid.graph, node)
        if source is None or name not in _CHECKED_LAYERS or getattr(node.layer, "invert", False):
            continue
        layer = model.get_layer(node.reuse_of or node.name)
        if name == "Normalization":
            if learned_examples and node.inputs[0] == source and is_adaptable(node.layer):
                yield _RangeCheck(node, layer, source, learned_examples)
        elif name == "TextVectorization":
            yield _WordsCheck(node, layer, source, tf.function(layer, reduce_retracing=True))
        elif layer.num_oov_indices:
            known = frozenset(layer.get_vocabulary(include_special_tokens=False))
            yield _VocabularyCheck(node, layer, source, known | {layer.mask_token})


def _find_input(graph: Graph, node: GraphNode) -> str | None:
    """Return the input of the model whose values a node receives unchanged; None if a layer computes them."""
    by_name = {each.name: each for each in graph.nodes}
    current = node
    while len(current.inputs) == 1:
        name = current.inputs[0]
        if name in graph.inputs:
            return name
        current = by_name[name]
        if current.type_name not in ORDER_KEEPING_LAYERS:
            return None
    return None
