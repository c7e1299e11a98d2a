"""Folders of files: with a folder for each class, or without classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from layercli.data.paths import PATH_HINT, require_file
from layercli.data.types import PATH_KEY, Array, raise_data_error
from layercli.graph.finding import Finding
from layercli.io.folders import SETS_BY_FOLDER, list_folders, walk_files
from layercli.io.paths import compose_name
from layercli.source.nodes import KeyPath, sanitize_text

_MAX_SHOWN_CLASSES = 12
_MAX_SHOWN_SUFFIXES = 5


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """The files below a folder, at any depth, without hidden ones."""

    folder: Path
    files: list[Path]
    """Files with one of the suffixes, in the order of their paths."""
    skipped: list[Path]
    """All other files."""

    def make_warnings(self, suffixes: Sequence[str], key: KeyPath = PATH_KEY) -> list[Finding]:
        """Return the warning about the skipped files, if there are any."""
        if not self.skipped:
            return []
        counts = Counter(path.suffix.lower() or "without a suffix" for path in self.skipped)
        listed = [f"{count} {sanitize_text(name, limit=20)}" for name, count in counts.most_common()]
        if len(listed) > _MAX_SHOWN_SUFFIXES:
            listed = [*listed[:_MAX_SHOWN_SUFFIXES], "others"]
        files = f"{_format_count(len(self.skipped), 'file')} in {sanitize_text(str(self.folder))}"
        first = sanitize_text(str(self.skipped[0].relative_to(self.folder)))
        are = "is" if len(self.skipped) == 1 else "are"
        message = f"{files} {are} left out: {', '.join(listed)} (the first is {first})."
        return [
            make_skipped_finding(
                message,
                f"Only files that end in {', '.join(suffixes)} are read; convert the other files.",
                key,
            )
        ]


@dataclass(frozen=True, slots=True)
class ClassFiles:
    """The files of a folder with a folder for each class."""

    class_names: tuple[str, ...]
    """Sorted."""
    files: list[Path]
    labels: Array
    """The class of each file: int32 of shape (files,)."""
    warnings: tuple[Finding, ...] = ()
    """What was left out."""


def list_files(folder: Path, suffixes: Sequence[str], key: KeyPath = PATH_KEY) -> FolderFiles:
    """Return the files below a folder, at any depth.

    Raises:
        DataError: the folder does not exist or cannot be read.
    """
    if not folder.is_dir():
        raise_data_error(f"{sanitize_text(str(folder))} is not a folder.", key, PATH_HINT)
    files: list[Path] = []
    skipped: list[Path] = []
    try:
        for file in walk_files(folder):
            (files if file.suffix.lower() in suffixes else skipped).append(file)
    except OSError as error:
        place = sanitize_text(str(error.filename or folder))
        raise_data_error(f"{place} cannot be read: {error.strerror or error}.", key, None)
    return FolderFiles(folder, files, skipped)


def list_class_files(folder: Path, suffixes: Sequence[str]) -> ClassFiles:
    """Return the files, at any depth, in the folders of a folder: the first folder of each path is its class.

    Raises:
        DataError: the folder does not exist, no folder in it contains such files, or its folders are not classes.
    """
    listing = list_files(folder, suffixes)
    by_class: dict[str, list[Path]] = {name: [] for name in list_folders(folder)}
    outside: list[Path] = []
    for file in listing.files:
        name, *inner = _parts_in(folder, file)
        (by_class[name] if inner else outside).append(file)
    class_names = tuple(sorted(name for name in by_class if by_class[name]))
    if not class_names:
        raise_data_error(
            f"{sanitize_text(str(folder))} contains no folders with files that end in {', '.join(suffixes)}.",
            PATH_KEY,
            "Each class needs a folder, whose name is the class name.",
        )
    _require_classes(folder, by_class, class_names)
    warnings = listing.make_warnings(suffixes)
    if outside:
        are = "is" if len(outside) == 1 else "are"
        message = (
            f"{_format_count(len(outside), 'file')} directly in {sanitize_text(str(folder))} {are} left out: "
        )
        first = sanitize_text(outside[0].name)
        warnings.append(
            make_skipped_finding(
                f"{message}they have no class (the first is {first}).", "Put them into the folder of a class."
            )
        )
    empty = [name for name in by_class if not by_class[name]]
    if empty:
        contain = "folder contains" if len(empty) == 1 else "folders contain"
        message = f"{len(empty)} {contain} no files that end in {', '.join(suffixes)}: {_list_names(empty)}."
        warnings.append(
            make_skipped_finding(message, "Add files for these classes, or remove the empty folders.")
        )
    return ClassFiles(
        class_names,
        [file for name in class_names for file in by_class[name]],
        np.repeat(np.arange(len(class_names), dtype=np.int32), [len(by_class[name]) for name in class_names]),
        tuple(warnings),
    )


def _parts_in(folder: Path, file: Path) -> tuple[str, ...]:
    """Return the parts of the path from a folder to a file that ``walk_files`` found in it; faster than ``relative_to``."""
    return file.parts[len(folder.parts) :]


def _require_classes(folder: Path, by_class: dict[str, list[Path]], class_names: Sequence[str]) -> None:
    """Check that the folders are not sets, such as ``train`` and ``test``, or a single folder that contains the classes.

    Raises:
        DataError: they are.
    """
    inner = {
        name: sorted({parts[1] for file in by_class[name] if len(parts := _parts_in(folder, file)) > 2})
        for name in class_names
    }
    if any(len(_parts_in(folder, file)) == 2 for name in class_names for file in by_class[name]):
        return
    sets = {SETS_BY_FOLDER[name.lower()]: name for name in class_names if name.lower() in SETS_BY_FOLDER}
    shown = sanitize_text(str(folder))
    if "train" in sets and len(class_names) == len(sets):
        others = ", ".join(f"{part}: {shown}/{name}" for part, name in sets.items() if part != "train")
        split = f", split: {{{others}}}" if others else ""
        raise_data_error(
            f"The folders in {shown} are sets, not classes: {_list_names(class_names)}.",
            PATH_KEY,
            f"Write `path: {shown}/{sets['train']}{split}`.",
        )
    if len(class_names) == 1 and len(inner[class_names[0]]) > 1:
        name = class_names[0]
        raise_data_error(
            f"{shown} contains only the folder {sanitize_text(name)}, which contains "
            f"{_list_names(inner[name])}.",
            PATH_KEY,
            f"The folders in `path` are the classes: write `path: {shown}/{sanitize_text(name)}`.",
        )


def _is_same(file: Path, other: Path) -> bool:
    return file.name == other.name and file.resolve() == other.resolve()


def list_new_files(
    paths: Sequence[str],
    suffixes: Sequence[str],
    class_names: tuple[str, ...],
    *,
    has_targets: bool,
    ignored_file: Path | None = None,
) -> tuple[list[Path], Array, tuple[Finding, ...]]:
    """Return files that are not from training, their labels (int32 of shape (files,)), and warnings about others.

    With ``has_targets`` each path is a folder with a folder for each class; otherwise it is a file, or a folder of files at
    any depth. ``ignored_file``, such as the table with the labels of images, is left out without a warning.

    Raises:
        DataError: there are no files, or a class is not one of ``class_names``.
    """
    files: list[Path] = []
    labels: list[int] = []
    warnings: list[Finding] = []
    known_labels = {compose_name(name): label for label, name in enumerate(class_names)}
    for path in map(Path, paths):
        if has_targets:
            found = list_class_files(path, suffixes)
            warnings += found.warnings
            unknown = [name for name in found.class_names if compose_name(name) not in known_labels]
            if unknown:
                known = ", ".join(map(sanitize_text, class_names[:_MAX_SHOWN_CLASSES]))
                message = (
                    f"{sanitize_text(str(path))} contains the class {sanitize_text(unknown[0])}, "
                    "which is not in the training data."
                )
                raise_data_error(message, PATH_KEY, f"The classes are {known}.")
            files += found.files
            labels += [known_labels[compose_name(found.class_names[label])] for label in found.labels]
        elif path.is_dir():
            listing = list_files(path, suffixes)
            files += listing.files
            skipped = [
                file for file in listing.skipped if ignored_file is None or not _is_same(file, ignored_file)
            ]
            warnings += replace(listing, skipped=skipped).make_warnings(suffixes)
        else:
            files.append(require_file(str(path), PATH_KEY))
    if not files:
        raise_no_files(paths, suffixes)
    return files, np.array(labels or [0] * len(files), dtype=np.int32), tuple(warnings)


def raise_no_files(paths: Iterable[str], suffixes: Sequence[str], key: KeyPath = PATH_KEY) -> NoReturn:
    """Report that there are no files of a type.

    Raises:
        DataError: always.
    """
    shown = ", ".join(map(sanitize_text, paths))
    raise_data_error(f"{shown} contains no files that end in {', '.join(suffixes)}.", key, None)


def make_skipped_finding(message: str, hint: str, key: KeyPath = PATH_KEY) -> Finding:
    """Return the warning about files that are not read."""
    return Finding(code="skipped-files", message=message, path=key, hint=hint, severity="warning")


def _list_names(names: Sequence[str]) -> str:
    shown = ", ".join(sanitize_text(name, limit=40) for name in names[:_MAX_SHOWN_CLASSES])
    rest = len(names) - _MAX_SHOWN_CLASSES
    return shown if rest <= 0 else f"{shown} and {rest} more"


def _format_count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"
