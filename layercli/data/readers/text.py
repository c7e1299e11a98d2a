"""Texts: a folder of text files for each class, or a column of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from layercli.config.data.files import Text
from layercli.data.examples import Array, Examples, RefusedDataError
from layercli.data.lazy import Indexed
from layercli.data.reader_state import Learned
from layercli.data.readers.arrays import SHARE
from layercli.data.readers.class_folders import classes_of, new_files
from layercli.data.readers.paths import content_sample
from layercli.data.subset import Source
from layercli.graph.finding import Finding
from layercli.source.nodes import printable

_SUFFIXES = (".txt",)


def read(data: Text, memory: int | None) -> Source:
    """All texts as objects of shape (samples, 1), with the label of their folder or the target of their row.

    Raises:
        RefusedDataError: a file is no text in UTF-8; every such file is told.
    """
    table = data.table()
    if table is not None:
        from layercli.data.readers import registry

        try:
            return registry.read(table, memory=memory)
        except RefusedDataError as error:
            told = {
                _of_column(found) for found in error.findings
            }  # the column is told once for each of its uses
            raise RefusedDataError(*told) from None
    names, files = classes_of(Path(data.path), _SUFFIXES)
    labels = np.array([label for _, label in files], dtype=np.int32)
    return _source([file for file, _ in files], labels, tuple(names), memory)


def read_new(
    data: Text, paths: Sequence[str], learned: Learned, memory: int | None, *, targets: bool
) -> Source:
    """Texts that came after training: see ``Reader`` and ``new_files``.

    Raises:
        RefusedDataError: a file is no text in UTF-8, or of another class.
    """
    table = data.table()
    if table is not None:
        from layercli.data.readers import registry

        return registry.read_new(table, paths, learned, memory=memory, targets=targets)
    files, labels = new_files(paths, _SUFFIXES, learned.names(), targets=targets)
    return _source(files, labels, learned.names(), memory)


def _source(files: Sequence[Path], labels: Array, names: tuple[str, ...], memory: int | None) -> Source:
    texts, rows = _TextFiles(tuple(files)), np.arange(len(files))
    size = sum(file.stat().st_size for file in files)
    if memory is not None and size > memory // SHARE:
        return Indexed({None: texts}, {None: labels}, content_sample(files), rows, names)
    return Examples(texts[rows], labels, names)


def _of_column(found: Finding) -> Finding:
    """The finding where the config names the column, not the input that it is for."""
    return replace(found, path=("data", "column")) if found.path[1] in ("inputs", "types") else found


@dataclass(frozen=True, slots=True)
class _TextFiles:
    """The texts of files, each read when it is needed."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: Array) -> Array:
        """Texts as objects of shape (rows, 1)."""
        texts, wrong = np.empty((len(rows), 1), dtype=object), []
        for number, row in enumerate(rows.tolist()):
            file = self.paths[row]
            try:
                texts[number, 0] = file.read_text(encoding="utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                said = printable(str(error), limit=150)
                wrong.append(
                    Finding(
                        code="unreadable-data",
                        message=f"{printable(str(file))} is no text that can be read: {said}.",
                        path=("data", "path"),
                        hint="Save it as UTF-8.",
                    )
                )
        if wrong:
            raise RefusedDataError(*wrong)
        return texts
