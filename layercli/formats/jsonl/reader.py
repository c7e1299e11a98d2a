"""The reader of jsonl data: its files are converted to Parquet once."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from layercli.formats.jsonl import convert
from layercli.formats.parquet.converted import ConvertedFiles
from layercli.formats.table_reader import TableFileReader
from layercli.source.nodes import sanitize_text


class JsonlFiles(ConvertedFiles):
    """The files of a section of type jsonl."""

    kind = "jsonl"

    def convert_file(self, file: Path, target: Path) -> None:
        convert.write_parquet(file, target)

    def locate_value(self, file: Path, column: str, row: int) -> str | None:
        """Return the location of a row; for -1 that of the column's first text, or None."""
        if row >= 0:
            return f"{sanitize_text(str(file))}, line {convert.find_line(file, row)}"
        found = convert.describe_first_text(file, column)
        return found and f"{sanitize_text(str(file))}, {found}"


_reader: Final = TableFileReader(JsonlFiles)
make_files, read_dataset, read_new_dataset, locate_row = (
    _reader.make_files,
    _reader.read_dataset,
    _reader.read_new_dataset,
    _reader.locate_row,
)
