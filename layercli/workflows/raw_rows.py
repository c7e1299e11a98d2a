"""Raw rows of a run's table, as texts, and the same rows as ``predict`` gives them to the model."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
}
"""Form of dates -> a text of year, month, day, hour and seconds since 1970."""
_DRAWN_TEXTS: Final = ("a word", "the", "", "of two words")

Row: TypeAlias = dict[str, str]
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
        assert self.valid.config.data is not None
        data = self.valid.resolve_data_paths(self.valid.config.data)
        if isinstance(data, Text):
            data = data.as_table() or data
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

    def read_first(self) -> list[Row]:
        """Return the first rows of the data.

        Raises:
            DataError: They cannot be read.
        """
        from layercli.data.paths import expand_paths

        data, columns = self._section, self._columns
        files = expand_paths([data.path[0]], ("data", "path"))[:1]
        rows: list[Row] = []
        for piece in iterate_new_rows(data, files, self.plan, columns):
            values = [map(_to_row_text, piece.columns[column].tolist()) for column in columns]
            rows += [dict(zip(columns, texts, strict=True)) for texts in zip(*values, strict=True)]
            if len(rows) >= _RAW_ROWS:
                break
        return rows[:_RAW_ROWS]

    def draw(self) -> list[Row]:
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
        self, name: str, rows: Sequence[Row], batch_size: int | None, *, is_real: bool
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
        return ComparisonCase(name, inputs, is_real, raw_inputs, columns)

    def _is_missing(self, text: str) -> bool:
        return text.strip() in ("", *self._section.missing.words)

    def _mark_missing(self, name: str, array: Array, rows: Sequence[Row]) -> Array:
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

    def _list_arguments(self, raw_inputs: Mapping[str, Array], rows: Sequence[Row]) -> dict[str, Array]:
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
