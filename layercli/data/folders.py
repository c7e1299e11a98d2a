"""Folders that have a folder of files for each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from layercli.data.tables import refuse
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
            "The path is relative to the file in which it stands.",
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
