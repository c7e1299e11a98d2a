"""Types of arrays, and the error for data that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

import numpy as np

from layercli.graph.finding import Finding
from layercli.source.nodes import KeyPath

if TYPE_CHECKING:
    from layercli.data.examples import Dataset

Array: TypeAlias = np.ndarray[Any, Any]
Inputs: TypeAlias = Array | Mapping[str, Array]
"""The only input, or several inputs by name; every array has shape (samples, ...)."""
Targets: TypeAlias = Array | Mapping[str, Array]
"""The only target, or several targets by output name; every array has shape (samples, ...)."""
PATH_KEY: Final[KeyPath] = ("data", "path")
"""The config key that names the files of most types of data."""


class DataError(Exception):
    """Data that cannot be used; ``findings`` give the reasons."""

    def __init__(self, *findings: Finding, readable: Dataset | None = None) -> None:
        """Create the error; ``readable`` has the targets that can be read, in which further problems are found."""
        super().__init__("; ".join(finding.message for finding in findings))
        self.findings = findings
        self.readable = readable


TENSOR_ALIGNMENT: Final = 64
"""The bytes of whose multiples the address of an array must be one, so that TensorFlow can use it without a copy."""


def make_aligned_array(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an uninitialized array whose memory TensorFlow can use without a copy."""
    size = prod(shape) * np.dtype(dtype).itemsize
    buffer = np.empty(size + TENSOR_ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % TENSOR_ALIGNMENT
    array: Array = buffer[start : start + size].view(dtype).reshape(shape)
    return array


def make_data_finding(message: str, path: KeyPath, hint: str | None) -> Finding:
    """Return a finding for unreadable data; ``path`` is the config key that names the data."""
    return Finding(code="unreadable-data", message=message, path=path, hint=hint)


def raise_data_error(message: str, path: KeyPath, hint: str | None) -> NoReturn:
    """Raise ``DataError`` for unreadable data; ``path`` is the config key that names the data."""
    raise DataError(make_data_finding(message, path, hint))


def iterate_named(arrays: Inputs | Targets) -> Iterator[tuple[str | None, Array]]:
    """Yield each array with its name; the name of a single array is None."""
    if isinstance(arrays, Mapping):
        yield from arrays.items()
    else:
        yield None, arrays
