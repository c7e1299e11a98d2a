"""A first look at data of the user's own, bounded whatever its size: what a table's columns or a folder's images are."""

from __future__ import annotations

import csv
import gzip
import io
import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

ColumnKind = Literal["number", "whole", "category", "text", "date", "unique"]

_MAX_BYTES = 1 << 20
_MAX_IMAGES = 200
_MISSING_VALUES = frozenset({"", "NA", "NaN", "nan", "null", "?"})
_NUMBER_PATTERN = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_DATE_PATTERN = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?:[T ].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}(?: .*)?")
_MAX_CATEGORIES = 1000
IMAGE_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".gif")


@dataclass(frozen=True, slots=True)
class ColumnPreview:
    """A column of a table, as far as it was looked at."""

    name: str
    kind: ColumnKind
    values: tuple[str, ...]
    """The different values, the most frequent first; of numbers, in order."""
    missing_count: int


@dataclass(frozen=True, slots=True)
class TablePreview:
    """A table of text, as far as it was looked at."""

    columns: list[ColumnPreview]
    row_count: int
    has_header: bool
    separator: str
    is_complete: bool
    """Whether these are all rows."""


@dataclass(frozen=True, slots=True)
class ImageFolderPreview:
    """A folder that has a folder of images for each class."""

    classes: list[str]
    image_count: int
    sizes: Counter[tuple[int, int]]
    """(height, width) of the images that were looked at."""
    has_color: bool


class PreviewError(ValueError):
    """Nothing is known of such data; the message says why."""


def preview_table(path: Path) -> TablePreview:
    """The first MiB of a CSV file, plain or gzipped.

    Raises:
        UnknownDataError: it is no table of text.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        text = content[:_MAX_BYTES].decode(
            "utf-8-sig", errors="strict" if len(content) <= _MAX_BYTES else "ignore"
        )
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise PreviewError(f"{path} is no table of text: {error}.") from None
    is_complete = len(content) <= _MAX_BYTES
    if not is_complete:
        text = text.rpartition("\n")[0]
    first = text.partition("\n")[0]
    separator = max(",;\t|", key=first.count)
    if not first.count(separator):
        raise PreviewError(f"{path} has one column; a table has several, divided by commas.")
    try:
        rows = [
            row for row in csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True) if row
        ]
    except csv.Error as error:
        raise PreviewError(f"{path} is no table of text: {error}.") from None
    width = len(rows[0])
    rows = [[value.strip() for value in row] for row in rows if len(row) == width]
    has_header = (
        not any(_NUMBER_PATTERN.fullmatch(value) for value in rows[0])
        and len(set(rows[0])) == width
        and all(rows[0])
    )
    names = rows[0] if has_header else [f"column_{number}" for number in range(1, width + 1)]
    body = rows[1:] if has_header else rows
    if not body:
        raise PreviewError(f"{path} has no line of values.")
    columns = [_preview_column(name, [row[index] for row in body]) for index, name in enumerate(names)]
    return TablePreview(columns, len(body), has_header, separator, is_complete)


def _preview_column(name: str, values: list[str]) -> ColumnPreview:
    known = [value for value in values if value not in _MISSING_VALUES]
    counts = Counter(known)
    missing = len(values) - len(known)
    if known and all(map(_NUMBER_PATTERN.fullmatch, counts)):
        is_integer = all(re.fullmatch(r"[-+]?\d+", value) for value in counts)
        ordered = tuple(sorted(counts, key=float))
        return ColumnPreview(name, "whole" if is_integer else "number", ordered, missing)
    values_by_count = tuple(value for value, _ in counts.most_common())
    if known and all(map(_DATE_PATTERN.fullmatch, counts)):
        return ColumnPreview(name, "date", values_by_count[:1], missing)
    if any(value.count(" ") > 2 for value in counts) and len(counts) > len(known) // 2:
        return ColumnPreview(name, "text", values_by_count[:1], missing)
    unique = len(counts) > _MAX_CATEGORIES or (len(counts) == len(known) > 20)
    return ColumnPreview(name, "unique" if unique else "category", values_by_count, missing)


def preview_image_folder(folder: Path) -> ImageFolderPreview:
    """The classes, and the sizes of the first images, of a folder with a folder for each class.

    Raises:
        UnknownDataError: there are no images in folders.
    """
    classes = sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    files = {name: list(_list_images(folder / name)) for name in classes}
    classes = [name for name in classes if files[name]]
    if not classes:
        kinds = ", ".join(IMAGE_SUFFIXES)
        raise PreviewError(
            f"{folder} has no folders with images ({kinds}); each class has a folder of its own."
        )
    each = max(1, _MAX_IMAGES // len(classes))
    found = [
        size
        for name in classes
        for file in files[name][:each]
        if (size := _read_image_size(file)) is not None
    ]
    sizes = Counter((height, width) for height, width, _ in found)
    return ImageFolderPreview(
        classes, sum(map(len, files.values())), sizes, any(colour for _, _, colour in found)
    )


def _list_images(folder: Path) -> Iterator[Path]:
    return (
        file for file in sorted(folder.iterdir()) if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()
    )


def _read_image_size(file: Path) -> tuple[int, int, bool] | None:
    """Height, width and whether there is colour, from an image's first bytes; None where they do not tell."""
    with file.open("rb") as stream:
        head = stream.read(1 << 16)
    if head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) >= 26:
        width, height = struct.unpack(">II", head[16:24])
        return height, width, head[25] in (2, 3, 6)
    if head[:3] == b"GIF" and len(head) >= 10:
        width, height = struct.unpack("<HH", head[6:10])
        return height, width, True
    if head[:2] == b"BM" and len(head) >= 26:
        width, height = struct.unpack("<ii", head[18:26])
        return abs(height), width, True
    if head[:2] == b"\xff\xd8":
        return _parse_jpeg_size(head)
    return None


def _parse_jpeg_size(head: bytes) -> tuple[int, int, bool] | None:
    position = 2
    while position + 9 < len(head) and head[position] == 0xFF:
        marker, length = head[position + 1], int.from_bytes(head[position + 2 : position + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header
            height, width = struct.unpack(">HH", head[position + 5 : position + 9])
            return height, width, head[position + 9] > 1
        position += 2 + length
    return None
