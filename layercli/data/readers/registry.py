"""Every reader, by the ``type`` of its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final, Protocol

from layercli.config.data.section import DataConfig
from layercli.config.data.tables import TableConfig
from layercli.data.examples import Dataset
from layercli.data.reader_state import ReaderState
from layercli.data.types import raise_data_error

READERS: Final = {
    "sklearn": "layercli.data.readers.sklearn",
    "npz": "layercli.data.readers.npz",
    "npy": "layercli.data.readers.npy",
    "csv": "layercli.data.readers.csv",
    "parquet": "layercli.data.readers.parquet",
    "images": "layercli.data.readers.images",
    "text": "layercli.data.readers.text",
    "python": "layercli.data.readers.python",
}
"""Type of data -> the module that reads it: a ``Reader``."""


class Reader(Protocol):
    """What a module that reads one type of data has; one whose data is in no files has no ``read_new``."""

    @staticmethod
    def read_dataset(data: Any, memory: int | None) -> Dataset:
        """All examples that a data section of its type names, whose paths are absolute.

        ``memory`` is how many bytes may be held; None where nobody knows. What is larger is read as it is needed.

        Raises:
            RefusedDataError: they cannot be read.
        """

    @staticmethod
    def read_new_dataset(
        data: Any, paths: Sequence[str], reader_state: ReaderState, memory: int | None, *, has_targets: bool
    ) -> Dataset:
        """All examples of other files than those of training, whose classes and shapes are those that were learned.

        Without ``targets`` none are looked for, and every target is 0.

        Raises:
            RefusedDataError: they cannot be read.
        """


class TableReader(Reader, Protocol):
    """What a module that reads tables has."""

    @staticmethod
    def read_dataset(
        data: Any, memory: int | None, integers: Mapping[str | None, str] | None = None
    ) -> Dataset:
        """As that of ``Reader``; ``integers`` are the inputs that are whole numbers, and their dtypes."""


def import_reader(data: DataConfig) -> Reader:
    """The module that reads data of that type."""
    found: Any = import_module(READERS[data.type_name()])
    return found  # type: ignore[no-any-return]


def load_dataset(
    data: DataConfig, *, memory: int | None = None, integers: Mapping[str | None, str] | None = None
) -> Dataset:
    """All examples that a config's data section names; see ``Reader``.

    ``integers`` are the inputs that the model takes as whole numbers, None being the name of one alone, and their dtypes:
    tables give those exactly. All else is in the dtypes in which it was saved.

    Raises:
        RefusedDataError: they cannot be read, or do not fit into the memory.
    """
    module: Any = import_reader(data)
    extra = [integers or {}] if isinstance(data, TableConfig) else []
    return module.read_dataset(data, memory, *extra)  # type: ignore[no-any-return]


def load_new_dataset(
    data: DataConfig,
    paths: Sequence[str],
    reader_state: ReaderState,
    *,
    memory: int | None = None,
    has_targets: bool,
) -> Dataset:
    """All examples of files that came after training; see ``Reader``.

    Raises:
        RefusedDataError: they cannot be read, or data of this type has no files.
    """
    module = import_reader(data)
    if not hasattr(module, "read_new_dataset"):
        raise_data_error(f"{data.title()} has no files of which others could take the place.", ("data",),
               "Predict from arrays: a .npy file, or an .npz with an array for each input.")  # fmt: skip
    return module.read_new_dataset(data, paths, reader_state, memory, has_targets=has_targets)
