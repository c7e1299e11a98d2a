"""What ``layercli init`` finds in a file or folder of data."""

from __future__ import annotations

from pathlib import Path

from layercli.data.preview import Column, Table, UnknownDataError, look_at_images, look_at_table
from layercli.errors import LayercliError, Problem
from layercli.reports.config_template import Size, Start, written_text
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import printable

_TARGETS = ("target", "label", "class", "y", "species", "outcome", "income")
"""Names that a column of targets often has."""


def table_of(path: Path, target: str | None) -> tuple[Table, Column]:
    """The table, and its column of targets: the one of that name, or of a name that targets have, or the last.

    Raises:
        LayercliError: there is no such file or column.
    """
    if not path.is_file():
        raise _problem(path, "There is no such file.", "Name a CSV file, or a folder of images.")
    try:
        table = look_at_table(path)
    except UnknownDataError as error:
        raise _problem(path, printable(str(error)), "For arrays write `data: {type: npz, ...}`.") from None
    by_name = {column.name: column for column in table.columns}
    if target is not None:
        if target not in by_name:
            otherwise = f"There are {', '.join(map(printable, list(by_name)[:20]))}."
            hint = did_you_mean(target, list(by_name), otherwise=otherwise)
            raise _problem(path, f'There is no column "{printable(target, limit=60)}".', hint)
        return table, by_name[target]
    likely = [column for column in table.columns if column.name.lower() in _TARGETS]
    chosen = likely[-1] if likely else table.columns[-1]
    if chosen.kind in ("text", "date", "unique"):
        message = f"`{printable(chosen.name)}` cannot be what is learned: it is {_WHY[chosen.kind]}."
        raise _problem(path, message, "Name the column of targets by --target.")
    return table, chosen


_WHY = {"text": "free text", "date": "a date", "unique": "different in nearly every row"}


def image_start(folder: Path, path: str, name: str, size: Size) -> tuple[Start, str]:
    """A config for the images of a folder, which is ``path`` to the config, and what was seen there.

    Raises:
        LayercliError: there are no images.
    """
    try:
        found = look_at_images(folder)
    except (UnknownDataError, OSError) as error:
        raise _problem(folder, printable(str(error)), None) from None
    height, width = found.sizes.most_common(1)[0][0] if found.sizes else (_LARGE, _LARGE)
    seen = f"{found.images:,} images of {len(found.classes)} classes"
    sizes = f", most of {height}x{width}" if len(found.sizes) > 1 else f", all of {height}x{width}"
    scaled = len(found.sizes) != 1 or max(height, width) > _LARGE
    if scaled:
        height = width = min(_LARGE, max(height, width))
    channels = 3 if found.colour else 1
    named = f"{', '.join(map(printable, found.classes[:8]))}{', ...' * (len(found.classes) > 8)}"
    data = [
        f"  # {seen}{sizes}: {named}.",
        "  type: images",
        f"  path: {written_text(path)}",
        f"  size: [{height}, {width}]             # height and width that every image is scaled to",
        f"  channels: {channels}                  # {'colour' if channels == 3 else 'grey'}",
        "  split: {validation: 0.1, test: 0.1, stratify: true}",
    ]
    if not scaled:
        del data[3]
    classes = max(len(found.classes), 2)
    return Start(name, "images", (height, width, channels), classes, size, data), f"Saw {seen}{sizes}."


_LARGE = 128
"""Height and width to which larger images are scaled."""


def _problem(path: Path, message: str, hint: str | None) -> LayercliError:
    return LayercliError(
        Problem(code="unreadable-data", message=message, hint=hint, file=printable(str(path)))
    )
