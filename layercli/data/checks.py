"""Check examples before training: missing and infinite numbers, dtypes, empty splits and absent classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np

from layercli.config.data.section import DataConfig, SplitConfig
from layercli.config.data.tables import TableConfig
from layercli.data.examples import Splits
from layercli.data.statistics import (
    ArrayStatistics,
    LabelCounts,
    Statistics,
    ValueIndex,
    WeightFaults,
    compute_statistics,
    count_labels,
)
from layercli.data.types import Array, DataError, make_data_finding
from layercli.graph.checks.ids import Extreme, IdRange
from layercli.graph.finding import Finding
from layercli.graph.target_meaning import TargetMeaning
from layercli.source.nodes import KeyPath, format_path, sanitize_text

_MAX_LISTED: Final = 8
_REMOVE_HINT: Final = "Remove or replace them in the file."
_FILL_HINT: Final = "Remove those rows, or set a replacement: `missing: {numbers: median}`."
_DECLARE_HINT: Final = (
    "Replace them in the file, or read them as missing: "
    '`missing: {values: [default, inf, "-inf"], numbers: median}`. Numbers above 3.4e38 are infinite in float32; add them '
    'to `values` as the file has them, such as "1e300".'
)


def check_examples(
    statistics: Statistics, data: DataConfig, locate: Callable[[str, int], str]
) -> Iterator[Finding]:
    """Report missing and infinite numbers; ``locate`` returns where an example is, given a column."""
    for name, values in statistics.inputs.items():
        path: KeyPath = ("data", "inputs", name) if name is not None else ("data",)
        title = f"The input `{sanitize_text(name, limit=40)}`" if name else "The input"
        yield from _check_finite(
            values,
            title,
            path,
            locate,
            required=_list_required_columns(values, data),
            missing_hint=_FILL_HINT if isinstance(data, TableConfig) else _REMOVE_HINT,
            infinite_hint=_DECLARE_HINT if data.has_numbers_as_texts else _REMOVE_HINT,
        )
    for name, values in statistics.targets.items():
        path = ("data", "target") if name is None else ("data", "target", name)
        title = f"The target `{sanitize_text(name, limit=40)}`" if name else "The target"
        yield from _check_finite(values, title, path, locate, required=_all_columns(values))
    yield from _check_weights(statistics.weight_faults, data, locate)


def _check_weights(
    faults: WeightFaults, data: DataConfig, locate: Callable[[str, int], str]
) -> Iterator[Finding]:
    """Report weights that are negative, missing or infinite."""
    if faults.first is None:
        return
    row, value = faults.first
    name = getattr(data, "weights", None) or "weights"
    received = "is missing" if np.isnan(value) else f"must be a finite number of at least 0, got {value:g}"
    more = f" ({faults.count:,} such weights in total)" if faults.count > 1 else ""
    yield make_data_finding(
        f"The weight `{sanitize_text(name, limit=60)}` {received} in {locate(name, row)}{more}.",
        ("data", "weights"),
        "Give each example one weight, a number of at least 0, or remove it from the file.",
    )


def check_readable_inputs(
    error: DataError, data: DataConfig, dtypes: Mapping[str, str] | None = None
) -> Iterator[Finding]:
    """Report the problems of the inputs that can be read although the data has other errors.

    These are missing and infinite numbers and, with ``dtypes``, those of the model's inputs, texts in place of numbers.
    """
    if error.inputs is not None:
        statistics = compute_statistics(error.inputs)
        yield from check_examples(statistics, data, error.inputs.locate_row)
        if dtypes is not None:
            yield from check_input_types(statistics, dtypes)
        yield from error.inputs.findings


def _all_columns(values: ArrayStatistics) -> set[int]:
    return set(range(len(values.missing_counts)))


def _list_required_columns(values: ArrayStatistics, data: DataConfig) -> set[int]:
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
        hint = (
            f"Write `{{shape: {list(values.shape)}, dtype: {'string' if received == 'text' else 'float32'}}}`"
        )
        if received == "text" and len(dtypes) > 1:
            hint += ", or `string_categorical` as its type in FeatureSpace"
        yield Finding(
            code="input-mismatch",
            message=f"`{format_path(path)}` has dtype {dtype}, but the data contains {received}.",
            path=path,
            hint=f"{hint}.",
        )


def find_value_ranges(statistics: Statistics, input_names: Sequence[str]) -> dict[str, IdRange]:
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
        ranges[input_names[0] if name is None else name] = IdRange(low, high, fraction)
    return ranges


def _describe_place(values: ArrayStatistics, index: ValueIndex) -> str:
    column = f" of `{sanitize_text(values.columns[index[-1]], limit=60)}`" if values.columns else ""
    return f"in row {index[0] + 1}{column}"


def check_splits(splits: Splits, data: DataConfig) -> Iterator[Finding]:
    """Warn about requested splits that are empty, and about classes that are absent from a split or from all of them."""
    meanings = splits.target_meanings
    counts = [count_labels(subset) for subset in splits.subsets]
    absent_everywhere = {
        target: _find_absent(meanings.get(target), [each[target] for each in counts]) for target in counts[0]
    }
    for target, absent in absent_everywhere.items():
        if absent:
            yield _absent_from_data_finding(absent, target, splits, meanings[target].classes or 0)
    requested = {"validation": data.split.validation, "test": data.split.test}
    for title, subset, labels in zip(("training", "validation", "test"), splits.subsets, counts, strict=True):
        size = requested.get(title)
        path: KeyPath = ("data", "split", title) if size else ("data", "split")
        if len(subset):
            for target, label_counts in labels.items():
                absent = _find_absent(meanings.get(target), [label_counts])
                absent = [label for label in absent if label not in absent_everywhere[target]]
                if absent:
                    yield _absent_class_finding(absent, target, title, path, splits, data)
        elif size:
            has_own_files = isinstance(size, list)
            reason = (
                "its files have no examples"
                if has_own_files
                else f"{size} of {len(splits.train)} examples gives 0 examples"
            )
            yield Finding(
                code="bad-split",
                message=f"The {title} split is empty: {reason}.",
                path=path,
                hint="Name other files." if has_own_files else "Increase the size of the split.",
                severity="warning",
            )


def _find_absent(meaning: TargetMeaning | None, counts: Sequence[LabelCounts]) -> list[int]:
    """Return the labels from 0 that none of the counts has."""
    if meaning is None or meaning.kind == "signs":
        return []
    present = {label for each in counts for label in each.counts}
    return [label for label in range(meaning.classes or 0) if label not in present]


def _absent_class_finding(
    absent: list[int], target: str | None, title: str, path: KeyPath, splits: Splits, data: DataConfig
) -> Finding:
    return Finding(
        code="absent-class",
        message=f"The {title} split has no examples of {_describe_absent(absent, target, splits)}.",
        path=path,
        hint=_suggest_split(title, data.split),
        severity="warning",
    )


def _suggest_split(title: str, split: SplitConfig) -> str:
    """Return how a set gets examples of every class; `stratify` contradicts some other keys."""
    if title in split.own_files:
        return "Add examples of the class to the files of the set."
    if split.column is not None:
        return f"Name the {title} set in `{sanitize_text(split.column, limit=40)}` for some examples of the class."
    if split.order is not None:
        order = sanitize_text(split.order, limit=40)
        return f"Use larger sets. If the examples are not a series, replace `order: {order}` by `stratify: true`."
    if split.stratify:
        return "A class needs an example for each set; add examples, or use fewer sets."
    return "Keep the class proportions in every split: `split: {stratify: true}`."


def _absent_from_data_finding(absent: list[int], target: str | None, splits: Splits, classes: int) -> Finding:
    used = classes - len(absent)
    hint = (
        f"Set `target_type: labels`, which maps the labels to 0 to {used - 1}, and use {used} units in the last layer, "
        "unless there are such examples later."
    )
    if absent == list(range(used, classes)):
        hint = f"Use {used} units in the last layer, unless there are such examples later."
    return Finding(
        code="absent-class",
        message=f"The data has no examples of {_describe_absent(absent, target, splits)}.",
        path=("data", "target") if target is None else ("data", "target", target),
        hint=hint,
        severity="warning",
    )


def _describe_absent(absent: list[int], target: str | None, splits: Splits) -> str:
    of_target = f" of `{sanitize_text(target, limit=40)}`" if target is not None else ""
    return f"{_describe_classes(absent, splits.train.empty_batch.class_names_of(target))}{of_target}"


def _describe_classes(labels: list[int], names: tuple[str, ...] | None) -> str:
    listed = list_names_briefly(
        [names[label] if names and label < len(names) else str(label) for label in labels]
    )
    return f"class{'es' * (len(labels) > 1)} {listed}"


def list_names_briefly(names: list[str]) -> str:
    """Return the first names in backticks, and the number of the others."""
    listed = ", ".join(f"`{sanitize_text(name, limit=40)}`" for name in names[:_MAX_LISTED])
    return listed + (f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else "")


def _check_finite(
    values: ArrayStatistics,
    title: str,
    path: KeyPath,
    locate: Callable[[str, int], str],
    *,
    required: set[int],
    missing_hint: str = _REMOVE_HINT,
    infinite_hint: str = _REMOVE_HINT,
) -> Iterator[Finding]:
    """Report the first non-finite number of each column, and the number of such values."""
    find = partial(_list_non_finite, values, title, path, locate)
    missing = {column: index for column, index in values.first_missing.items() if column in required}
    yield from find("missing", missing, values.missing_counts, missing_hint)
    yield from find("infinite", values.first_infinite, values.infinite_counts, infinite_hint)


def _list_non_finite(
    values: ArrayStatistics,
    title: str,
    path: KeyPath,
    locate: Callable[[str, int], str],
    kind: str,
    first: Mapping[int, ValueIndex],
    counts: Array,
    hint: str,
) -> Iterator[Finding]:
    for index in sorted(first)[:_MAX_LISTED]:
        count = int(counts[index])
        column = _describe_column(values, index, title, first[index][1:])
        place = locate(values.columns[index] if values.columns else "", first[index][0])
        affected = f" ({count:,} {kind} values in total)" if count > 1 else ""
        yield Finding(
            code="not-finite",
            message=f"{column} is {kind} in {place}{affected}.",
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
