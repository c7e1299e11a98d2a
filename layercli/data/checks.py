"""What is wrong with examples before the first step: missing numbers, and labels that no class has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from layercli.config.data.section import Data, DataFacts, TargetFacts
from layercli.config.data.tables import Table
from layercli.data.examples import Parts
from layercli.data.statistics import Labels, Statistics, Values, labels_of
from layercli.graph.finding import Finding
from layercli.source.nodes import KeyPath, format_path, printable

_MOST_TOLD: Final = 8


def findings(found: Statistics, data: Data, units: Mapping[str | None, int | None]) -> Iterator[Finding]:
    """Every number that is missing or infinite, and labels below 0 or beyond the ``units`` of their output."""
    for name, values in found.inputs.items():
        path: KeyPath = ("data", "inputs", name) if name is not None else ("data",)
        title = f"The input `{printable(name, limit=40)}`" if name else "The input"
        yield from _not_finite(
            values, title, path, missing=_refused(values, data), fillable=isinstance(data, Table)
        )
        yield from _constant(values, path)
    for name, values in found.targets.items():
        path = ("data", "target") if name is None else ("data", "target", name)
        title = f"The target `{printable(name, limit=40)}`" if name else "The target"
        yield from _not_finite(values, title, path, missing=_all(values), fillable=False)
    for name, labels in found.labels.items():
        path = ("data", "target") if name is None else ("data", "target", name)
        yield from _bad_labels(labels, path, units.get(name))


def _all(values: Values) -> set[int]:
    return set(range(len(values.missing)))


def _refused(values: Values, data: Data) -> set[int]:
    """Columns that may have no missing number; what has a fixed one put in its place has it already."""
    if not isinstance(data, Table) or not values.columns:
        return _all(values)
    policies = [data.missing.policy(column, text=False) for column in values.columns]
    return {index for index, policy in enumerate(policies) if policy not in ("median", "mean")}


def type_findings(found: Statistics, dtypes: Mapping[str, str]) -> Iterator[Finding]:
    """Text where an input of the model takes numbers, and numbers where it takes text; ``dtypes`` are those of its inputs."""
    for name, values in found.inputs.items():
        path: KeyPath = ("model", "input") if name is None or len(dtypes) == 1 else ("model", "inputs", name)
        dtype = next(iter(dtypes.values())) if len(dtypes) == 1 else dtypes.get(str(name))
        if dtype is None or (values.dtype == "text") == (dtype == "string"):
            continue
        given = "text" if values.dtype == "text" else "numbers"
        yield Finding(
            code="input-mismatch",
            message=f"`{format_path(path)}` is of the dtype {dtype}, but the data gives {given}.",
            path=path,
            hint=f"Write `{{shape: {list(values.shape)}, dtype: {'string' if given == 'text' else 'float32'}}}`.",
        )


def _bad_labels(labels: Labels, path: KeyPath, units: int | None) -> Iterator[Finding]:
    for wrong, what in (
        ([label for label in labels.counts if label < 0], "labels are counted from 0"),
        ([label for label in labels.counts if units and label >= units], f"the output has {units} units"),
    ):
        if wrong:
            first = min(wrong, key=lambda label: labels.first[label])
            rows = sum(labels.counts[label] for label in wrong)
            message = f"Row {labels.first[first] + 1} has the label {first}, but {what}"
            others = f"; so have {rows} rows in all." if rows > 1 else "."
            yield Finding(code="bad-label", message=message + others, path=path,
                          hint="Correct the data, or give the last layer a unit for each class.")  # fmt: skip


def part_findings(parts: Parts, data: Data, facts: DataFacts) -> Iterator[Finding]:
    """Warnings of parts that were asked for and are empty, and of classes that a part has none of."""
    asked = {"validation": data.split.validation, "test": data.split.test}
    for title, part in zip(("training", "validation", "test"), parts.all, strict=True):
        path: KeyPath = ("data", "split", title) if asked.get(title) else ("data", "split")
        if not len(part):
            if asked.get(title):
                message = f"The {title} part is empty: {asked[title]} of {len(parts.train)} examples is none."
                hint = "Use a larger part."
                yield Finding(code="bad-split", message=message, path=path, hint=hint, severity="warning")
            continue
        for target, labels in labels_of(part).items():
            classes = (facts.of(str(target)) or TargetFacts()).classes or 0
            absent = [label for label in range(classes) if label not in labels.counts]
            if absent:
                named = _classes(absent, part.like.names_of(target))
                of = f" of `{printable(target, limit=40)}`" if target is not None else ""
                yield Finding(
                    code="absent-class",
                    message=f"The {title} examples have none of the {named}{of}.",
                    path=path,
                    hint="Divide the classes evenly: `split: {stratify: true}`.",
                    severity="warning",
                )


def _classes(labels: list[int], names: tuple[str, ...] | None) -> str:
    told = _listed([names[label] if names else str(label) for label in labels])
    return f"class{'es' * (len(labels) > 1)} {told}"


def _listed(names: list[str]) -> str:
    told = ", ".join(f"`{printable(name, limit=40)}`" for name in names[:_MOST_TOLD])
    return told + (f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else "")


def _not_finite(
    values: Values, title: str, path: KeyPath, *, missing: set[int], fillable: bool
) -> Iterator[Finding]:
    """Of each column, the first number that is not there, and how many."""
    for what, counts, first in (
        ("missing", values.missing, {i: place for i, place in values.first_missing.items() if i in missing}),
        ("infinite", values.infinite, values.first_infinite),
    ):
        for index in sorted(first)[:_MOST_TOLD]:
            row, *rest = first[index]
            column = f"`{printable(values.columns[index], limit=60)}`" if values.columns else (
                f"{title} at [{', '.join(map(str, rest))}]" if rest else title
            )  # fmt: skip
            count = int(counts[index])
            others = f", and {count:,} numbers are in all" if count > 1 else ""
            hint = "Remove those rows, or say what stands in their place: `missing: {numbers: median}`."
            yield Finding(
                code="not-finite",
                message=f"{column} is {what} in row {row + 1}{others}.",
                path=path,
                hint=hint if fillable and what == "missing" else "Remove or replace them in the file.",
            )
        if len(first) > _MOST_TOLD:
            count = int(counts[sorted(first)[_MOST_TOLD:]].sum())
            message = f"{len(first) - _MOST_TOLD} more columns have {count:,} numbers that are {what}."
            yield Finding(
                code="not-finite", message=message, path=path, hint="Look at `layercli inspect-data`."
            )


def _constant(values: Values, path: KeyPath) -> Iterator[Finding]:
    """A warning of columns that are the same in every example."""
    if not values.columns or values.rows < 2:
        return
    if values.dtype == "text":
        same = [len(values.different.get(index, "  ")) == 1 for index in range(len(values.columns))]
    else:
        same = ((values.low == values.high) & (values.missing + values.infinite == 0)).tolist()
    names = [name for name, constant in zip(values.columns, same, strict=True) if constant]
    if names:
        verb = "are" if len(names) > 1 else "is"
        yield Finding(
            code="constant-column",
            message=f"{_listed(names)} {verb} the same in every example, so nothing can be learned from it.",
            path=path,
            hint="Leave it out by `inputs`, or keep it: it does no harm.",
            severity="warning",
        )
