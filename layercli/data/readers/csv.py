"""Tables of text, read by pyarrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from layercli.config.data.tables import Csv
from layercli.data.reader_state import Learned
from layercli.data.readers import csv_diagnostics
from layercli.data.subset import Source
from layercli.data.tables.cache import Cache
from layercli.data.tables.columns import refuse, trimmed
from layercli.data.tables.open import open_new, open_rows
from layercli.source.nodes import printable

_GZIP = 5
"""How many times its size a gzipped table of text has."""
_BLOCK_BYTES = 1 << 21
_ROW_GROUP_BYTES = 1 << 24
_MOST_ROWS = 1 << 16


def read(data: Csv, memory: int | None, integers: Mapping[str | None, str]) -> Source:
    """All examples, in memory or read as they are needed; see ``open_rows``.

    Raises:
        RefusedDataError: a file cannot be read, or a column is not there or not of numbers.
    """
    return open_rows(data, _CsvFiles(data), memory, integers)


def read_new(
    data: Csv, paths: Sequence[str], learned: Learned, memory: int | None, *, targets: bool
) -> Source:
    """All examples of files that came after training: see ``Reader`` and ``open_new``.

    Raises:
        RefusedDataError: a file cannot be read, or a column is not there or of other values than in training.
    """
    assert learned.plan is not None
    located = data.replace(path=list(paths))
    return open_new(located, _CsvFiles, learned.plan, memory, targets=targets)


@dataclass(frozen=True, slots=True)
class _CsvFiles:
    """The files of a config's CSV data."""

    data: Csv

    def bytes_in_memory(self, file: Path) -> int:
        """About how many bytes its table takes, at most."""
        return 2 * file.stat().st_size * (_GZIP if file.suffix == ".gz" else 1)

    def names(self, file: Path) -> list[str]:
        """The names of its columns."""
        return [name.strip() for name in self._header(file)]

    def table(self, file: Path, columns: set[str]) -> Any:
        """The whole table, of these columns."""
        import pyarrow as pa
        from pyarrow import csv

        raw, options = self._options(file)
        options["convert_options"].include_columns = [name for name in raw if name.strip() in columns]
        try:
            table = csv.read_csv(file, **options)
        except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, UnicodeDecodeError) as error:
            self._refuse(file, error)
        return trimmed(table, self.data)

    def parquet(self, file: Path) -> tuple[Path, bool]:
        """The table in Parquet, from the cache, and that its texts are trimmed."""
        data = self.data
        options = [data.columns, data.separator, data.missing.values, sorted(data.types.items())]
        return Cache.default().file(file, "csv", options, lambda target: self._convert(file, target)), True

    def place(self, file: Path, column: str, row: int) -> str | None:
        """Where a row of the file stands, or, for -1, the first value of the column that is no number, or None."""
        if row < 0:
            found = csv_diagnostics.no_number(file, self.data, column)
            return found and f"{printable(str(file))}, {found}"
        return f"{printable(str(file))}, line {csv_diagnostics.line_of(file, self.data, row)}"

    def _header(self, file: Path) -> list[str]:
        try:
            names = csv_diagnostics.header(file, self.data)
        except (OSError, EOFError, csv_diagnostics.DecompressionError) as error:
            refuse(
                f"{printable(str(file))} cannot be read: {printable(str(error), limit=200)}.",
                ("data", "path"),
                None,
            )
        if not names:
            refuse(f"{printable(str(file))} cannot be read: it is empty.", ("data", "path"), None)
        return names

    def _options(
        self, file: Path, *, types: dict[str, Any] | None = None
    ) -> tuple[list[str], dict[str, Any]]:
        """The columns' names as they stand in the file, and how pyarrow is to read it."""
        import pyarrow as pa
        from pyarrow import csv

        data = self.data
        arrow = {"text": pa.string(), "number": pa.float64()}
        given = types or {name: arrow[kind] for name, kind in data.types.items()}
        raw = self._header(file)
        around = (("", ""), (" ", ""), ("", " "), (" ", " "))
        return raw, {
            "read_options": csv.ReadOptions(column_names=data.columns, block_size=_BLOCK_BYTES),
            "parse_options": csv.ParseOptions(delimiter=data.separator, newlines_in_values=True),
            "convert_options": csv.ConvertOptions(
                column_types={name: given[name.strip()] for name in raw if name.strip() in given},
                null_values=["", *(f"{a}{value}{b}" for value in data.missing.values for a, b in around)],
                strings_can_be_null=True,
            ),
        }

    def _convert(self, file: Path, target: Path) -> None:
        """Write the table as Parquet, a block of rows at a time."""
        import pyarrow as pa

        try:
            try:
                self._write(file, target, None)
            except pa.ArrowInvalid:  # a later value is of another type than the first block's
                self._write(file, target, self._types(file))
        except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, UnicodeDecodeError) as error:
            self._refuse(file, error)

    def _write(self, file: Path, target: Path, types: dict[str, Any] | None) -> None:
        import pyarrow as pa
        from pyarrow import csv, parquet

        _, options = self._options(file, types=types)
        with csv.open_csv(file, **options) as reader:
            writer, waiting, rows = None, [], 0
            try:
                for batch in reader:
                    table = _narrow(trimmed(pa.Table.from_batches([batch]), self.data))
                    if writer is None:
                        writer = parquet.ParquetWriter(target, table.schema, compression="lz4",
                                                       use_dictionary=False, write_statistics=False)  # fmt: skip
                        group = group_rows(table)
                    waiting.append(table)
                    rows += len(table)
                    while rows >= group:
                        merged = pa.concat_tables(waiting)
                        writer.write_table(merged[:group], row_group_size=group)
                        waiting, rows = [merged[group:]], rows - group
                if writer is None:
                    empty = _narrow(trimmed(reader.schema.empty_table(), self.data))
                    writer = parquet.ParquetWriter(target, empty.schema)
                elif rows:
                    writer.write_table(pa.concat_tables(waiting), row_group_size=group)
            finally:
                if writer is not None:
                    writer.close()

    def _types(self, file: Path) -> dict[str, Any]:
        """The type of each column, from all of its values."""
        import pyarrow as pa
        from pyarrow import csv

        texts = {name.strip(): pa.string() for name in self._header(file)}
        found: dict[str, Any] = {}
        untyped = self.data.replace(types={})
        _, options = self._options(file, types=texts)
        with csv.open_csv(file, **options) as reader:
            for batch in reader:
                table = trimmed(pa.Table.from_batches([batch]), untyped)
                for name in table.column_names:
                    wanted = self.data.types.get(name)
                    found[name] = {"text": pa.string(), "number": pa.float64()}[wanted] if wanted else _wider(
                        found.get(name), table.column(name)
                    )  # fmt: skip
        return {name: kind or pa.null() for name, kind in found.items()}

    def _refuse(self, file: Path, error: Exception) -> NoReturn:
        """Say what is wrong with a file, and where."""
        shown = printable(str(file))
        said = printable(str(error), limit=300)
        if "Expected" in said and (where := csv_diagnostics.ragged(file, self.data)) is not None:
            refuse(f"{shown} cannot be read: {where}.", ("data", "path"),
                   "Each line needs as many values as there are columns; a value that holds one is quoted.")  # fmt: skip
        for name, kind in self.data.types.items():
            where = csv_diagnostics.no_number(file, self.data, name) if kind == "number" else None
            if where is not None:
                refuse(f"{shown} cannot be read: {where} in the column `{printable(name, limit=60)}`, which is no number.",
                       ("data", "types", name), "Correct it, or list it under `missing: {values: [...]}`.")  # fmt: skip
        for prefix in ("CSV parse error: ", "CSV conversion error: "):
            said = said.replace(prefix, "")
        refuse(f"{shown} cannot be read: {said.rstrip('.')}.", ("data", "path"),
               "Each line needs as many values as there are columns, and the file is UTF-8.")  # fmt: skip


def group_rows(table: Any) -> int:
    """How many rows a row group of the cache has, so that it has some MiB."""
    width = max(1, table.nbytes // max(1, len(table)))
    return int(min(_MOST_ROWS, max(1024, _ROW_GROUP_BYTES // width)))


def _narrow(table: Any) -> Any:
    """The table with floating-point numbers in the precision of training."""
    import pyarrow as pa

    for index, field in enumerate(table.schema):
        if pa.types.is_float64(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(pa.float32()))
    return table


def _wider(known: Any, column: Any) -> Any:
    """The type that takes the values of a column of texts as well as those of ``known``; None where all are missing."""
    import pyarrow as pa

    if column.null_count == len(column):
        return known
    widening = [pa.int64(), pa.float64(), pa.bool_()] if known is None else [known, pa.float64()]
    for kind in widening[: 1 if known == pa.bool_() else None]:
        try:
            column.cast(kind)
        except pa.ArrowInvalid:
            continue
        return kind
    return pa.string()
