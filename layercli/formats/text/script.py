"""The code of text data in a script."""

from __future__ import annotations

import codecs
from typing import Any, ClassVar

from layercli.check import ValidConfig
from layercli.formats.registry import make_section_script
from layercli.formats.text.config import Text
from layercli.script.data_script import DataScript, write_class_files
from layercli.script.facts import ScriptFacts
from layercli.script.python_source import INDENT, quote_string


class Script(DataScript[Text]):
    """The code of one section of type text whose path is a folder; for a table, ``create`` returns the code of its type."""

    expressible_keys: ClassVar[frozenset[str]] = frozenset(
        {"path", "column", "target", "target_type", "encoding"}
    )

    @classmethod
    def create(cls, data: Text, valid: ValidConfig, facts: ScriptFacts) -> DataScript[Any]:
        table = data.as_table()
        return cls(data, valid, facts) if table is None else make_section_script(table, valid, facts)

    def write_load_data(self) -> list[str]:
        is_utf8 = codecs.lookup(self.data.encoding).name == "utf-8"
        encoding = "utf-8-sig" if is_utf8 else self.data.encoding
        return [
            self.load_data_head,
            f'{INDENT}"""Read texts; their labels number the folders in the order of their names."""',
            *write_class_files('path.suffix.lower() == ".txt"', self.facts),
            f"{INDENT}texts = [path.read_text(encoding={quote_string(encoding)}) for path in paths]",
            f"{INDENT}return np.array(texts)[:, np.newaxis], np.array(labels)",
        ]
