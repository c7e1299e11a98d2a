"""Inspect a data file or folder for ``layercli init``."""

from __future__ import annotations

from pathlib import Path

from layercli.errors import LayercliError, make_file_error
from layercli.formats.preview import (
    ColumnPreview,
    PreviewError,
    TablePreview,
    preview_image_folder,
    preview_table,
)
from layercli.reports.config_template import (
    ConfigTemplate,
    ModelSize,
    find_reason_to_leave_out,
    quote_yaml_text,
)
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import sanitize_text

_TARGET_NAMES = ("target", "label", "class", "y", "species", "outcome", "income")
"""Common names of a target column."""


def read_table_and_target(path: Path, target: str | None) -> tuple[TablePreview, ColumnPreview]:
    """Return the table and its target column: the named column, a column with a common name, or the last one.

    Raises:
        LayercliError: The file or the column does not exist, or the column cannot be a target.
    """
    if not path.is_file():
        raise _make_data_error(path, "The file does not exist.", "Name a CSV file or a folder of images.")
    try:
        table = preview_table(path)
    except PreviewError as error:
        raise _make_data_error(
            path,
            sanitize_text(str(error)),
            error.hint or "For arrays, write `data: {type: npz, ...}` in a config.",
        ) from None
    by_name = {column.name: column for column in table.columns}
    if target is not None:
        if target not in by_name:
            otherwise = f"The columns are {', '.join(map(sanitize_text, list(by_name)[:20]))}."
            hint = did_you_mean(target, list(by_name), otherwise=otherwise)
            raise _make_data_error(
                path, f'The table has no column "{sanitize_text(target, limit=60)}".', hint
            )
        return table, by_name[target]
    candidates = [column for column in table.columns if column.name.lower() in _TARGET_NAMES]
    chosen = candidates[-1] if candidates else table.columns[-1]
    if chosen.kind in ("text", "date", "unique"):
        message = f"`{sanitize_text(chosen.name)}` cannot be the target: {_UNSUITABLE_REASONS[chosen.kind]}."
        raise _make_data_error(path, message, "Name the target column with --target.")
    return table, chosen


def require_input_columns(path: Path, table: TablePreview, target: ColumnPreview) -> None:
    """Check that a model can use a column of the table.

    Raises:
        LayercliError: Every column besides the target is constant, a date or different in every row.
    """
    reasons = {
        column.name: find_reason_to_leave_out(column) for column in table.columns if column is not target
    }
    if all(reasons.values()):
        listed = "; ".join(
            f"`{sanitize_text(name, limit=60)}`: {reason}" for name, reason in [*reasons.items()][:8]
        )
        message = f"No column besides the target `{sanitize_text(target.name, limit=60)}` can be an input. {listed}."
        raise _make_data_error(
            path,
            message,
            "Name a different target with --target; for a time series, write a config with `windows`.",
        )


_UNSUITABLE_REASONS = {
    "text": "it is free text",
    "date": "it is a date",
    "unique": "almost every row has a different value",
}


def make_image_template(folder: Path, path: str, name: str, size: ModelSize) -> tuple[ConfigTemplate, str]:
    """Return a config template for a folder of images, and a summary of the folder.

    Args:
        folder: The folder.
        path: The folder as the config names it.
        name: The name of the model.
        size: The size of the model.

    Raises:
        LayercliError: The folder contains no images.
    """
    try:
        preview = preview_image_folder(folder)
    except (PreviewError, OSError) as error:
        raise _make_data_error(folder, sanitize_text(str(error)), None) from None
    height, width = (
        preview.sizes.most_common(1)[0][0] if preview.sizes else (_MAX_IMAGE_SIZE, _MAX_IMAGE_SIZE)
    )
    summary = f"{preview.image_count:,} images of {len(preview.classes)} classes"
    sizes = f", mostly {height}x{width}" if len(preview.sizes) > 1 else f", all {height}x{width}"
    is_scaled = len(preview.sizes) != 1 or max(height, width) > _MAX_IMAGE_SIZE
    if is_scaled:
        height = width = min(_MAX_IMAGE_SIZE, max(height, width))
    channels = 3 if preview.has_color else 1
    class_list = f"{', '.join(map(sanitize_text, preview.classes[:8]))}{', ...' * (len(preview.classes) > 8)}"
    data = [
        f"  # {summary}{sizes}: {class_list}.",
        "  type: images",
        f"  path: {quote_yaml_text(path)}",
        f"  size: [{height}, {width}]             # height and width; every image is scaled to this size",
        f"  channels: {channels}                  # {'color' if channels == 3 else 'grayscale'}",
        "  split: {validation: 0.1, test: 0.1, stratify: true}",
    ]
    if not is_scaled:
        del data[3]
    classes = max(len(preview.classes), 2)
    return ConfigTemplate(
        name, "images", (height, width, channels), classes, size, data
    ), f"Found {summary}{sizes}."


_MAX_IMAGE_SIZE = 128
"""Maximum height and width; larger images are scaled down."""


def _make_data_error(path: Path, message: str, hint: str | None) -> LayercliError:
    return make_file_error(sanitize_text(str(path)), "unreadable-data", message, hint)
