"""The code of npy data in a script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os.path import commonpath, relpath
from pathlib import Path
from typing import ClassVar

from layercli.formats.npy.config import Npy
from layercli.script.array_code import ARRAY_KEYS, write_arrays
from layercli.script.data_script import DataScript
from layercli.script.python_source import INDENT, quote_string
from layercli.source.nodes import KeyPath


class Script(DataScript[Npy]):
    """The code of one section of type npy."""

    expressible_keys: ClassVar[frozenset[str]] = ARRAY_KEYS

    @property
    def reads_several_files(self) -> bool:
        return bool(self.facts.own_sets)

    def find_inexpressible_values(self) -> Iterator[KeyPath]:
        if self.facts.own_sets and self.data.weights is not None:
            yield ("data", "weights")  # examples of separate files have none

    def data_paths(self, data: Npy) -> Sequence[str]:
        return data.files if self.reads_several_files else [_find_common_folder(data)]

    def write_load_data(self) -> list[str]:
        folder = _find_common_folder(self.data)

        def write_read(name: str) -> str:
            if self.reads_several_files:
                return f"np.load({self.facts.source}[{self.data.files.index(name)}])"
            return f"np.load(DATA / {quote_string(Path(relpath(name, folder)).as_posix())})"

        return [
            self.load_data_head,
            f'{INDENT}"""Read arrays from files that numpy.save wrote."""',
            *write_arrays(self.data, self.facts, write_read, INDENT),
        ]


def _find_common_folder(data: Npy) -> str:
    return commonpath([str(Path(name).parent) for name in data.files])
