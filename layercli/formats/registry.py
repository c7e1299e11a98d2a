"""The parts of each type of data, imported when the type is used.

``layercli.config.data.section.DATA_TYPES`` is the only list of the types. The folder of a type has its name and contains:

- ``config.py``: a subclass of ``DataConfig``, without numpy and pyarrow;
- ``reader.py``: the functions of ``Reader``, or of ``TableReader`` for a subclass of ``TableConfig`` (see ``TableFileReader``);
- ``script.py``: ``Script``, a subclass of ``DataScript``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from layercli.config.data.arrays import ArraysConfig
from layercli.config.data.section import DATA_TYPES, DataConfig
from layercli.config.data.tables import TableConfig
from layercli.formats.csv.config import Csv
from layercli.formats.jsonl.config import Jsonl
from layercli.formats.table_types import find_binary_type

if TYPE_CHECKING:
    from layercli.check import ValidConfig
    from layercli.data.examples import Dataset
    from layercli.data.new_examples import NewExamples
    from layercli.data.reader_state import ReaderState
    from layercli.data.tables.files import TableFiles
    from layercli.data.tables.plan import TablePlan
    from layercli.script.data_script import DataScript
    from layercli.script.facts import ScriptFacts


class Reader(Protocol):
    """The module that reads one type of data; ``read_new_dataset`` is missing if the type has no files."""

    @staticmethod
    def read_dataset(data: Any, memory: int | None) -> Dataset:
        """Return all examples of a data section of its type, whose paths are absolute.

        ``memory`` is the number of bytes that may be used, None if it is unknown. Larger data is read batch by batch.

        Raises:
            DataError: they cannot be read.
        """

    @staticmethod
    def read_new_dataset(
        data: Any, paths: Sequence[str], reader_state: ReaderState, memory: int | None, *, has_targets: bool
    ) -> Dataset:
        """Return all examples of other files than in training, with the classes and shapes of training.

        Without ``has_targets`` no targets are read, and every target is 0.

        Raises:
            DataError: they cannot be read.
        """


class TableReader(Reader, Protocol):
    """The module that reads one type of table."""

    @staticmethod
    def read_dataset(
        data: Any, memory: int | None, dtypes: Mapping[str | None, str] | None = None
    ) -> Dataset:
        """Return all examples as ``Reader``; ``dtypes`` maps the inputs of the model to their dtypes."""

    @staticmethod
    def make_files(data: Any) -> TableFiles:
        """Return the files of a section."""

    @staticmethod
    def locate_row(data: Any, row: int) -> str:
        """Return the file and line of a row, from 0, of a section with one file."""


def import_reader(data: DataConfig) -> Reader:
    """Return the module that reads data of that type."""
    return _import_part(data, "reader")  # type: ignore[no-any-return]


def _import_part(data: DataConfig, part: str) -> Any:
    return import_module(f"layercli.formats.{data.type_name()}.{part}")


def load_dataset(
    data: DataConfig, *, memory: int | None = None, dtypes: Mapping[str | None, str] | None = None
) -> Dataset:
    """Return all examples of a config's data section, with those of the sets that have separate files; see ``Reader``.

    ``dtypes`` maps the inputs of the model to their dtypes; None is the name of the only input. Tables return integers
    exactly, and texts as they are written. All other values keep the dtypes in which they were saved.

    Raises:
        DataError: they cannot be read, or do not fit into the memory.
    """
    from layercli.data.remote_files import show_addresses_in_errors

    reader: Any = import_reader(data)
    extra = [dtypes or {}] if isinstance(data, TableConfig) else []
    with show_addresses_in_errors():
        dataset: Dataset = reader.read_dataset(data, memory, *extra)
        return read_held_out(dataset, data, memory)


def read_held_out(dataset: Dataset, data: DataConfig, memory: int | None) -> Dataset:
    """Return the data set with the sets that have separate files, read as new examples for it.

    Raises:
        DataError: files cannot be read, or have other columns or classes; it reports those of every set.
    """
    from layercli.data.checks import check_readable_inputs
    from layercli.data.paths import list_held_out_paths
    from layercli.data.reader_state import ReaderState
    from layercli.data.split_datasets import HeldOutDataset
    from layercli.data.types import DataError

    if not data.split.own_files or isinstance(dataset, HeldOutDataset):
        return dataset
    state, held_out, findings = ReaderState.from_dataset(dataset), {}, []
    for name, patterns in data.split.own_files.items():
        key = ("data", "split", name)
        try:
            paths = list_held_out_paths(patterns, key, data)
            held_out[name] = load_new_dataset(data, paths, state, memory=memory, has_targets=True)
        except DataError as error:
            found = [*error.findings, *check_readable_inputs(error, data)]
            findings += [replace(finding, path=key) for finding in found]
    if findings:
        raise DataError(*findings)
    return HeldOutDataset(dataset, held_out)


def locate_row(data: TableConfig, row: int) -> str:
    """Return the file and line of a row, from 0, of a table with one file."""
    reader: Any = import_reader(data)
    return str(reader.locate_row(data, row))


def load_new_dataset(
    data: DataConfig,
    paths: Sequence[str],
    reader_state: ReaderState,
    *,
    memory: int | None = None,
    has_targets: bool,
) -> Dataset:
    """Return all examples of other files than in training; see ``Reader``.

    Raises:
        DataError: they cannot be read, or data of this type has no files.
    """
    from layercli.data.types import raise_data_error

    reader = import_reader(data)
    if not hasattr(reader, "read_new_dataset"):
        hint = "Predict from arrays: a .npy file, or an .npz file with an array for each input."
        if has_targets:
            hint = "Evaluate a set of the run: `--part test`, `--part validation` or `--part train`."
        raise_data_error(f"{data.title()} cannot be read from other files.", ("data",), hint)
    return reader.read_new_dataset(data, paths, reader_state, memory, has_targets=has_targets)


def iterate_new_rows(
    data: TableConfig, sources: Sequence[Path | IO[bytes]], plan: TablePlan, keep: Sequence[str]
) -> Iterator[NewExamples]:
    """Yield the rows of new files and streams, without targets, some at a time; streams are CSV or JSON Lines.

    Raises:
        DataError: they cannot be read, or columns are missing.
    """
    from layercli.formats.csv import reader as csv_reader
    from layercli.formats.csv.new_rows import open_new_file

    optional: frozenset[str] = frozenset()

    if not isinstance(data, Csv):
        reader: Any = import_reader(data)
        files = [str(source) for source in sources if isinstance(source, Path)]
        if len(files) == len(sources) and all(map(_is_binary_table, files)):
            yield from reader.iterate_new_rows(data, files, plan, keep)
            return
        common = {name: getattr(data, name) for name in TableConfig.model_fields}
        optional = _list_json_names(sources) if isinstance(data, Jsonl) else frozenset()
        data = Csv.model_validate({"path": "-", "target": "-"}).with_arguments(**common)
    assert isinstance(data, Csv)
    with ExitStack() as stack:
        streams = [
            stack.enter_context(open_new_file(source)) if isinstance(source, Path) else source
            for source in sources
        ]
        yield from csv_reader.iterate_new_rows(data, streams, plan, keep, optional)


def _is_binary_table(file: str) -> bool:
    with Path(file).open("rb") as stream:
        return find_binary_type(stream.read(16)) is not None


def _list_json_names(sources: Sequence[Path | IO[bytes]]) -> frozenset[str]:
    """Return the names in files of JSON lines, each of which a line may lack, as in training."""
    from layercli.formats.jsonl.convert import list_column_names

    return frozenset(
        name for source in sources if isinstance(source, Path) for name in list_column_names(source)
    )


def select_input_section(data: DataConfig, path: str, input_names: Sequence[str] | None) -> DataConfig:
    """Return the section that reads inputs without targets from a file; any type can be predicted from arrays.

    ``input_names`` is None if the model has one input without a name.
    """
    suffix = Path(path).suffix.lower().removeprefix(".")
    type_name = DATA_TYPES.find(suffix)
    if isinstance(data, ArraysConfig) or type_name is None:
        return data
    array_type = DATA_TYPES.load(type_name)
    if not issubclass(array_type, ArraysConfig) or array_type.type_name() != suffix:
        return data
    return array_type.from_inputs(path, None if input_names is None else list(input_names))


def make_data_script(valid: ValidConfig, facts: ScriptFacts) -> DataScript[Any] | None:
    """Return the code of the config's data in a script; None if it has no data."""
    data = valid.config.data
    return None if data is None else make_section_script(data, valid, facts)


def make_section_script(data: DataConfig, valid: ValidConfig, facts: ScriptFacts) -> DataScript[Any]:
    """Return the code of one data section in a script."""
    return _import_part(data, "script").Script.create(data, valid, facts)  # type: ignore[no-any-return]
