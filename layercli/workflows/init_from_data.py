"""Inspect a data file or folder for ``layercli init``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from layercli.formats.array_preview import ARRAY_SUFFIXES
from layercli.formats.preview import PreviewError, TablePreview, preview_table
from layercli.reports.config_template import ConfigTemplate, ModelSize, describe_target
from layercli.reports.table_template import TableColumns, template_from_table
from layercli.source.nodes import sanitize_text
from layercli.workflows.init_from_arrays import make_array_template
from layercli.workflows.init_from_folder import make_folder_template, make_label_table_template
from layercli.workflows.init_paths import make_init_error, make_relative
from layercli.workflows.table_columns import assign_columns

_MAX_NAMED_COLUMNS = 8


def make_template(
    path: Path, config_folder: Path, name: str, targets: Sequence[str], size: ModelSize
) -> tuple[ConfigTemplate, list[str]]:
    """Return a config template for a file or folder, and what a person should know about its content, as sentences.

    Args:
        path: The file or folder.
        config_folder: The folder of the config, to which paths are relative.
        name: The name of the model.
        targets: The targets: columns of a table, or arrays; empty if they are chosen.
        size: The size of the model.

    Raises:
        LayercliError: The data cannot be read, or has no target or no input.
    """
    if not path.exists():
        raise make_init_error(path, "The file does not exist.", "Name a table, a file of arrays or a folder.")
    try:
        if path.is_dir() and not any(path.glob("*.npy")):
            return make_folder_template(path, config_folder, name, targets, size)
        if path.is_dir() or path.suffix.lower() in ARRAY_SUFFIXES:
            return make_array_template(path, config_folder, name, targets, size)
        table = preview_table(path)
        labelled = make_label_table_template(path, table, config_folder, name, targets, size)
    except (PreviewError, OSError) as error:
        raise make_init_error(
            path, sanitize_text(str(error)), error.hint if isinstance(error, PreviewError) else None
        ) from None
    if labelled is not None:
        return labelled
    columns = assign_columns(path, table, targets[0] if targets else None)
    relative = make_relative(path, config_folder)
    return template_from_table(name, relative, table, columns, size), _describe_table(table, columns)


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
        keys = " and ".join(f"`{sanitize_text(key, limit=60)}`" for key in columns.series_keys)
        key = f" for each {keys}" if keys else ""
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
