"""What is wrong with examples before the first step: missing numbers, and labels that no class has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from layercli.config.data.section import DataConfig, DataFacts, TargetFacts
from layercli.config.data.tables import TableConfig
from layercli.data.examples import Splits
from layercli.data.statistics import ArrayStatistics, LabelCounts, Statistics, count_labels
from layercli.graph.finding import Finding
from layercli.source.nodes import KeyPath, format_path, sanitize_text

_MAX_LISTED: Final = 8


def check_examples(
    statistics: Statistics, data: DataConfig, units: Mapping[str | None, int | None]
) -> Iterator[Finding]:
    """Every number that is missing or infinite, and labels below 0 or beyond the ``units`` of their output."""
    for name, values in statistics.inputs.items():
        path: KeyPath = ("data", "inputs", name) if name is not None else ("data",)
        title = f"The input `{sanitize_text(name, limit=40)}`" if name else "The input"
        yield from _check_finite(
            values,
            title,
            path,
            required=_required_columns(values, data),
            is_fillable=isinstance(data, TableConfig),
        )
        yield from _check_constant_columns(values, path)
    for name, values in statistics.targets.items():
        path = ("data", "target") if name is None else ("data", "target", name)
        title = f"The target `{sanitize_text(name, limit=40)}`" if name else "The target"
        yield from _check_finite(values, title, path, required=_all_columns(values), is_fillable=False)
    for name, labels in statistics.labels.items():
        path = ("data", "target") if name is None else ("data", "target", name)
        yield from _check_labels(labels, path, units.get(name))


def _all_columns(values: ArrayStatistics) -> set[int]:
    return set(range(len(values.missing_counts)))


def _required_columns(values: ArrayStatistics, data: DataConfig) -> set[int]:
    """Columns that may have no missing number; what has a fixed one put in its place has it already."""
    if not isinstance(data, TableConfig) or not values.columns:
        return _all_columns(values)
    policies = [data.missing.policy_of(column, text=False) for column in values.columns]
    return {index for index, policy in enumerate(policies) if policy not in ("median", "mean")}


def check_input_types(statistics: Statistics, dtypes: Mapping[str, str]) -> Iterator[Finding]:
    """Text where an input of the model takes numbers, and numbers where it takes text; ``dtypes`` are those of its inputs."""
    for name, values in statistics.inputs.items():
        path: KeyPath = ("model", "input") if name is None or len(dtypes) == 1 else ("model", "inputs", name)
        dtype = next(iter(dtypes.values())) if len(dtypes) == 1 else dtypes.get(str(name))
        if dtype is None or (values.dtype == "text") == (dtype == "string"):
            continue
        received = "text" if values.dtype == "text" else "numbers"
        yield Finding(
            code="input-mismatch",
            message=f"`{format_path(path)}` is of the dtype {dtype}, but the data gives {received}.",
            path=path,
            hint=f"Write `{{shape: {list(values.shape)}, dtype: {'string' if received == 'text' else 'float32'}}}`.",
        )


def _check_labels(labels: LabelCounts, path: KeyPath, units: int | None) -> Iterator[Finding]:
    for wrong, reason in (
        ([label for label in labels.counts if label < 0], "labels are counted from 0"),
        ([label for label in labels.counts if units and label >= units], f"the output has {units} units"),
    ):
        if wrong:
            first = min(wrong, key=lambda label: labels.first_rows[label])
            rows = sum(labels.counts[label] for label in wrong)
            message = f"Row {labels.first_rows[first] + 1} has the label {first}, but {reason}"
            others = f"; so have {rows} rows in all." if rows > 1 else "."
            yield Finding(code="bad-label", message=message + others, path=path,
                          hint="Correct the data, or give the last layer a unit for each class.")  # fmt: skip


def check_splits(splits: Splits, data: DataConfig, facts: DataFacts) -> Iterator[Finding]:
    """Warnings of parts that were asked for and are empty, and of classes that a part has none of."""
    requested = {"validation": data.split.validation, "test": data.split.test}
    for title, subset in zip(("training", "validation", "test"), splits.subsets, strict=True):
        path: KeyPath = ("data", "split", title) if requested.get(title) else ("data", "split")
        if not len(subset):
            if requested.get(title):
                message = (
                    f"The {title} part is empty: {requested[title]} of {len(splits.train)} examples is none."
                )
                hint = "Use a larger part."
                yield Finding(code="bad-split", message=message, path=path, hint=hint, severity="warning")
            continue
        for target, labels in count_labels(subset).items():
            classes = (facts.target_of(str(target)) or TargetFacts()).classes or 0
            absent = [label for label in range(classes) if label not in labels.counts]
            if absent:
                absent_names = _describe_classes(absent, subset.empty_batch.class_names_of(target))
                of = f" of `{sanitize_text(target, limit=40)}`" if target is not None else ""
                yield Finding(
                    code="absent-class",
                    message=f"The {title} examples have none of the {absent_names}{of}.",
                    path=path,
                    hint="Divide the classes evenly: `split: {stratify: true}`.",
                    severity="warning",
                )


def _describe_classes(labels: list[int], names: tuple[str, ...] | None) -> str:
    listed = _list_names([names[label] if names else str(label) for label in labels])
    return f"class{'es' * (len(labels) > 1)} {listed}"


def _list_names(names: list[str]) -> str:
    listed = ", ".join(f"`{sanitize_text(name, limit=40)}`" for name in names[:_MAX_LISTED])
    return listed + (f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else "")


def _check_finite(
    values: ArrayStatistics, title: str, path: KeyPath, *, required: set[int], is_fillable: bool
) -> Iterator[Finding]:
    """Of each column, the first number that is not there, and how many."""
    for kind, counts, first in (
        (
            "missing",
            values.missing_counts,
            {i: place for i, place in values.first_missing.items() if i in required},
        ),
        ("infinite", values.infinite_counts, values.first_infinite),
    ):
        for index in sorted(first)[:_MAX_LISTED]:
            row, *rest = first[index]
            column = f"`{sanitize_text(values.columns[index], limit=60)}`" if values.columns else (
                f"{title} at [{', '.join(map(str, rest))}]" if rest else title
            )  # fmt: skip
            count = int(counts[index])
            others = f", and {count:,} numbers are in all" if count > 1 else ""
            hint = "Remove those rows, or say what stands in their place: `missing: {numbers: median}`."
            yield Finding(
                code="not-finite",
                message=f"{column} is {kind} in row {row + 1}{others}.",
                path=path,
                hint=hint if is_fillable and kind == "missing" else "Remove or replace them in the file.",
            )
        if len(first) > _MAX_LISTED:
            count = int(counts[sorted(first)[_MAX_LISTED:]].sum())
            message = f"{len(first) - _MAX_LISTED} more columns have {count:,} numbers that are {kind}."
            yield Finding(
                code="not-finite", message=message, path=path, hint="Look at `layercli inspect-data`."
            )


def _check_constant_columns(values: ArrayStatistics, path: KeyPath) -> Iterator[Finding]:
    """A warning of columns that are the same in every example."""
    if not values.columns or values.row_count < 2:
        return
    if values.dtype == "text":
        is_constant = [
            len(values.distinct_values.get(index, "  ")) == 1 for index in range(len(values.columns))
        ]
    else:
        is_constant = (
            (values.minima == values.maxima) & (values.missing_counts + values.infinite_counts == 0)
        ).tolist()
    names = [name for name, constant in zip(values.columns, is_constant, strict=True) if constant]
    if names:
        verb = "are" if len(names) > 1 else "is"
        yield Finding(
            code="constant-column",
            message=f"{_list_names(names)} {verb} the same in every example, so nothing can be learned from it.",
            path=path,
            hint="Leave it out by `inputs`, or keep it: it does no harm.",
            severity="warning",
        )
