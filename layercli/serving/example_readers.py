"""Read the examples of requests as ``predict`` reads those of files."""

from __future__ import annotations

import base64
import binascii
import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Final, TypeAlias

import numpy as np

from layercli.config.data.section import DataConfig
from layercli.config.data.tables import TableConfig
from layercli.data.examples import Examples
from layercli.data.new_examples import NewExamples, split_new_examples, to_object_array
from layercli.data.reader_state import ReaderState
from layercli.data.tables.plan import TablePlan
from layercli.data.types import Array
from layercli.errors import LayercliError, Problem
from layercli.formats.csv.config import Csv
from layercli.formats.csv.records import BadRecordError, to_csv_value
from layercli.formats.images.config import Images
from layercli.formats.registry import iterate_new_rows
from layercli.formats.text.config import Text
from layercli.serving.request_errors import RequestError, make_bad_request, make_request_error
from layercli.serving.tensors import BYTES, TensorSpec, find_datatype
from layercli.source.nodes import sanitize_text
from layercli.workflows.finished_run import FinishedRun
from layercli.workflows.predict import (
    DEFAULT_BATCH_SIZE,
    check_row_ids,
    iterate_dataset,
    iterate_files,
    report_data_errors,
)

MAX_ROWS: Final = 4000
"""Most rows of a request; fewer than ``predict`` reads together from a file, so that both have the same batches."""
Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The examples of one request, ready to be read."""

    count: int
    content: Any
    """Of the type that the reader needs."""
    file_names: tuple[str, ...] | None = None
    """The name of each file."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The examples of one request, and warnings about them."""

    examples: NewExamples
    warnings: tuple[Problem, ...] = ()


class ExampleReader(ABC):
    """Reads the examples of one run."""

    inputs: tuple[TensorSpec, ...]
    """The inputs of the model for tensors."""
    has_fixed_rows: ClassVar[bool] = True
    """Whether each row is one example."""

    @abstractmethod
    def prepare_rows(self, rows: Sequence[Row]) -> Prepared:
        """Return the examples of rows of JSON.

        Raises:
            RequestError: The rows cannot be examples.
        """

    @abstractmethod
    def prepare_tensors(self, tensors: Mapping[str, Array]) -> Prepared:
        """Return the examples of tensors of shape (examples, ...).

        Raises:
            RequestError: The tensors cannot be examples.
        """

    @abstractmethod
    def read(self, requests: Sequence[Prepared]) -> list[Reading | LayercliError]:
        """Return the examples of each request, or the error of reading them."""

    def describe_row(self) -> dict[str, Any]:
        """Return the JSON Schema of a row of JSON."""
        return {
            "type": "object",
            "required": [spec.name for spec in self.inputs],
            "properties": {spec.name: describe_value(spec) for spec in self.inputs},
        }


def make_reader(finished_run: FinishedRun) -> ExampleReader:
    """Return the reader of a run."""
    data = finished_run.make_new_data_section([""])
    if isinstance(data, Text):
        data = data.as_table() or data
    if isinstance(data, TableConfig):
        reader = _RowReader if data.windows is None else _SeriesReader
        return reader(finished_run, data)
    if isinstance(data, Images | Text):
        return _FileReader(finished_run, data)
    return _ArrayReader(finished_run)


def require_rows(document: Any) -> list[Row]:
    """Return the rows of a request: a list of objects, or an object with the key ``rows``.

    Raises:
        RequestError: They are not, there are none, or too many.
    """
    rows = document
    if isinstance(document, dict):
        unknown = [name for name in document if name != "rows"]
        if "rows" not in document or unknown:
            found = f", got `{sanitize_text(unknown[0], limit=60)}`" if unknown else ""
            message = f"The request must be a list of rows, or an object whose only key is `rows`{found}."
            raise make_bad_request(message, 'Write {"rows": [{...}, ...]}.')
        rows = document["rows"]
    if not isinstance(rows, list) or not rows:
        raise make_bad_request("`rows` must be a list with at least one row.", path="rows")
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise make_bad_request(
                f"Row {index + 1} must be an object with the values by their names.", path=f"rows[{index}]"
            )
    _check_count(len(rows))
    return rows


def _check_count(count: int) -> None:
    if not count:
        raise make_bad_request("The request has no examples.", path="inputs")
    if count > MAX_ROWS:
        message = f"The request has {count:,} examples; the limit is {MAX_ROWS:,}."
        raise make_request_error(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request-too-large", message, "Send several requests."
        )


def describe_value(spec: TensorSpec) -> dict[str, Any]:
    """Return the JSON Schema of a value of a row."""
    kind: dict[str, Any] = (
        {"type": ["string", "number", "boolean", "null"]} if spec.datatype == BYTES else {"type": "number"}
    )
    for size in reversed(spec.shape[1:]):
        kind = {"type": "array", "items": kind}
        if size >= 0:
            kind |= {"minItems": size, "maxItems": size}
    return kind | ({"description": spec.description} if spec.description else {})


def _require_names(tensors: Mapping[str, Array], specs: Sequence[TensorSpec]) -> int:
    """Check the names of tensors, and return the number of examples.

    Raises:
        RequestError: A tensor is missing or unknown, or they have different numbers of examples.
    """
    names = [spec.name for spec in specs]
    for name in tensors:
        if name not in names:
            raise make_bad_request(
                f"The model has no input `{sanitize_text(name, limit=60)}`.",
                _list_names(names),
                path="inputs",
            )
    absent = [name for name in names if name not in tensors]
    if absent:
        raise make_bad_request(
            f"The request has no input `{sanitize_text(absent[0], limit=60)}`.",
            _list_names(names),
            path="inputs",
        )
    counts = {len(array) for array in tensors.values()}
    if len(counts) > 1:
        raise make_bad_request("The inputs must have the same number of examples.", path="inputs")
    _check_count(count := counts.pop())
    return count


def _list_names(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{sanitize_text(name, limit=60)}`" for name in names[:20])
    return f"The inputs are {shown}{' ...' * (len(names) > 20)}."


class _ColumnReader(ExampleReader):
    """Reads rows of a table."""

    def __init__(self, finished_run: FinishedRun, data: TableConfig) -> None:
        plan = finished_run.load_reader_state().table_plan
        assert plan is not None
        self._run, self._data, self._plan = finished_run, data, plan.without_target()
        integers = {column for name in plan.integer_dtypes for column in plan.inputs[name]}
        self.inputs = tuple(self._describe_column(name, self._plan, integers) for name in self._plan.columns)

    @staticmethod
    def _describe_column(name: str, plan: TablePlan, integers: set[str]) -> TensorSpec:
        numbers = {column for columns in plan.inputs.values() for column in columns} - plan.text_columns
        fill = plan.fill_values.get(name)
        missing = "" if fill in (None, "") else f"; missing values become {fill}"
        if name in {number.column for number in plan.dates.values()}:
            return TensorSpec(name, BYTES, (-1,), f"a date{missing}")
        if name in integers:
            return TensorSpec(name, "INT64", (-1,), f"an integer{missing}")
        if name in numbers:
            return TensorSpec(name, "FP64", (-1,), f"a number{missing}")
        return TensorSpec(name, BYTES, (-1,), f"a text{missing}")

    def prepare_tensors(self, tensors: Mapping[str, Array]) -> Prepared:
        """Return the rows of a tensor of shape (rows,) or (rows, 1) for each column; NaN is a missing value."""
        count = _require_names(tensors, self.inputs)
        columns = {}
        for name, array in tensors.items():
            if array.size != count:
                title = sanitize_text(name, limit=60)
                message = f"The input `{title}` must have the shape [{count}], got {list(array.shape)}."
                raise make_bad_request(message, path="inputs")
            columns[name] = [_to_json_value(value) for value in array.ravel().tolist()]
        return self.prepare_rows(
            [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        )

    def describe_row(self) -> dict[str, Any]:
        """Return the JSON Schema of a row; a missing value is null."""
        schema = super().describe_row()
        for spec in self.inputs:
            schema["properties"][spec.name]["type"] = ["number", "string", "boolean", "null"]
        return schema


def _to_json_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return None if isinstance(value, float) and np.isnan(value) else value


class _RowReader(_ColumnReader):
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


class _SeriesReader(_ColumnReader):
    """Reads the rows of series, of which several consecutive ones are an example."""

    has_fixed_rows = False

    def prepare_rows(self, rows: Sequence[Row]) -> Prepared:
        """Return the values of each column as texts of CSV.

        Raises:
            RequestError: A value is missing, or is a list or an object.
        """
        records = []
        for index, row in enumerate(rows):
            absent = [name for name in self._plan.columns if name not in row]
            if absent:
                title = sanitize_text(absent[0], limit=60)
                message = f"Row {index + 1} has no `{title}`."
                raise make_bad_request(
                    message,
                    "Each row needs all columns; write null for a missing value.",
                    path=f"rows[{index}]",
                )
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
                pieces = list(iterate_dataset(self._run, [str(file)], (), DEFAULT_BATCH_SIZE, warnings))
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


class _FileReader(ExampleReader):
    """Reads images and texts, each of which is a file for ``predict``."""

    def __init__(self, finished_run: FinishedRun, data: DataConfig) -> None:
        self._run, self._data = finished_run, data
        self._is_image = isinstance(data, Images)
        self._key = "image" if self._is_image else "text"
        kind = "a PNG, JPEG, BMP, GIF, WebP or TIFF file" if self._is_image else "a text"
        self.inputs = (TensorSpec(self._key, BYTES, (-1,), kind),)

    def prepare_rows(self, rows: Sequence[Row]) -> Prepared:
        """Return the content of each file; the key ``file`` may have a name for it.

        Raises:
            RequestError: A row has other keys, or its value is not a text or base64.
        """
        contents, names = [], []
        for index, row in enumerate(rows):
            value, name = row.get(self._key), row.get("file", f"{self._key} {index + 1}")
            path = f"rows[{index}]"
            if not isinstance(value, str) or not isinstance(name, str) or set(row) - {self._key, "file"}:
                raise make_bad_request(
                    f"Row {index + 1} must have the key `{self._key}`, and may have the key `file`, a name.",
                    f"Write {json.dumps({self._key: 'base64' if self._is_image else 'a text'})}.",
                    path=path,
                )
            contents.append(self._decode(value, path, index))
            names.append(name)
        return Prepared(len(rows), contents, tuple(names))

    def _decode(self, value: str, path: str, index: int) -> bytes:
        if not self._is_image:
            return value.encode("utf-8", "replace")
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise make_bad_request(
                f"`image` of row {index + 1} must be the base64 of a file, in one line.",
                "Encode the bytes of the file: `base64 -w0 FILE`.",
                path=f"{path}.image",
            ) from None

    def prepare_tensors(self, tensors: Mapping[str, Array]) -> Prepared:
        """Return the content of each file, from bytes."""
        count = _require_names(tensors, self.inputs)
        values = tensors[self._key].ravel().tolist()
        if len(values) != count or not all(isinstance(value, bytes) for value in values):
            raise make_bad_request(
                f"The input `{self._key}` must have the datatype BYTES and the shape [examples].",
                path="inputs",
            )
        return Prepared(count, values, tuple(f"{self._key} {index + 1}" for index in range(count)))

    def read(self, requests: Sequence[Prepared]) -> list[Reading | LayercliError]:
        """Return the images or texts of each request; those of all requests are decoded together."""
        contents = [content for request in requests for content in request.content]
        with TemporaryDirectory(prefix="layercli-") as folder:
            paths = []
            for index, content in enumerate(contents):
                path = Path(folder) / f"file-{index}"
                path.write_bytes(content)
                paths.append(str(path))
            pieces = list(iterate_files(self._run, self._data, paths))
            pieces = [replace(piece, columns={}) for piece in pieces]
            split = split_new_examples(pieces, [request.count for request in requests])
        names = (name for request in requests for name in request.file_names or ())
        readings: list[Reading | LayercliError] = []
        first = 0
        for piece in split:
            own = [next(names) for _ in range(len(piece))]
            errors = tuple(
                error and error.replace(paths[first + row], sanitize_text(own[row], limit=60))
                for row, error in enumerate(piece.errors)
            )
            first += len(piece)
            readings.append(Reading(replace(piece, errors=errors, columns={"file": to_object_array(own)})))
        return readings

    def describe_row(self) -> dict[str, Any]:
        """Return the JSON Schema of a row."""
        encoding = {"contentEncoding": "base64"} if self._is_image else {}
        value = {"type": "string", "description": self.inputs[0].description, **encoding}
        return {
            "type": "object",
            "required": [self._key],
            "properties": {self._key: value, "file": {"type": "string", "description": "a name for it"}},
            "additionalProperties": False,
        }


class _ArrayReader(ExampleReader):
    """Reads arrays, one for each input."""

    def __init__(self, finished_run: FinishedRun) -> None:
        state = finished_run.load_reader_state()
        self._run = finished_run
        self._names = _name_array_inputs(finished_run, state)
        self._dtypes = {self._names[name]: np.dtype(dtype) for name, (_, dtype) in state.inputs.items()}
        self._is_single = None in state.inputs
        tensors = finished_run.valid.graph.inputs
        self.inputs = tuple(
            TensorSpec(
                name := self._names[key],
                find_datatype(np.empty(0, dtype)),
                (-1, *(-1 if size is None else size for size in tensors[name].shape[1:]))
                if len(tensors[name].shape) == len(shape) + 1
                else (-1, *shape),
            )
            for key, (shape, dtype) in state.inputs.items()
        )

    def prepare_rows(self, rows: Sequence[Row]) -> Prepared:
        """Return the arrays of rows with a list, or a number, for each input.

        Raises:
            RequestError: A row has other names, or values that are not numbers or do not have the shape.
        """
        names = [spec.name for spec in self.inputs]
        for index, row in enumerate(rows):
            for name in {*names} ^ {*row}:
                state = "has no" if name in names else "has an unknown"
                message = f"Row {index + 1} {state} `{sanitize_text(name, limit=60)}`."
                raise make_bad_request(message, _list_names(names), path=f"rows[{index}]")
        arrays = {}
        for name in names:
            try:
                values = [row[name] for row in rows]
                is_text = self._dtypes[name].kind == "O"
                arrays[name] = _make_text_array(values) if is_text else np.array(values)
            except (ValueError, OverflowError, RecursionError):
                raise self._make_value_error(name) from None
        return self.prepare_tensors(arrays)

    def prepare_tensors(self, tensors: Mapping[str, Array]) -> Prepared:
        """Return the arrays with the dtypes of training.

        Raises:
            RequestError: A name, a shape or a value is wrong.
        """
        count = _require_names(tensors, self.inputs)
        arrays = {}
        for spec in self.inputs:
            array = tensors[spec.name]
            shape = spec.shape[1:]
            if array.ndim != len(spec.shape) or any(
                size not in (-1, found) for size, found in zip(shape, array.shape[1:], strict=True)
            ):
                title = sanitize_text(spec.name, limit=60)
                wanted = ["examples", *("any" if size < 0 else size for size in shape)]
                message = f"The input `{title}` must have the shape [{', '.join(map(str, wanted))}], got {list(array.shape)}."
                raise make_bad_request(message, path="inputs")
            arrays[spec.name] = self._convert(array, spec.name)
        return Prepared(count, arrays)

    def _convert(self, array: Array, name: str) -> Array:
        dtype = self._dtypes[name]
        if dtype.kind == "O":
            if array.dtype.kind != "O":
                raise self._make_value_error(name)
            return to_object_array([_to_json_value(value) for value in array.ravel().tolist()]).reshape(
                array.shape
            )
        if array.dtype.kind not in "iufb":
            raise self._make_value_error(name)
        if array.dtype == dtype:
            return array
        with np.errstate(over="ignore", invalid="ignore"):
            converted = array.astype(dtype)
        if dtype.kind in "iub" and not np.array_equal(converted, array):
            raise self._make_value_error(name)
        return converted

    def _make_value_error(self, name: str) -> RequestError:
        spec = next(spec for spec in self.inputs if spec.name == name)
        dtype = self._dtypes[name]
        expected = {
            "O": "texts",
            "f": "numbers",
            "b": "true or false",
        }.get(dtype.kind, f"integers that fit into {spec.datatype}")
        axes = ", ".join("any" if size < 0 else str(size) for size in spec.shape[1:])
        title = sanitize_text(name, limit=60)
        return make_bad_request(
            f"The input `{title}` must contain {expected}, in lists of the shape [{axes}].", path="inputs"
        )

    def read(self, requests: Sequence[Prepared]) -> list[Reading | LayercliError]:
        """Return the examples of each request, with errors for NaN, infinity and ids that a layer does not have."""
        keys = {name: key for key, name in self._names.items()}
        readings: list[Reading | LayercliError] = []
        for request in requests:
            inputs = {keys[name]: array for name, array in request.content.items()}
            x = inputs[None] if self._is_single else inputs
            examples = Examples(x, np.zeros(request.count, dtype=np.int32))  # type: ignore[arg-type]
            columns = {"row": np.arange(1, request.count + 1)}
            piece = NewExamples(examples, (None,) * request.count, columns).without_non_finite()
            [piece] = check_row_ids(self._run, iter([piece]))
            readings.append(Reading(piece))
        return readings


def _name_array_inputs(finished_run: FinishedRun, state: ReaderState) -> dict[str | None, str]:
    """Return the name of each input of the data in requests: that of the model's input."""
    names = list(finished_run.valid.graph.inputs)
    return {key: key if key is not None else names[0] for key in state.inputs}


def _make_text_array(values: Sequence[Any]) -> Array:
    """Return nested lists of texts as an array of objects.

    Raises:
        ValueError: A value is not a text, or lists have different lengths.
    """
    array = np.array(values, dtype=object)
    if not all(isinstance(value, str) for value in array.ravel().tolist()):
        raise ValueError
    return array
