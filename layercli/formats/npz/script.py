"""The code of npz data in a script."""

from __future__ import annotations

from typing import ClassVar

from layercli.formats.npz.config import Npz
from layercli.script.array_code import ARRAY_KEYS, write_arrays
from layercli.script.data_script import DataScript
from layercli.script.python_source import INDENT, quote_string


class Script(DataScript[Npz]):
    """The code of one section of type npz."""

    expressible_keys: ClassVar[frozenset[str]] = ARRAY_KEYS | {"path"}

    def write_load_data(self) -> list[str]:
        return [
            self.load_data_head,
            f'{INDENT}"""Read the arrays of a file that numpy.savez wrote."""',
            f"{INDENT}with np.load({self.facts.source}) as arrays:",
            *write_arrays(self.data, self.facts, lambda name: f"arrays[{quote_string(name)}]", 2 * INDENT),
        ]
