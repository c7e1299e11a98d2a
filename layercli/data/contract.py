"""What is wrong with examples before the first step: missing numbers, and labels that no class has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from layercli.config.data import Data
from layercli.config.tables import Table
from layercli.data.arrays import Array, Examples, Parts
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


def findings(examples: Examples, data: Data, units: int | None) -> Iterator[Finding]:
    """Every number that is missing or infinite, and labels below 0 or beyond the ``units`` of the output."""
    refused = not isinstance(data, Table) or data.missing.numbers == "refuse"
    for name, array in examples.arrays:
        path: KeyPath = ("data", "inputs", name) if name is not None else ("data",)
        yield from _not_finite(array, _places(examples, name), path, data, refused=refused)
        yield from _constant(array, examples.columns.get(name, ()), path)
    yield from _not_finite(examples.y, None, ("data", "target"), data, refused=True)
    if examples.y.dtype.kind in "iu" and examples.y.ndim == 1 and len(examples):
        too_high = f"the output has {units} units"
        for wrong, what in (
            (examples.y < 0, "labels are counted from 0"),
            (examples.y >= (units or 2**31), too_high),
        ):
            rows = np.flatnonzero(wrong)
            if len(rows):
                message = f"Row {rows[0] + 1} has the label {examples.y[rows[0]]}, but {what}"
                others = f"; so have {len(rows)} rows in all." if len(rows) > 1 else "."
                yield Finding(code="bad-label", message=message + others, path=("data", "target"),
                              hint="Correct the data, or give the last layer a unit for each class.")  # fmt: skip


def part_findings(parts: Parts, data: Data, classes: int | None) -> Iterator[Finding]:
    """Warnings of parts that were asked for and are empty, and of classes that a part has none of."""
    asked = {"validation": data.split.validation, "test": data.split.test}
    names = parts.train.class_names
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
        absent = [] if classes is None else sorted(set(range(classes)) - set(np.unique(part.y).tolist()))
        if absent:
            told = ", ".join(
                f"`{printable(names[label], limit=40) if names else label}`" for label in absent[:8]
            )
            more = f" and {len(absent) - 8} more" if len(absent) > 8 else ""
            yield Finding(
                code="absent-class",
                message=f"The {name} examples have none of the class{'es' * (len(absent) > 1)} {told}{more}.",
                path=path,
                hint="Divide the classes evenly: `split: {stratify: true}`.",
                severity="warning",
            )


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
