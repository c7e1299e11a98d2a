"""The code of feather data in a script."""

from __future__ import annotations

from layercli.formats.feather.config import Feather
from layercli.script.python_source import INDENT, CallExpression, render_literal, render_statement
from layercli.script.table_code import TableScript


class Script(TableScript[Feather]):
    """The code of one section of type feather."""

    @property
    def has_typed_columns(self) -> bool:
        return True

    def imports(self) -> set[str]:
        return super().imports() | {"from pyarrow import feather"}

    def write_plain_read(self) -> list[str]:
        if not self.reads_several_files:
            return [f"{INDENT}table = feather.read_table(DATA)"]
        return self.write_join_files("feather.read_table(path)")

    def write_read_table(self) -> list[str]:
        return [
            "def read_table(path):",
            f'{INDENT}"""Read columns; texts have no blanks around them, and missing ones are null."""',
            *render_statement(render_literal(self.read_columns), INDENT, before="names = "),
            *render_statement(
                CallExpression("feather.read_table", ("path", "columns=names")), INDENT, before="table = "
            ),
            *self.write_clean_texts(),
        ]
