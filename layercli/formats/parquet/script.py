"""The code of parquet data in a script."""

from __future__ import annotations

from layercli.formats.parquet.config import Parquet
from layercli.script.data_script import INDENT
from layercli.script.table_code import TableScript


class Script(TableScript[Parquet]):
    """The code of one section of type parquet."""

    def imports(self) -> set[str]:
        return super().imports() | {"from pyarrow import parquet"}

    def write_read_table(self) -> list[str]:
        if not self.reads_several_files:
            return [f"{INDENT}table = parquet.read_table(DATA)"]
        return [f"{INDENT}table = pa.concat_tables([parquet.read_table(path) for path in DATA])"]
