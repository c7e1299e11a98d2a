"""The code of jsonl data in a script."""

from __future__ import annotations

from layercli.formats.jsonl.config import Jsonl
from layercli.script.data_script import INDENT
from layercli.script.table_code import TableScript


class Script(TableScript[Jsonl]):
    """The code of one section of type jsonl."""

    def imports(self) -> set[str]:
        return super().imports() | {"import json", "import pyarrow as pa"}

    def write_read_table(self) -> list[str]:
        paths = "DATA" if self.reads_several_files else "[DATA]"
        lines = (
            f"lines = [line for path in {paths} for line in open(path, encoding='utf-8-sig')]",
            "rows = [json.loads(line) for line in lines if line.strip()]",
            "names = {name: None for row in rows for name in row}",
            "table = pa.table({name: [row.get(name) for row in rows] for name in names})",
            "while any(pa.types.is_struct(kind) for kind in table.schema.types):",
            f"{INDENT}table = table.flatten()",
        )
        return [INDENT + line for line in lines]
