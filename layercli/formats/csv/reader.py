"""The reader of csv data, which uses pyarrow."""

from __future__ import annotations

import itertools
import json
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, NoReturn

from layercli.data.cache import Cache
from layercli.data.memory import MEMORY_DIVISOR
from layercli.data.new_examples import NewExamples
from layercli.data.tables.arrow import normalize_table
from layercli.data.tables.files import check_column_count, list_repeated_names
from layercli.data.tables.number_texts import has_hexadecimal_values
from layercli.data.tables.plan import TablePlan
from layercli.data.types import DataError, raise_data_error
from layercli.formats.csv import diagnostics as csv_diagnostics
from layercli.formats.csv import new_rows
from layercli.formats.csv.config import Csv
from layercli.formats.csv.encodings import guess_encoding, is_utf8_file
from layercli.formats.csv.header_check import check_header
from layercli.formats.csv.sniff import guess_separator, read_first_lines, suggest_separator
from layercli.formats.csv.source import (
    READ_ERRORS,
    find_encoding,
    has_hexadecimal,
    max_compression_ratio,
    open_bytes,
    open_utf8,
    shell_name,
)
from layercli.formats.table_reader import TableFileReader
from layercli.io.archives import ArchiveError
from layercli.source.nodes import sanitize_text

_BYTES_PER_VALUE = 12
"""Memory of a number while it is decoded, from 64 bits to float32."""
_MAX_UNCOUNTED_BYTES = 1 << 28
"""The values of a file are counted if its table could take more memory than this."""
_BLOCK_BYTES = 1 << 21
_HEADER_FACTOR = 8
"""A block must hold the header, whose names may have four bytes for each character, and separators."""
_ROW_GROUP_BYTES = 1 << 24
_MAX_PENDING_BYTES = 1 << 26
_MAX_GROUP_ROWS = 1 << 16
_MIN_STREAMED_BYTES: Final = 1 << 25
"""Larger files are read one block after the other."""
_SAMPLE_ROWS: Final = 100
"""Rows that show whether the first line has names."""
_BLOCK_BYTES_PER_COLUMN: Final = 1 << 10
"""A block of a wide table has a few hundred rows, because each column takes time for each block."""
_MAX_INFERRED_COLUMNS: Final = 2048
"""A wider table is read as texts: Arrow takes up to 45 KB for each column of which it infers the type."""
_FIRST_INEXACT: Final = 1 << 24
"""From here, float32 does not have all integers, such as ids."""


def iterate_new_rows(
    data: Csv,
    streams: Sequence[IO[bytes]],
    plan: TablePlan,
    keep: Sequence[str],
    optional: Collection[str] = (),
) -> Iterator[NewExamples]:
    """Yield the rows of streams of CSV or JSON Lines as they arrive; see ``new_rows``."""
    return new_rows.iterate_new_rows(data, streams, plan, keep, CsvFiles, optional)


@dataclass(frozen=True, slots=True)
class CsvFiles:
    """The files of a section of type csv."""

    data: Csv
    is_new: bool = False
    """Whether they are other files than those of the section, and must have its form."""
    _hexadecimal_columns: dict[Path, frozenset[str]] = field(default_factory=dict, init=False, compare=False)

    def bytes_in_memory(self, file: Path, columns: set[str], limit: int) -> int:  # noqa: ARG002 - all are parsed
        """Return an upper estimate of the bytes that its table takes; above ``limit`` a lower bound."""
        size = file.stat().st_size
        ratio = max_compression_ratio(file)
        most = None if ratio is None else _BYTES_PER_VALUE * size * ratio
        if most is not None and most <= min(limit // MEMORY_DIVISOR, _MAX_UNCOUNTED_BYTES):
            return most
        return size if size > limit else self._count_table_bytes(file, limit)

    def _count_table_bytes(self, file: Path, limit: int) -> int:
        separator, total = self.data.separator.encode(), 0
        try:
            with open_bytes(file) as stream:
                while total <= limit and (block := stream.read(_BLOCK_BYTES)):
                    values = block.count(separator) + block.count(b"\n") + block.count(b"\r")
                    total += len(block) + _BYTES_PER_VALUE * values
        except READ_ERRORS as error:
            self._raise_unreadable(file, error)
        return total

    def column_names(self, file: Path) -> list[str]:
        """Return the names of its columns."""
        header = self._read_header(file)
        check_column_count(file, len(header.raw))
        try:
            self._check_first_lines(file, header)
        except READ_ERRORS as error:
            self._raise_unreadable(file, error)
        return header.names

    def find_repeated_names(self, file: Path) -> dict[str, list[int]]:
        """Return each name that several columns have in the file, with their positions from 1."""
        return list_repeated_names([name.strip() for name in self._read_header(file).raw])

    def _check_first_lines(self, file: Path, header: csv_diagnostics.Header) -> None:
        """Check that the names are in the encoding of the file, and that the first row has a value for each.

        Raises:
            DataError: otherwise; with another encoding, another separator or a title above the table.
        """
        shown = sanitize_text(str(file))
        if any("\ufffd" in name for name in header.raw):
            self._raise_unreadable(file, ValueError("its text is not in the declared encoding"))
        encoding = find_encoding(file, self.data)
        if is_utf8_file(file, encoding):
            raise_data_error(
                f"{shown} is UTF-8, but `encoding` is {encoding}.",
                ("data", "encoding"),
                suggest_encoding(file, "utf-8", encoding) if self.is_new else "Remove `encoding`.",
            )
        if len(header.raw) == 1:
            separator = guess_separator(read_first_lines(file, self.data))
            if separator != self.data.separator and separator in header.raw[0]:
                written = json.dumps(separator)
                raise_data_error(
                    f"{shown} has only one column with the separator {json.dumps(self.data.separator)}; the file seems to "
                    f"be separated by {written}.",
                    ("data", "separator"),
                    suggest_separator(shell_name(file), separator, self.data.separator)
                    if self.is_new
                    else f"Set `separator: {written}`.",
                )
            if self.data.comment is None and header.raw[0].startswith("#"):
                raise_data_error(
                    f"{shown} has only one column, whose name begins with #.",
                    ("data", "comment"),
                    'If lines with # are comments, set `comment: "#"`.',
                )
        try:
            sample = csv_diagnostics.read_first_rows(file, self.data, _SAMPLE_ROWS)
            defect = csv_diagnostics.find_ragged_line(file, self.data, rows=1)
        except READ_ERRORS as error:
            self._raise_unreadable(file, error)
        if defect is not None:
            raise_data_error(f"{shown} cannot be read: {defect.message}.", ("data", "path"), defect.hint)
        check_header(sample, header.names, self.data, shown, is_new=self.is_new)

    def read_table(self, file: Path, columns: set[str]) -> Any:
        """Return all rows of these columns."""
        import pyarrow as pa
        from pyarrow import csv

        if (
            len(columns) > _MAX_INFERRED_COLUMNS
            and (wide := self._read_wide_table(file, columns)) is not None
        ):
            return wide
        if file.stat().st_size > _MIN_STREAMED_BYTES:
            table = self._read_blocks(file, columns)
            if table is not None:
                return table
        options = self._read_options(file, columns)
        try:
            with open_arrow_stream(file, self.data) as stream:
                table = csv.read_csv(stream, **options)
        except (pa.ArrowKeyError, *READ_ERRORS) as error:
            self._raise_unreadable(file, error)
        self._require_text(file, table)
        return normalize_table(table, self.data)

    def _read_wide_table(self, file: Path, columns: set[str]) -> Any:
        """Return all rows of many columns, read as texts and then given types; None if there are no rows."""
        import pyarrow as pa

        blocks = []
        for table in self.iterate_texts(file):
            blocks.append(table.select([name for name in table.column_names if name in columns]))
        types = self._infer_types(blocks)
        return pa.concat_tables([_cast_texts(block, types) for block in blocks]) if blocks else None

    def _read_blocks(self, file: Path, columns: set[str]) -> Any:
        """Return all rows of these columns, one block after the other, which takes less memory but uses one core.

        Return None if a later value has a different type than the first block, or the file cannot be read.
        """
        import pyarrow as pa

        kept = self._list_exact_columns()
        try:
            blocks = [_shrink_numbers(table, kept) for table in self._iterate_blocks(file, columns)]
        except (pa.ArrowKeyError, *READ_ERRORS):
            return None
        pa.default_memory_pool().release_unused()
        return pa.concat_tables(blocks, promote_options="permissive")

    def _iterate_blocks(
        self, file: Path, columns: set[str], types: dict[str, Any] | None = None
    ) -> Iterator[Any]:
        """Yield the rows of these columns, some at a time; an empty table if there are none.

        Without ``types`` the first block determines them.
        """
        import pyarrow as pa
        from pyarrow import csv

        options, is_empty = self._read_options(file, columns, types=types), True
        with open_arrow_stream(file, self.data) as stream, csv.open_csv(stream, **options) as reader:
            for batch in reader:
                is_empty = False
                block = pa.Table.from_batches([batch])
                self._require_text(file, block)
                yield normalize_table(block, self.data)
            if is_empty:
                yield normalize_table(reader.schema.empty_table(), self.data)

    def _require_text(self, file: Path, table: Any) -> None:
        """Check that no column has bytes that are not in the encoding of the file; pyarrow reads such a column as bytes."""
        import pyarrow as pa

        if any(map(pa.types.is_binary, table.schema.types)):
            self._raise_unreadable(file, ValueError("its text is not in the declared encoding"))

    def iterate_texts(self, file: Path) -> Iterator[Any]:
        """Yield all rows, some at a time, with every column as text.

        Raises:
            DataError: the file cannot be read.
        """
        import pyarrow as pa
        from pyarrow import csv

        names = self._read_header(file).names
        options = self._read_options(file, set(names), types=dict.fromkeys(names, pa.string()))
        # The words for missing values are removed later, and here Arrow would keep a copy of them for each column.
        options["convert_options"].null_values = [""]
        try:
            with open_arrow_stream(file, self.data) as stream, csv.open_csv(stream, **options) as reader:
                for batch in reader:
                    yield normalize_table(pa.Table.from_batches([batch]), self.data)
        except (pa.ArrowKeyError, *READ_ERRORS) as error:
            self._raise_unreadable(file, error)

    def _find_hexadecimal_columns(self, file: Path) -> frozenset[str]:
        """Return the columns with texts such as 0x1F, which pyarrow would read as integers."""
        found = self._hexadecimal_columns.get(file)
        if found is None:
            found = frozenset()
            try:
                if has_hexadecimal(file):
                    tables = map(_list_hexadecimal_columns, self.iterate_texts(file))
                    found = frozenset(itertools.chain.from_iterable(tables))
            except READ_ERRORS as error:
                self._raise_unreadable(file, error)
            self._hexadecimal_columns[file] = found
        return found

    def to_parquet(self, file: Path, columns: set[str]) -> tuple[Path, bool]:
        """Return the table as a Parquet file in the cache, and that its texts are trimmed."""
        data = self.data
        options = [
            *(data.columns, data.separator, data.missing.words, sorted(data.types.items())),
            *(data.encoding, data.skip_lines, data.comment, data.decimal, sorted(data.dates)),
            sorted(self._list_exact_columns()),
        ]
        return Cache.default().get_file(
            file, "csv", options, lambda target: self._convert_to_parquet(file, target), columns
        ), True

    def locate_value(self, file: Path, column: str, row: int) -> str | None:
        """Return the location of a row; for -1 that of the column's first value that is not a number, or None."""
        if row < 0:
            description = csv_diagnostics.find_non_number(file, self.data, column)
            return description and f"{sanitize_text(str(file))}, {description}"
        return f"{sanitize_text(str(file))}, line {csv_diagnostics.find_line(file, self.data, row)}"

    def _read_header(self, file: Path) -> csv_diagnostics.Header:
        try:
            header = csv_diagnostics.read_header(file, self.data)
        except READ_ERRORS as error:
            self._raise_unreadable(file, error)
        if not header.raw:
            raise_data_error(
                f"{sanitize_text(str(file))} cannot be read: it is empty.", ("data", "path"), None
            )
        return header

    def _read_options(
        self, file: Path, columns: set[str], *, types: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the options with which pyarrow reads these columns of the file."""
        import pyarrow as pa
        from pyarrow import csv

        data = self.data
        header = self._read_header(file)
        texts = {name for name, kind in data.types.items() if kind == "text"} | set(data.dates)
        if types is None:
            texts |= self._find_hexadecimal_columns(file)
        column_types = types or dict.fromkeys(texts, pa.string())
        paddings = (("", ""), (" ", ""), ("", " "), (" ", " "))
        return {
            "read_options": csv.ReadOptions(
                column_names=header.names,
                skip_rows=header.line_count,
                block_size=max(
                    _BLOCK_BYTES,
                    _BLOCK_BYTES_PER_COLUMN * len(header.raw),
                    _HEADER_FACTOR * sum(map(len, header.raw)),
                ),
            ),
            "parse_options": csv.ParseOptions(delimiter=data.separator, newlines_in_values=True),
            "convert_options": csv.ConvertOptions(
                column_types={name: column_types[name] for name in header.names if name in column_types},
                include_columns=[name for name in header.names if name in columns],
                null_values=[
                    "",
                    " ",
                    *(f"{a}{value}{b}" for value in data.missing.words for a, b in paddings),
                ],
                strings_can_be_null=True,
                # Words such as True are texts: a class keeps its spelling, and an input becomes 1 or 0 later.
                true_values=[],
                false_values=[],
                decimal_point=data.decimal,
            ),
        }

    def _convert_to_parquet(self, file: Path, target: Path) -> None:
        """Write the table as Parquet, one block of rows at a time."""
        import pyarrow as pa

        try:
            columns = set(self._read_header(file).names)
            is_wide = len(columns) > _MAX_INFERRED_COLUMNS
            if is_wide and (types := self._infer_types(self.iterate_texts(file))):
                self._write_row_groups(
                    target, (_cast_texts(each, types) for each in self.iterate_texts(file))
                )
                return
            try:
                self._write_row_groups(target, self._iterate_blocks(file, columns))
            except pa.ArrowInvalid:  # a later value has a different type than the first block
                types = self._infer_types(self.iterate_texts(file))
                self._write_row_groups(target, self._iterate_blocks(file, columns, types))
        except (pa.ArrowKeyError, *READ_ERRORS) as error:
            self._raise_unreadable(file, error)

    def _list_exact_columns(self) -> set[str]:
        """Return the columns whose values are compared: keys of splits and series, times, dates, and possible labels."""
        windows = self.data.windows
        times = [] if windows is None or windows.time is None else [windows.time]
        series = [] if windows is None else windows.by or []
        targets = [column for _, column, _ in self.data.target_references]
        return {*self.data.split.key_columns.values(), *times, *series, *targets, *self.data.dates}

    def _write_row_groups(self, target: Path, tables: Iterable[Any]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        kept = self._list_exact_columns()
        writer, pending, rows = None, [], 0
        try:
            for each in tables:
                table = _cast_to_float32(each, kept)
                if writer is None:
                    writer = parquet.ParquetWriter(
                        target,
                        table.schema,
                        compression="lz4",
                        use_dictionary=False,
                        write_statistics=False,
                    )
                    group_size = compute_group_rows(table)
                pending.append(table)
                rows += len(table)
                while rows >= group_size:
                    merged = pa.concat_tables(pending)
                    writer.write_table(merged[:group_size], row_group_size=group_size)
                    pending, rows = [merged[group_size:]], rows - group_size
                if sum(each.nbytes for each in pending) > _MAX_PENDING_BYTES:
                    # Later rows have longer texts than the first ones, which determine the size of a group.
                    writer.write_table(pa.concat_tables(pending), row_group_size=group_size)
                    pending, rows = [], 0
            if writer is not None and rows:
                writer.write_table(pa.concat_tables(pending), row_group_size=group_size)
        finally:
            if writer is not None:
                writer.close()

    def _infer_types(self, tables: Iterable[Any]) -> dict[str, Any]:
        """Return the type of each column of tables of texts, inferred from all of its values."""
        import pyarrow as pa

        inferred: dict[str, Any] = {}
        for table in tables:
            for name in table.column_names:
                is_text = self.data.types.get(name) == "text" or name in self.data.dates
                inferred[name] = (
                    pa.string() if is_text else _widen_type(inferred.get(name), table.column(name))
                )
        return {name: kind or pa.null() for name, kind in inferred.items()}

    def _raise_unreadable(self, file: Path, error: Exception) -> NoReturn:
        """Raise the error of a file with the location of the defect.

        Raises:
            DataError: always.
        """
        shown_file = sanitize_text(str(file))
        reason = sanitize_text(str(error), limit=300)
        encoding = self._describe_encoding(file)
        if encoding is not None:
            raise_data_error(
                f"{shown_file} cannot be read: {encoding[0]}.", ("data", "encoding"), encoding[1]
            )
        if "Expected" in reason and (defect := csv_diagnostics.find_ragged_line(file, self.data)) is not None:
            raise_data_error(f"{shown_file} cannot be read: {defect.message}.", ("data", "path"), defect.hint)
        for prefix in ("CSV parse error: ", "CSV conversion error: "):
            reason = reason.replace(prefix, "")
        raise_data_error(
            f"{shown_file} cannot be read: {reason.rstrip('.')}.",
            ("data", "path"),
            suggest_after_error(error),
        )

    def _describe_encoding(self, file: Path) -> tuple[str, str] | None:
        """Return what is wrong with the encoding of a file, and a hint; None if it can be decoded."""
        try:
            encoding = find_encoding(file, self.data)
            undecodable = csv_diagnostics.find_undecodable(file, encoding)
            if undecodable is None:
                return None
            guess = guess_encoding(file)
        except (DataError, *READ_ERRORS):
            return None
        hint = f"Set `encoding: {guess}`, which the file seems to have, or save it as UTF-8."
        if guess == encoding:
            hint = suggest_repair(file) if undecodable.shown else "Save it again: it may be incomplete."
        elif self.is_new:
            hint = suggest_encoding(file, guess, encoding)
        return undecodable.describe(encoding), hint


def suggest_after_error(error: Exception) -> str:
    """Return a hint for an error of reading a file."""
    if isinstance(error, (ArchiveError, zipfile.BadZipFile)):
        return "The compressed file is incomplete or damaged: download or copy it again."
    return "Each line must have one value for each column, and the file must be complete."


def suggest_encoding(file: Path, found: str, wanted: str) -> str:
    """Return the command that converts a file to the expected encoding."""
    return f"Convert it: `iconv -f {found} -t {wanted} {shell_name(file)} > converted.csv`."


def suggest_repair(file: Path) -> str:
    """Return a hint for a file of UTF-8 with a few bytes that are not."""
    name = shell_name(file)
    command = f"iconv -c -f UTF-8 -t UTF-8 {name} > {name.removesuffix(file.suffix)}-utf8.csv"
    return f"Correct it in an editor, as the other characters are UTF-8; or remove such bytes: `{command}`."


@contextmanager
def open_arrow_stream(file: Path, data: Csv) -> Iterator[Any]:
    """Open a file for pyarrow, as UTF-8."""
    import pyarrow as pa

    with open_utf8(file, data) as stream:
        terminated = _TerminatedStream(stream)
        yield pa.PythonFile(terminated, "r")
    if terminated.has_nul:
        _raise_nul(file, data)
    if terminated.quote_count % 2 and (line := csv_diagnostics.find_open_quote(file, data)) is not None:
        raise_data_error(
            f"{sanitize_text(str(file))} cannot be read: the quotation mark in line {line} is not closed.",
            ("data", "path"),
            "Close it, or write it twice within quotation marks if it is part of the value.",
        )


def _raise_nul(file: Path, data: Csv) -> NoReturn:
    """Raise the error of a file with a NUL byte, with its place.

    Raises:
        DataError: always.
    """
    shown, guess = sanitize_text(str(file)), guess_encoding(file)
    line, column = csv_diagnostics.find_character(file, data, "\0") or (1, 1)
    message = f"{shown} cannot be read: line {line}, column {column} is a NUL byte."
    if guess.startswith("utf-16"):
        raise_data_error(
            message, ("data", "encoding"), f"Set `encoding: {guess}`, which the file seems to have."
        )
    name = shell_name(file)
    command = f"tr -d '\\000' < {name} > {name.removesuffix(file.suffix)}-clean.csv"
    raise_data_error(message, ("data", "path"), f"The file is damaged; remove such bytes: `{command}`.")


class _TerminatedStream:
    """A stream that ends with an end of line: pyarrow cannot skip a header without one."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._is_finished = False
        self.quote_count = 0
        """Quotation marks that were read."""
        self.has_nul = False

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._stream.closed

    def close(self) -> None:
        """Do nothing: the file is closed where it was opened."""

    def read(self, size: int = -1) -> bytes:
        """Return at most ``size`` bytes."""
        if self._is_finished:
            return b""
        content = self._stream.read(size - 1 if size > 0 else size)
        self._is_finished = size < 0 or len(content) < size - 1
        self.quote_count += content.count(b'"')
        self.has_nul = self.has_nul or b"\0" in content
        return content + b"\n" if self._is_finished else content


def compute_group_rows(table: Any) -> int:
    """Return the number of rows in a row group of the cache, so that it takes a few MiB."""
    width = max(1, table.nbytes // max(1, len(table)))
    return int(min(_MAX_GROUP_ROWS, max(1024, _ROW_GROUP_BYTES // width)))


def _cast_to_float32(table: Any, kept: set[str]) -> Any:
    """Return the table with float64 columns as float32, the precision of training, except those in ``kept``."""
    import pyarrow as pa

    columns = [
        column.cast(pa.float32()) if pa.types.is_float64(column.type) and name not in kept else column
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    return pa.Table.from_arrays(columns, names=table.column_names)


def _shrink_numbers(table: Any, kept: set[str]) -> Any:
    """Return the table with float64 columns as float32, except those in ``kept`` and those with large values."""
    import pyarrow as pa
    from pyarrow import compute

    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        is_shrunk = pa.types.is_float64(column.type) and name not in kept
        if is_shrunk and (compute.max(compute.abs(column)).as_py() or 0) < _FIRST_INEXACT:
            column = column.cast(pa.float32())
        columns.append(column)
    return pa.Table.from_arrays(columns, names=table.column_names)


def _cast_texts(table: Any, types: Mapping[str, Any]) -> Any:
    """Return a table of texts with its columns in their types."""
    import pyarrow as pa

    columns = [
        pa.nulls(len(column)) if pa.types.is_null(types[name]) else column.cast(types[name])
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    return pa.Table.from_arrays(columns, names=table.column_names)


def _list_hexadecimal_columns(table: Any) -> list[str]:
    """Return the columns of a table of texts that have a number in hexadecimal notation."""
    return [name for name in table.column_names if has_hexadecimal_values(table.column(name))]


def _widen_type(current: Any, column: Any) -> Any:
    """Return the type of ``current`` and of a column of texts together; None if all values are missing.

    The types are those that pyarrow infers for values in a file, apart from times of day.
    """
    import pyarrow as pa

    if column.null_count == len(column):
        return current
    widening = [
        [pa.float64()] if has_hexadecimal_values(column) else [pa.int64(), pa.float64()],
        [pa.date32(), pa.timestamp("s"), pa.timestamp("ns")],
        [pa.timestamp("s", "UTC"), pa.timestamp("ns", "UTC")],
    ]
    for kinds in widening:
        if current is not None and current not in kinds:
            continue
        for kind in kinds[0 if current is None else kinds.index(current) :]:
            try:
                column.cast(kind)
            except pa.ArrowInvalid:
                continue
            return kind
    return pa.string()


_reader: Final = TableFileReader(CsvFiles, partial(CsvFiles, is_new=True))
make_files, read_dataset, read_new_dataset, locate_row = (
    _reader.make_files,
    _reader.read_dataset,
    _reader.read_new_dataset,
    _reader.locate_row,
)
