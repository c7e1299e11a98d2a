"""Inspect a data file or folder for ``layercli init``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from layercli.activity import show_activity
from layercli.data.tables.column_facts import ColumnFacts
from layercli.formats.array_preview import ARRAY_SUFFIXES
from layercli.formats.preview import PreviewError, TablePreview, preview_table
from layercli.formats.table_types import find_table_type, has_table_suffix
from layercli.io.atomic import describe_os_error
from layercli.io.folders import SETS_BY_FOLDER, list_folders, list_visible_files
from layercli.io.paths import describe_missing_file
from layercli.reports.config_template import ConfigTemplate, ModelSize, describe_target
from layercli.reports.formatting import join_words
from layercli.reports.table_template import TableColumns, list_dropping_columns, template_from_table
from layercli.source.nodes import sanitize_text
from layercli.workflows.init_from_arrays import make_array_template
from layercli.workflows.init_from_folder import make_folder_template, make_label_table_template
from layercli.workflows.init_paths import make_init_error, make_relative
from layercli.workflows.label_lists import describe_label_list
from layercli.workflows.table_columns import assign_columns

_MAX_NAMED_COLUMNS = 8
_MAX_PLACES = 3
"""Rows without a target whose places are named."""


@show_activity("Reading the data")
def make_template(
    paths: Sequence[Path], config_folder: Path, name: str, targets: Sequence[str], size: ModelSize
) -> tuple[ConfigTemplate, list[str]]:
    """Return a config template for files or a folder, and what a person should know about their content, as sentences.

    Args:
        paths: The file or folder, or several files of one table.
        config_folder: The folder of the config, to which paths are relative.
        name: The name of the model.
        targets: The targets: columns of a table, or arrays; empty if they are chosen.
        size: The size of the model.

    Raises:
        LayercliError: The data cannot be read, or has no target or no input.
    """
    for path in paths:
        reason = None if path.is_dir() else describe_missing_file(path)
        if reason is not None:
            raise make_init_error(path, f"The file {reason}.", "Name a table, a file of arrays or a folder.")
    path = paths[0]
    try:
        if path.is_dir() and len(paths) == 1 and not any(path.glob("*.npy")):
            tables = _list_tables(path)
            if not tables:
                return make_folder_template(path, config_folder, name, targets, size)
            paths = tables
        elif path.suffix.lower() in ARRAY_SUFFIXES or path.is_dir():
            return _make_array_template(paths, config_folder, name, targets, size)
        _require_one_type(paths)
        paths, sets = _divide_sets(paths)
        path = paths[0]
        table = preview_table(*paths)
        labelled = None
        if len(paths) == 1:
            labelled = make_label_table_template(path, table, config_folder, name, targets, size)
    except (PreviewError, OSError) as error:
        reason = str(error)
        if isinstance(error, OSError):
            reason = f"{error.filename or path} cannot be read: {describe_os_error(error)}."
        hint = error.hint if isinstance(error, PreviewError) else None
        raise make_init_error(path, sanitize_text(reason), hint) from None
    if labelled is not None:
        return labelled
    columns = assign_columns(path, table, *(targets or (None,)))
    held_out, notes = _select_sets(sets, table, columns)
    files = {part: [make_relative(file, config_folder)] for part, file in held_out.items()}
    columns = replace(columns, held_out=files)
    relative = [make_relative(each, config_folder) for each in paths]
    template = template_from_table(name, relative, table, columns, size)
    return template, [*_describe_table(table, columns), *notes]


def _divide_sets(paths: Sequence[Path]) -> tuple[Sequence[Path], dict[str, Path]]:
    """Return the training files, and those of the other sets if the files are named after sets, such as ``test.csv``."""
    by_set = {
        SETS_BY_FOLDER[stem]: path
        for path in paths
        if (stem := path.name.lower().split(".")[0]) in SETS_BY_FOLDER
    }
    if len(by_set) < len(paths) or "train" not in by_set:
        return paths, {}
    return [by_set.pop("train")], by_set


def _select_sets(
    sets: Mapping[str, Path], table: TablePreview, columns: TableColumns
) -> tuple[dict[str, Path], list[str]]:
    """Return the files that have the columns of the training file, and notes on all of them.

    Raises:
        LayercliError: A file cannot be read.
    """
    held_out, notes = {}, []
    needed = {column.name for column in table.columns} - columns.left_out.keys()
    for part, file in sorted(sets.items(), reverse=True):
        try:
            missing = sorted(needed - {column.name for column in preview_table(file).columns})
        except PreviewError as error:
            raise make_init_error(file, sanitize_text(str(error)), error.hint) from None
        if missing:
            reason = f"it has no column `{sanitize_text(missing[0], limit=60)}`"
            notes.append(f"Not used: {sanitize_text(str(file))}, because {reason}.")
        else:
            held_out[part] = file
            notes.append(f"The {part} set is {sanitize_text(str(file))}.")
    return held_out, notes


def _list_tables(folder: Path) -> list[Path]:
    """Return the tables of a folder that contains nothing else."""
    files = list_visible_files(folder)
    are_tables = files and all(map(has_table_suffix, files))
    return files if are_tables and not list_folders(folder) else []


def _require_one_type(paths: Sequence[Path]) -> None:
    """Check that several paths are tables of one type.

    Raises:
        PreviewError: they are not.
    """
    others = [path for path in paths if path.is_dir() or path.suffix.lower() in ARRAY_SUFFIXES]
    if len(paths) > 1 and others:
        raise PreviewError(
            f"{others[0]} is not a table.", "Name one folder, or several tables with the same columns."
        )
    types = {find_table_type(path).type_name() for path in paths}
    if len(types) > 1:
        raise PreviewError(
            f"Files of different types, {' and '.join(sorted(types))}, cannot be one table.",
            "Convert them to one type.",
        )


def _make_array_template(
    paths: Sequence[Path], config_folder: Path, name: str, targets: Sequence[str], size: ModelSize
) -> tuple[ConfigTemplate, list[str]]:
    """Return the template of a file of arrays; the second of two npy files is the target."""
    if len(paths) == 2 and not targets and all(path.suffix.lower() == ".npy" for path in paths):
        targets = [str(paths[1])]
    elif len(paths) > 1:
        raise PreviewError(
            f"Expected one .npz file or two .npy files, got {', '.join(map(str, paths[:4]))}.",
            "Name one npz file, or an npy file of features and one of the target.",
        )
    return make_array_template(paths[0], config_folder, name, targets, size)


def _describe_table(table: TablePreview, columns: TableColumns) -> list[str]:
    target = ", ".join(f"`{sanitize_text(column.name, limit=60)}`" for column in columns.targets)
    notes = [*_describe_footers(table, columns), *table.notes]
    meaning = describe_target(columns.class_names)
    if columns.more_targets:
        meaning = (
            f"{len(columns.targets)} {'numbers' if columns.target_form == 'value' else 'values of 0 or 1'}"
        )
    elif columns.label_separator is not None:
        meaning = describe_label_list(columns.label_separator, meaning)
    notes.append(f"Read {table.row_count:,} rows. Target: {target} ({columns.target_reason}), {meaning}.")
    if columns.target_reason.startswith("the last column"):
        notes.append("No name says which column is the target: `--target COLUMN` names a different one.")
    notes += [
        f"`{sanitize_text(column.name, limit=60)}` {column.note}."
        for column in columns.targets
        if column.is_boolean and column.note is not None
    ]
    if columns.infinity_words:
        infinite = " and ".join(f'"{sanitize_text(word, limit=40)}"' for word in columns.infinity_words)
        notes.append(f"Infinite numbers, {infinite}, are read as missing.")
    missing = sum(column.missing_count for column in columns.targets)
    if columns.label_separator is not None:
        notes += ["Rows without a label have a 0 for each."] * (missing > 0)
    elif missing and columns.more_targets:
        notes.append("Rows without one of the targets are left out.")
    elif missing:
        words = [f'"{word}" in {count:,}' for word, count in columns.target.missing_words.items()]
        reason = f" ({', '.join(words)})" if words else ""
        rows = "1 row has no target and is" if missing == 1 else f"{missing:,} rows have no target and are"
        notes.append(f"{rows} left out{reason}{_list_places(table, columns.target, missing)}.")
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


def _describe_footers(table: TablePreview, columns: TableColumns) -> Iterator[str]:
    """Yield what the last rows that are not examples are, and whether the config leaves them out."""
    dropping = list_dropping_columns(table, columns)
    targets = {row for column in columns.targets for row in column.first_missing if column.name in dropping}
    for footer in table.survey.footers:
        text = f'"{sanitize_text(footer.text, limit=40)}"'
        reason = (
            f"seems to be a total of the others, as it has {text}" if footer.is_total else f"has only {text}"
        )
        which = "The last row" if footer.row == table.row_count - 1 else "A row near the end"
        is_left_out = footer.column in dropping or footer.row in targets
        outcome = "it is left out" if is_left_out else "remove it from the file if it is not an example"
        yield f"{which}, {table.locate(footer.row)}, {reason}: {outcome}."


def _list_places(table: TablePreview, target: ColumnFacts, count: int) -> str:
    """Return where the rows without a target are, as the end of a sentence."""
    places = list(map(table.locate, target.list_missing_rows(_MAX_PLACES)))
    if not places:
        return ""
    if count > len(places):
        return f"; the first is in {places[0]}"
    noun = places[0].split()[0]
    if len(places) == 1 or any(not place.startswith(f"{noun} ") for place in places):
        return f": {join_words(places)}"
    return f": {noun}s {join_words([place.removeprefix(f'{noun} ') for place in places])}"


def _describe_split(columns: TableColumns) -> list[str]:
    """Return what the order of the rows, or their groups, mean for the sets."""
    name = sanitize_text(columns.series or columns.group or "", limit=60)
    if columns.series is not None:
        keys = " and ".join(f"`{sanitize_text(key, limit=60)}`" for key in columns.series_keys)
        key = f" for each {keys}" if keys else ""
        return [
            f"The rows are a series in the order of `{name}`{key}: the model predicts the next row from the previous rows."
            if columns.is_forecast
            else f"The rows are a series in the order of `{name}`{key}: the latest rows are the test set. To predict from "
            "the previous rows, use `windows`."
        ]
    if columns.is_grouped:
        return [f"Several rows have the same `{name}`: they are in the same set, and it is not an input."]
    if columns.group is not None:
        return [
            f"Several rows have the same `{name}`; to test on new values of it, add `group: {name}` to `split`."
        ]
    return []
