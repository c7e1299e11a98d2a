"""The code of csv data in a script."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, ClassVar

from layercli.formats.csv.config import Csv
from layercli.script.python_source import (
    INDENT,
    Brackets,
    CallExpression,
    Expression,
    NamedValue,
    quote_string,
    render_literal,
    render_statement,
)
from layercli.script.table_code import TABLE_KEYS, TableScript

if TYPE_CHECKING:
    from layercli.formats.csv.diagnostics import Header


class Script(TableScript[Csv]):
    """The code of one section of type csv."""

    expressible_keys: ClassVar[frozenset[str]] = TABLE_KEYS | {
        *("columns", "separator", "encoding", "skip_lines", "comment")
    }

    def imports(self) -> set[str]:
        return super().imports() | {"from pyarrow import csv"}

    def standard_imports(self) -> set[str]:
        return set() if self.data.comment is None else {"import io"}

    @property
    def is_plain(self) -> bool:
        return self.data.comment is None and super().is_plain

    def write_plain_read(self) -> list[str]:
        options = self._make_options()
        if not self.reads_several_files:
            arguments = (NamedValue(f"{name}=", value) for name, value in options.items())
            return render_statement(
                CallExpression("csv.read_csv", ("DATA", *arguments)), INDENT, before="table = "
            )
        entries = tuple(NamedValue(f"{quote_string(name)}: ", value) for name, value in options.items())
        lines = render_statement(Brackets("{", entries, "}"), INDENT, before="options = ") if entries else []
        read = "csv.read_csv(path, **options)" if entries else "csv.read_csv(path)"
        return [*lines, *self.write_join_files(read)]

    def _write_open_table(self) -> list[str]:
        """Return the lines of the function that opens a file without comments; empty if it has none."""
        if self.data.comment is None:
            return []
        encoding = self._find_encoding()
        encoding = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
        is_comment = f'line.lstrip(" \\t").startswith({quote_string(self.data.comment)})'
        return [
            "def open_table(path):",
            f'{INDENT}"""Open a file as UTF-8, with an empty line instead of each comment."""',
            f"{INDENT}with pa.input_stream(path) as stream:",
            f"{2 * INDENT}lines = list(io.TextIOWrapper(stream, encoding={quote_string(encoding)}))",
            f'{INDENT}kept = ["\\n" if {is_comment} else line for line in lines]',
            f'{INDENT}return pa.BufferReader("".join(kept).encode())',
            "",
            "",
        ]

    def write_read_table(self) -> list[str]:
        options = self._make_options() | {
            "convert_options": CallExpression(
                "csv.ConvertOptions",
                (
                    "include_columns=names",
                    NamedValue("column_types=", CallExpression("dict.fromkeys", ("names", "pa.string()"))),
                ),
            )
        }
        arguments = (NamedValue(f"{name}=", value) for name, value in options.items())
        opened = "path" if self.data.comment is None else "open_table(path)"
        return [
            *self._write_open_table(),
            "def read_table(path):",
            f'{INDENT}"""Read columns as texts without blanks around them; missing ones are null."""',
            *render_statement(render_literal(self.read_columns), INDENT, before="names = "),
            *render_statement(
                CallExpression("csv.read_csv", (opened, *arguments)), INDENT, before="table = "
            ),
            *self.write_clean_texts(),
        ]

    def _find_renamed_header(self) -> Header | None:
        """Return the header of the first file if a column has no name, or the name of another one; None otherwise."""
        from layercli.data.paths import expand_paths
        from layercli.data.types import DataError
        from layercli.formats.csv.diagnostics import read_header

        if self.data.columns is not None:
            return None
        located = self.valid.resolve_data_paths(self.data)
        assert isinstance(located, Csv)
        try:
            header = read_header(expand_paths(located.path, ("data", "path"))[0], located)
        except (DataError, OSError, EOFError, ValueError):
            return None  # the data cannot be read here; the script then reads the usual header
        return header if header.names != header.raw else None

    def _find_encoding(self) -> str:
        """Return the encoding; a byte order mark of the first file overrides that of the config."""
        from layercli.data.paths import expand_paths
        from layercli.data.types import DataError
        from layercli.formats.csv.source import find_encoding

        located = self.valid.resolve_data_paths(self.data)
        assert isinstance(located, Csv)
        try:
            return find_encoding(expand_paths(located.path, ("data", "path"))[0], located)
        except (DataError, OSError, EOFError, ValueError):
            return located.encoding

    def _make_options(self) -> dict[str, Expression]:
        """Return the options of pyarrow that are not its defaults, by name."""
        data = self.data
        read: list[Expression] = []
        names, skipped_lines = data.columns, data.skip_lines
        renamed = self._find_renamed_header()
        if renamed is not None:
            names, skipped_lines = renamed.names, renamed.line_count
        if names is not None:
            read.append(NamedValue("column_names=", render_literal(names)))
        parse: list[Expression] = []
        if data.separator != ",":
            parse.append(NamedValue("delimiter=", quote_string(data.separator)))
        if not self.is_plain:
            parse.append(NamedValue("newlines_in_values=", "True"))
        encoding = self._find_encoding()
        if encoding != "utf-8" and data.comment is None:
            read.append(NamedValue("encoding=", quote_string(encoding)))
        if skipped_lines:
            read.append(NamedValue("skip_rows=", str(skipped_lines)))
        options = {
            "read_options": CallExpression("csv.ReadOptions", tuple(read)),
            "parse_options": CallExpression("csv.ParseOptions", tuple(parse)),
        }
        return {name: call for name, call in options.items() if call.arguments}
