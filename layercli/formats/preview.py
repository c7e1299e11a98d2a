"""A preview of files whose format is not declared, from a bounded part of them: the columns of a table, or images."""

from __future__ import annotations

import csv
import gzip
import io
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from layercli.config.data.tables import DEFAULT_MISSING_VALUES
from layercli.formats.images.color import has_color
from layercli.formats.images.config import IMAGE_FORMATS, IMAGE_SUFFIXES

ColumnKind = Literal["number", "integer", "category", "text", "date", "unique"]

_MAX_BYTES = 1 << 20
_MAX_IMAGES = 200
_MISSING_VALUES = frozenset({"", *DEFAULT_MISSING_VALUES})
_NUMBER_PATTERN = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_DATE_PATTERN = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?:[T ].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}(?: .*)?")
_MAX_CATEGORIES = 1000


@dataclass(frozen=True, slots=True)
class ColumnPreview:
    """A column of the previewed rows."""

    name: str
    kind: ColumnKind
    values: tuple[str, ...]
    """The distinct values, the most frequent first; numbers in ascending order."""
    missing_count: int


@dataclass(frozen=True, slots=True)
class TablePreview:
    """The first rows of a table of text."""

    columns: list[ColumnPreview]
    row_count: int
    has_header: bool
    separator: str
    is_complete: bool
    """True if these are all rows."""


@dataclass(frozen=True, slots=True)
class ImageFolderPreview:
    """The classes and first images of a folder with a folder of images for each class."""

    classes: list[str]
    image_count: int
    sizes: Counter[tuple[int, int]]
    """(height, width) of the previewed images."""
    has_color: bool


class PreviewError(ValueError):
    """The data cannot be previewed; the message contains the reason."""


def preview_table(path: Path) -> TablePreview:
    """Return a preview of the first MiB of a CSV file, plain or gzipped.

    Raises:
        PreviewError: it is not a table of text.
    """
    text, is_complete = _read_start(path)
    first_line = text.partition("\n")[0]
    separator = max(",;\t|", key=first_line.count)
    if not first_line.count(separator):
        raise PreviewError(f"{path} has only one column; a table has several, separated by commas.")
    try:
        reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise PreviewError(f"{path} is not a table of text: {error}.") from None
    width = len(rows[0])
    rows = [[value.strip() for value in row] for row in rows if len(row) == width]
    has_header = _is_header(rows[0])
    names = rows[0] if has_header else [f"column_{number}" for number in range(1, width + 1)]
    body = rows[1:] if has_header else rows
    if not body:
        raise PreviewError(f"{path} has no rows of values.")
    columns = [_preview_column(name, [row[index] for row in body]) for index, name in enumerate(names)]
    return TablePreview(columns, len(body), has_header, separator, is_complete)


def _read_start(path: Path) -> tuple[str, bool]:
    """Return the complete lines in the first MiB of a file, and whether they are all of them."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        is_complete = len(content) <= _MAX_BYTES
        text = content[:_MAX_BYTES].decode("utf-8-sig", errors="strict" if is_complete else "ignore")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise PreviewError(f"{path} is not a table of text: {error}.") from None
    return (text if is_complete else text.rpartition("\n")[0]), is_complete


def _is_header(row: list[str]) -> bool:
    is_distinct = len(set(row)) == len(row) and all(row)
    return is_distinct and not any(_NUMBER_PATTERN.fullmatch(value) for value in row)


def _preview_column(name: str, values: list[str]) -> ColumnPreview:
    known = [value for value in values if value not in _MISSING_VALUES]
    counts = Counter(known)
    missing = len(values) - len(known)
    if known and all(map(_NUMBER_PATTERN.fullmatch, counts)):
        is_integer = all(re.fullmatch(r"[-+]?\d+", value) for value in counts)
        ordered = tuple(sorted(counts, key=float))
        return ColumnPreview(name, "integer" if is_integer else "number", ordered, missing)
    values_by_count = tuple(value for value, _ in counts.most_common())
    if known and all(map(_DATE_PATTERN.fullmatch, counts)):
        return ColumnPreview(name, "date", values_by_count[:1], missing)
    if any(value.count(" ") > 2 for value in counts) and len(counts) > len(known) // 2:
        return ColumnPreview(name, "text", values_by_count[:1], missing)
    is_unique = len(counts) > _MAX_CATEGORIES or (len(counts) == len(known) > 20)
    return ColumnPreview(name, "unique" if is_unique else "category", values_by_count, missing)


def preview_image_folder(folder: Path) -> ImageFolderPreview:
    """Return the classes, and the sizes of the first images, of a folder with a folder for each class.

    Raises:
        PreviewError: no folder in it contains images.
    """
    classes = sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    files = {name: list(_list_images(folder / name)) for name in classes}
    classes = [name for name in classes if files[name]]
    if not classes:
        suffixes = ", ".join(IMAGE_SUFFIXES)
        raise PreviewError(
            f"{folder} contains no folders with images ({suffixes}); each class needs a folder."
        )
    images_per_class = max(1, _MAX_IMAGES // len(classes))
    chosen = [file for name in classes for file in files[name][:images_per_class]]
    headers = [header for file in chosen if (header := _read_image_header(file)) is not None]
    return ImageFolderPreview(
        classes,
        sum(map(len, files.values())),
        Counter(header.size for header in headers),
        any(header.has_color for header in headers),
    )


def _list_images(folder: Path) -> Iterator[Path]:
    return (
        file for file in sorted(folder.iterdir()) if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()
    )


@dataclass(frozen=True, slots=True)
class _ImageHeader:
    """The size and colors of an image."""

    size: tuple[int, int]
    """(height, width)."""
    has_color: bool


def _read_image_header(file: Path) -> _ImageHeader | None:
    """Return the header of an image without decoding it; None if it cannot be read."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # nothing is decoded
            with Image.open(file, formats=IMAGE_FORMATS) as image:
                return _ImageHeader((image.height, image.width), has_color(image))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
