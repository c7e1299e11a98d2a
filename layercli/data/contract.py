"""What is wrong with examples before the first step: missing numbers, and labels that no class has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import numpy as np

from layercli.config.data import Data, DataFacts, TargetFacts
from layercli.config.tables import Table
from layercli.data.arrays import Array, Examples, Parts
from layercli.data.targets import is_labels
from layercli.graph.findings import Finding
from layercli.source.nodes import KeyPath, printable


def filled(parts: Parts, data: Data) -> Parts:
    """The parts with missing numbers filled as the config says, by what the training examples tell."""
    if not isinstance(data, Table) or data.missing.numbers == "refuse":
        return parts
    fill = {}
    for name, array in parts.train.arrays:
        if array.dtype.kind != "f":
            continue
        values = np.zeros(array.shape[1:])
        known = np.ma.masked_invalid(array)
        if data.missing.numbers == "median":
            values = np.ma.filled(np.ma.median(known, axis=0), 0.0)  # type: ignore[no-untyped-call]
        elif data.missing.numbers == "mean":
            values = np.ma.filled(np.ma.mean(known, axis=0), 0.0)
        fill[name] = np.asarray(values, dtype=np.float32)
    return parts.mapped(
        lambda name, array: np.where(np.isnan(array), fill[name], array) if name in fill else array
    )


def findings(examples: Examples, data: Data, units: Mapping[str | None, int | None]) -> Iterator[Finding]:
    """Every number that is missing or infinite, and labels below 0 or beyond the ``units`` of their output."""
    refused = not isinstance(data, Table) or data.missing.numbers == "refuse"
    for name, array in examples.arrays:
        path: KeyPath = ("data", "inputs", name) if name is not None else ("data",)
        yield from _not_finite(array, _places(examples, name), path, data, refused=refused)
        yield from _constant(array, examples.columns.get(name, ()), path)
    for name, array in examples.targets:
        path = ("data", "target") if name is None else ("data", "target", name)
        yield from _not_finite(array, None, path, data, refused=True)
        if is_labels(array) and len(array):
            yield from _bad_labels(array, path, units.get(name))


def _bad_labels(labels: Array, path: KeyPath, units: int | None) -> Iterator[Finding]:
    for wrong, what in (
        (labels < 0, "labels are counted from 0"),
        (labels >= (units or 2**31), f"the output has {units} units"),
    ):
        rows = np.flatnonzero(wrong)
        if len(rows):
            message = f"Row {rows[0] + 1} has the label {labels[rows[0]]}, but {what}"
            others = f"; so have {len(rows)} rows in all." if len(rows) > 1 else "."
            yield Finding(code="bad-label", message=message + others, path=path,
                          hint="Correct the data, or give the last layer a unit for each class.")  # fmt: skip


def part_findings(parts: Parts, data: Data, facts: DataFacts) -> Iterator[Finding]:
    """Warnings of parts that were asked for and are empty, and of classes that a part has none of."""
    asked = {"validation": data.split.validation, "test": data.split.test}
    for name, part in (("training", parts.train), ("validation", parts.validation), ("test", parts.test)):
        path: KeyPath = ("data", "split", name) if asked.get(name) else ("data", "split")
        if not len(part):
            if asked.get(name):
                message = f"The {name} part is empty: {asked[name]} of {len(parts.train)} examples is none."
                yield Finding(
                    code="bad-split",
                    message=message,
                    path=path,
                    hint="Use a larger part.",
                    severity="warning",
                )
            continue
        for target, labels in part.targets:
            classes = (facts.of(str(target)) or TargetFacts()).classes
            absent = [] if classes is None else sorted(set(range(classes)) - set(np.unique(labels).tolist()))
            if absent:
                message = f"The {name} examples have none of the {_classes(absent, part.names_of(target))}"
                yield Finding(
                    code="absent-class",
                    message=message + (f" of `{target}`." if target is not None else "."),
                    path=path,
                    hint="Divide the classes evenly: `split: {stratify: true}`.",
                    severity="warning",
                )


def _classes(labels: list[int], names: tuple[str, ...] | None) -> str:
    told = ", ".join(f"`{printable(names[label], limit=40) if names else label}`" for label in labels[:8])
    more = f" and {len(labels) - 8} more" if len(labels) > 8 else ""
    return f"class{'es' * (len(labels) > 1)} {told}{more}"


Place: TypeAlias = Callable[[list[int]], str]
"""What a message calls a number of an input, by its indices behind the example's."""


def _places(examples: Examples, name: str | None) -> Place:
    columns = examples.columns.get(name, ())
    title = f"The input `{name}`" if name else "The input"
    return lambda rest: f"`{columns[rest[0]]}`" if columns and rest else (
        f"{title} at [{', '.join(map(str, rest))}]" if rest else title
    )  # fmt: skip


def _not_finite(
    array: Array, place: Place | None, path: KeyPath, data: Data, *, refused: bool
) -> Iterator[Finding]:
    if array.dtype.kind != "f":
        return
    wrong = ~np.isfinite(array) if refused else np.isinf(array)
    if not wrong.any():
        return
    row, *rest = (int(axis[0]) for axis in np.nonzero(wrong))
    what = "is missing" if np.isnan(array[(row, *rest)]) else "is infinite"
    where = place(rest) if place is not None else "The target"
    count = int(wrong.sum())
    others = f", and {count:,} numbers are in all" if count > 1 else ""
    hint = "Remove those rows, or say what stands in their place: `missing: {numbers: median}`."
    fillable = isinstance(data, Table) and place is not None
    yield Finding(
        code="not-finite",
        message=f"{where} {what} in row {row + 1}{others}.",
        path=path,
        hint=hint if fillable else "Remove or replace them in the file.",
    )


def _constant(array: Array, columns: tuple[str, ...], path: KeyPath) -> Iterator[Finding]:
    """A warning of columns that are the same in every example."""
    if not columns or array.dtype.kind != "f" or len(array) < 2:
        return
    same = [name for name, column in zip(columns, array.T, strict=True) if (column == column[0]).all()]
    if same:
        told = ", ".join(f"`{printable(name, limit=40)}`" for name in same[:8])
        more = f" and {len(same) - 8} more" if len(same) > 8 else ""
        verb = "are" if len(same) > 1 else "is"
        yield Finding(
            code="constant-column",
            message=f"{told}{more} {verb} the same in every example, so nothing can be learned from it.",
            path=path,
            hint="Leave it out by `inputs`, or keep it: it does no harm.",
            severity="warning",
        )
