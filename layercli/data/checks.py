"""Check examples before training: missing and infinite numbers, invalid labels, dtypes and empty splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from layercli.config.data.section import DataConfig, DataFacts, TargetFacts
from layercli.config.data.tables import TableConfig
from layercli.data.examples import Splits, Subset
from layercli.data.statistics import ArrayStatistics, LabelCounts, Statistics, ValueIndex, count_labels
from layercli.data.types import Array
from layercli.graph.checks.ids import Extreme, ValueRange
from layercli.graph.finding import Finding
from layercli.source.nodes import KeyPath, format_path, sanitize_text

_MAX_LISTED: Final = 8


def check_examples(
    statistics: Statistics, data: DataConfig, units: Mapping[str | None, int | None]
) -> Iterator[Finding]:
    """Report missing and infinite numbers, constant columns and invalid labels.

    ``units`` maps each output to its number of units; labels must be in the range 0..units - 1.
    """
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
    """Return the columns that must not have missing numbers; fixed fill values are already in place."""
    if not isinstance(data, TableConfig) or not values.columns:
        return _all_columns(values)
    policies = [data.missing.policy_of(column, text=False) for column in values.columns]
    return {index for index, policy in enumerate(policies) if policy not in ("median", "mean")}


def check_input_types(statistics: Statistics, dtypes: Mapping[str, str]) -> Iterator[Finding]:
    """Report text for numeric inputs and numbers for text inputs; ``dtypes`` are the dtypes of the model inputs."""
    for name, values in statistics.inputs.items():
        path: KeyPath = ("model", "input") if name is None or len(dtypes) == 1 else ("model", "inputs", name)
        dtype = next(iter(dtypes.values())) if len(dtypes) == 1 else dtypes.get(str(name))
        if dtype is None or (values.dtype == "text") == (dtype == "string"):
            continue
        received = "text" if values.dtype == "text" else "numbers"
        yield Finding(
            code="input-mismatch",
            message=f"`{format_path(path)}` has dtype {dtype}, but the data contains {received}.",
            path=path,
            hint=f"Write `{{shape: {list(values.shape)}, dtype: {'string' if received == 'text' else 'float32'}}}`.",
        )


def find_value_ranges(statistics: Statistics, input_names: Sequence[str]) -> dict[str, ValueRange]:
    """Return the range of each numeric input of the model, with the rows of its smallest and largest value."""
    ranges = {}
    for name, extremes in statistics.ids.items():
        if extremes.low is None or extremes.high is None:
            continue
        values = statistics.inputs[name]
        low, high = (
            Extreme(value, _describe_place(values, index)) for value, index in (extremes.low, extremes.high)
        )
        fraction = None
        if extremes.fraction is not None:
            fraction = Extreme(extremes.fraction[0], _describe_place(values, extremes.fraction[1]))
        ranges[input_names[0] if name is None else name] = ValueRange(low, high, fraction)
    return ranges


def _describe_place(values: ArrayStatistics, index: ValueIndex) -> str:
    column = f" of `{sanitize_text(values.columns[index[-1]], limit=60)}`" if values.columns else ""
    return f"in row {index[0] + 1}{column}"


def _check_labels(labels: LabelCounts, path: KeyPath, units: int | None) -> Iterator[Finding]:
    negative = [label for label in labels.counts if label < 0]
    too_large = [label for label in labels.counts if units and label >= units]
    for wrong, rule in (
        (negative, "at least 0"),
        (too_large, f"below {units}, because the output has {units} units"),
    ):
        if not wrong:
            continue
        first = min(wrong, key=lambda label: labels.first_rows[label])
        rows = sum(labels.counts[label] for label in wrong)
        affected = f" ({rows:,} rows affected)" if rows > 1 else ""
        yield Finding(
            code="bad-label",
            message=f"Labels must be {rule}; got {first} in row {labels.first_rows[first] + 1}{affected}.",
            path=path,
            hint="Correct the data, or give the last layer one unit for each class.",
        )


def check_splits(splits: Splits, data: DataConfig, facts: DataFacts) -> Iterator[Finding]:
    """Warn about requested splits that are empty, and about classes that are absent from a split."""
    requested = {"validation": data.split.validation, "test": data.split.test}
    for title, subset in zip(("training", "validation", "test"), splits.subsets, strict=True):
        size = requested.get(title)
        path: KeyPath = ("data", "split", title) if size else ("data", "split")
        if len(subset):
            yield from _check_classes(subset, title, path, facts)
        elif size:
            yield Finding(
                code="bad-split",
                message=f"The {title} split is empty: {size} of {len(splits.train)} examples gives 0 examples.",
                path=path,
                hint="Increase the size of the split.",
                severity="warning",
            )


def _check_classes(subset: Subset, title: str, path: KeyPath, facts: DataFacts) -> Iterator[Finding]:
    for target, labels in count_labels(subset).items():
        classes = (facts.target_of(str(target)) or TargetFacts()).classes or 0
        absent = [label for label in range(classes) if label not in labels.counts]
        if absent:
            absent_names = _describe_classes(absent, subset.empty_batch.class_names_of(target))
            of_target = f" of `{sanitize_text(target, limit=40)}`" if target is not None else ""
            yield Finding(
                code="absent-class",
                message=f"The {title} split has no examples of {absent_names}{of_target}.",
                path=path,
                hint="Keep the class proportions in every split: `split: {stratify: true}`.",
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
    """Report the first non-finite number of each column, and the number of such values."""
    missing = {column: index for column, index in values.first_missing.items() if column in required}
    hint = "Remove or replace them in the file."
    fill_hint = "Remove those rows, or set a replacement: `missing: {numbers: median}`."
    yield from _list_non_finite(
        values, "missing", missing, values.missing_counts, title, path, fill_hint if is_fillable else hint
    )
    yield from _list_non_finite(
        values, "infinite", values.first_infinite, values.infinite_counts, title, path, hint
    )


def _list_non_finite(
    values: ArrayStatistics,
    kind: str,
    first: Mapping[int, ValueIndex],
    counts: Array,
    title: str,
    path: KeyPath,
    hint: str,
) -> Iterator[Finding]:
    for index in sorted(first)[:_MAX_LISTED]:
        count = int(counts[index])
        column = _describe_column(values, index, title, first[index][1:])
        affected = f" ({count:,} {kind} values in total)" if count > 1 else ""
        yield Finding(
            code="not-finite",
            message=f"{column} is {kind} in row {first[index][0] + 1}{affected}.",
            path=path,
            hint=hint,
        )
    if len(first) > _MAX_LISTED:
        count = int(counts[sorted(first)[_MAX_LISTED:]].sum())
        yield Finding(
            code="not-finite",
            message=f"{len(first) - _MAX_LISTED} more columns have {count:,} {kind} values.",
            path=path,
            hint="Run `layercli inspect-data` for details.",
        )


def _describe_column(values: ArrayStatistics, column: int, title: str, indices: Sequence[int]) -> str:
    if values.columns:
        return f"`{sanitize_text(values.columns[column], limit=60)}`"
    return f"{title} at [{', '.join(map(str, indices))}]" if indices else title


def _check_constant_columns(values: ArrayStatistics, path: KeyPath) -> Iterator[Finding]:
    """Warn about columns with the same value in every example."""
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
        verb, pronoun = ("are", "them") if len(names) > 1 else ("is", "it")
        yield Finding(
            code="constant-column",
            message=f"{_list_names(names)} {verb} the same in every example, so nothing can be learned from {pronoun}.",
            path=path,
            hint=f"Leave {pronoun} out with `inputs`, or keep {pronoun}; this is harmless.",
            severity="warning",
        )
