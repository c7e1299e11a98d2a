"""Folders that contain a folder of files for each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from layercli.data.paths import PATH_HINT, require_file
from layercli.data.types import PATH_KEY, Array, raise_data_error
from layercli.source.nodes import sanitize_text

_MAX_SHOWN_CLASSES = 12
SET_FOLDERS: Final = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""The names of folders of sets, in lower case -> the set."""


def list_class_files(folder: Path, suffixes: Sequence[str]) -> tuple[list[str], list[tuple[Path, int]]]:
    """Return the names of the classes, sorted, and each file with the label of its class.

    Raises:
        DataError: the folder does not exist, or no folder in it contains such files.
    """
    if not folder.is_dir():
        raise_data_error(
            f"{sanitize_text(str(folder))} is not a folder.",
            PATH_KEY,
            PATH_HINT,
        )
    class_names = sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    by_class = {
        name: sorted(
            file
            for file in (folder / name).iterdir()
            if file.suffix.lower() in suffixes and not file.name.startswith(".") and file.is_file()
        )
        for name in class_names
    }
    class_names = [name for name in class_names if by_class[name]]
    set_folders = find_set_folders(folder)
    if set_folders and not class_names:
        keys = ", ".join(f"{name}: {sanitize_text(str(path))}" for name, path in set_folders.items())
        held_out = keys.partition(", ")[2]
        raise_data_error(
            f"{sanitize_text(str(folder))} contains a folder for each set, not for each class.",
            PATH_KEY,
            f"Write `path: {sanitize_text(str(set_folders['train']))}` and `split: {{{held_out}}}`.",
        )
    if not class_names:
        raise_data_error(
            f"{sanitize_text(str(folder))} contains no folders with files that end in {', '.join(suffixes)}.",
            PATH_KEY,
            "Each class needs a folder, whose name is the class name.",
        )
    return class_names, [(file, label) for label, name in enumerate(class_names) for file in by_class[name]]


def find_set_folders(folder: Path) -> dict[str, Path]:
    """Return the folder of each set, "train", "validation" and "test", that a folder contains; empty without ``train``."""
    folders: dict[str, Path] = {}
    for entry in sorted(folder.iterdir()):
        name = SET_FOLDERS.get(entry.name.lower())
        if name is not None and entry.is_dir():
            folders.setdefault(name, entry)
    order = [name for name in ("train", "validation", "test") if name in folders]
    return {name: folders[name] for name in order} if "train" in folders and len(folders) > 1 else {}


def list_new_files(
    paths: Sequence[str], suffixes: Sequence[str], class_names: tuple[str, ...], *, has_targets: bool
) -> tuple[list[Path], Array]:
    """Return files that are not from training, and their labels: int32 of shape (files,).

    With ``has_targets`` each path is a folder with a folder for each class; otherwise it is a file, or a folder of files at
    any depth.

    Raises:
        DataError: there are no files, or a class is not one of ``class_names``.
    """
    files: list[Path] = []
    labels: list[int] = []
    for path in map(Path, paths):
        if has_targets:
            classes, labelled_files = list_class_files(path, suffixes)
            unknown = [name for name in classes if name not in class_names]
            if unknown:
                known = ", ".join(map(sanitize_text, class_names[:_MAX_SHOWN_CLASSES]))
                message = (
                    f"{sanitize_text(str(path))} contains the class {sanitize_text(unknown[0])}, "
                    "which is not in the training data."
                )
                raise_data_error(message, PATH_KEY, f"The classes are {known}.")
            files += [file for file, _ in labelled_files]
            labels += [class_names.index(classes[label]) for _, label in labelled_files]
        elif path.is_dir():
            files += sorted(
                file
                for file in path.rglob("*")
                if file.suffix.lower() in suffixes
                and not any(part.startswith(".") for part in file.relative_to(path).parts)
                and file.is_file()
            )
        else:
            files.append(require_file(str(path), PATH_KEY))
    if not files:
        suffix_list = ", ".join(suffixes)
        raise_data_error(
            f"{', '.join(map(sanitize_text, paths))} contains no files that end in {suffix_list}.",
            PATH_KEY,
            None,
        )
    return files, np.array(labels or [0] * len(files), dtype=np.int32)
