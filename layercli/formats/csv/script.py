"""The code of csv data in a script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from layercli.config.data.tables import DEFAULT_WORD, FALSE_WORDS, TRUE_WORDS
from layercli.formats.csv.config import Csv
from layercli.script.data_script import INDENT
from layercli.script.python_source import (
    Brackets,
    CallExpression,
    Expression,
    NamedValue,
    quote_string,
    render_literal,
    render_statement,
)
from layercli.script.table_code import TABLE_KEYS, TableScript
from layercli.source.nodes import KeyPath

_ARROW_TYPES: Final = {"text": "pa.string()", "number": "pa.float64()"}


if TYPE_CHECKING:
    from layercli.formats.csv.diagnostics import Header


def _list_spellings(words: Sequence[str]) -> list[str]:
    return [spelling for word in words for spelling in (word, word.capitalize(), word.upper())]


class Script(TableScript[Csv]):
    """The code of one section of type csv."""

    expressible_keys: ClassVar[frozenset[str]] = TABLE_KEYS | {
        *("columns", "separator", "types"),
        *("encoding", "skip_lines", "decimal"),
    }

    def find_inexpressible_values(self) -> Iterator[KeyPath]:
        yield from super().find_inexpressible_values()
        if set(self.facts.conversions.values()) - {"boolean"}:
            yield ("data",)  # numbers with signs of currencies or percent

    def imports(self) -> set[str]:
        arrow = {"import pyarrow as pa"} if self._column_types else set()
        return super().imports() | {"from pyarrow import csv"} | arrow

    def write_read_table(self) -> list[str]:
        options = self._make_options()
        if not self.reads_several_files:
            arguments = (NamedValue(f"{name}=", value) for name, value in options.items())
            return render_statement(
                CallExpression("csv.read_csv", ("DATA", *arguments)), INDENT, before="table = "
            )
        entries = tuple(NamedValue(f"{quote_string(name)}: ", value) for name, value in options.items())
        lines = render_statement(Brackets("{", entries, "}"), INDENT, before="options = ") if entries else []
        read = "csv.read_csv(path, **options)" if entries else "csv.read_csv(path)"
        return [*lines, f"{INDENT}table = pa.concat_tables([{read} for path in DATA])"]

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
        return header if header.names != [name.strip() for name in header.raw] else None

    @property
    def _column_types(self) -> dict[str, str]:
        """The declared types, and those of inputs of texts, which pyarrow would read as numbers or booleans if they can be."""
        inputs = self.data.inputs or {}
        texts = {column: "text" for name in sorted(self.text_inputs) for column in inputs[name]}
        return texts | self.data.types

    def _make_options(self) -> dict[str, Expression]:
        """Return the options of pyarrow that are not its defaults, by name."""
        data, has_text = self.data, bool(self.text_inputs)
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
        if has_text:
            parse.append(NamedValue("newlines_in_values=", "True"))
        if data.encoding != "utf-8":
            read.append(NamedValue("encoding=", quote_string(data.encoding)))
        if skipped_lines:
            read.append(NamedValue("skip_rows=", str(skipped_lines)))
        convert: list[Expression] = []
        if self._column_types:
            entries = tuple(
                NamedValue(f"{quote_string(name)}: ", _ARROW_TYPES[kind])
                for name, kind in self._column_types.items()
            )
            convert.append(NamedValue("column_types=", Brackets("{", entries, "}")))
        missing = data.missing
        if has_text or missing.numbers != "refuse" or missing.values != [DEFAULT_WORD]:
            convert.append(NamedValue("null_values=", render_literal(["", " ", *missing.words])))
            convert.append(NamedValue("strings_can_be_null=", "True"))
        if "boolean" in self.facts.conversions.values():
            convert.append(NamedValue("true_values=", render_literal(_list_spellings(TRUE_WORDS))))
            convert.append(NamedValue("false_values=", render_literal(_list_spellings(FALSE_WORDS))))
        if data.decimal != ".":
            convert.append(NamedValue("decimal_point=", quote_string(data.decimal)))
        options = {
            "read_options": CallExpression("csv.ReadOptions", tuple(read)),
            "parse_options": CallExpression("csv.ParseOptions", tuple(parse)),
            "convert_options": CallExpression("csv.ConvertOptions", tuple(convert)),
        }
        return {name: call for name, call in options.items() if call.arguments}
