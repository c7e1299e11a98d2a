"""The code of jsonl data in a script."""

from __future__ import annotations

from typing import Final

from layercli.formats.jsonl.config import Jsonl
from layercli.script.python_source import INDENT, render_literal, render_statement
from layercli.script.table_code import TableScript

_READ_ROWS: Final = '''\
def flatten_values(row, prefix=""):
    """Return values by name; those of inner objects by their names joined with a dot."""
    values = {}
    for name, value in row.items():
        if isinstance(value, dict):
            values |= flatten_values(value, f"{prefix}{name}.")
        else:
            values[prefix + name] = value
    return values


def read_rows(path):
    """Read the objects of a file with one on each line."""
    with pa.input_stream(path) as stream:
        lines = stream.read().decode("utf-8-sig").split("\\n")
    return [flatten_values(json.loads(line)) for line in lines if line.strip()]


def make_table(rows, names):
    """Return a table; all values of a column that has a text are texts."""
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        kinds = {type(value) for value in values} - {type(None)}
        if str in kinds or (bool in kinds and len(kinds) > 1):
            for index, value in enumerate(values):
                if value is not None and not isinstance(value, str):
                    values[index] = json.dumps(value)
        columns[name] = pa.array(values)
    return pa.table(columns)
'''
"""The functions that every script with JSON lines has."""


class Script(TableScript[Jsonl]):
    """The code of one section of type jsonl."""

    @property
    def has_typed_columns(self) -> bool:
        return True

    def imports(self) -> set[str]:
        return super().imports() | {"import json", "import pyarrow as pa"}

    def write_load_data(self) -> list[str]:
        return [*_READ_ROWS.splitlines(), "", "", *super().write_load_data()]

    def write_plain_read(self) -> list[str]:
        rows = (
            "[row for path in DATA for row in read_rows(path)]"
            if self.reads_several_files
            else "read_rows(DATA)"
        )
        names = (
            [f"{INDENT}names = dict.fromkeys(name for row in rows for name in row)"]
            if self.data.inputs is None
            else self._write_names()
        )
        return [f"{INDENT}rows = {rows}", *names, f"{INDENT}table = make_table(rows, names)"]

    def write_read_table(self) -> list[str]:
        return [
            "def read_table(path):",
            f'{INDENT}"""Read columns; texts have no blanks around them, and missing ones are null."""',
            *self._write_names(),
            f"{INDENT}table = make_table(read_rows(path), names)",
            *self.write_clean_texts(),
        ]

    def _write_names(self) -> list[str]:
        return render_statement(render_literal(self.read_columns), INDENT, before="names = ")
