"""Statistics of the examples, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from layercli.layers.shapes import format_shape
from layercli.reports.console import make_table
from layercli.reports.formatting import format_numbers
from layercli.reports.target_summary import ClassNames, Meanings, describe_targets, targets_json
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console

    from layercli.data.summary import FeatureSummary

ClassCounts = Mapping[str | None, Sequence[tuple[str, tuple[int, int, int]]]]
"""For each target, or None if there is only one: each class with its counts in training, validation and test sets."""
_MAX_ROWS = 60
_MIN_SHARED_DIGITS = 1e4
"""A column with a larger number is shown without decimals, or with an exponent."""
_MIN_WIDE_WIDTH = 110
"""Minimum terminal width for showing sample values in the main table."""


def data_json(
    features: Sequence[FeatureSummary],
    targets: Sequence[FeatureSummary],
    counts: tuple[int, int, int],
    class_counts: ClassCounts,
    meanings: Meanings,
    class_names_of: ClassNames,
) -> dict[str, Any]:
    """Return the document of ``inspect-data --json``, without ``ok`` and ``problems``."""
    described = targets_json(meanings, class_names_of)
    return {
        "examples": dict(zip(("train", "validation", "test"), counts, strict=True)),
        "features": [asdict(feature) for feature in features],
        "targets": [asdict(target) | _describe_summary(target, described) for target in targets],
        "classes": [
            {
                "target": target or "target",
                "name": name,
                **dict(zip(("train", "validation", "test"), row, strict=True)),
            }
            for target, balance in class_counts.items()
            for name, row in balance
        ],
    }


def _describe_summary(target: FeatureSummary, described: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the meaning of a target, or of the target that has a column."""
    name = target.input or (target.name if target.name in described else "target")
    return described.get(str(name), {})


def print_data_summary(
    console: Console,
    features: Sequence[FeatureSummary],
    targets: Sequence[FeatureSummary],
    counts: tuple[int, int, int],
    class_counts: ClassCounts,
    meanings: Meanings,
    class_names_of: ClassNames,
) -> None:
    """Print a row for each column or array, then the classes in each set."""
    table = make_table("column", "type", numbers=("different", "missing", "low", "mean", "high"))
    is_wide = console.width >= _MIN_WIDE_WIDTH
    if is_wide:
        table.add_column("first values", overflow="fold")
    samples = make_table("column", "first values")
    above: str | None = None
    for feature in [*features[:_MAX_ROWS], *targets]:
        if feature.input not in (None, above, feature.name) and feature.name is not None:
            table.add_row(f"{sanitize_text(str(feature.input))}:")
        above = feature.input
        indent = "  " if feature.name is not None and feature.input not in (None, feature.name) else ""
        title = sanitize_text(feature.name or feature.input or "input")
        values = sanitize_text(", ".join(_format_samples(feature.samples)), limit=60)
        if values and not is_wide:
            samples.add_row(title, values)
        table.add_row(
            f"{indent}{title}",
            feature.dtype
            if feature.different is not None
            else f"{feature.dtype} {format_shape(feature.shape)}",
            "" if feature.different is None else f"{feature.different:,}",
            f"{feature.missing:,}" if feature.missing else "",
            *_format_statistics((feature.low, feature.mean, feature.high)),
            *([values] if is_wide else []),
        )
    console.print(table)
    if len(features) > _MAX_ROWS:
        console.print(f"… and {len(features) - _MAX_ROWS} more columns.")
    if samples.row_count:
        console.print(samples)
    for line in describe_targets(meanings, class_names_of):
        console.print(line, markup=False, highlight=False)
    for target, balance in class_counts.items():
        of = f" of {sanitize_text(target, limit=40)}" if target is not None else ""
        classes = make_table(f"class{of}", numbers=("train", "validation", "test"))
        for name, row in balance[:_MAX_ROWS]:
            classes.add_row(sanitize_text(name, limit=60), *(f"{number:,}" for number in row))
        console.print(classes)
    train, validation, test = counts
    console.print(
        f"{sum(counts):,} examples: {train:,} to train on, {validation:,} to validate, {test:,} to test."
    )


def _format_samples(samples: Sequence[object]) -> list[str]:
    """Return the first values of a column; a dash for a missing one."""
    numbers = [sample for sample in samples if isinstance(sample, float) and sample == sample]
    shown = iter(_format_statistics(numbers))
    return [
        "-"
        if sample in ("", None) or sample != sample
        else next(shown)
        if isinstance(sample, float)
        else str(sample)
        for sample in samples
    ]


def _format_statistics(values: Sequence[float | None]) -> list[str]:
    """Return numbers of one column with the same digits, at most four if they are small; nothing for None."""
    known = [value for value in values if value is not None]
    if max(map(abs, known), default=0.0) >= _MIN_SHARED_DIGITS:
        shown = iter(format_numbers(known))
    else:
        shown = (f"{value:.4g}" for value in known)
    return ["" if value is None else next(shown) for value in values]
