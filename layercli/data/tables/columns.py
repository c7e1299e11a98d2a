"""Columns of a table as inputs and target, whatever file the table came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from layercli.config.data.tables import TableConfig
from layercli.data.examples import DataError
from layercli.data.tables.plan import TablePlan, TargetPlan
from layercli.graph.finding import Finding
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, sanitize_text

MAX_CLASSES: Final = 1000
_MISSING_POLICIES: Final = ("refuse", "median", "mean", "zero", "drop")

LocateRow = Callable[[str, int], str]
"""Where a row (from 0) stands, file and line; for -1 where the first value of the column stands that is no number."""


def make_table_plan(
    types: Mapping[str, Any], data: TableConfig, locate_row: LocateRow, integers: Mapping[str | None, str]
) -> TablePlan:
    """How tables with columns of these Arrow types become examples; of the target it is not known yet what it holds.

    Raises:
        RefusedDataError: a column is not of numbers where it must be; all such columns are told.
    """
    findings: list[Finding] = []
    windows = data.windows
    excluded: set[str | None] = {data.weights, *(windows.by or [] if windows else [])}
    if windows is None or not windows.horizon:
        excluded |= set(data.target_columns.values())
    inputs: dict[str | None, tuple[str, ...]] = (
        {None: tuple(name for name in types if name not in excluded)}
        if data.inputs is None
        else {name: tuple(columns) for name, columns in data.inputs.items()}
    )
    texts = frozenset(
        column for name, columns in inputs.items() if name is not None and all(is_text_type(types[c]) for c in columns)
        for column in columns
    )  # fmt: skip
    for name, columns in inputs.items():
        key: KeyPath = ("data", "inputs", name) if name is not None else ("data",)
        findings += [_make_non_number_finding(column, types[column], key, locate_row) for column in columns
                  if column not in texts and not is_number_type(types[column])]  # fmt: skip
        if not columns:
            findings.append(make_data_finding("There is no column but the target.", key, None))
    if data.weights is not None and not is_number_type(types[data.weights]):
        findings.append(
            _make_non_number_finding(data.weights, types[data.weights], ("data", "weights"), locate_row)
        )
    policies = {
        column: data.missing.policy_of(column, text=column in texts)
        for columns in inputs.values()
        for column in columns
    }
    findings += [
        make_data_finding(
            f'A missing number of `{sanitize_text(column, limit=60)}` cannot become "{sanitize_text(str(policy), limit=60)}".',
            ("data", "missing", "columns"), f"Write a number, or one of {', '.join(_MISSING_POLICIES)}.",
        )
        for column, policy in policies.items()
        if column not in texts and isinstance(policy, str) and policy not in _MISSING_POLICIES
    ]  # fmt: skip
    if findings:
        raise DataError(*findings)
    integer_inputs = {
        name: integers[name]
        for name, columns in inputs.items()
        if name in integers and not texts.intersection(columns)
    }
    integer_columns = {column for name in integer_inputs for column in inputs[name]}
    required_extra = [
        name
        for name in (*data.target_columns.values(), data.weights)
        if data.missing.columns.get(str(name)) == "drop"
    ]
    fill_values: dict[str, float | str] = {}
    for column, policy in policies.items():
        if column in texts and policy != "drop":
            fill_values[column] = str(policy)
        elif column not in texts and not isinstance(policy, str):
            fill_values[column] = float(policy)
        elif column not in texts and policy == "zero":
            fill_values[column] = 0.0
    return TablePlan(
        inputs=inputs,
        text_columns=texts,
        targets={name: TargetPlan(column) for name, column in data.target_columns.items()},
        weight_column=data.weights,
        required_columns=tuple([c for c, policy in policies.items() if policy == "drop"] + [str(name) for name in required_extra]),
        series_columns=tuple(windows.by or ()) if windows is not None else (),
        fill_values=fill_values,
        fill_statistics={c: str(policy) for c, policy in policies.items()
               if c not in texts | integer_columns and policy in ("median", "mean")},
        integer_dtypes=integer_inputs,
    )  # fmt: skip


def check_config_columns(names: Sequence[str], data: TableConfig) -> None:
    """Refuse names of columns in the config that the files have not.

    Raises:
        RefusedDataError: there are such; each is told.
    """
    findings = [
        make_data_finding(
            f'There is no column "{sanitize_text(name, limit=60)}".', key, _suggest_column(name, list(names))
        )
        for name, key in _list_config_columns(data)
        if name not in names
    ]
    if findings:
        raise DataError(*findings)


def check_trained_columns(names: Sequence[str], plan: TablePlan) -> None:
    """Refuse new files that lack a column which the model was trained on.

    Raises:
        RefusedDataError: there are such columns; each is told.
    """
    findings = [
        make_data_finding(
            f'There is no column "{sanitize_text(name, limit=60)}", which the model was trained on.',
            ("data", "path"), _suggest_column(name, list(names)),
        )
        for name in plan.columns
        if name not in names
    ]  # fmt: skip
    if findings:
        raise DataError(*findings)


def select_columns(names: Sequence[str], data: TableConfig) -> set[str]:
    """The columns that must be read."""
    return set(names) if data.inputs is None else {name for name, _ in _list_config_columns(data)}


def _list_config_columns(data: TableConfig) -> list[tuple[str, KeyPath]]:
    """Every column that the config names, and where."""
    columns: list[tuple[str, KeyPath]] = [
        (column, ("data", "target") if name is None else ("data", "target", name))
        for name, column in data.target_columns.items()
    ]
    columns += [(name, ("data", "types", name)) for name in data.types]
    columns += [(name, ("data", "missing", "columns", name)) for name in data.missing.columns]
    columns += [
        (column, ("data", "inputs", name))
        for name, columns in (data.inputs or {}).items()
        for column in columns
    ]
    if data.weights is not None:
        columns.append((data.weights, ("data", "weights")))
    if data.windows is not None:
        columns += [(name, ("data", "windows", "by")) for name in data.windows.by or []]
    return columns


def is_text_type(arrow_type: Any) -> bool:
    """Whether an Arrow type is that of texts."""
    import pyarrow as pa

    return bool(pa.types.is_string(arrow_type) or pa.types.is_large_string(arrow_type))


def is_number_type(arrow_type: Any) -> bool:
    """Whether values of an Arrow type are numbers."""
    import pyarrow as pa

    return any(
        fits(arrow_type)
        for fits in (
            pa.types.is_integer,
            pa.types.is_floating,
            pa.types.is_boolean,
            pa.types.is_null,
            pa.types.is_decimal,
        )
    )


def normalize_table(table: Any, data: TableConfig) -> Any:
    """The table without blanks around names and texts, its columns of the types that the config gives them; texts that
    stand for a missing value are missing.

    Raises:
        RefusedDataError: a column cannot be of its type.
    """
    import pyarrow as pa
    from pyarrow import compute

    table = table.rename_columns([name.strip() for name in table.column_names])
    values = pa.array(["", *data.missing.values], pa.string())
    for index, column in enumerate(table.columns):
        name = table.column_names[index]
        declared = data.types.get(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if declared == "text" and not is_text_type(column.type):
            column = column.cast(pa.string())
        if is_text_type(column.type):
            text = compute.utf8_trim_whitespace(column.cast(pa.string()))
            column = compute.if_else(compute.is_in(text, values), pa.scalar(None, pa.string()), text)
        if declared == "number" and not is_number_type(column.type):
            try:
                column = column.cast(pa.float64())
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                reason = sanitize_text(str(error), limit=150).rstrip(".")
                raise_data_error(f"The column `{sanitize_text(name, limit=60)}` is no column of numbers: {reason}.",
                       ("data", "types", name), "Correct the files, or read it as text.")  # fmt: skip
        table = table.set_column(index, name, column)
    return table


def check_same_columns(names: Sequence[Sequence[str]], files: Sequence[Path]) -> None:
    """Refuse files of which one has other columns than the first, or one column twice.

    Raises:
        RefusedDataError: there is such a file.
    """
    for columns, file in zip(names, files, strict=True):
        if len(set(columns)) < len(columns):
            raise_data_error(f"{sanitize_text(str(file))} has two columns of the same name.", ("data", "path"),
                   "Rename one, or give names by `columns`.")  # fmt: skip
        if columns != names[0]:
            message = f"{sanitize_text(str(file))} has other columns than {sanitize_text(str(files[0]))}."
            raise_data_error(message, ("data", "path"), "Files that are read together have the same columns.")


def merge_column_types(schemas: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The Arrow type of each column over several files.

    Raises:
        RefusedDataError: a column has numbers in one file and text in another.
    """
    import pyarrow as pa

    types = dict(schemas[0])
    for schema in schemas[1:]:
        for name, kind in schema.items():
            current = types[name]
            if kind == current or pa.types.is_null(kind):
                continue
            if pa.types.is_null(current) or (
                is_number_type(current) and is_number_type(kind) and pa.types.is_floating(kind)
            ):
                types[name] = kind
            elif not (is_number_type(current) and is_number_type(kind)):
                shown = sanitize_text(name, limit=60)
                message = (
                    f"The files do not fit together: `{shown}` is {current} in one and {kind} in another."
                )
                hint = (
                    f"A column has values of one type; `types: {{{name}: text}}` reads it as text everywhere."
                )
                raise_data_error(message, ("data", "path"), hint)
    return types


def _make_non_number_finding(column: str, arrow_type: Any, key: KeyPath, locate: LocateRow) -> Finding:
    import pyarrow as pa

    shown = sanitize_text(column, limit=60)
    if is_text_type(arrow_type):
        message = (
            f"The column `{shown}` is text ({locate(column, -1)}); an input of several columns is of numbers."
        )
        hint = f"Give it an input of its own, as in `inputs: {{{column}: {column}}}`, whose first layer is StringLookup."
        if key == ("data", "weights"):
            message = f"The column `{shown}` is text ({locate(column, -1)}); weights are numbers."
            hint = "Correct it, or name another column."
        return make_data_finding(message, key, hint)
    if pa.types.is_binary(arrow_type) or pa.types.is_large_binary(arrow_type):
        message = f"The column `{shown}` holds text that is not in UTF-8 ({locate(column, -1)})."
        return make_data_finding(message, key, "Save the file in UTF-8.")
    message = (
        f"The column `{shown}` is of the type {arrow_type}, neither number nor text ({locate(column, -1)})."
    )
    return make_data_finding(
        message, key, "Save it as numbers, leave it out by `inputs`, or read it as text by `types`."
    )


def _suggest_column(name: str, names: list[str]) -> str:
    return did_you_mean(
        name, names, otherwise=f"There are {', '.join(sanitize_text(n, limit=40) for n in names[:12])}."
    )


def make_data_finding(message: str, path: KeyPath, hint: str | None) -> Finding:
    """That the data cannot be used; ``path`` is where the config names it."""
    return Finding(code="unreadable-data", message=message, path=path, hint=hint)


def raise_data_error(message: str, path: KeyPath, hint: str | None) -> NoReturn:
    """Raise that the data cannot be used; ``path`` is where the config names it."""
    raise DataError(make_data_finding(message, path, hint))
