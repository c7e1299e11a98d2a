"""The reader of npy data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from layercli.data.examples import Dataset
from layercli.data.lazy import LazyArray
from layercli.data.memory import MEMORY_DIVISOR, limit_loaded_bytes, raise_too_large
from layercli.data.named_arrays import (
    ArrayHeader,
    build_new_dataset,
    build_training_dataset,
    is_target_path,
    list_array_references,
    open_memmap,
    read_array,
    read_array_header,
    to_training_dtype,
)
from layercli.data.paths import require_file
from layercli.data.reader_state import ReaderState
from layercli.data.types import Array, raise_data_error
from layercli.formats.npy.config import Npy
from layercli.source.nodes import KeyPath, format_path, sanitize_text


def read_dataset(data: Npy, memory: int | None) -> Dataset:
    """Return all examples: floating-point numbers as float32, labels as int32, text unchanged.

    Raises:
        DataError: a file is not an array, contains objects, or declares more values than it contains.
    """
    arrays = read_arrays(list_array_references(data), memory)
    return build_training_dataset(data, arrays, map(Path, arrays))


def read_new_dataset(
    data: Npy, paths: Sequence[str], reader_state: ReaderState, memory: int | None, *, has_targets: bool
) -> Dataset:
    """Return all examples of other files: one for each input in the order of the config, then one for each target.

    Raises:
        DataError: a file cannot be read, or the number of files is wrong.
    """
    unweighted = data.with_arguments(weights=None)
    references = list_array_references(unweighted, has_targets=has_targets, is_new=True)
    if len(paths) != len(references):
        expected = ", ".join(format_path(key) for _, key in references)
        raise_data_error(
            f"Expected {len(references)} files ({expected}), got {len(paths)}.",
            ("data",),
            "Name one file for each, in that order.",
        )
    new = dict(zip((name for name, _ in references), paths, strict=True))
    arrays = read_arrays([(new[name], key) for name, key in references], memory)
    by_name = {name: arrays[new[name]] for name, _ in references}
    return build_new_dataset(unweighted, by_name, map(Path, paths), reader_state, has_targets=has_targets)


def read_arrays(
    references: Sequence[tuple[str, KeyPath]], memory: int | None
) -> dict[str, Array | LazyArray]:
    """Return the arrays by the names of their files; large arrays read their rows when they are needed."""
    files = {name: require_file(name, key) for name, key in references}
    headers = {name: read_npy_header(files[name], name, key) for name, key in references}
    total = sum(header.loaded_bytes for header in headers.values())
    is_lazy = memory is not None and total > memory // MEMORY_DIVISOR
    for name, key in references:
        needed = headers[name].least_bytes
        if memory is not None and needed > (available := limit_loaded_bytes(memory)):
            title = f"The array {sanitize_text(str(files[name]))}"
            raise_too_large(title, needed, available, key, "Use fewer examples.")
    return {
        name: _read_array(files[name], headers[name], name, key, is_lazy=is_lazy) for name, key in references
    }


@contextmanager
def _report_unreadable(path: Path, key: KeyPath) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, EOFError, OverflowError) as error:
        reason = sanitize_text(str(error), limit=200)
        if "magic string" in reason:  # numpy's words for another type of file
            reason = "it is not an npy file"
        raise_data_error(
            f"Cannot read the array {sanitize_text(str(path))}: {reason}.",
            key,
            "Write it with `numpy.save(path, x)`.",
        )


def read_npy_header(path: Path, name: str, key: KeyPath) -> ArrayHeader:
    """Return the header of an array file.

    Raises:
        DataError: it is not an array, or contains objects.
    """
    with _report_unreadable(path, key), path.open("rb") as stream:
        return read_array_header(stream, path.stat().st_size, sanitize_text(name), key)


def _read_array(
    path: Path, header: ArrayHeader, name: str, key_path: KeyPath, *, is_lazy: bool
) -> Array | LazyArray:
    with _report_unreadable(path, key_path):
        if is_lazy:
            return open_memmap(
                path, header, 0, sanitize_text(name), key_path, is_target=is_target_path(key_path)
            )
        with path.open("rb") as stream:
            array = read_array(stream, header)
        return to_training_dtype(array, sanitize_text(name), key_path, is_target=is_target_path(key_path))
