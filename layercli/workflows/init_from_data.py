"""Inspect a data file or folder for ``layercli init``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from layercli.data.class_folders import list_class_files
from layercli.data.types import DataError
from layercli.errors import LayercliError, make_file_error
from layercli.formats.array_preview import ARRAY_SUFFIXES, ArraysPreview, preview_arrays
from layercli.formats.images.config import IMAGE_SUFFIXES
from layercli.formats.preview import PreviewError, TablePreview, preview_image_folder, preview_table
from layercli.formats.text.config import TEXT_SUFFIXES
from layercli.reports.config_template import ConfigTemplate, ModelSize, describe_target, quote_yaml_text
from layercli.reports.table_template import TableColumns, template_from_table
from layercli.source.nodes import sanitize_text
from layercli.workflows.preflight import read_memory_limit
from layercli.workflows.table_columns import assign_columns, list_number_classes

_MAX_IMAGE_SIZE = 128
"""Maximum height and width; larger images are scaled down."""
_MAX_NAMED_COLUMNS = 8
_MAX_PARENTS = 3
"""Data in folders that are further away has an absolute path."""


def make_template(
    path: Path, config_folder: Path, name: str, target: str | None, size: ModelSize
) -> tuple[ConfigTemplate, list[str]]:
    """Return a config template for a file or folder, and what a person should know about its content, as sentences.

    Args:
        path: The file or folder.
        config_folder: The folder of the config, to which paths are relative.
        name: The name of the model.
        target: The target: a column of a table, or an array; None if it is chosen.
        size: The size of the model.

    Raises:
        LayercliError: The data cannot be read, or has no target or no input.
    """
    if not path.exists():
        raise _make_data_error(
            path, "The file does not exist.", "Name a table, a file of arrays or a folder."
        )
    relative = _make_relative(path, config_folder)
    try:
        if path.is_dir():
            return _make_folder_template(path, relative, name, size)
        if path.suffix.lower() in ARRAY_SUFFIXES:
            arrays = preview_arrays(path, target, read_memory_limit())
            return _make_array_template(arrays, config_folder, name, size)
        table = preview_table(path)
    except (PreviewError, OSError) as error:
        raise _make_data_error(
            path, sanitize_text(str(error)), error.hint if isinstance(error, PreviewError) else None
        ) from None
    columns = assign_columns(path, table, target)
    return template_from_table(name, relative, table, columns, size), _describe_table(table, columns)


def _make_relative(path: Path, folder: Path) -> str:
    path, folder = path.resolve(), folder.resolve()
    relative = os.path.relpath(path, folder)
    return relative if relative.count("..") <= _MAX_PARENTS else str(path)


def _describe_table(table: TablePreview, columns: TableColumns) -> list[str]:
    target = sanitize_text(columns.target.name, limit=60)
    notes = [*table.notes]
    notes.append(
        f"Read {table.row_count:,} rows. Target: `{target}` ({columns.target_reason}), {describe_target(columns.class_names)}."
    )
    if columns.target.is_boolean and columns.target.note is not None:
        notes.append(f"`{target}` {columns.target.note}.")
    missing = columns.target.missing_count
    if missing:
        words = [f'"{word}" in {count:,}' for word, count in columns.target.missing_words.items()]
        reason = f" ({', '.join(words)})" if words else ""
        rows = "1 row has no target and is" if missing == 1 else f"{missing:,} rows have no target and are"
        notes.append(f"{rows} left out{reason}.")
    notes += _describe_split(columns)
    if columns.left_out:
        listed = [
            f"`{sanitize_text(name, limit=60)}` ({reason})" for name, reason in columns.left_out.items()
        ]
        more = len(listed) - _MAX_NAMED_COLUMNS
        notes.append(
            f"Not used: {', '.join(listed[:_MAX_NAMED_COLUMNS])}{f' and {more:,} more' if more > 0 else ''}."
        )
    return notes


def _describe_split(columns: TableColumns) -> list[str]:
    """Return what the order of the rows, or their groups, mean for the sets."""
    name = sanitize_text(columns.series or columns.group or "", limit=60)
    if columns.series is not None:
        key = (
            "" if columns.series_key is None else f" for each `{sanitize_text(columns.series_key, limit=60)}`"
        )
        return [
            f"The rows are a series in the order of `{name}`{key}: the model forecasts the next row from the rows before it."
            if columns.is_forecast
            else f"The rows are a series in the order of `{name}`{key}, but the sets are random rows; see `split` in the "
            "config. For a forecast from the rows before, use `windows`."
        ]
    if columns.is_grouped:
        return [f"Several rows have the same `{name}`: they are in the same set, and it is not an input."]
    if columns.group is not None:
        return [
            f"Several rows have the same `{name}`; for a test on new ones, add `group: {name}` to `split`."
        ]
    return []


def _make_folder_template(
    folder: Path, path: str, name: str, size: ModelSize
) -> tuple[ConfigTemplate, list[str]]:
    """Return a template for a folder with a folder for each class."""
    try:
        found = list_class_files(folder, TEXT_SUFFIXES)
    except DataError:
        return _make_image_template(folder, path, name, size)
    classes, files = found.class_names, found.files
    summary = f"{len(files):,} texts of {len(classes)} classes"
    data = [
        f"  # {summary}: {_list_classes(classes)}.",
        "  type: text",
        f"  path: {quote_yaml_text(path)}",
        "  split: {validation: 0.1, test: 0.1, stratify: true}",
    ]
    template = ConfigTemplate(
        name,
        "text",
        (),
        max(len(classes), 2),
        size,
        data,
        class_names=tuple(classes) if len(classes) > 1 else (),
        row_count=len(files),
    )
    return template, [f"Found {summary}."]


def _list_classes(classes: Sequence[str]) -> str:
    return f"{', '.join(map(sanitize_text, classes[:8]))}{', ...' * (len(classes) > 8)}"


def _make_image_template(
    folder: Path, path: str, name: str, size: ModelSize
) -> tuple[ConfigTemplate, list[str]]:
    try:
        preview = preview_image_folder(folder)
    except PreviewError:
        suffixes = ", ".join((*IMAGE_SUFFIXES, *TEXT_SUFFIXES))
        message = (
            f"{folder} contains no folders with images or texts ({suffixes}); each class needs a folder."
        )
        raise PreviewError(message) from None
    height, width = (
        preview.sizes.most_common(1)[0][0] if preview.sizes else (_MAX_IMAGE_SIZE, _MAX_IMAGE_SIZE)
    )
    summary = f"{preview.image_count:,} images of {len(preview.classes)} classes"
    sizes = f", mostly {height}x{width}" if len(preview.sizes) > 1 else f", all {height}x{width}"
    is_scaled = len(preview.sizes) != 1 or max(height, width) > _MAX_IMAGE_SIZE
    if is_scaled:
        height = width = min(_MAX_IMAGE_SIZE, max(height, width))
    channels = 3 if preview.has_color else 1
    data = [
        f"  # {summary}{sizes}: {_list_classes(preview.classes)}.",
        "  type: images",
        f"  path: {quote_yaml_text(path)}",
        f"  size: [{height}, {width}]             # height and width; every image is scaled to this size",
        f"  channels: {channels}                  # {'color' if channels == 3 else 'grayscale'}",
        "  split: {validation: 0.1, test: 0.1, stratify: true}",
    ]
    if not is_scaled:
        del data[3]
    template = ConfigTemplate(
        name,
        "images",
        (height, width, channels),
        max(len(preview.classes), 2),
        size,
        data,
        class_names=tuple(preview.classes) if len(preview.classes) > 1 else (),
        row_count=preview.image_count,
    )
    return template, [f"Found {summary}{sizes}."]


def _make_array_template(
    arrays: ArraysPreview, config_folder: Path, name: str, size: ModelSize
) -> tuple[ConfigTemplate, list[str]]:
    """Return a template for arrays: vectors, sequences or images by the number of their axes."""
    shape, target = arrays.features.shape[1:], arrays.target
    type_name = "npz" if arrays.path is not None else "npy"
    names = [arrays.features.name, target.name]
    data = [f"  # {arrays.features.shape[0]:,} examples of shape {list(shape)}.", f"  type: {type_name}"]
    if arrays.path is not None:
        data.append(f"  path: {quote_yaml_text(_make_relative(arrays.path, config_folder))}")
    else:
        names = [_make_relative(Path(file), config_folder) for file in names]
    class_names = arrays.values
    if class_names is not None and not arrays.has_text_labels:
        class_names = list_number_classes(Path(target.name).stem, class_names, target.shape[0])
    data += [
        f"  features: {quote_yaml_text(names[0])}",
        f"  target: {quote_yaml_text(names[1])}   # {describe_target(class_names)}",
    ]
    if not arrays.has_text_labels:
        data.append(f"  target_type: {'numbers' if class_names is None else 'labels'}")
    stratify = "" if class_names is None else ", stratify: true"
    data.append(f"  split: {{validation: 0.1, test: 0.1{stratify}}}")
    template = ConfigTemplate(
        name,
        arrays.kind,
        shape,
        None if class_names is None else len(class_names),
        size,
        data,
        class_names=class_names or (),
        row_count=arrays.features.shape[0],
        is_scaled=not arrays.are_bytes,
        output_units=target.shape[1] if len(target.shape) > 1 else 1,
    )
    note = (
        f"Found {arrays.features.shape[0]:,} examples of shape {list(shape)} in `{sanitize_text(names[0])}`. "
        f"Target: `{sanitize_text(names[1])}`, {describe_target(class_names)}."
    )
    return template, [note]


def _make_data_error(path: Path, message: str, hint: str | None) -> LayercliError:
    return make_file_error(sanitize_text(str(path)), "unreadable-data", message, hint)
