"""The code of npy data in a script."""

from __future__ import annotations

from collections.abc import Sequence
from os.path import commonpath, relpath
from pathlib import Path
from typing import ClassVar

from layercli.formats.npy.config import Npy
from layercli.script.array_code import ARRAY_KEYS, write_arrays
from layercli.script.data_script import INDENT, DataScript
from layercli.script.python_source import quote_string


class Script(DataScript[Npy]):
    """The code of one section of type npy."""

    expressible_keys: ClassVar[frozenset[str]] = ARRAY_KEYS

    def data_paths(self, data: Npy) -> Sequence[str]:
        return [_find_common_folder(data)]

    def write_load_data(self) -> list[str]:
        folder = _find_common_folder(self.data)

        def write_read(name: str) -> str:
            return f"np.load(DATA / {quote_string(Path(relpath(name, folder)).as_posix())})"

        return [
            "def load_data():",
            f'{INDENT}"""Read arrays from files that numpy.save wrote."""',
            *write_arrays(self.data, self.facts, write_read, INDENT),
        ]


def _find_common_folder(data: Npy) -> str:
    return commonpath([str(Path(name).parent) for name in data.files])
