"""What a folder of images contains: classes, sets of classes, a table of labels or masks. It is found without numpy."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final, Literal

from layercli.formats.images.config import IMAGE_SUFFIXES
from layercli.io.folders import SET_NAMES, list_folders, walk_files

_IMAGE_FOLDERS: Final = ("images", "image", "imgs", "img")
_MASK_FOLDERS: Final = ("masks", "mask", "labels", "annotations", "segmentation")
_TABLE_SUFFIXES: Final = (".csv", ".parquet")
_MAX_SEARCHED: Final = 1000
"""Files of a folder that are looked at to find an image."""


@dataclass(frozen=True, slots=True)
class ImageLayout:
    """The kind of a folder, and the folders and tables that it contains."""

    kind: Literal["classes", "sets", "table", "masks", "unlabelled", "none"]
    """A folder for each class; a folder for each set, with the classes in it; images and a table of their labels; images and
    masks; only images; no images."""
    images: Path
    """The folder of the images; of sets, that of the training images."""
    sets: dict[str, Path] = field(default_factory=dict)
    """The folders of the validation and test images."""
    tables: tuple[Path, ...] = ()
    """The tables that can contain the labels."""
    masks: Path | None = None


def find_image_layout(folder: Path) -> ImageLayout:
    """Return what a folder contains.

    Raises:
        OSError: a folder cannot be read.
    """
    names = [name for name in list_folders(folder) if _has_images(folder / name)]
    sets = {SET_NAMES[name.lower()]: folder / name for name in names if name.lower() in SET_NAMES}
    if "train" in sets and len(sets) == len(names):
        images = sets.pop("train")
        return ImageLayout("sets", images, sets)
    by_name = {name.lower(): folder / name for name in names}
    images = next((by_name[name] for name in _IMAGE_FOLDERS if name in by_name), folder)
    masks = next((by_name[name] for name in _MASK_FOLDERS if name in by_name), None)
    if images != folder and masks is not None and len(names) == 2:
        return ImageLayout("masks", images, masks=masks)
    tables = tuple(
        sorted(path for path in folder.iterdir() if path.suffix.lower() in _TABLE_SUFFIXES and path.is_file())
    )
    has_images = any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir() if path.is_file())
    if tables and (has_images or len(names) == 1):
        return ImageLayout("table", images if len(names) == 1 else folder, tables=tables)
    if len(names) > 1:
        return ImageLayout("classes", folder, tables=tables)
    return ImageLayout("unlabelled" if names or has_images else "none", folder)


def _has_images(folder: Path) -> bool:
    files = islice(walk_files(folder), _MAX_SEARCHED)
    return any(file.suffix.lower() in IMAGE_SUFFIXES for file in files)
