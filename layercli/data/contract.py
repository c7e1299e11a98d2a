"""What is wrong with examples before the first step: missing numbers, and labels that no class has."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from layercli.config.data import Data
from layercli.config.files import Table
from layercli.data.arrays import Array, Examples, Parts
from layercli.graph.findings import Finding
from layercli.source.nodes import KeyPath


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
        yield from _not_finite(array, name, data, refused=refused)
    yield from _not_finite(examples.y, None, data, refused=True, target=True)
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


def _not_finite(
    array: Array, name: str | None, data: Data, *, refused: bool, target: bool = False
) -> Iterator[Finding]:
    if array.dtype.kind != "f":
        return
    wrong = ~np.isfinite(array) if refused else np.isinf(array)
    if not wrong.any():
        return
    row, *rest = (int(axis[0]) for axis in np.nonzero(wrong))
    what = "is missing" if np.isnan(array[(row, *rest)]) else "is infinite"
    where = _where(data, name, rest, target=target)
    path: KeyPath = (
        ("data", "target") if target else ("data", "inputs", name) if name is not None else ("data",)
    )
    hint = "Remove those rows, or say what stands in their place: `missing: {numbers: median}`."
    yield Finding(
        code="not-finite",
        message=f"{where} {what} in row {row + 1}; {int(wrong.sum()):,} numbers are in all.",
        path=path,
        hint=hint if isinstance(data, Table) and not target else "Remove or replace them in the file.",
    )


def _where(data: Data, name: str | None, rest: list[int], *, target: bool) -> str:
    if target:
        return "The target"
    if isinstance(data, Table) and data.inputs is not None and name is not None and rest:
        return f"`{data.inputs[name][rest[0]]}`"
    place = f"[{', '.join(map(str, rest))}]" if rest else ""
    return (
        f"The input{f' `{name}`' if name else ''} at {place}"
        if place
        else f"The input{f' `{name}`' if name else ''}"
    )
