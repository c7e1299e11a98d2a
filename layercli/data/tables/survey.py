"""What the columns of a table contain: found in one pass over all rows, for a new config."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from layercli.data.leaks import MAX_LEAK_ROWS, find_leaks
from layercli.data.tables.arrow import list_values
from layercli.data.tables.column_facts import ColumnFacts
from layercli.data.tables.dates import DateContent, is_date_type
from layercli.data.tables.number_texts import (
    NumberFormat,
    TextContent,
    cast_plain_numbers,
    convert_numbers,
)
from layercli.data.types import Array
from layercli.source.nodes import sanitize_text

MAX_VALUES: Final = 1000
"""Distinct values that are counted."""
_MAX_FRACTIONS: Final = 100
"""Distinct values of a batch of plain numbers with fractions; with more, they are quantities, which nobody counts."""
MAX_MISSING_ROWS: Final = 4
"""Rows without a value that are remembered for each column."""
_MAX_COUNTED: Final = 100_000
_MIN_REPEATS: Final = 10
"""Rows for each value of a column that has more than ``MAX_VALUES`` values, so that something is learned about each."""
_SENTENCE_SHARE: Final = 5
"""Free text has several blanks in at least one of this number of values; names of places and people have fewer."""
_FIRST_DATES: Final = 100
"""Values that must be dates for the others to be read as dates."""
_TEXT_ORDERS: Final = ("ymd", "dmy", "mdy", "time")
_MIN_UNIQUE_ROWS: Final = 20
_ID_NAME: Final = re.compile(
    r"(?:.*[_ .-])?(?:id|uuid|guid|index|idx|key|row|rownum|nr|no)|.*Id|.*ID|Unnamed: 0", re.ASCII
)
_PHONE_NAME: Final = re.compile(
    r"(?:.*[_ .-])?(?:tele)?(?:phone|mobile|fax|msisdn)(?:[_ .-]?(?:number|no|nr|num))?s?", re.IGNORECASE
)
_MIN_PHONE_NUMBER: Final = 100_000
_TIME_NAME: Final = re.compile(r"time|date|epoch|stamp|when|(?:^|_)(?:ts|at)$", re.IGNORECASE)
_EXCEL_NAME: Final = re.compile(
    r"(?<!up)(?<!candi)date(?:time)?s?(?![a-z])|(?<![a-z])(?:when|created|ordered|modified|birthday|dob)(?![a-z])",
    re.IGNORECASE,
)
"""Names of dates, whose numbers can be those of Excel."""
_CALENDAR_NAME: Final = re.compile(
    r"(?:.*[_ .-])?(?:year|quarter|month|week|day|hour|minute|second|mon|hr|min|sec)s?", re.IGNORECASE
)
"""Names of columns whose numbers are not codes, although they may have leading zeros."""
_FIRST_EXCEL_DAY, _MIN_LAST_EXCEL_DAY, _LAST_EXCEL_DAY = 10_000, 30_000, 60_000
"""1927, 1982 and 2064; days since 1970 are smaller."""
_FIRST_SECOND: Final = 315_532_800
"""1980; smaller numbers are not taken for times."""
_LAST_SECOND: Final = 4_102_444_800
"""2100."""
_FORMAT_ROWS: Final = 2000
"""Rows from which the format of numbers is inferred."""
_FORMAT_COLUMNS: Final = 50
_DENSITY: Final = 2
"""A column of different integers is an id if their range is at most this factor times their number."""
_MAX_EXACT: Final = 2.0**53
_MAX_STRAYS: Final = 30
"""Distinct values of a column of numbers that may mean a missing value."""
_MIN_GAP_NUMBERS: Final = 5
_GAP_SHARE: Final = 20
"""A column with gaps such as - has at least one number in this number of values."""
_CODE_SHARE: Final = 100
"""A column of codes has a leading zero in at least one of this number of numbers."""
_CALL_SHARE: Final = 2
"""A column of telephone numbers has a plus sign in at least one of this number of values."""
_MAX_BAD_DATES_SHARE: Final = 5
"""A column of dates has another value in at most one of this number of rows."""
_FIRST_COMPACT, _LAST_COMPACT = 19_000_101, 21_001_231
"""Dates as integers, such as 20210304."""
_WITH_UNIT: Final = re.compile(
    r"[-+]?\d[\d.,' ]*\s*([^\W\d_]{1,6}|°\s*[CFKNSEWO]?|[kc]?m[²³2-3]|[kmMµ]?\w?/\w{1,4})\.?"
)
_NOTATIONS: Final = {
    "hexadecimal numbers": re.compile(r"[-+]?0[xX][0-9a-fA-F]+"),
    "numbers with the exponent D in place of E": re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[dD][-+]?\d{1,3}"),
}
"""What texts are that look like numbers, but are not read as numbers."""
_TOTAL: Final = re.compile(
    r"(?:(?:grand |sub)?totals?|sum|summe|gesamt(?:summe)?|saldo|balance|somme|suma|count|average|mean|合計)[\W\d]*",
    re.IGNORECASE,
)
"""The first text of a row of totals: names such as Count Basie are none."""
_LAST_ROWS: Final = 10
"""Rows at the end that can be totals and notes."""
_MIN_NOTE_COLUMNS: Final = 3
_SENTINEL: Final = re.compile(r"-?9{2,}")
_SENTINEL_DISTANCE: Final = 3
"""A number that means a missing value is this factor farther from the others than these are from each other."""
_REPEATED_NAME: Final = re.compile(r"\.\d+$")
"""The end of the name of a column whose name in the file occurs several times."""
_UNIT_SHARE: Final = 0.9
_MAX_UNITS: Final = 6


@dataclass(frozen=True, slots=True)
class FooterRow:
    """One of the last rows that is not an example: a total of the others, or a note such as a source."""

    row: int
    """Its number, from 0."""
    column: str
    """Its first column with a value."""
    text: str
    """The value."""
    is_total: bool


@dataclass(frozen=True, slots=True)
class TableSurvey:
    """The contents of the columns of a table."""

    columns: list[ColumnFacts]
    row_count: int
    sample: Any
    """The first rows as an Arrow table of trimmed texts, or of the types of a Parquet file."""
    number_format: NumberFormat
    footers: tuple[FooterRow, ...] = ()
    """The last rows that are not examples, in their order."""
    header_row: int | None = None
    """The first row, from 0, that repeats the names of the columns."""
    plain_numbers: Mapping[str, Array] = field(default_factory=dict)
    """The columns in which all texts are plain numbers -> the numbers of the sample: float64 of shape (rows,)."""

    def find_leaks(self, target: str) -> dict[str, str]:
        """Return the columns that probably contain the target, each with the reason."""
        arrays = {facts.name: self._read_array(facts) for facts in self.columns if facts.id_reason is None}
        if target not in arrays:
            return {}
        return find_leaks(arrays, arrays.pop(target)) if len(arrays) > 1 else {}

    def find_sentinel(self, facts: ColumnFacts) -> tuple[str, int] | None:
        """Return a number such as -9999, far from the others or the only negative one, and its rows; None without one."""
        numbers = self._read_array(facts)
        numbers = numbers[np.isfinite(numbers)]
        for value in {numbers.min(), numbers.max()} if len(numbers) else ():
            others = numbers[numbers != value]
            text, count = _format_number(float(value)), len(numbers) - len(others)
            if _SENTINEL.fullmatch(text) and count > 1 and len(others):
                distance = float(np.abs(others - value).min())
                is_far = distance > _SENTINEL_DISTANCE * max(float(np.ptp(others)), 1.0)
                if is_far or value < 0 <= others.min():
                    return text, count
        return None

    def _read_array(self, facts: ColumnFacts) -> Array:
        import pyarrow as pa

        if facts.kind in ("number", "integer") and facts.name in self.plain_numbers:
            return self.plain_numbers[facts.name]
        column = self.sample.column(facts.name)
        if facts.kind in ("number", "integer"):
            if pa.types.is_string(column.type):
                column = convert_numbers(column, self.number_format)
            return _to_float_array(column)
        return np.asarray(column.cast(pa.string()).fill_null("").to_numpy(zero_copy_only=False), dtype=object)


class _ColumnSurvey:
    """The counts of one column."""

    def __init__(self, name: str, number_format: NumberFormat) -> None:
        self.name = name
        self.texts = TextContent(number_format, max_strays=_MAX_STRAYS)
        self.dates: DateContent | None = None
        self.compact_dates: DateContent | None = DateContent.of_order("ymd")
        """The dates of integers such as 20210304; None if they are none."""
        self.missing = 0
        self.missing_words: Counter[str] = Counter()
        self.first_missing: list[int] = []
        """The first rows without a value, from 0."""
        self.counts: Counter[str] | None = Counter()
        """The number of rows of each value; None if there are too many."""
        self.first_texts: tuple[str, ...] = ()
        """The first value."""
        self.distinct: set[str] | None = set()
        """The distinct values if ``counts`` is None; None if there are too many."""
        self.plain_numbers: list[Array] | None = []
        """The numbers of the first rows, float64; None if a text is not a plain number."""
        self.sentences = 0
        """Number of values with several blanks."""
        self.lowest: float = np.inf
        self.highest: float = -np.inf
        self.is_ascending = True
        self.last: float = -np.inf
        self.has_dates = False
        self.has_first_dates = False
        """Whether the first texts are dates."""

    def add(self, column: Any, rows: Array) -> None:
        import pyarrow as pa
        from pyarrow import compute as pc

        self.missing += column.null_count
        if column.null_count and len(self.first_missing) < MAX_MISSING_ROWS:
            mask = column.is_null().to_numpy(zero_copy_only=False)
            self.first_missing += rows[mask][: MAX_MISSING_ROWS - len(self.first_missing)].tolist()
        self.has_dates = self.has_dates or is_date_type(column.type)
        if not pa.types.is_string(column.type):
            column = column.cast(pa.string())
        known = column.drop_null() if column.null_count else column
        if not len(known):
            self._keep_numbers(pa.nulls(len(column), pa.float64()), rows)
            return
        self.first_texts = self.first_texts or (known[0].as_py(),)
        numbers = self.texts.add(column, rows)
        self._keep_numbers(numbers, rows)
        if self.texts.numbers * 2 <= self.texts.values:
            self._add_dates(column, known, rows)
            self.sentences += pc.sum(pc.greater(pc.count_substring(known, " "), 2)).as_py()
        if self.texts.numbers * _GAP_SHARE > self.texts.values:
            self._add_range(convert_numbers(known, self.texts.number_format) if numbers is None else numbers)
            self._add_compact_dates(column, rows)
        are_fractions = self.texts.numbers == self.texts.values and not self.texts.is_integral
        if self.counts is None and are_fractions:
            self.distinct = None
            return
        counted = pc.value_counts(known)
        if are_fractions and len(counted) > _MAX_FRACTIONS:
            self.counts = self.distinct = None
            return
        values = list_values(counted.field("values"))
        if self.counts is not None:
            self.counts.update(dict(zip(values, counted.field("counts").to_pylist(), strict=True)))
            if len(self.counts) > MAX_VALUES:
                self.distinct, self.counts = set(self.counts), None
        elif self.distinct is not None:
            self.distinct.update(values)
        if self.distinct is not None and len(self.distinct) > _MAX_COUNTED:
            self.distinct = None

    def _keep_numbers(self, numbers: Any, rows: Array) -> None:
        """Keep the numbers of the first rows, or none if ``numbers`` is None: a text is not a plain number."""
        if numbers is None:
            self.plain_numbers = None
        elif self.plain_numbers is not None and rows[0] < MAX_LEAK_ROWS:
            found = _to_float_array(numbers[: MAX_LEAK_ROWS - int(rows[0])])
            self.plain_numbers.append(found)

    def _add_dates(self, column: Any, known: Any, rows: Array) -> None:
        if self.dates is None:
            probe = DateContent()
            probe.add(known[:_FIRST_DATES], np.arange(min(_FIRST_DATES, len(known))))
            self.dates = DateContent()
            self.has_first_dates = probe.order is not None
        if self.has_first_dates:
            self.dates.add(column, rows)

    def _add_compact_dates(self, column: Any, rows: Array) -> None:
        if self.compact_dates is None:
            return
        is_possible = (
            self.texts.is_integral and self.lowest >= _FIRST_COMPACT and self.highest <= _LAST_COMPACT
        )
        if is_possible:
            self.compact_dates.add(column, rows)
        if not is_possible or self.compact_dates.bad_count:
            self.compact_dates = None

    def _add_range(self, found: Any) -> None:
        numbers = _to_float_array(found)
        numbers = numbers[np.isfinite(numbers)]
        if not len(numbers):
            return
        self.lowest, self.highest = min(self.lowest, numbers.min()), max(self.highest, numbers.max())
        self.is_ascending = self.is_ascending and bool((np.diff(numbers, prepend=self.last) > 0).all())
        self.last = numbers[-1]

    def is_single(self, text: str) -> bool:
        """Return whether only one row has a text, as far as texts were counted."""
        return self.counts is None or self.counts[text] == 1

    def remove(self, text: str) -> None:
        """Remove a text from the values of the column."""
        if self.counts is not None:
            del self.counts[text]
        elif self.distinct is not None:
            self.distinct.discard(text)

    def finish(self, position: int) -> ColumnFacts:
        """Return what the column, counted from 0, contains."""
        return replace(
            self._finish_column(position),
            missing_words=self.missing_words,
            first_missing=tuple(self.first_missing),
        )

    def _finish_column(self, position: int) -> ColumnFacts:
        texts, known = self.texts, self.texts.values
        distinct = self._count_distinct()
        is_unique = known > _MIN_UNIQUE_ROWS and (distinct is None or distinct == known)
        facts = ColumnFacts(self.name, "category", self._list_texts(), self.missing, distinct)
        note = None
        if texts.are_numbers or texts.are_mostly_numbers or self._are_numbers_with_gaps():
            defect = self._describe_signs()
            if defect is not None:
                return replace(facts, kind="unique", values=facts.values[:1], defect=defect)
            if not texts.has_more_strays and not self._are_codes():
                return self._number_facts(position, is_unique=is_unique and not texts.stray_count)
            note = self._describe_mixture()
        if self.has_dates:
            return replace(facts, kind="date", values=facts.values[:1])
        if self.dates is not None and self.dates.order in _TEXT_ORDERS:
            return self._date_facts(facts, self.dates)
        if self.sentences * _SENTENCE_SHARE > known and (distinct is None or distinct > known // 2):
            return replace(facts, kind="text", values=facts.values[:1])
        quantity = self._describe_quantity(self._list_distinct())
        facts = replace(
            facts,
            note=note or self._describe_spellings()
            if quantity is None
            else f"is read as text: it has {quantity}",
            is_code=self._are_codes(),
            is_quantity=quantity is not None,
        )
        if distinct is not None and MAX_VALUES < distinct <= known // _MIN_REPEATS:
            return replace(facts, values=tuple(sorted(self.distinct or ())))
        if distinct is None or distinct > MAX_VALUES or is_unique:
            if quantity is not None:
                return replace(facts, kind="unique", note=None, defect=f"it has {quantity}")
            return replace(
                facts, kind="unique", id_reason="a different text in every row" if is_unique else None
            )
        # A single word and missing values has a meaning only as a text.
        return replace(facts, is_boolean=texts.are_booleans and (len(facts.values) > 1 or not self.missing))

    def _are_numbers_with_gaps(self) -> bool:
        """Return whether the column has numbers, and signs such as - for all other values."""
        texts = self.texts
        return (
            not texts.has_more_strays
            and texts.numbers >= max(_MIN_GAP_NUMBERS, texts.values / _GAP_SHARE)
            and not any(char.isalnum() for stray in texts.strays for char in stray)
        )

    def _are_codes(self) -> bool:
        """Return whether the column has integers such as 01234 or +4930123456, whose zeros and signs mean something."""
        texts = self.texts
        has_zeros = texts.leading_zeros * _CODE_SHARE > texts.numbers
        are_calls = 0 < texts.numbers <= _CALL_SHARE * texts.call_numbers
        return (has_zeros and _CALENDAR_NAME.fullmatch(self.name) is None) or are_calls

    def _describe_signs(self) -> str | None:
        """Return what is wrong with numbers that have different signs."""
        texts = self.texts
        if len(texts.symbols - {""}) > 1:
            listed = ", ".join(
                f'"{texts.first_symbols[symbol][1]}"' for symbol in sorted(texts.symbols - {""})
            )
            return f"its numbers have different currency signs, such as {listed}"
        if 0 < texts.percents < texts.numbers and texts.first_percent is not None:
            count = f"only {texts.percents:,} of its {texts.numbers:,} numbers have"
            return f'{count} a percent sign, such as "{texts.first_percent[1]}"'
        return None

    def _describe_mixture(self) -> str | None:
        texts = self.texts
        if self._are_codes():
            signs = "leading zeros" if texts.leading_zeros else "a plus sign, such as telephone numbers"
            return f"has numbers with {signs}, which are read as text"
        listed = ", ".join(f'"{sanitize_text(stray, limit=40)}"' for stray in [*texts.strays][:3])
        return (
            f"is read as text: only {texts.numbers:,} of its {texts.values:,} values are numbers; the others are "
            f"different, such as {listed}"
        )

    def _describe_spellings(self) -> str | None:
        """Return that the column has the same word with and without capitals."""
        spellings: dict[str, str] = {}
        for value in self._list_distinct():
            other = spellings.setdefault(value.casefold(), value)
            if other != value:
                shown = f'"{sanitize_text(other, limit=40)}" and "{sanitize_text(value, limit=40)}"'
                return f"has different values for {shown}, which differ only in capital letters"
        return None

    def _count_distinct(self) -> int | None:
        """Return the number of distinct values; None if there are too many."""
        values = self.distinct if self.counts is None else self.counts
        return None if values is None else len(values)

    def _list_distinct(self) -> tuple[str, ...]:
        """Return some different texts of the column."""
        return (
            self._list_texts() if self.counts is not None else tuple(list(self.distinct or ())[:MAX_VALUES])
        )

    @staticmethod
    def _describe_quantity(values: Sequence[str]) -> str | None:
        """Return that texts are numbers with units, or in a notation that is not read."""
        for title, pattern in _NOTATIONS.items():
            if values and all(map(pattern.fullmatch, values)):
                return f'{title}, such as "{sanitize_text(values[0], limit=40)}"'
        found = [match[1].strip() for value in values if (match := _WITH_UNIT.fullmatch(value)) is not None]
        units = Counter(found)
        if values and len(found) >= _UNIT_SHARE * len(values) and len(units) <= _MAX_UNITS < len(values):
            listed = ", ".join(f'"{unit}"' for unit, _ in units.most_common())
            kind = "the unit" if len(units) == 1 else "different units:"
            return f"numbers with {kind} {listed}; numbers without a unit are read as numbers"
        return None

    @staticmethod
    def _date_facts(facts: ColumnFacts, dates: DateContent) -> ColumnFacts:
        if dates.has_more_bad_values or dates.bad_count * _MAX_BAD_DATES_SHARE > dates.values:
            kind = "times of day" if dates.order == "time" else "dates of the same form"
            shown = ", ".join(f'"{sanitize_text(value, limit=40)}"' for value in [*dates.bad_values][:2])
            defect = f"{dates.bad_count:,} of its {dates.values:,} values are not {kind} as the others, such as {shown}"
            return replace(facts, kind="unique", values=facts.values[:1], defect=defect)
        return replace(
            facts,
            kind="date",
            values=facts.values[:1],
            strays=dates.bad_values,
            stray_count=dates.bad_count,
            date_order=dates.order,
            is_ambiguous_date=dates.is_ambiguous,
        )

    def _list_texts(self) -> tuple[str, ...]:
        """Return the distinct texts, the most frequent first; only the first one if there are too many."""
        if self.counts is None:
            return self.first_texts
        return tuple(value for value, _ in self.counts.most_common(MAX_VALUES))

    def _number_facts(self, position: int, *, is_unique: bool) -> ColumnFacts:
        texts = self.texts
        order = self._find_epoch_order()
        if order is not None:
            note = None
            if order == "excel":
                day = np.datetime64("1899-12-30") + np.timedelta64(int(self.lowest), "D")
                note = f"has the numbers of Excel's dates: {_format_number(self.lowest)} is {day}"
            values = self._list_texts()[:1]
            return ColumnFacts(self.name, "date", values, self.missing, date_order=order, note=note)
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
            self._count_distinct(),
            id_reason=self._find_id_reason(position, is_unique=is_unique) if texts.is_integral else None,
            strays=dict(texts.strays),
            stray_count=count,
        )

    def _find_epoch_order(self) -> str | None:
        """Return the form of numbers that are times, as their size and name say; None for other numbers."""
        if not self.texts.are_numbers or self.texts.symbols != {""} or self.texts.percents:
            return None
        is_excel = self.lowest >= _FIRST_EXCEL_DAY and _MIN_LAST_EXCEL_DAY < self.highest < _LAST_EXCEL_DAY
        if is_excel and _EXCEL_NAME.search(self.name):
            return "excel"
        if not self.texts.is_integral:
            return None
        if (
            self.compact_dates is not None
            and self.compact_dates.values == self.texts.values >= _MIN_GAP_NUMBERS
        ):
            return "ymd"
        if not _TIME_NAME.search(self.name):
            return None
        for order, second in (("seconds", 1), ("milliseconds", 1000)):
            if _FIRST_SECOND * second <= self.lowest and self.highest <= _LAST_SECOND * second:
                return order
        return None

    def _find_id_reason(self, position: int, *, is_unique: bool) -> str | None:
        """Return why integers are an id: they are telephone numbers, or different in every row."""
        if _PHONE_NAME.fullmatch(self.name) and self.lowest >= _MIN_PHONE_NUMBER:
            return "a telephone number"
        if not is_unique:
            return None
        count, spread = self.texts.values, self.highest - self.lowest + 1
        if self.missing:
            return None
        if self.is_ascending and spread == count:
            return "it numbers the rows"
        if self.is_ascending and (
            position == 0 or spread <= _DENSITY * count or _ID_NAME.fullmatch(self.name)
        ):
            return "an id in the order of the rows"
        if spread <= _DENSITY * count or _ID_NAME.fullmatch(self.name) or self.highest > _MAX_EXACT:
            return "an id, different in every row"
        return None


def _to_float_array(numbers: Any) -> Array:
    """Return Arrow numbers as float64 with NaN for null, of shape (rows,)."""
    import pyarrow as pa

    return np.asarray(numbers.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))


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


def survey_table(
    batches: Iterable[Any], number_format: NumberFormat, missing_words: Sequence[str] = ()
) -> TableSurvey:
    """Return what the columns of Arrow tables, which are the rows of one table some at a time, contain.

    ``missing_words`` are texts that mean a missing value; they are still in the tables.
    """
    import pyarrow as pa

    surveys: dict[str, _ColumnSurvey] = {}
    sample, last, rows, header_row = [], {}, 0, None
    for batch in batches:
        if not len(batch):
            continue
        repeated = None if header_row is not None else _find_repeated_header(batch)
        header_row = header_row if repeated is None else rows + repeated
        table, words = _remove_missing_words(batch, missing_words)
        numbers = np.arange(rows, rows + len(table))
        for name in table.column_names:
            survey = surveys.setdefault(name, _ColumnSurvey(name, number_format))
            survey.missing_words.update(words.get(name, {}))
            survey.add(table.column(name).combine_chunks(), numbers)
        if rows < MAX_LEAK_ROWS:
            sample.append(table[: MAX_LEAK_ROWS - rows])
        end = table[-_LAST_ROWS:]
        values = {name: list_values(end.column(name)) for name in end.column_names}
        for index in range(len(end)):
            texts = {name: str(column[index]) for name, column in values.items() if column[index] is not None}
            last[rows + len(table) - len(end) + index] = texts
        rows += len(table)
    footers = tuple(_find_footers(surveys, sorted(last.items())[-_LAST_ROWS:]))
    for footer in footers:
        surveys[footer.column].remove(footer.text)
    columns = [survey.finish(position) for position, survey in enumerate(surveys.values())]
    found = pa.concat_tables(sample) if sample else pa.table({})
    plain = {
        survey.name: np.concatenate(survey.plain_numbers)
        for survey in surveys.values()
        if survey.plain_numbers
    }
    return TableSurvey(columns, rows, found, number_format, footers, header_row, plain)


def _find_footers(
    surveys: Mapping[str, _ColumnSurvey], last: Sequence[tuple[int, Mapping[str, str]]]
) -> list[FooterRow]:
    """Return the last rows that have a total, or only a text that no other row has."""
    footers: list[FooterRow] = []
    for row, texts in reversed(last):
        column, text = next(iter(texts.items()), (None, ""))
        if column is None:
            continue  # an empty row
        is_complete = len(texts) == len(surveys)
        is_total = _TOTAL.fullmatch(text) is not None and (not is_complete or "total" in text.lower())
        is_note = len(texts) == 1 and len(surveys) >= _MIN_NOTE_COLUMNS and _to_float(text) is None
        # A text that other rows or columns also have is a value like the others.
        is_single = surveys[column].is_single(text) and not any(
            survey.counts is not None and text in survey.counts
            for name, survey in surveys.items()
            if name != column
        )
        if not (is_total or is_note) or not is_single:
            break
        footers.append(FooterRow(row, column, text, is_total))
    return footers[::-1]


def _find_repeated_header(table: Any) -> int | None:
    """Return the first row of texts that has the names of all columns that have one; None if there is none."""
    import pyarrow as pa
    from pyarrow import compute as pc

    is_header = None
    for position, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True), 1):
        if name == f"column_{position}":
            continue  # the file has no name for it
        names = pa.array([name, _REPEATED_NAME.sub("", name)], pa.string())
        is_name = pc.is_in(column, names) if pa.types.is_string(column.type) else None
        is_header = is_name if is_header is None or is_name is None else pc.and_(is_header, is_name)
        if is_header is None or not pc.any(is_header).as_py():
            return None
    return None if is_header is None else int(pc.index(is_header, True).as_py())


def _remove_missing_words(table: Any, words: Sequence[str]) -> tuple[Any, dict[str, dict[str, int]]]:
    """Return the table with missing values instead of words, and the number of rows of each word by column."""
    import pyarrow as pa
    from pyarrow import compute as pc

    found, columns, word_array = {}, [], pa.array(words, pa.string())
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_string(column.type) and pc.any(is_word := pc.is_in(column, word_array)).as_py():
            counted = pc.value_counts(column.filter(is_word))
            found[name] = {item["values"]: item["counts"] for item in counted.to_pylist()}
            column = pc.if_else(is_word, pa.scalar(None, pa.string()), column)
        columns.append(column)
    return pa.Table.from_arrays(columns, names=table.column_names), found


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
    is_default = survey.number_format == NumberFormat()
    columns = _select_format_columns(survey.sample[:_FORMAT_ROWS], survey.plain_numbers if is_default else ())
    counts = {keys: _count_numbers(columns, number_format) for keys, number_format in formats.items()}
    # If several fit equally, the first.
    return dict(max(counts.items(), key=lambda item: item[1])[0])


def _select_format_columns(rows: Any, plain_names: Collection[str]) -> list[Any]:
    """Return columns that show the format of numbers: some that are not plain numbers; without one, the format is plain.

    ``plain_names`` are columns of plain numbers.
    """
    from pyarrow import compute as pc

    plain: list[Any] = []
    others: list[Any] = []
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        if len(others) >= _FORMAT_COLUMNS:
            break
        if name not in plain_names and cast_plain_numbers(column, NumberFormat()) is None:
            if pc.any(pc.match_substring_regex(column, r"\d")).as_py():
                others.append(column)
        elif len(plain) < _FORMAT_COLUMNS:
            plain.append(column)
    return [*plain, *others] if others else []


def _count_numbers(columns: Sequence[Any], number_format: NumberFormat) -> int:
    """Return the number of values that are numbers, in columns of which most are."""
    count = 0
    for column in columns:
        content = TextContent(number_format)
        content.add(column, np.arange(len(column)))
        count += content.numbers if content.are_numbers or content.are_mostly_numbers else 0
    return count
