"""New rows of CSV or JSON Lines, read batch by batch as they arrive, as the rows of training were read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Final

from layercli.data.examples import Examples
from layercli.data.new_examples import NewExamples, make_row_columns, read_separately
from layercli.data.tables.columns import check_new_columns
from layercli.data.tables.files import TableFiles
from layercli.data.tables.new_rows import decode_new_table, describe_wrong_values, unify_boolean
from layercli.data.tables.open import declare_trained_columns
from layercli.data.tables.plan import TablePlan
from layercli.data.types import DataError, raise_data_error
from layercli.formats.csv.config import Csv
from layercli.formats.csv.diagnostics import Header
from layercli.formats.csv.records import (
    BadRecordError,
    is_json_lines,
    iterate_record_batches,
    parse_fields,
    parse_json_record,
    write_record,
)
from layercli.formats.csv.source import clean_stream, open_bytes
from layercli.source.nodes import sanitize_text

_CLEAN_ARGUMENTS: Final[dict[str, Any]] = {"encoding": "utf-8", "skip_lines": 0, "comment": None}
"""Records are UTF-8 without comments and lines above the header."""
_JSON_ARGUMENTS: Final[dict[str, Any]] = {
    **_CLEAN_ARGUMENTS,
    "separator": ",",
    "decimal": ".",
    "thousands": None,
}
"""How the values of JSON are written for the reader of CSV."""


def iterate_new_rows(
    data: Csv,
    streams: Sequence[IO[bytes]],
    plan: TablePlan,
    keep: Sequence[str],
    make_files: Callable[[Any], TableFiles],
) -> Iterator[NewExamples]:
    """Yield the rows of streams, some at a time, without targets.

    Raises:
        DataError: a stream is empty, or columns are missing.
    """
    plan = plan.without_target()
    data = declare_trained_columns(data, plan)
    rows_before = 0
    with TemporaryDirectory(prefix="layercli-") as folder:
        for stream in streams:
            batches = iterate_record_batches(clean_stream(stream, data), data.separator)
            reader: _RecordReader | None = None
            for batch in batches:
                records: Sequence[bytes] = batch
                if reader is None:
                    reader, records = _open_records(data, batch, plan, keep, make_files, Path(folder))
                if records:
                    yield reader.read(records, rows_before)
                    rows_before += len(records)
            if reader is None:
                raise_data_error("The input cannot be read: it is empty.", ("data", "path"), None)


@contextmanager
def open_new_file(file: Path) -> Iterator[IO[bytes]]:
    """Open a file of CSV, plain or compressed, or of JSON lines.

    Raises:
        DataError: it is neither.
    """
    with file.open("rb") as raw:
        if is_json_lines(raw.peek(64)):
            yield raw
            return
    with open_bytes(file) as stream:
        yield stream


def _open_records(
    data: Csv,
    batch: Sequence[bytes],
    plan: TablePlan,
    keep: Sequence[str],
    make_files: Callable[[Any], TableFiles],
    folder: Path,
) -> tuple[_RecordReader, Sequence[bytes]]:
    """Return the reader of a stream that begins with these records, and the records after its header."""
    if is_json_lines(batch[0]):
        names = list(dict.fromkeys([*plan.columns, *keep]))
        json_data = data.with_arguments(columns=names, **_JSON_ARGUMENTS)
        return _RecordReader(json_data, names, plan, keep, make_files(json_data), folder, is_json=True), batch
    records = batch
    fields = parse_fields(batch[0], data.separator)
    names = Header(fields, 1).names
    if data.columns is None:
        records = batch[1:]
    else:
        names = _name_columns(data, len(fields))
    check_new_columns(names, plan, keep)
    named = data.with_arguments(columns=names, **_CLEAN_ARGUMENTS)
    return _RecordReader(named, names, plan, keep, make_files(named), folder), records


def _name_columns(data: Csv, width: int) -> list[str]:
    """Return the names of the columns of rows without a header; rows without the targets have fewer values."""
    names = list(data.columns or ())
    targets = {column for _, column, _ in data.target_references}
    for left_out in (targets, {*targets, data.weights, *data.split.key_columns.values()}):
        remaining = [name for name in names if name not in left_out]
        if width == len(remaining) < len(names):
            return remaining
    return names


@dataclass(frozen=True, slots=True)
class _RecordReader:
    """Reads the records of one stream, which has these columns, with the reader of files."""

    data: Csv
    names: list[str]
    plan: TablePlan
    keep: Sequence[str]
    files: TableFiles
    folder: Path
    is_json: bool = False

    def read(self, records: Sequence[bytes], rows_before: int) -> NewExamples:
        """Return the examples of records; those that cannot be read have an error."""
        lines, errors = self._to_lines(records)
        kept = self._read_kept(lines)
        examples: Examples | None = None
        if not any(errors):
            with suppress(DataError):
                examples = self._decode(lines)
        if examples is None:
            examples = self._read_usable(lines, errors)
        columns = make_row_columns(rows_before, len(records), kept)
        return NewExamples(examples, tuple(errors), columns).without_non_finite()

    def _read_usable(self, lines: Sequence[bytes], errors: list[str | None]) -> Examples:
        """Return the examples of the lines without an error, and add what is wrong with others to ``errors``."""
        candidates = [row for row, error in enumerate(errors) if error is None]
        fields = {row: parse_fields(lines[row], self.data.separator) for row in candidates}
        for row in candidates:
            if len(fields[row]) != len(self.names):
                values = "1 value" if len(fields[row]) == 1 else f"{len(fields[row])} values"
                errors[row] = f"the row has {values}, but there are {len(self.names)} columns"
        numbers = [name for name in self.plan.columns if self.data.types.get(name) == "number"]
        for name in [*numbers, *self.data.dates]:
            index = self.names.index(name)
            rows = [row for row in candidates if len(fields[row]) == len(self.names)]
            found = describe_wrong_values(name, [fields[row][index] for row in rows], self.data, self.plan)
            for row, error in zip(rows, found, strict=True):
                errors[row] = "; ".join(filter(None, (errors[row], error))) or None
                if name in numbers:
                    fields[row][index] = unify_boolean(fields[row][index])
        usable = [row for row in candidates if errors[row] is None]
        written = [write_record(fields[row], self.data.separator) for row in usable]
        examples, others = read_separately(
            len(usable), lambda first, last: self._decode(written[first:last]), self._describe
        )
        for row, error in zip(usable, others, strict=True):
            errors[row] = error
        return self._decode([]) if examples is None else examples

    def _to_lines(self, records: Sequence[bytes]) -> tuple[Sequence[bytes], list[str | None]]:
        """Return the records as lines of CSV, and what is wrong with those that cannot be one."""
        if not self.is_json:
            return records, [None] * len(records)
        lines: list[bytes] = []
        errors: list[str | None] = []
        for record in records:
            try:
                lines.append(write_record(parse_json_record(record, self.names), self.data.separator))
                errors.append(None)
            except BadRecordError as error:
                lines.append(b"")
                errors.append(str(error))
        return lines, errors

    def _decode(self, lines: Sequence[bytes]) -> Examples:
        """Return the examples of lines.

        Raises:
            DataError: a line has another number of values, or a value is not of the type of its column.
        """
        file = self.folder / "rows.csv"
        with file.open("wb") as target:
            for line in lines:
                target.write(line if line.endswith((b"\n", b"\r")) else line + b"\n")
        if not lines:
            return decode_new_table(self._empty_table(), self.data, self.plan)
        examples = decode_new_table(self.files.read_table(file, set(self.plan.columns)), self.data, self.plan)
        if len(examples) != len(lines):
            raise_data_error("not one row", ("data", "path"), None)
        return examples

    def _empty_table(self) -> Any:
        import pyarrow as pa

        texts = [
            name
            for name in self.plan.columns
            if self.data.types.get(name) == "text" or name in self.data.dates
        ]
        return pa.table(
            {name: pa.array([], pa.string() if name in texts else pa.int64()) for name in self.plan.columns}
        )

    def _describe(self, _row: int, error: DataError) -> str:
        reason = error.findings[0].message.replace(f"{self.folder / 'rows.csv'} cannot be read: ", "")
        return sanitize_text(reason, limit=200).rstrip(".")

    def _read_kept(self, lines: Sequence[bytes]) -> dict[str, list[str | None]]:
        """Return the texts of the columns that are kept, as the input has them."""
        if not self.keep:
            return {}
        rows = [parse_fields(line, self.data.separator) for line in lines]
        indices = {name: self.names.index(name) for name in self.keep}
        return {
            name: [fields[index] if index < len(fields) else None for fields in rows]
            for name, index in indices.items()
        }
