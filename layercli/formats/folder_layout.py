"""What a folder of images or texts contains: classes, sets, a table of labels or masks. It is found without numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Final, Literal

from layercli.formats.images.mask_names import without_masks
from layercli.formats.table_types import has_table_suffix
from layercli.io.folders import SETS_BY_FOLDER, list_folders, list_visible_files, walk_files

_IMAGE_FOLDERS: Final = ("images", "image", "imgs", "img", "jpegimages")
_MASK_FOLDERS: Final = ("masks", "mask", "labels", "annotations", "segmentation", "segmentationclass")
_OTHER_MASK_FOLDERS: Final = ("segmentationobject",)
"""Folders of Pascal VOC that are not read."""
_MASKED_SHARE: Final = 2.5
"""Images are next to their masks if at least one of this number of files is a mask."""
_MAX_SEARCHED: Final = 1000
"""The number of files of a folder that are checked to find an example."""

LayoutKind = Literal["classes", "table", "masks", "unlabelled", "none"]


@dataclass(frozen=True, slots=True)
class FolderLayout:
    """The kind of a folder, and the folders and tables that it contains."""

    kind: LayoutKind
    """A folder for each class; examples and a table of their labels; images and masks; only examples; no examples."""
    examples: Path
    """The folder of the examples; if there are sets, that of the training examples."""
    sets: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    """The folders of the validation and test examples, and then that of their masks; by the name of the set."""
    tables: tuple[Path, ...] = ()
    """The tables that can contain the labels."""
    masks: Path | None = None
    unused: tuple[Path, ...] = ()
    """Folders of sets without labels."""


def find_folder_layout(folder: Path, suffixes: Sequence[str]) -> FolderLayout:
    """Return what a folder contains; ``suffixes`` are those of examples, in lower case.

    Raises:
        OSError: a folder cannot be read.
    """
    if _has_masks_among_images(folder, suffixes):
        return FolderLayout("masks", folder, masks=folder)
    names = [name for name in list_folders(folder) if _has_examples(folder / name, suffixes)]
    files = list_visible_files(folder)
    has_files = any(path.suffix.lower() in suffixes for path in files)
    tables = tuple(path for path in files if has_table_suffix(path))
    sets = {SETS_BY_FOLDER[name.lower()]: folder / name for name in names if name.lower() in SETS_BY_FOLDER}
    if "train" in sets and len(sets) == len(names) and not has_files:
        return _find_set_layout(folder, sets, tables, suffixes)
    by_name = {name.lower(): folder / name for name in names}
    images = next((by_name[name] for name in _IMAGE_FOLDERS if name in by_name), None)
    masks = next((by_name[name] for name in _MASK_FOLDERS if name in by_name), None)
    if masks is not None and by_name.keys() <= {*_IMAGE_FOLDERS, *_MASK_FOLDERS, *_OTHER_MASK_FOLDERS}:
        if images is not None and not has_files:
            return _find_mask_layout(images, masks)
        if images is None and has_files and len(names) == 1:
            return FolderLayout("masks", folder, masks=masks)
    if tables and (has_files or len(names) == 1):
        return FolderLayout("table", folder if images is None or has_files else images, tables=tables)
    if len(names) > 1:
        return FolderLayout("classes", folder)
    if names and not has_files:
        inner = find_folder_layout(folder / names[0], suffixes)
        return inner if inner.kind != "unlabelled" else replace(inner, examples=folder)
    return FolderLayout("unlabelled" if has_files else "none", folder)


def _find_set_layout(
    folder: Path, sets: dict[str, Path], tables: tuple[Path, ...], suffixes: Sequence[str]
) -> FolderLayout:
    """Return the layout of a folder with a folder for each set."""
    training = find_folder_layout(sets.pop("train"), suffixes)
    inner_path = training.examples.relative_to(folder).parts[1:]
    if training.kind == "masks" and training.masks is not None and inner_path:
        names = (training.examples.name, training.masks.name)
        have_labels = {
            part: (path,) for part, path in sets.items() if all((path / name).is_dir() for name in names)
        }
    elif training.kind == "table":
        table_names = {table.name for table in training.tables}
        have_labels = {
            part: (path,)
            for part, path in sets.items()
            if any((path / name).is_file() for name in table_names)
        }
    elif training.kind == "classes":
        have_labels = {
            part: (inner,)
            for part, path in sets.items()
            if (inner := path.joinpath(*inner_path)).is_dir() and list_folders(inner)
        }
    elif tables:
        return FolderLayout("table", folder, tables=tables)
    else:
        have_labels = {}
    return replace(
        training,
        sets=have_labels,
        unused=tuple(path for part, path in sets.items() if part not in have_labels),
    )


def _find_mask_layout(images: Path, masks: Path) -> FolderLayout:
    """Return the layout of images and masks, which can both have a folder for each set."""
    sets = {
        SETS_BY_FOLDER[name.lower()]: name for name in list_folders(images) if name.lower() in SETS_BY_FOLDER
    }
    if "train" not in sets or len(sets) < len(list_folders(images)):
        return FolderLayout("masks", images, masks=masks)
    training = sets.pop("train")
    have_masks = {part: name for part, name in sets.items() if (masks / name).is_dir()}
    return FolderLayout(
        "masks",
        images / training,
        {part: (images / name, masks / name) for part, name in have_masks.items()},
        masks=masks / training,
        unused=tuple(images / name for part, name in sets.items() if part not in have_masks),
    )


def _has_masks_among_images(folder: Path, suffixes: Sequence[str]) -> bool:
    """Return whether most images of a folder and of the folders in it are next to their mask, such as ``x_mask.png``."""
    walked = islice(walk_files(folder), _MAX_SEARCHED)
    files = [file for file in walked if file.suffix.lower() in suffixes]
    return len(files) < _MASKED_SHARE * (len(files) - len(without_masks(files)))


def _has_examples(folder: Path, suffixes: Sequence[str]) -> bool:
    files = islice(walk_files(folder), _MAX_SEARCHED)
    return any(file.suffix.lower() in suffixes for file in files)
