"""What ``layercli init`` finds in a file or folder of data."""

from __future__ import annotations

from pathlib import Path

from layercli.errors import LayercliError, Problem
from layercli.formats.preview import (
    ColumnPreview,
    PreviewError,
    TablePreview,
    preview_image_folder,
    preview_table,
)
from layercli.reports.config_template import ConfigTemplate, ModelSize, quote_yaml_text
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import sanitize_text

_TARGET_NAMES = ("target", "label", "class", "y", "species", "outcome", "income")
"""Names that a column of targets often has."""


def read_table_and_target(path: Path, target: str | None) -> tuple[TablePreview, ColumnPreview]:
    """The table, and its column of targets: the one of that name, or of a name that targets have, or the last.

    Raises:
        LayercliError: there is no such file or column.
    """
    if not path.is_file():
        raise _make_data_error(path, "There is no such file.", "Name a CSV file, or a folder of images.")
    try:
        table = preview_table(path)
    except PreviewError as error:
        raise _make_data_error(
            path, sanitize_text(str(error)), "For arrays write `data: {type: npz, ...}`."
        ) from None
    by_name = {column.name: column for column in table.columns}
    if target is not None:
        if target not in by_name:
            otherwise = f"There are {', '.join(map(sanitize_text, list(by_name)[:20]))}."
            hint = did_you_mean(target, list(by_name), otherwise=otherwise)
            raise _make_data_error(path, f'There is no column "{sanitize_text(target, limit=60)}".', hint)
        return table, by_name[target]
    candidates = [column for column in table.columns if column.name.lower() in _TARGET_NAMES]
    chosen = candidates[-1] if candidates else table.columns[-1]
    if chosen.kind in ("text", "date", "unique"):
        message = f"`{sanitize_text(chosen.name)}` cannot be what is learned: it is {_UNSUITABLE_REASONS[chosen.kind]}."
        raise _make_data_error(path, message, "Name the column of targets by --target.")
    return table, chosen


_UNSUITABLE_REASONS = {"text": "free text", "date": "a date", "unique": "different in nearly every row"}


def make_image_template(folder: Path, path: str, name: str, size: ModelSize) -> tuple[ConfigTemplate, str]:
    """A config for the images of a folder, which is ``path`` to the config, and what was seen there.

    Raises:
        LayercliError: there are no images.
    """
    try:
        preview = preview_image_folder(folder)
    except (PreviewError, OSError) as error:
        raise _make_data_error(folder, sanitize_text(str(error)), None) from None
    height, width = (
        preview.sizes.most_common(1)[0][0] if preview.sizes else (_MAX_IMAGE_SIZE, _MAX_IMAGE_SIZE)
    )
    summary = f"{preview.image_count:,} images of {len(preview.classes)} classes"
    sizes = f", most of {height}x{width}" if len(preview.sizes) > 1 else f", all of {height}x{width}"
    is_scaled = len(preview.sizes) != 1 or max(height, width) > _MAX_IMAGE_SIZE
    if is_scaled:
        height = width = min(_MAX_IMAGE_SIZE, max(height, width))
    channels = 3 if preview.has_color else 1
    class_list = f"{', '.join(map(sanitize_text, preview.classes[:8]))}{', ...' * (len(preview.classes) > 8)}"
    data = [
        f"  # {summary}{sizes}: {class_list}.",
        "  type: images",
        f"  path: {quote_yaml_text(path)}",
        f"  size: [{height}, {width}]             # height and width that every image is scaled to",
        f"  channels: {channels}                  # {'colour' if channels == 3 else 'grey'}",
        "  split: {validation: 0.1, test: 0.1, stratify: true}",
    ]
    if not is_scaled:
        del data[3]
    classes = max(len(preview.classes), 2)
    return ConfigTemplate(
        name, "images", (height, width, channels), classes, size, data
    ), f"Saw {summary}{sizes}."


_MAX_IMAGE_SIZE = 128
"""Height and width to which larger images are scaled."""


def _make_data_error(path: Path, message: str, hint: str | None) -> LayercliError:
    return LayercliError(
        Problem(code="unreadable-data", message=message, hint=hint, file=sanitize_text(str(path)))
    )
