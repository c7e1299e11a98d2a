"""Read the rows of tables in requests, which are examples or series."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from layercli.config.data.tables import TableConfig
from layercli.data.new_examples import split_new_examples
from layercli.data.tables.plan import TablePlan
from layercli.data.types import Array
from layercli.errors import LayercliError, Problem
from layercli.formats.csv.config import Csv
from layercli.formats.csv.records import BadRecordError, to_csv_value
from layercli.formats.registry import iterate_new_rows
from layercli.serving.example_reader import (
    ExampleReader,
    Prepared,
    Reading,
    Row,
    require_names,
    require_row_names,
    to_json_value,
)
from layercli.serving.request_errors import make_bad_request
from layercli.serving.tensors import BYTES, TensorSpec
from layercli.source.nodes import sanitize_text
from layercli.workflows.finished_run import FinishedRun
from layercli.workflows.predict import (
    DEFAULT_PREDICTION_BATCH,
    check_row_ids,
    iterate_dataset,
    report_data_errors,
)

_ISO_DATE: Final = "2024-01-31"
_EXAMPLE_DATES: Final[Mapping[str | None, str]] = {
    "dmy": "31.01.2024",
    "mdy": "01/31/2024",
    "seconds": "1706659200",
    "milliseconds": "1706659200000",
    "excel": "45322",
    "time": "12:30",
}
"""The same date in each form of a column of dates that is not that of ISO."""
_COLUMNS_HINT: Final = "Each row needs all columns; write null for a missing value."


class _ColumnReader(ExampleReader):
    """Reads rows of a table."""

    def __init__(self, finished_run: FinishedRun, data: TableConfig) -> None:
        plan = finished_run.load_reader_state().table_plan
        assert plan is not None
        self._run, self._data, self._plan = finished_run, data, plan.without_target()
        integers = {column for name in plan.integer_dtypes for column in plan.inputs[name]}
        self.inputs = tuple(self._describe_column(name, self._plan, integers) for name in self._plan.columns)

    def _describe_column(self, name: str, plan: TablePlan, integers: set[str]) -> TensorSpec:
        numbers = {column for columns in plan.inputs.values() for column in columns} - plan.text_columns
        fill = plan.fill_values.get(name)
        shown = f"{fill:.7g}" if isinstance(fill, float) else fill
        missing = "" if fill in (None, "") else f"; missing values become {shown}"
        if name in {number.column for number in plan.dates.values()}:
            dates = self._data.date_columns.get(name)
            example = _EXAMPLE_DATES.get(dates.order if dates is not None else None, _ISO_DATE)
            return TensorSpec(name, BYTES, (-1,), f"a date{missing}", example)
        if name in integers:
            return TensorSpec(name, "INT64", (-1,), f"an integer{missing}")
        if name in numbers:
            return TensorSpec(name, "FP64", (-1,), f"a number{missing}")
        return TensorSpec(name, BYTES, (-1,), f"a text{missing}")

    def prepare_tensors(self, tensors: Mapping[str, Array]) -> Prepared:
        """Return the rows of a tensor of shape (rows,) or (rows, 1) for each column; NaN is a missing value."""
        count = require_names(tensors, self.inputs)
        columns = {}
        for name, array in tensors.items():
            if array.size != count:
                title = sanitize_text(name, limit=60)
                message = f"The input `{title}` must have the shape [{count}], got {list(array.shape)}."
                raise make_bad_request(message, path="inputs")
            columns[name] = [to_json_value(value) for value in array.ravel().tolist()]
        return self.prepare_rows(
            [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        )

    def describe_row(self) -> dict[str, Any]:
        """Return the JSON Schema of a row; a missing value is null."""
        schema = super().describe_row()
        for spec in self.inputs:
            schema["properties"][spec.name]["type"] = ["number", "string", "boolean", "null"]
        return schema


class RowReader(_ColumnReader):
    """Reads rows that are examples; those of all requests at once."""

    def prepare_rows(self, rows: Sequence[Row]) -> Prepared:
        """Return the rows as JSON Lines, of the columns that are read."""
        names = self._plan.columns
        lines = [json.dumps({name: row[name] for name in names if name in row}) for row in rows]
        return Prepared(len(rows), "".join(f"{line}\n" for line in lines).encode())

    def read(self, requests: Sequence[Prepared]) -> list[Reading | LayercliError]:
        """Return the rows of each request."""
        try:
            with report_data_errors("the request"):
                content = BytesIO(b"".join(request.content for request in requests))
                pieces = list(
                    check_row_ids(self._run, iterate_new_rows(self._data, [content], self._plan, ()))
                )
        except LayercliError as error:
            if len(requests) == 1:
                return [error]
            return [self.read([request])[0] for request in requests]
        split = split_new_examples(pieces, [request.count for request in requests])
        return [Reading(replace(piece, columns={"row": np.arange(1, len(piece) + 1)})) for piece in split]


class SeriesReader(_ColumnReader):
    """Reads the rows of series, of which several consecutive ones are an example."""

    has_fixed_rows = False

    def prepare_rows(self, rows: Sequence[Row]) -> Prepared:
        """Return the values of each column as texts of CSV.

        Raises:
            RequestError: A value is missing, or is a list or an object.
        """
        records = []
        for index, row in enumerate(rows):
            require_row_names(index, row, self._plan.columns, _COLUMNS_HINT)
            try:
                records.append({name: to_csv_value(name, row[name]) for name in self._plan.columns})
            except BadRecordError as error:
                raise make_bad_request(f"In row {index + 1}, {error}.", path=f"rows[{index}]") from None
        return Prepared(len(rows), records)

    def read(self, requests: Sequence[Prepared]) -> list[Reading | LayercliError]:
        """Return the series of each request."""
        return [self._read_series(request) for request in requests]

    def _read_series(self, request: Prepared) -> Reading | LayercliError:
        warnings: list[Problem] = []
        with TemporaryDirectory(prefix="layercli-") as folder:
            try:
                file = self._write_table(Path(folder), request.content)
                pieces = list(iterate_dataset(self._run, [str(file)], (), DEFAULT_PREDICTION_BATCH, warnings))
                pieces = list(check_row_ids(self._run, iter(pieces)))
            except LayercliError as error:
                return LayercliError(_hide_folder(problem, folder) for problem in error.problems)
        columns = {
            name: np.concatenate([piece.columns[name] for piece in pieces]) for name in pieces[0].columns
        }
        [whole] = split_new_examples(pieces, [sum(map(len, pieces))])
        return Reading(
            replace(whole, columns=columns), tuple(_hide_folder(problem, folder) for problem in warnings)
        )

    def _write_table(self, folder: Path, records: Sequence[Mapping[str, str]]) -> Path:
        """Write the rows in the format of the training data."""
        data = self._data
        if not isinstance(data, Csv):
            return _write_parquet(folder / _SERIES_NAME, records)
        file = folder / _SERIES_NAME
        names = list(data.columns or self._plan.columns)
        with file.open("w", encoding=data.encoding, errors="replace", newline="") as target:
            target.write("\n" * data.skip_lines)
            writer = csv.DictWriter(
                target,
                names,
                restval="",
                extrasaction="ignore",
                delimiter=data.separator,
                quoting=csv.QUOTE_ALL,
            )
            if data.columns is None:
                writer.writeheader()
            writer.writerows(records)
        return file


_SERIES_NAME: Final = "rows"


def _write_parquet(file: Path, records: Sequence[Mapping[str, str]]) -> Path:
    """Write a Parquet file; a column whose values are all numbers has the type of numbers."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = {}
    for name in records[0]:
        texts = pa.array([record[name] or None for record in records], pa.string())
        columns[name] = texts
        for kind in (pa.int64(), pa.float64()):
            try:
                columns[name] = texts.cast(kind)
                break
            except pa.ArrowInvalid:
                continue
    parquet.write_table(pa.table(columns), file)
    return file


def _hide_folder(problem: Problem, folder: str) -> Problem:
    """Return a problem without the path of a temporary file."""
    name = f"{folder}/{_SERIES_NAME}"
    return replace(
        problem,
        message=problem.message.replace(name, "the request"),
        hint=problem.hint and problem.hint.replace(name, "the request"),
        file=None,
    )
