"""New examples to predict, some at a time: those that the model can take, and what is wrong with the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from layercli.data.examples import Examples, Subset, concatenate_examples
from layercli.data.types import Array, DataError
from layercli.source.nodes import sanitize_text

_MAX_LISTED = 3


@dataclass(frozen=True, slots=True)
class NewExamples:
    """Some consecutive new examples."""

    examples: Examples
    """Those without an error."""
    errors: tuple[str | None, ...]
    """What is wrong with each example; None if nothing is."""
    columns: Mapping[str, Array] = field(default_factory=dict)
    """Columns that identify each example: arrays of shape (samples,)."""

    def __len__(self) -> int:
        return len(self.errors)

    @property
    def is_usable(self) -> Array:
        """Whether each example has no error: bool of shape (samples,)."""
        return np.array([error is None for error in self.errors], dtype=bool)

    def without_non_finite(self) -> NewExamples:
        """Return the same examples, with an error for missing and infinite numbers, for which outputs would be NaN."""
        found = describe_non_finite(self.examples)
        if not any(found):
            return self
        errors = list(self.errors)
        for row, error in zip(np.flatnonzero(self.is_usable).tolist(), found, strict=True):
            errors[row] = error
        kept = self.examples.take(
            np.array([row for row, error in enumerate(found) if error is None], dtype=int)
        )
        return replace(self, examples=kept, errors=tuple(errors))


def describe_non_finite(examples: Examples) -> list[str | None]:
    """Return which numbers of each example are missing or infinite: "`size` is missing"."""
    errors: list[list[str]] = [[] for _ in range(len(examples))]
    for name, array in examples.inputs:
        if array.dtype.kind != "f" or not array.size:
            continue
        flat = array.reshape(len(array), -1, array.shape[-1] if array.ndim > 1 else 1)
        is_finite = np.isfinite(flat).all(axis=1)
        titles = examples.columns.get(name, ())
        for row, column in np.argwhere(~is_finite).tolist():
            defect = "missing" if np.isnan(flat[row, :, column]).any() else "infinite"
            title = titles[column] if len(titles) == flat.shape[-1] else name or "input"
            error = f"`{sanitize_text(title, limit=60)}` is {defect}"
            if error not in errors[row]:
                errors[row].append(error)
    return [_join_errors(found) for found in errors]


def _join_errors(errors: Sequence[str]) -> str | None:
    if not errors:
        return None
    more = f", and {len(errors) - _MAX_LISTED} more" if len(errors) > _MAX_LISTED else ""
    return ", ".join(errors[:_MAX_LISTED]) + more


def make_row_columns(rows_before: int, count: int, kept: Mapping[str, Sequence[Any]]) -> dict[str, Array]:
    """Return the columns of rows of a table: their numbers from 1, and columns of the input."""
    columns: dict[str, Array] = {"row": np.arange(rows_before + 1, rows_before + count + 1)}
    return columns | {name: to_object_array(values) for name, values in kept.items()}


class JsonText(str):
    """The text of a number or boolean of JSON, whose value JSON Lines get; all other files get the text."""

    __slots__ = ("value",)
    value: Any


def keep_json_value(value: Any) -> str | None:
    """Return a value of JSON as a column of the output has it; None for null, a list and an object."""
    if isinstance(value, str):
        return value
    if not isinstance(value, (bool, int, float)):
        return None
    kept = JsonText(json.dumps(value))
    kept.value = value
    return kept


def to_object_array(values: Sequence[Any]) -> Array:
    """Return values of any type as an array of shape (values,)."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def read_separately(
    count: int, read: Callable[[int, int], Examples], describe: Callable[[int, DataError], str]
) -> tuple[Examples | None, list[str | None]]:
    """Return the examples that can be read, None if there are none, and what is wrong with each of the others.

    ``read`` returns the examples from a first to a last one (excluded), and raises DataError if one of them is wrong;
    then both halves are read. ``describe`` returns the error of a single example.
    """
    pieces: list[Examples] = []
    errors: list[str | None] = [None] * count
    pending = [(0, count)] if count else []
    while pending:
        first, last = pending.pop()
        try:
            pieces.append(read(first, last))
        except DataError as error:
            if last - first == 1:
                errors[first] = describe(first, error)
            else:
                middle = (first + last) // 2
                pending += [(middle, last), (first, middle)]
    return (concatenate_examples(pieces) if pieces else None), errors


def iterate_new_examples(
    subset: Subset, size: int, columns: Mapping[str, Array] | None = None
) -> Iterator[NewExamples]:
    """Yield the examples of a subset, ``size`` at a time, with the values of ``columns``; by default their numbers from 1."""
    identity = {"row": np.arange(1, len(subset) + 1)} if columns is None else columns
    first = 0
    for batch in subset.batches(size):
        last = first + len(batch)
        piece = {name: values[first:last] for name, values in identity.items()}
        yield NewExamples(batch, (None,) * len(batch), piece)
        first = last


def split_new_examples(pieces: Sequence[NewExamples], counts: Sequence[int]) -> list[NewExamples]:
    """Return the same examples in pieces of other lengths, without their columns."""
    errors = [error for piece in pieces for error in piece.errors]
    examples = concatenate_examples([piece.examples for piece in pieces])
    split: list[NewExamples] = []
    first = first_usable = 0
    for count in counts:
        piece_errors = tuple(errors[first : first + count])
        last_usable = first_usable + piece_errors.count(None)
        split.append(NewExamples(examples.take(slice(first_usable, last_usable)), piece_errors))
        first, first_usable = first + count, last_usable
    return split
