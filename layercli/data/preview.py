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

Kind = Literal["number", "whole", "category", "text", "date", "unique"]

_MOST_BYTES = 1 << 20
_MOST_IMAGES = 200
_MISSING = frozenset({"", "NA", "NaN", "nan", "null", "?"})
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?:[T ].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}(?: .*)?")
_MOST_CATEGORIES = 1000
IMAGES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".gif")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, as far as it was looked at."""

    name: str
    kind: Kind
    values: tuple[str, ...]
    """The different values, the most frequent first; of numbers, in order."""
    missing: int


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text, as far as it was looked at."""

    columns: list[Column]
    rows: int
    header: bool
    separator: str
    whole: bool
    """Whether these are all rows."""


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """A folder that has a folder of images for each class."""

    classes: list[str]
    images: int
    sizes: Counter[tuple[int, int]]
    """(height, width) of the images that were looked at."""
    colour: bool


class UnknownDataError(ValueError):
    """Nothing is known of such data; the message says why."""


def look_at_table(path: Path) -> Table:
    """The first MiB of a CSV file, plain or gzipped.

    Raises:
        UnknownDataError: it is no table of text.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        text = content[:_MOST_BYTES].decode(
            "utf-8-sig", errors="strict" if len(content) <= _MOST_BYTES else "ignore"
        )
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UnknownDataError(f"{path} is no table of text: {error}.") from None
    whole = len(content) <= _MOST_BYTES
    if not whole:
        text = text.rpartition("\n")[0]
    first = text.partition("\n")[0]
    separator = max(",;\t|", key=first.count)
    if not first.count(separator):
        raise UnknownDataError(f"{path} has one column; a table has several, divided by commas.")
    try:
        rows = [
            row for row in csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True) if row
        ]
    except csv.Error as error:
        raise UnknownDataError(f"{path} is no table of text: {error}.") from None
    width = len(rows[0])
    rows = [[value.strip() for value in row] for row in rows if len(row) == width]
    header = (
        not any(_NUMBER.fullmatch(value) for value in rows[0]) and len(set(rows[0])) == width and all(rows[0])
    )
    names = rows[0] if header else [f"column_{number}" for number in range(1, width + 1)]
    body = rows[1:] if header else rows
    if not body:
        raise UnknownDataError(f"{path} has no line of values.")
    columns = [_column(name, [row[index] for row in body]) for index, name in enumerate(names)]
    return Table(columns, len(body), header, separator, whole)


def _column(name: str, values: list[str]) -> Column:
    known = [value for value in values if value not in _MISSING]
    counts = Counter(known)
    missing = len(values) - len(known)
    if known and all(map(_NUMBER.fullmatch, counts)):
        whole = all(re.fullmatch(r"[-+]?\d+", value) for value in counts)
        ordered = tuple(sorted(counts, key=float))
        return Column(name, "whole" if whole else "number", ordered, missing)
    values_by_count = tuple(value for value, _ in counts.most_common())
    if known and all(map(_DATE.fullmatch, counts)):
        return Column(name, "date", values_by_count[:1], missing)
    if any(value.count(" ") > 2 for value in counts) and len(counts) > len(known) // 2:
        return Column(name, "text", values_by_count[:1], missing)
    unique = len(counts) > _MOST_CATEGORIES or (len(counts) == len(known) > 20)
    return Column(name, "unique" if unique else "category", values_by_count, missing)


def look_at_images(folder: Path) -> ImageFolder:
    """The classes, and the sizes of the first images, of a folder with a folder for each class.

    Raises:
        UnknownDataError: there are no images in folders.
    """
    classes = sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    files = {name: list(_images(folder / name)) for name in classes}
    classes = [name for name in classes if files[name]]
    if not classes:
        kinds = ", ".join(IMAGES)
        raise UnknownDataError(
            f"{folder} has no folders with images ({kinds}); each class has a folder of its own."
        )
    each = max(1, _MOST_IMAGES // len(classes))
    found = [size for name in classes for file in files[name][:each] if (size := _size(file)) is not None]
    sizes = Counter((height, width) for height, width, _ in found)
    return ImageFolder(classes, sum(map(len, files.values())), sizes, any(colour for _, _, colour in found))


def _images(folder: Path) -> Iterator[Path]:
    return (file for file in sorted(folder.iterdir()) if file.suffix.lower() in IMAGES and file.is_file())


def _size(file: Path) -> tuple[int, int, bool] | None:
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
        return _jpeg_size(head)
    return None


def _jpeg_size(head: bytes) -> tuple[int, int, bool] | None:
    place = 2
    while place + 9 < len(head) and head[place] == 0xFF:
        marker, length = head[place + 1], int.from_bytes(head[place + 2 : place + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header
            height, width = struct.unpack(">HH", head[place + 5 : place + 9])
            return height, width, head[place + 9] > 1
        place += 2 + length
    return None
