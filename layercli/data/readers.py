"""Every reader, by the ``type`` of its data."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final

from layercli.config.data import Data
from layercli.data.arrays import Examples

READERS: Final = {"sklearn": "layercli.data.sklearn"}
"""Type of data -> the module whose ``read`` gives its examples."""


def read(data: Data) -> Examples:
    """All examples that a config's data section names."""
    reader: Callable[[Data], Examples] = import_module(READERS[data.type_name()]).read
    return reader(data)
