"""What the columns of a table contain: found in one pass over all rows, for a new config."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from layercli.data.leaks import MAX_LEAK_ROWS, find_leaks
from layercli.data.tables.column_facts import ColumnFacts
from layercli.data.tables.dates import DateContent, is_date_type
from layercli.data.tables.number_texts import NumberFormat, TextContent, convert_numbers
from layercli.data.types import Array

_MAX_VALUES: Final = 1000
"""Distinct values that are listed."""
_MAX_COUNTED: Final = 100_000
_SENTENCE_SHARE: Final = 5
"""Free text has one value in so many with several blanks; names of places and people have fewer."""
_FIRST_DATES: Final = 100
"""Values that must be dates for the others to be read as dates."""
_TEXT_ORDERS: Final = ("ymd", "dmy", "mdy", "time")
_MIN_UNIQUE_ROWS: Final = 20
_ID_NAME: Final = re.compile(
    r"(?:.*[_ .-])?(?:id|uuid|guid|index|idx|key|row|rownum|nr|no)|.*Id|.*ID|Unnamed: 0", re.ASCII
)
_TIME_NAME: Final = re.compile(r"time|date|epoch|stamp|when|(?:^|_)(?:ts|at)$", re.IGNORECASE)
_FIRST_SECOND: Final = 315_532_800
"""1980; smaller numbers are not taken for times."""
_LAST_SECOND: Final = 4_102_444_800
"""2100."""
_FORMAT_ROWS: Final = 2000
"""Rows from which the format of numbers is inferred."""
_DENSITY: Final = 2
"""A column of different integers is an id if their range is at most so many times their number."""


@dataclass(frozen=True, slots=True)
class TableSurvey:
    """What the columns of a table contain."""

    columns: list[ColumnFacts]
    row_count: int
    sample: Any
    """The first rows as an Arrow table of trimmed texts, or of the types of a Parquet file."""
    number_format: NumberFormat

    def find_leaks(self, target: str) -> dict[str, str]:
        """Return the columns that probably contain the target, each with the reason."""
        arrays = {facts.name: self._read_array(facts) for facts in self.columns if facts.id_reason is None}
        if target not in arrays:
            return {}
        return find_leaks(arrays, arrays.pop(target)) if len(arrays) > 1 else {}

    def _read_array(self, facts: ColumnFacts) -> Array:
        import pyarrow as pa

        column = self.sample.column(facts.name)
        if facts.kind in ("number", "integer"):
            if pa.types.is_string(column.type):
                column = convert_numbers(column, self.number_format)
            return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
        return np.asarray(column.cast(pa.string()).fill_null("").to_numpy(zero_copy_only=False), dtype=object)


class _ColumnSurvey:
    """The counts of one column."""

    def __init__(self, name: str, number_format: NumberFormat) -> None:
        self.name = name
        self.texts = TextContent(number_format)
        self.dates: DateContent | None = None
        self.missing = 0
        self.counts: Counter[str] | None = Counter()
        """The number of rows of each value; None if there are too many."""
        self.first_texts: tuple[str, ...] = ()
        """The first value."""
        self.distinct: set[str] | None = set()
        """None if there are too many."""
        self.sentences = 0
        """Number of values with several blanks."""
        self.lowest: float = np.inf
        self.highest: float = -np.inf
        self.is_ascending = True
        self.last: float = -np.inf
        self.has_dates = False

    def add(self, column: Any, rows: Array) -> None:
        import pyarrow as pa
        from pyarrow import compute as pc

        self.missing += column.null_count
        self.has_dates = self.has_dates or is_date_type(column.type)
        if not pa.types.is_string(column.type):
            column = column.cast(pa.string())
        known = column.drop_null()
        if not len(known):
            return
        self.first_texts = self.first_texts or (known[0].as_py(),)
        numbers = self.texts.add(column, rows)
        if self.texts.numbers * 2 <= self.texts.values:
            if self.dates is None:
                self.dates = DateContent()
                self.dates.add(known[:_FIRST_DATES], rows)
            if self.dates.order is not None:
                self.dates.add(column, rows)
            self.sentences += pc.sum(pc.greater(pc.count_substring(known, " "), 2)).as_py()
        else:
            self._add_range(convert_numbers(known, self.texts.number_format) if numbers is None else numbers)
        if self.counts is None and self.texts.numbers == self.texts.values and not self.texts.is_integral:
            self.distinct = None  # quantities, which nobody counts
            return
        counted = pc.value_counts(known)
        values = counted.field("values").to_pylist()
        if self.distinct is not None:
            self.distinct.update(values)
            self.distinct = self.distinct if len(self.distinct) <= _MAX_COUNTED else None
        if self.counts is not None:
            self.counts.update(dict(zip(values, counted.field("counts").to_pylist(), strict=True)))
            self.counts = self.counts if len(self.counts) <= _MAX_VALUES else None

    def _add_range(self, found: Any) -> None:
        import pyarrow as pa

        numbers = np.asarray(found.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
        numbers = numbers[np.isfinite(numbers)]
        if not len(numbers):
            return
        self.lowest, self.highest = min(self.lowest, numbers.min()), max(self.highest, numbers.max())
        self.is_ascending = self.is_ascending and bool((np.diff(numbers, prepend=self.last) > 0).all())
        self.last = numbers[-1]

    def finish(self, position: int) -> ColumnFacts:
        """Return what the column, counted from 0, contains."""
        texts, known = self.texts, self.texts.values
        distinct = None if self.distinct is None else len(self.distinct)
        is_unique = known > _MIN_UNIQUE_ROWS and (distinct is None or distinct == known)
        facts = ColumnFacts(self.name, "category", self._list_texts(), self.missing, distinct)
        if texts.are_numbers or texts.are_mostly_numbers:
            return self._number_facts(position, is_unique=is_unique and not texts.stray_count)
        if self.has_dates:
            return replace(facts, kind="date", values=facts.values[:1])
        if self.dates is not None and self.dates.order in _TEXT_ORDERS:
            return self._date_facts(facts, self.dates)
        if self.sentences * _SENTENCE_SHARE > known and (distinct is None or distinct > known // 2):
            return replace(facts, kind="text", values=facts.values[:1])
        if distinct is None or distinct > _MAX_VALUES or is_unique:
            return replace(
                facts, kind="unique", id_reason="a different text in every row" if is_unique else None
            )
        return replace(facts, is_boolean=texts.are_booleans)

    @staticmethod
    def _date_facts(facts: ColumnFacts, dates: DateContent) -> ColumnFacts:
        first_bad = dates.first_bad
        return replace(
            facts,
            kind="date",
            values=facts.values[:1],
            strays={} if first_bad is None else {first_bad[1]: first_bad[0]},
            stray_count=dates.bad_count,
            date_order=dates.order,
            is_ambiguous_date=dates.is_ambiguous,
        )

    def _list_texts(self) -> tuple[str, ...]:
        """Return the distinct texts, the most frequent first; only the first one if there are too many."""
        if self.counts is None:
            return self.first_texts
        return tuple(value for value, _ in self.counts.most_common(_MAX_VALUES))

    def _number_facts(self, position: int, *, is_unique: bool) -> ColumnFacts:
        texts = self.texts
        order = self._find_epoch_order()
        if order is not None:
            return ColumnFacts(self.name, "date", self._list_texts()[:1], self.missing, date_order=order)
        strays = dict(texts.strays)
        if 0 < texts.percents < texts.numbers and texts.first_percent is not None:
            strays[texts.first_percent[1]] = texts.first_percent[0]
        count = texts.stray_count
        values = tuple(map(_format_number, (self.lowest, self.highest)))
        if self.counts is not None:
            numbers = {number: text for text in self.counts if (number := _to_float(text)) is not None}
            values = tuple(numbers[number] for number in sorted(numbers)) or values
        return ColumnFacts(
            self.name,
            "integer" if texts.is_integral else "number",
            values,
            self.missing + count,
            None if self.distinct is None else len(self.distinct),
            id_reason=self._find_id_reason(position) if is_unique and texts.is_integral else None,
            strays=strays,
            stray_count=count,
            has_leading_zeros=texts.has_leading_zeros,
        )

    def _find_epoch_order(self) -> str | None:
        """Return the form of integers that are times, as their size and name say; None for other numbers."""
        if not (self.texts.is_integral and self.texts.are_numbers and _TIME_NAME.search(self.name)):
            return None
        for order, second in (("seconds", 1), ("milliseconds", 1000)):
            if _FIRST_SECOND * second <= self.lowest and self.highest <= _LAST_SECOND * second:
                return order
        return None

    def _find_id_reason(self, position: int) -> str | None:
        """Return why different integers in every row are an id."""
        count, spread = self.texts.values, self.highest - self.lowest + 1
        if self.missing:
            return None
        if self.is_ascending and spread == count:
            return "it numbers the rows"
        if self.is_ascending and (
            position == 0 or spread <= _DENSITY * count or _ID_NAME.fullmatch(self.name)
        ):
            return "an id in the order of the rows"
        if spread <= _DENSITY * count or _ID_NAME.fullmatch(self.name):
            return "an id, different in every row"
        return None


def _to_float(text: str) -> float | None:
    """Return a finite number; None for other texts."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _format_number(number: float) -> str:
    return (
        str(int(number))
        if np.isfinite(number) and float(number).is_integer() and abs(number) < 2**53
        else str(number)
    )


def survey_table(batches: Iterable[Any], number_format: NumberFormat) -> TableSurvey:
    """Return what the columns of Arrow tables, which are the rows of one table some at a time, contain."""
    import pyarrow as pa

    surveys: dict[str, _ColumnSurvey] = {}
    sample, rows = [], 0
    for table in batches:
        numbers = np.arange(rows, rows + len(table))
        for name in table.column_names:
            surveys.setdefault(name, _ColumnSurvey(name, number_format)).add(
                table.column(name).combine_chunks(), numbers
            )
        if rows < MAX_LEAK_ROWS:
            sample.append(table[: MAX_LEAK_ROWS - rows])
        rows += len(table)
    columns = [survey.finish(position) for position, survey in enumerate(surveys.values())]
    return TableSurvey(columns, rows, pa.concat_tables(sample) if sample else pa.table({}), number_format)


def find_number_format(survey: TableSurvey, *, prefers_comma: bool) -> dict[str, str]:
    """Return the keys of a section with which most values of the first rows are numbers; none for the defaults.

    ``prefers_comma`` says that the comma is before the fraction if it could also be between the thousands.
    """
    thousands, decimal = ("thousands", ","), ("decimal", ",")
    formats: dict[tuple[tuple[str, str], ...], NumberFormat] = {
        (): NumberFormat(),
        (thousands,): NumberFormat(".", ","),
        (decimal,): NumberFormat(","),
        (decimal, ("thousands", ".")): NumberFormat(",", "."),
        (decimal, ("thousands", " ")): NumberFormat(",", " "),
        (("thousands", " "),): NumberFormat(".", " "),
        (("thousands", "'"),): NumberFormat(".", "'"),
    }
    if prefers_comma:
        formats[thousands,] = formats.pop((thousands,))
    rows = survey.sample[:_FORMAT_ROWS]
    counts = {keys: _count_numbers(rows, number_format) for keys, number_format in formats.items()}
    # Of several that fit equally, the first.
    return dict(max(counts.items(), key=lambda item: item[1])[0])


def _count_numbers(rows: Any, number_format: NumberFormat) -> int:
    """Return the number of values that are numbers, in columns of which most are."""
    count = 0
    for name in rows.column_names:
        content = TextContent(number_format)
        content.add(rows.column(name), np.arange(len(rows)))
        count += content.numbers if content.are_numbers or content.are_mostly_numbers else 0
    return count
