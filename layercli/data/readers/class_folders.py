"""Folders that have a folder of files for each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from layercli.data.examples import Array
from layercli.data.readers.arrays import refuse
from layercli.data.readers.paths import regular_file
from layercli.source.nodes import printable

_PATH = ("data", "path")


def classes_of(folder: Path, suffixes: Sequence[str]) -> tuple[list[str], list[tuple[Path, int]]]:
    """The classes by their names, in order, and each file with the label of its class.

    Raises:
        RefusedDataError: there is no such folder, or none in it that holds such files.
    """
    if not folder.is_dir():
        refuse(
            f"{printable(str(folder))} is no folder.",
            _PATH,
            "Check the name; in a config it is relative to the file in which it stands.",
        )
    names = sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    by_class = {
        name: sorted(
            file for file in (folder / name).iterdir()
            if file.suffix.lower() in suffixes and not file.name.startswith(".") and file.is_file()
        )
        for name in names
    }  # fmt: skip
    names = [name for name in names if by_class[name]]
    if not names:
        refuse(f"{printable(str(folder))} has no folders with files that end in {', '.join(suffixes)}.", _PATH,
               "Each class has a folder of its own; its name is the class's.")  # fmt: skip
    return names, [(file, label) for label, name in enumerate(names) for file in by_class[name]]


def new_files(
    paths: Sequence[str], suffixes: Sequence[str], names: tuple[str, ...], *, targets: bool
) -> tuple[list[Path], Array]:
    """Files that came after training, and their labels: int32 of shape (files,).

    With ``targets`` each path is a folder with a folder for each class; else a file, or a folder of files at any depth.

    Raises:
        RefusedDataError: there are none, or a class is not one of ``names``.
    """
    files: list[Path] = []
    labels: list[int] = []
    for path in map(Path, paths):
        if targets:
            classes, found = classes_of(path, suffixes)
            unknown = [name for name in classes if name not in names]
            if unknown:
                known = ", ".join(map(printable, names[:12]))
                message = f"{printable(str(path))} has the class {printable(unknown[0])}, which training did not have."
                refuse(message, _PATH, f"The classes are {known}.")
            files += [file for file, _ in found]
            labels += [names.index(classes[label]) for _, label in found]
        elif path.is_dir():
            files += sorted(
                file for file in path.rglob("*") if file.suffix.lower() in suffixes and file.is_file()
            )
        else:
            files.append(regular_file(str(path), _PATH))
    if not files:
        kinds = ", ".join(suffixes)
        refuse(f"{', '.join(map(printable, paths))} holds no files that end in {kinds}.", _PATH, None)
    return files, np.array(labels or [0] * len(files), dtype=np.int32)
