"""Summaries of examples: ranges, missing values and class balance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from layercli.data.examples import Splits
from layercli.data.statistics import ArrayStatistics, Statistics, count_labels
from layercli.data.types import Array

_MAX_CLASS_LABEL = 100_000
_VOID = 255
"""The value that pixels without a class usually have."""


@dataclass(frozen=True, slots=True)
class FeatureSummary:
    """Summary of a column, or of a whole array without column names."""

    input: str | None
    name: str | None
    shape: tuple[int, ...]
    dtype: str
    missing: int
    different: int | None
    """Number of distinct values of a column."""
    low: float | None
    mean: float | None
    high: float | None
    samples: tuple[Any, ...]
    """Values of the first examples."""


ClassBalance: TypeAlias = list[tuple[str, tuple[int, int, int]]]
"""Class name and its number of training, validation and test examples."""


def summarize_features(statistics: Statistics) -> list[FeatureSummary]:
    """Return a summary for each column, and for each input without columns."""
    return [
        feature for name, values in statistics.inputs.items() for feature in _summarize_columns(name, values)
    ]


def summarize_targets(statistics: Statistics) -> list[FeatureSummary]:
    """Return a summary for each target, or for each column of a target with several."""
    summaries: list[FeatureSummary] = []
    for name, values in statistics.targets.items():
        if values.columns:
            summaries += _summarize_columns(name, values)
        else:
            summary = _summarize_column(None, values, 0, values.finite_counts)
            summaries.append(replace(summary, name=name or "target"))
    return summaries


def _summarize_columns(name: str | None, values: ArrayStatistics) -> Iterator[FeatureSummary]:
    finite_counts = values.finite_counts  # once: for each column it would take quadratic time
    if not values.columns:
        yield _summarize_column(name, values, None, finite_counts)
    for index, column in enumerate(values.columns):
        yield replace(_summarize_column(name, values, index, finite_counts), name=column)


def _summarize_column(
    name: str | None, values: ArrayStatistics, column: int | None, finite_counts: Array
) -> FeatureSummary:
    """Summarize one column, or all columns together if ``column`` is None."""
    chosen = slice(None) if column is None or len(values.missing_counts) == 1 else slice(column, column + 1)
    finite_count = int(finite_counts[chosen].sum())
    has_range = values.dtype != "text" and finite_count > 0
    return FeatureSummary(
        name,
        None,
        values.shape,
        values.dtype,
        int(values.missing_counts[chosen].sum() + values.infinite_counts[chosen].sum()),
        len(values.distinct_values[column or 0]) if (column or 0) in values.distinct_values else None,
        float(values.minima[chosen].min()) if has_range else None,
        float(values.totals[chosen].sum() / finite_count) if has_range else None,
        float(values.maxima[chosen].max()) if has_range else None,
        tuple(values.sample_values[column or 0]) if values.sample_values else (),
    )


def compute_class_balances(splits: Splits) -> dict[str | None, ClassBalance]:
    """Return the class balance of each target that is labels."""
    balances: dict[str | None, ClassBalance] = {}
    labels_by_split = [count_labels(subset, splits.target_meanings) for subset in splits.subsets]
    for target in labels_by_split[0]:
        split_counts = [labels[target].counts for labels in labels_by_split]
        seen = {label for counts in split_counts for label in counts}
        if max(seen, default=0) > _MAX_CLASS_LABEL:
            continue
        batch = splits.train.empty_batch
        names = batch.class_names_of(target)
        meaning = splits.target_meanings.get(target)
        if names is None and meaning is not None and meaning.kind in ("multi-label", "one-hot"):
            names = batch.target_columns.get(target)
        classes = len(names or ()) or (meaning.classes if meaning is not None else None)
        are_signs = meaning is not None and meaning.kind == "signs"
        labels = sorted(seen.union(range(classes) if classes and not are_signs else _list_labels(seen)))
        rows = [tuple(counts.get(label, 0) for counts in split_counts) for label in labels]
        titles = names if names and len(names) == len(labels) else [str(label) for label in labels]
        balances[target] = [(title, (a, b, c)) for title, (a, b, c) in zip(titles, rows, strict=True)]
    return balances


def _list_labels(seen: set[int]) -> list[int]:
    """Return the labels from 0 to the largest, and the value of pixels without a class; none with labels below 0."""
    last = max(seen, default=-1)
    if min(seen, default=0) < 0:
        return []
    if last == _VOID and _VOID // 2 not in seen:
        return [*range(max(seen - {_VOID}, default=-1) + 1), _VOID]
    return list(range(last + 1))
