"""The code of feather data in a script."""

from __future__ import annotations

from layercli.formats.feather.config import Feather
from layercli.script.data_script import INDENT
from layercli.script.table_code import TableScript


class Script(TableScript[Feather]):
    """The code of one section of type feather."""

    def imports(self) -> set[str]:
        return super().imports() | {"from pyarrow import feather"}

    def write_read_table(self) -> list[str]:
        if not self.reads_several_files:
            return [f"{INDENT}table = feather.read_table(DATA)"]
        return [f"{INDENT}table = pa.concat_tables([feather.read_table(path) for path in DATA])"]
