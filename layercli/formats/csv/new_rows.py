"""New rows of CSV or JSON Lines, read batch by batch as they arrive, as the rows of training were read."""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkstemp
from typing import IO, Any, Final, cast

from layercli.data.examples import Examples
from layercli.data.new_examples import NewExamples, keep_json_value, make_row_columns, read_separately
from layercli.data.tables.columns import check_trained_columns
from layercli.data.tables.files import TableFiles
from layercli.data.tables.new_rows import (
    decode_new_table,
    describe_wrong_values,
    unify_boolean,
    unify_number,
)
from layercli.data.tables.number_texts import NumberFormat
from layercli.data.tables.open import declare_trained_columns
from layercli.data.tables.plan import TablePlan
from layercli.data.types import DataError, raise_data_error
from layercli.formats.csv.config import Csv
from layercli.formats.csv.diagnostics import Header
from layercli.formats.csv.encodings import guess_text_encoding, is_other_utf8
from layercli.formats.csv.header_check import check_header
from layercli.formats.csv.records import (
    BadRecordError,
    is_json_lines,
    is_live,
    iterate_record_batches,
    join_batches,
    parse_fields,
    parse_json_record,
    to_csv_value,
    write_record,
)
from layercli.formats.csv.sniff import guess_separator, suggest_separator
from layercli.formats.csv.source import (
    BYTE_ORDER_MARKS,
    clean_stream,
    make_peekable,
    open_bytes,
    shell_name,
)
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
_PEEKED_BYTES: Final = 1 << 16
_SAMPLE_RECORDS: Final = 50
_COMPRESSED_SUFFIXES: Final = (".gz", ".bz2", ".xz", ".zst", ".zip")


def iterate_new_rows(
    data: Csv,
    streams: Sequence[IO[bytes]],
    plan: TablePlan,
    keep: Sequence[str],
    make_files: Callable[[Any], TableFiles],
    optional: Collection[str] = (),
) -> Iterator[NewExamples]:
    """Yield the rows of streams, some at a time, without targets.

    ``optional`` are names that an object of JSON may lack: their values are missing.

    Raises:
        DataError: a stream is empty, or columns are missing.
    """
    plan = plan.without_target()
    data = declare_trained_columns(data, plan)
    rows_before = 0
    reader: _RecordReader | None = None
    with _make_temporary_file() as file:
        for stream in streams:
            opened = make_peekable(stream)
            cleaned = clean_stream(opened, data)
            _check_encoding(opened, data)
            batches = iterate_record_batches(cleaned, data.separator)
            if not is_live(stream):
                batches = join_batches(batches)
            reader = None
            for batch in batches:
                records: Sequence[bytes] = batch
                if reader is None:
                    _check_separator(batch, opened, data)
                    reader, records = _open_records(data, batch, plan, keep, make_files, file, optional)
                if records:
                    yield reader.read(records, rows_before)
                    rows_before += len(records)
            if reader is None:
                raise_data_error("The input cannot be read: it is empty.", ("data", "path"), None)
        if reader is not None and not rows_before:
            yield reader.read([], 0)  # so that the output has its columns


@contextmanager
def _make_temporary_file() -> Iterator[Path]:
    """Create a file, which is removed at the end."""
    descriptor, name = mkstemp(prefix="layercli-", suffix=".csv")
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink()


def _check_encoding(stream: IO[bytes], data: Csv) -> None:
    """Check that the first bytes of a stream are in the encoding of the training data.

    Raises:
        DataError: they are in another one.
    """
    start = cast("io.BufferedReader", stream).peek(_PEEKED_BYTES)
    if is_json_lines(start) or start.startswith(tuple(mark for mark, _ in BYTE_ORDER_MARKS)):
        return
    encoding = codecs.lookup(data.encoding).name
    found = None
    if encoding == "utf-8":
        guess = guess_text_encoding(start)
        found = guess if guess != "utf-8" else None
    elif is_other_utf8(start, encoding):
        found = "utf-8"
    if found is not None:
        raise_data_error(
            f"The input must be in the encoding of the training data, {data.encoding}; it seems to be {found}.",
            ("data", "path"),
            f"Convert it: `iconv -f {found} -t {data.encoding} {_name_file(stream)} > converted.csv`.",
        )


def _name_file(stream: IO[bytes]) -> str:
    """Return the name of the file of a stream for a command."""
    name = str(getattr(stream, "name", "<>"))
    return (
        "FILE"
        if name.startswith("<") or Path(name).suffix in _COMPRESSED_SUFFIXES
        else shell_name(Path(name))
    )


def _check_separator(records: Sequence[bytes], stream: IO[bytes], data: Csv) -> None:
    """Check that the first records have the separator of the training data.

    Raises:
        DataError: they have only one value, and another separator.
    """
    if is_json_lines(records[0]):
        return
    lines = [record.decode("utf-8-sig", "replace").rstrip("\r\n") for record in records[:_SAMPLE_RECORDS]]
    separator = guess_separator(lines)
    has_one_value = len(parse_fields(records[0], data.separator)) == 1
    if has_one_value and separator != data.separator and separator in lines[0]:
        raise_data_error(
            f"The input must have the separator of the training data, {data.separator!r}; it seems to have {separator!r}.",
            ("data", "path"),
            suggest_separator(_name_file(stream), separator, data.separator),
        )


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
    file: Path,
    optional: Collection[str],
) -> tuple[_RecordReader, Sequence[bytes]]:
    """Return the reader of a stream that begins with these records, and the records after its header."""
    if is_json_lines(batch[0]):
        names = list(dict.fromkeys([*plan.columns, *keep]))
        json_data = data.with_arguments(columns=names, **_JSON_ARGUMENTS)
        reader = _RecordReader(
            json_data, names, plan, keep, make_files(json_data), file, NumberFormat.of(data), optional
        )
        return reader, batch
    records = batch
    fields = parse_fields(batch[0], data.separator)
    names = Header(fields, 1).names
    if data.columns is None:
        records = batch[1:]
    else:
        names = _name_columns(data, len(fields))
    sample = [parse_fields(record, data.separator) for record in batch[:_SAMPLE_RECORDS]]
    check_header(sample, names, data, "The input", is_new=True)
    check_trained_columns(names, replace(plan, kept_columns=tuple(keep)))
    named = data.with_arguments(columns=names, **_CLEAN_ARGUMENTS)
    return _RecordReader(named, names, plan, keep, make_files(named), file), records


def _name_columns(data: Csv, width: int) -> list[str]:
    """Return the names of the columns of rows without a header; rows without the targets have fewer values."""
    names = list(data.columns or ())
    targets = {column for _, column, _ in data.target_references}
    for left_out in (targets, {*targets, data.weights, *data.split.key_columns.values()}):
        remaining = [name for name in names if name not in left_out]
        if width == len(remaining) < len(names):
            return remaining
    return names


def _unify_text(name: str, value: str, number_format: NumberFormat) -> str:
    """Return a text of JSON in a column of numbers as CSV has it.

    Raises:
        BadRecordError: it is a number, but not in the format of the training, such as 120.5 where 1.200 is 1200.
    """
    try:
        return unify_number(value, number_format)
    except ValueError:
        title, shown = sanitize_text(name, limit=60), sanitize_text(value, limit=40)
        raise BadRecordError(
            f'`{title}` must be a number, or a text in the number format of the training, got "{shown}"'
        ) from None


def _describe_undecodable(records: Sequence[bytes]) -> list[str | None]:
    """Return what is wrong with records that are not UTF-8; None for the others."""
    try:
        b"".join(records).decode()
    except UnicodeDecodeError:
        return [_describe_bad_byte(record) for record in records]
    return [None] * len(records)


def _describe_bad_byte(record: bytes) -> str | None:
    try:
        record.decode()
    except UnicodeDecodeError as error:
        column = len(record[: error.start].decode()) + 1
        return f"column {column} has the byte {record[error.start]:02x}, which is not utf-8"
    return None


@dataclass(frozen=True, slots=True)
class _RecordReader:
    """Reads the records of one stream, which has these columns, with the reader of files."""

    data: Csv
    names: list[str]
    plan: TablePlan
    keep: Sequence[str]
    files: TableFiles
    file: Path
    """A file for the records that are read."""
    json_format: NumberFormat | None = None
    """For JSON: how numbers are written in the training data, as texts of JSON may be."""
    optional: Collection[str] = ()
    """For JSON: the names that an object may lack."""

    def read(self, records: Sequence[bytes], rows_before: int) -> NewExamples:
        """Return the examples of records; those that cannot be read have an error."""
        lines, errors = self._to_lines(records)
        kept = self._read_kept(records)
        examples: Examples | None = None
        if not any(errors):
            with suppress(DataError):
                examples = self._decode_lines(lines)
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
            len(usable), lambda first, last: self._decode_lines(written[first:last]), self._describe
        )
        for row, error in zip(usable, others, strict=True):
            errors[row] = error
        return self._decode_lines([]) if examples is None else examples

    def _to_lines(self, records: Sequence[bytes]) -> tuple[Sequence[bytes], list[str | None]]:
        """Return the records as lines of CSV, and what is wrong with those that cannot be one."""
        if self.json_format is None:
            return records, _describe_undecodable(records)
        numbers = [self.data.types.get(name) == "number" for name in self.names]
        lines: list[bytes] = []
        errors: list[str | None] = []
        for record in records:
            try:
                values = parse_json_record(record, self.names, self.optional)
                texts = [
                    _unify_text(name, value, self.json_format)
                    if is_number and isinstance(value, str)
                    else to_csv_value(name, value)
                    for name, value, is_number in zip(self.names, values, numbers, strict=True)
                ]
                lines.append(write_record(texts, self.data.separator))
                errors.append(None)
            except BadRecordError as error:
                lines.append(b"")
                errors.append(str(error))
        return lines, errors

    def _decode_lines(self, lines: Sequence[bytes]) -> Examples:
        """Return the examples of lines.

        Raises:
            DataError: a line has another number of values, or a value is not of the type of its column.
        """
        if not lines:
            return decode_new_table(self._empty_table(), self.data, self.plan)
        with self.file.open("r+b") as target:  # ext4 waits for the disk after a file was emptied and written
            for line in lines:
                target.write(line if line.endswith((b"\n", b"\r")) else line + b"\n")
            target.truncate()
        examples = decode_new_table(
            self.files.read_table(self.file, set(self.plan.columns)), self.data, self.plan
        )
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
        reason = error.findings[0].message.replace(f"{self.file} cannot be read: ", "")
        return sanitize_text(reason, limit=200).rstrip(".")

    def _read_kept(self, records: Sequence[bytes]) -> dict[str, list[str | None]]:
        """Return the columns that are kept, as the input has them; None for the values of records that lack them."""
        if not self.keep:
            return {}
        rows = [self._parse_kept(record) for record in records]
        return {name: [row[index] for row in rows] for index, name in enumerate(self.keep)}

    def _parse_kept(self, record: bytes) -> list[str | None]:
        if self.json_format is not None:
            try:
                values = parse_json_record(record, self.keep, optional=self.keep)
            except BadRecordError:
                return [None] * len(self.keep)
            return [keep_json_value(value) for value in values]
        fields = parse_fields(record, self.data.separator)
        indices = [self.names.index(name) for name in self.keep]
        return [fields[index] if index < len(fields) else None for index in indices]
