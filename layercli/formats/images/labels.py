"""Read the targets of images from a table with a row for each image."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeAlias

import numpy as np

from layercli.config.data.tables import TableConfig
from layercli.data.class_folders import FolderFiles, list_files, make_skipped_finding
from layercli.data.examples import Examples, load_examples
from layercli.data.labels import encode_known_labels, is_labels
from layercli.data.reader_state import ReaderState
from layercli.data.tables.plan import TablePlan
from layercli.data.types import Array, DataError, make_data_finding, raise_data_error
from layercli.formats import registry
from layercli.formats.csv.config import Csv
from layercli.formats.csv.sniff import sniff_csv
from layercli.formats.images.config import FILE_INPUT, IMAGE_SUFFIXES, Images
from layercli.graph.finding import Finding
from layercli.io.paths import compose_name, is_file
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, sanitize_text

_TABLE_KEY: Final[KeyPath] = ("data", "labels", "path")
_FILE_KEY: Final[KeyPath] = ("data", "labels", "file")
_TARGET_KEY: Final[KeyPath] = ("data", "labels", "target")
_SEPARATOR_OF_COLUMN: Final = re.compile(r'`label_separators(?:(: )\{.*: (".*")\})?`')
"""The key of a table, with or without the separator of a column."""
_MAX_REPORTED = 20
_MAX_LISTED = 3


@dataclass(frozen=True, slots=True)
class TableLabels:
    """The images that a table names, in the order of its rows, and the target of each."""

    files: list[Path]
    targets: Array
    """The targets, of shape (files,), or (files, values) for several target columns or labels."""
    class_names: tuple[str, ...] | None
    """The names of the labels if they are texts."""
    value_names: tuple[str, ...] = ()
    """What the values of a target are, if it has several: columns, or labels of 0 or 1."""
    warnings: tuple[Finding, ...] = ()
    errors: tuple[Finding, ...] = ()
    """A finding for each row whose image is missing, ambiguous or in two rows, and for targets that cannot be read;
    ``files`` are those of the other rows, and ``targets`` are empty."""


def read_labels(data: Images, listing: FolderFiles) -> TableLabels:
    """Return the images of a folder with their targets, as the table of the config says.

    Raises:
        DataError: the table cannot be read.
    """
    labels = data.labels
    assert labels is not None
    files, examples, errors, table_warnings = _read_rows(data, FileIndex(listing, Path(labels.path).parent))
    targets, class_names = (np.empty(0), None) if examples is None else _combine_targets(examples)
    value_names = () if examples is None else _name_values(data, examples)
    table = Path(labels.path).absolute()
    listing = replace(listing, skipped=[path for path in listing.skipped if path.absolute() != table])
    warnings = [
        *listing.make_warnings(IMAGE_SUFFIXES),
        *table_warnings,
        *_report_unlabelled(data, listing, files),
    ]
    return TableLabels(files, targets, class_names, value_names, tuple(warnings), tuple(errors))


def _name_values(data: Images, examples: Examples) -> tuple[str, ...]:
    """Return what the values of a target are: the labels of lists, or columns; empty if it has one value."""
    assert data.labels is not None
    if data.labels.separator is not None:
        return examples.target_columns[None]
    return tuple(data.labels.target) if len(data.labels.target) > 1 else ()


def read_new_labels(
    data: Images, paths: Sequence[str], class_names: tuple[str, ...] | None, value_names: tuple[str, ...]
) -> TableLabels:
    """Return the images of other tables with their targets; ``class_names`` and ``value_names`` are those of training.

    A path is a table, or a folder of images that contains a table with the name of that of training.

    Raises:
        DataError: a table cannot be read, an image is missing, ambiguous or in two rows, or a class is not from training.
    """
    assert data.labels is not None
    files: list[Path] = []
    targets: list[Array] = []
    for path in map(Path, paths):
        is_folder = path.is_dir()
        table = path / Path(data.labels.path).name if is_folder else path
        folder = path if is_folder else Path(data.path)
        new = data.with_arguments(
            path=str(folder), labels=data.labels.model_copy(update={"path": str(table)})
        )
        if class_names is not None:
            new = new.with_arguments(target_type="labels")
        listing = list_files(folder, IMAGE_SUFFIXES) if folder.is_dir() else FolderFiles(folder, [], [])
        index = FileIndex(listing, table.parent)
        new_files, examples, errors, _ = _read_rows(new, index, near_table=table.parent)
        if examples is None:
            raise DataError(*errors)
        files += new_files
        found, names = _combine_targets(examples)
        if data.labels.separator is not None:
            found = _order_as_trained(found, _name_values(data, examples), value_names, table)
        targets.append(found if class_names is None else _encode_as_trained(found, names, class_names))
    return TableLabels(files, np.concatenate(targets), class_names, value_names)


def _order_as_trained(values: Array, labels: Sequence[str], trained: Sequence[str], table: Path) -> Array:
    """Return values of 0 and 1, of shape (files, labels), for the labels of training."""
    unknown = [label for label in labels if label not in trained]
    if unknown:
        message = (
            f"{sanitize_text(str(table))} has the label "
            f'"{sanitize_text(unknown[0], limit=60)}", which is not in the training data.'
        )
        hint = did_you_mean(unknown[0], trained, otherwise=f"The labels are {', '.join(trained[:12])}.")
        raise_data_error(message, _TARGET_KEY, hint)
    ordered = np.zeros((len(values), len(trained)), values.dtype)
    ordered[:, [trained.index(label) for label in labels]] = values
    return ordered


def _encode_as_trained(labels: Array, names: tuple[str, ...] | None, trained: tuple[str, ...]) -> Array:
    values = np.array(
        names if names is not None else list(map(str, range(int(labels.max()) + 1))), dtype=object
    )
    return encode_known_labels(values[labels], trained, _TARGET_KEY)


def _read_rows(
    data: Images, index: FileIndex, *, near_table: Path | None = None
) -> tuple[list[Path], Examples | None, list[Finding], list[Finding]]:
    """Return the image and the targets of each row, the errors, and the warnings of the table.

    With errors, return only the images that were found, and no targets.

    Raises:
        DataError: the table cannot be read.
    """
    assert data.labels is not None
    table = data.labels_as_table()
    if isinstance(table, Csv):
        table = table.with_arguments(**_sniff_form(Path(table.path[0])))
    errors: list[Finding] = []
    warnings: list[Finding] = []
    try:
        dataset = registry.load_dataset(table)
        warnings += map(_point_to_labels, dataset.findings)
        examples = load_examples(dataset)
    except DataError as error:
        errors += dict.fromkeys(map(_point_to_labels, error.findings))
        if any(finding.path != _TARGET_KEY for finding in errors):
            raise DataError(*errors) from None
        examples = _read_file_names(table, data.labels.file)
    if not len(examples):
        raise_data_error(f"{sanitize_text(table.path[0])} contains no rows.", _TABLE_KEY, None)
    (_, column), *_ = examples.inputs
    names = [str(name) for name in column[:, 0]]
    files, wrong = _find_files(names, lambda row: registry.locate_row(table, row), index, near_table)
    errors += wrong
    return files, None if errors else examples, errors, warnings


def _read_file_names(table: TableConfig, column: str) -> Examples:
    """Return the rows of a table whose targets cannot be read, with the column of the files only."""
    plan = TablePlan({FILE_INPUT: (column,)}, frozenset({column}), {})
    state = ReaderState({FILE_INPUT: ((1,), "object")}, table_plan=plan)
    return load_examples(registry.load_new_dataset(table, table.path, state, has_targets=False))


def _point_to_labels(finding: Finding) -> Finding:
    """Return the finding of a table at the key of `labels` that it concerns."""
    key = finding.path[1] if len(finding.path) > 1 else "path"
    if key == "target":
        hint = finding.hint
        if hint is not None and "missing:" in hint:
            hint = "Fill in the target, or remove the row."
        return replace(finding, path=_TARGET_KEY, hint=hint)
    if key == "label_separators":
        hint = _SEPARATOR_OF_COLUMN.sub(r"`separator\1\2`", finding.hint or "")
        return replace(finding, path=("data", "labels", "separator"), hint=hint or None)
    if key in ("inputs", "types"):
        return replace(finding, path=_FILE_KEY)
    return replace(finding, path=_TABLE_KEY)


def _combine_targets(examples: Examples) -> tuple[Array, tuple[str, ...] | None]:
    """Return the only target with its class names, or several columns side by side.

    Raises:
        DataError: one of several columns contains texts.
    """
    if not isinstance(examples.y, Mapping):
        names = examples.class_names
        return examples.y, names if isinstance(names, tuple) else None
    names = examples.class_names if isinstance(examples.class_names, Mapping) else {}
    y = {column: _to_numbers(labels, names.get(column)) for column, labels in examples.y.items()}
    texts = [column for column, numbers in y.items() if numbers is None]
    if texts:
        column = texts[0]
        message = f"Several target columns must contain numbers, but `{sanitize_text(column, limit=60)}` contains texts."
        raise DataError(make_data_finding(message, _TARGET_KEY, "Write 0 and 1 for no and yes."))
    columns = [numbers for numbers in y.values() if numbers is not None]
    dtype = np.int32 if all(map(is_labels, columns)) else np.float32
    return np.stack(columns, axis=1).astype(dtype), None


def _to_numbers(labels: Array, names: Sequence[str] | None) -> Array | None:
    """Return a target column as numbers, with 1 for true and 0 for false; None if it contains other texts."""
    if names is None:
        return labels
    numbers = [_BOOLEANS.get(name.lower()) for name in names]
    return None if None in numbers else np.array(numbers, np.int32)[labels]


_BOOLEANS: Final = {"true": 1, "false": 0, "yes": 1, "no": 0}


def _sniff_form(table: Path) -> dict[str, Any]:
    """Return the keys with which a CSV file is read, such as its encoding and separator."""
    try:
        return sniff_csv(table)[1]
    except (OSError, ValueError, DataError):
        return {}  # reading the table reports the reason


def normalize_file_name(text: str) -> str:
    """Return a file name of a table with slashes, and without steps such as ``./``."""
    return PurePosixPath(text.replace("\\", "/")).as_posix() if text else ""


class FileIndex:
    """The images below a folder, by the names under which a table may contain them."""

    def __init__(self, listing: FolderFiles, table_folder: Path) -> None:
        self._listing = listing
        self._table_folder = table_folder
        self._files_by_name: dict[int, dict[str, list[Path]]] = {}

    def find(self, name: str) -> list[Path]:
        """Return the images that a name means: none, one, or several if it is ambiguous."""
        name = compose_name(name)
        for rule in range(len(_NAMING_RULES)):
            if rule not in self._files_by_name:
                self._files_by_name[rule] = self._name_files(_NAMING_RULES[rule])
            files = self._files_by_name[rule]
            found = files.get(name) or (files.get(name.casefold()) if rule >= _FIRST_CASELESS_RULE else None)
            if found:
                return found
        return []

    def _name_files(self, make_name: _NamingRule) -> dict[str, list[Path]]:
        named: dict[str, list[Path]] = {}
        folder = self._listing.folder
        prefix = Path(os.path.relpath(folder, self._table_folder))
        for file in self._listing.files:
            name = compose_name(make_name(file, file.relative_to(folder), prefix))
            named.setdefault(name, []).append(file)
        return named


_LocateRow: TypeAlias = Callable[[int], str]
"""Return the file and line of a row, from 0."""

_NamingRule: TypeAlias = Callable[[Path, Path, Path], str]
"""A name of a file, given its path, that relative to the folder of images, and the path of that folder from the table."""
_NAMING_RULES: Final[tuple[_NamingRule, ...]] = (
    lambda _, relative, __: relative.as_posix(),
    lambda _, relative, prefix: (prefix / relative).as_posix(),
    lambda file, _, __: file.absolute().as_posix(),
    lambda _, relative, __: relative.with_suffix("").as_posix(),
    lambda file, _, __: file.name,
    lambda file, _, __: file.stem,
    lambda _, relative, __: relative.as_posix().casefold(),
    lambda file, _, __: file.name.casefold(),
)
"""In this order; the first that a name fits counts, last without regard to case."""


_FIRST_CASELESS_RULE: Final = len(_NAMING_RULES) - 2


def _find_files(
    names: Sequence[str], locate: _LocateRow, index: FileIndex, near_table: Path | None
) -> tuple[list[Path], list[Finding]]:
    """Return the image of each row, and a finding for each row whose image is missing, ambiguous or in two rows.

    For a name that the index does not have, the file in the folder ``near_table`` is found.
    """
    files: list[Path] = []
    findings: list[Finding] = []
    first_rows: dict[Path, int] = {}
    wrong = 0
    for row, text in enumerate(names):
        name = normalize_file_name(text)
        found = index.find(name) if name else []
        if not found and near_table is not None and _is_below(name) and is_file(near_table / name):
            found = [near_table / name]
        if len(found) == 1 and first_rows.setdefault(found[0], row) == row:
            files.append(found[0])
            continue
        wrong += 1
        if len(findings) < _MAX_REPORTED:
            findings.append(_make_row_finding(locate, row, name, found, first_rows))
    if wrong > len(findings):
        message = f"{wrong - len(findings):,} more rows have the same kinds of problems."
        findings.append(make_data_finding(message, _FILE_KEY, "Correct the rows above first."))
    return files, findings


def _is_below(name: str) -> bool:
    """Return whether a path is relative, and stays in its folder."""
    return bool(name) and not name.startswith("/") and ".." not in PurePosixPath(name).parts


def _make_row_finding(
    locate: _LocateRow, row: int, name: str, found: Sequence[Path], first_rows: Mapping[Path, int]
) -> Finding:
    place, shown = locate(row), sanitize_text(name, limit=80)
    if not name:
        return make_data_finding(
            f"The file is missing in {place}.", _FILE_KEY, "Fill it in, or remove the row."
        )
    if not found:
        message = f'{place}: the image "{shown}" does not exist.'
        return make_data_finding(message, _FILE_KEY, "Correct the name, add the image, or remove the row.")
    if len(found) > 1:
        files = " and ".join(sanitize_text(str(file)) for file in found[:2])
        message = f'{place}: "{shown}" can be {files}.'
        return make_data_finding(message, _FILE_KEY, "Write the path from the folder of the images.")
    message = f'{place}: the image "{shown}" is already in {locate(first_rows[found[0]])}.'
    return make_data_finding(message, _FILE_KEY, "Each image needs one row: remove one of them.")


def _report_unlabelled(data: Images, listing: FolderFiles, files: Iterable[Path]) -> list[Finding]:
    """Return the warning about images that are not in the table, if there are any."""
    known = set(files)
    rest = [file for file in listing.files if file not in known]
    if not rest:
        return []
    assert data.labels is not None
    listed = ", ".join(sanitize_text(str(file.relative_to(listing.folder))) for file in rest[:_MAX_LISTED])
    more = f" and {len(rest) - _MAX_LISTED:,} more" if len(rest) > _MAX_LISTED else ""
    images, have = ("image", "has") if len(rest) == 1 else ("images", "have")
    message = (
        f"{len(rest):,} {images} in {sanitize_text(data.path)} {have} no row in "
        f"{sanitize_text(data.labels.path)} and {'is' if len(rest) == 1 else 'are'} left out: {listed}{more}."
    )
    return [make_skipped_finding(message, "Add rows for them, or move them to another folder.", _TABLE_KEY)]
