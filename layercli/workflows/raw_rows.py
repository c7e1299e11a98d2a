"""Raw rows of a run's table, as texts, and the same rows as ``predict`` gives them to the model."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from layercli.check import ValidConfig
from layercli.config.data.tables import TableConfig
from layercli.formats.csv.config import Csv
from layercli.formats.registry import iterate_new_rows
from layercli.formats.text.config import Text

if TYPE_CHECKING:
    from layercli.data.tables.plan import TablePlan
    from layercli.data.types import Array
    from layercli.engine.comparison_inputs import ComparisonCase
    from layercli.engine.export.options import ColumnInput

_MISSING_STEP: Final = 3
"""Every third value is missing."""
_RAW_ROWS: Final = 32
_DRAWN_DATES: Final = {
    "ymd": "{0}-{1:02}-{2:02} {3:02}:30",
    "dmy": "{2:02}.{1:02}.{0} {3:02}:30",
    "mdy": "{1:02}/{2:02}/{0} {3:02}:30",
    "time": "{3:02}:30",
    "seconds": "{4}",
    "milliseconds": "{4}000",
    "excel": "4{1:02}{2:02}.5",
}
"""Form of dates -> a text of year, month, day, hour and seconds since 1970."""
_TIMES: Final = ("", " %H:%M:%S", " %H:%M", "T%H:%M:%S", "T%H:%M:%SZ", "T%H:%M")
_DATE_FORMATS: Final = (
    *(
        f"{day}{time}"
        for day in ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d.%m.%Y")
        for time in _TIMES
    ),
    *("%Y-%m", "%H:%M", "%H:%M:%S"),
)
"""Formats of dates whose order of day and month is certain."""
_ORDERED_FORMATS: Final = {
    "dmy": ("%d/%m/%Y", "%d-%m-%Y", "%d.%m.%y", "%d/%m/%y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y"),
    "mdy": ("%m/%d/%Y", "%m-%d-%Y", "%m.%d.%Y", "%m/%d/%y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y"),
}
"""Order of day and month -> formats, which may be followed by a time."""
_DRAWN_TEXTS: Final = ("a word", "the", "", "of two words")

RawRow: TypeAlias = dict[str, str]
"""Column -> text; a missing value is the empty text."""


def build_raw_cases(
    valid: ValidConfig,
    plan: TablePlan,
    column_inputs: Mapping[str, ColumnInput],
    batch_size: int | None,
    *,
    is_readable: bool,
) -> list[ComparisonCase]:
    """Return raw rows of the data, and the same ones with missing values that the run replaces.

    ``is_readable`` is whether the data can be read; otherwise the rows are random.
    """
    from layercli.engine.comparison_inputs import MISSING, RAW_ROWS

    table = _RawTable(valid, plan, column_inputs)
    rows = table.read_first() if is_readable else table.draw()
    cases = [table.make_case(RAW_ROWS, rows, batch_size, is_real=is_readable)]
    blank = table.list_replaced_columns()
    if blank:
        rows = [
            {
                column: "" if column in blank and (index + place) % _MISSING_STEP == 0 else text
                for place, (column, text) in enumerate(row.items())
            }
            for index, row in enumerate(rows)
        ]
        cases.append(table.make_case(MISSING, rows, batch_size, is_real=False))
    return [case for case in cases if case is not None]


def find_date_formats(valid: ValidConfig, plan: TablePlan) -> dict[str, str]:
    """Return the format of ``strptime`` that the first dates of each column have, including those that sort the rows.

    Dates that are not texts are "timestamp"; a column whose dates have no such format is left out.
    """
    table = _RawTable(valid, plan, {})
    data = require_table(valid)
    order_column = _find_order_column(data)
    columns = [*data.dates, *([] if order_column is None or order_column in data.dates else [order_column])]
    found = {}
    values = table.read_values(columns) if columns else {}
    for column in columns:
        kind = plan.conversions.get(column)
        if kind in ("seconds", "milliseconds", "excel") and column in data.dates:
            found[column] = kind
        elif form := _find_date_format(values[column], kind, data.missing.words):
            found[column] = form
    return found


def find_order_columns(valid: ValidConfig, plan: TablePlan, formats: Mapping[str, str]) -> frozenset[str]:
    """Return the column by which rows are sorted, if its values are numbers or dates of a known format."""
    column = _find_order_column(require_table(valid))
    if column is None:
        return frozenset()
    values = _RawTable(valid, plan, {}).read_values([column])[column]
    is_known = column in formats or all(
        isinstance(value, (int, float)) or _is_number(value) for value in values
    )
    return frozenset([column] if is_known else [])


def _find_order_column(data: TableConfig) -> str | None:
    """Return the column by which the rows of the split, or of the sequences, are sorted."""
    return data.split.order if data.windows is None else data.windows.time


def _is_number(text: Any) -> bool:
    try:
        return math.isfinite(float(text))
    except (TypeError, ValueError):
        return False


def _find_date_format(values: Sequence[Any], order: str | None, missing: Sequence[str]) -> str | None:
    known = [value for value in values if value is not None]
    if known and not isinstance(known[0], str):
        return "timestamp" if isinstance(known[0], date) else None
    texts = [text.strip() for text in known if text.strip() not in ("", *missing)]
    orders = [order] if order in _ORDERED_FORMATS else list(_ORDERED_FORMATS)
    formats = [
        *_DATE_FORMATS,
        *(f"{day}{time}" for each in orders for day in _ORDERED_FORMATS[each] for time in _TIMES),
    ]
    return next((form for form in formats if texts and all(_has_format(text, form) for text in texts)), None)


def _has_format(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def require_table(valid: ValidConfig) -> TableConfig:
    """Return the section of a run's table."""
    data = valid.config.data
    if isinstance(data, Text):
        data = data.as_table()
    assert isinstance(data, TableConfig)
    return data


@dataclass(frozen=True, slots=True)
class _RawTable:
    """The rows of a run's table, read as ``predict`` reads them."""

    valid: ValidConfig
    plan: TablePlan
    column_inputs: Mapping[str, ColumnInput]

    @property
    def _columns(self) -> list[str]:
        """The raw columns of all inputs."""
        columns = [self.plan.source_of(column) for columns in self.plan.inputs.values() for column in columns]
        return list(dict.fromkeys(columns))

    @property
    def _section(self) -> TableConfig:
        data = self.valid.resolve_data_paths(require_table(self.valid))
        assert isinstance(data, TableConfig)
        return data

    def list_replaced_columns(self) -> set[str]:
        """Return the raw columns whose missing values are replaced in every input."""
        replaced: set[str] = set()
        kept: set[str] = set()
        for name, column_input in self.column_inputs.items():
            for column in column_input.columns:
                is_replaced = column in column_input.fill_values or self.plan.is_text(self._key_of(name))
                (replaced if is_replaced else kept).add(self.plan.source_of(column))
        return replaced - kept

    def _key_of(self, name: str) -> str | None:
        """Return the name of an input in the plan."""
        return name if name in self.plan.inputs else None

    def read_first(self) -> list[RawRow]:
        """Return the first rows of the data.

        Raises:
            DataError: They cannot be read.
        """
        values = [map(_to_row_text, values) for values in self.read_values(self._columns).values()]
        return [dict(zip(self._columns, texts, strict=True)) for texts in zip(*values, strict=True)]

    def read_values(self, columns: Sequence[str]) -> dict[str, list[Any]]:
        """Return the first values of columns of the data.

        Raises:
            DataError: They cannot be read.
        """
        from layercli.data.paths import expand_paths

        data = self._section
        files = expand_paths([data.path[0]], ("data", "path"))[:1]
        found: dict[str, list[Any]] = {column: [] for column in columns}
        for piece in iterate_new_rows(data, files, self.plan, columns):
            for column, values in found.items():
                values += piece.columns[column].tolist()
            if len(next(iter(found.values()))) >= _RAW_ROWS:
                break
        return {column: values[:_RAW_ROWS] for column, values in found.items()}

    def draw(self) -> list[RawRow]:
        """Return random rows."""
        import numpy as np

        rng = np.random.default_rng(self.valid.config.seed)
        orders = {
            source.column: source.order
            for column_input in self.column_inputs.values()
            for source in column_input.dates.values()
        }

        def draw(column: str) -> str:
            number = int(rng.integers(1, 13))
            if column in orders:
                seconds = int(rng.integers(1_000_000_000, 1_700_000_000))
                return _DRAWN_DATES[orders[column]].format(2000 + number, number, 2 * number, number, seconds)
            if column in self.plan.text_columns:
                return _DRAWN_TEXTS[number % len(_DRAWN_TEXTS)]
            if self.plan.conversions.get(column) == "boolean":
                return "yes" if number % 2 else "no"
            return str(number % 2)

        return [{column: draw(column) for column in self._columns} for _ in range(_RAW_ROWS)]

    def make_case(
        self, name: str, rows: Sequence[RawRow], batch_size: int | None, *, is_real: bool
    ) -> ComparisonCase | None:
        """Return a case of the rows without an error; None if all have one."""
        import numpy as np

        from layercli.data.examples import concatenate_examples
        from layercli.engine.comparison_inputs import ComparisonCase, examples_to_inputs

        stream = io.BytesIO("".join(json.dumps(row) + "\n" for row in rows).encode())
        data = self._section
        data = data.with_arguments(encoding="utf-8") if isinstance(data, Csv) else data
        pieces = list(iterate_new_rows(data, [stream], self.plan, ()))
        examples = concatenate_examples([piece.examples for piece in pieces])
        is_usable = [error is None for piece in pieces for error in piece.errors]
        usable = [row for row, is_kept in zip(rows, is_usable, strict=True) if is_kept]
        if not usable:
            return None
        inputs = examples_to_inputs(examples, self.valid.graph)
        raw_inputs = {
            input_name: self._mark_missing(input_name, array, usable) for input_name, array in inputs.items()
        }
        columns = self._list_arguments(raw_inputs, usable)
        if batch_size is not None:
            inputs, raw_inputs, columns = (
                {key: np.resize(array, (batch_size, *array.shape[1:])) for key, array in arrays.items()}
                for arrays in (inputs, raw_inputs, columns)
            )
        return ComparisonCase(name, inputs, is_real, 0, raw_inputs, columns)

    def _is_missing(self, text: str) -> bool:
        return text.strip() in ("", *self._section.missing.words)

    def _mark_missing(self, name: str, array: Array, rows: Sequence[RawRow]) -> Array:
        """Return an input with missing values in place of their replacements."""
        import numpy as np

        if array.dtype.kind not in "fO":
            return array
        missing: Any = "" if array.dtype.kind == "O" else np.nan
        marked = array.copy()
        for index, column in enumerate(self.column_inputs[name].columns):
            source = self.plan.source_of(column)
            is_missing = np.array([self._is_missing(row[source]) for row in rows], dtype=bool)
            marked[is_missing, index] = missing
        return marked

    def _list_arguments(self, raw_inputs: Mapping[str, Array], rows: Sequence[RawRow]) -> dict[str, Array]:
        """Return the raw columns by the names of the arguments that take them."""
        import numpy as np

        from layercli.engine.export.options import list_raw_columns, make_argument_names

        dtypes = {name: tensor.dtype for name, tensor in self.valid.graph.inputs.items()}
        arrays: dict[Any, Array] = {}
        for (name, column), raw in list_raw_columns(self.column_inputs, dtypes).items():
            texts = np.array([row[raw.name] for row in rows], dtype=object)
            index = self.column_inputs[name].columns.index(column)
            arrays[raw] = raw_inputs[name][:, index] if raw.kind == "number" else texts
        names = make_argument_names([raw.name for raw in arrays])
        return dict(zip(names, arrays.values(), strict=True))


def _to_row_text(value: Any) -> str:
    """Return a value of a table as text; a missing one is empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return json.dumps(value) if isinstance(value, bool) else str(value)
