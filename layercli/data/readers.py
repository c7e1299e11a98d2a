"""Every reader, by the ``type`` of its data."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final

from layercli.config.data import Data
from layercli.data.arrays import Examples

READERS: Final = {
    "sklearn": "layercli.data.sklearn",
    "npz": "layercli.data.npz",
    "csv": "layercli.data.csv",
    "parquet": "layercli.data.parquet",
    "images": "layercli.data.images",
    "text": "layercli.data.text",
}
"""Type of data -> the module whose ``read`` gives its examples."""


def read(data: Data, *, memory: int | None = None) -> Examples:
    """All examples that a config's data section names, whose paths are absolute.

    ``memory`` is how many bytes may be read; None where nobody knows.

    Raises:
        RefusedDataError: they cannot be read, or do not fit into the memory.
    """
    reader: Callable[[Data, int | None], Examples] = import_module(READERS[data.type_name()]).read
    return reader(data, memory)
