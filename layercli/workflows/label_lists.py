"""Find a target whose values list several labels, such as ``cat;dog``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from layercli.data.tables.label_lists import LABEL_SEPARATORS
from layercli.formats.preview import ColumnPreview, TablePreview

_MIN_REPEATED_PARTS: Final = 0.9
"""Share of the parts of values that must be in other values, for the parts to be labels."""
_MAX_LABELS: Final = 100
_MIN_VALUES_PER_WORD: Final = 3
"""Least number of different values for each label, if blanks are between them: most other texts have blanks, too. It is less
by one if half of the labels are also values."""


def describe_label_list(separator: str, target: str) -> str:
    """Return what a target is whose values list labels, given the description of its labels."""
    return f'several labels in each value, with "{separator}" between them, of {target}'


class LabelList(NamedTuple):
    """The labels that the values of a target list."""

    separator: str
    labels: tuple[str, ...]


def find_label_list(table: TablePreview, column: ColumnPreview) -> LabelList | None:
    """Return the labels that the values of a column list; None if each value is one label, or the table is long."""
    if column.kind == "category":
        values = list(column.values)
    elif column.kind in ("text", "unique") and table.row_count <= len(table.survey.sample):
        texts = table.survey.sample.column(column.name).to_pylist()
        values = [*dict.fromkeys(text for text in texts if text is not None)]
    else:
        return None
    return next(
        (found for separator in LABEL_SEPARATORS if (found := _split_values(values, separator))), None
    )


def _split_values(values: Sequence[str], separator: str) -> LabelList | None:
    """Return the parts of values if most are in several values, and not each always at the same place."""
    lists = [[part for each in value.split(separator) if (part := each.strip())] for value in values]
    several = [parts for parts in lists if len(parts) > 1]
    counts = Counter(part for parts in lists for part in {*parts})
    parts = [part for parts in several for part in parts]
    is_repeated = sum(counts[part] > 1 for part in parts) >= _MIN_REPEATED_PARTS * len(parts)
    single_count = sum(len(parts) == 1 for parts in lists)
    least = _MIN_VALUES_PER_WORD - (2 * single_count >= len(counts))
    is_text = separator == " " and len(lists) < least * len(counts)
    if is_text or len(several) < 2 or not is_repeated or len(counts) > _MAX_LABELS or _are_attributes(lists):
        return None
    return LabelList(separator, tuple(sorted(counts)))


def _are_attributes(lists: Sequence[Sequence[str]]) -> bool:
    """Return whether all lists have the same length, and no part is at two places, such as a color and then a size."""
    if len({len(parts) for parts in lists}) > 1:
        return False
    places = [{*parts} for parts in zip(*lists, strict=True)]
    return sum(map(len, places)) == len(set().union(*places))
