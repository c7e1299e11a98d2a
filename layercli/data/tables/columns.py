"""Columns of a table as inputs and target, whatever file the table came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from layercli.config.data.tables import Table
from layercli.data.examples import RefusedDataError
from layercli.data.tables.plan import Plan, TargetPlan
from layercli.graph.finding import Finding
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, printable

MOST_LABELS: Final = 1000
_POLICIES: Final = ("refuse", "median", "mean", "zero", "drop")

Locate = Callable[[str, int], str]
"""Where a row (from 0) stands, file and line; for -1 where the first value of the column stands that is no number."""


def make_plan(
    types: Mapping[str, Any], data: Table, locate: Locate, integers: Mapping[str | None, str]
) -> Plan:
    """How tables with columns of these Arrow types become examples; of the target it is not known yet what it holds.

    Raises:
        RefusedDataError: a column is not of numbers where it must be; all such columns are told.
    """
    wrong: list[Finding] = []
    windows = data.windows
    apart: set[str | None] = {data.weights, *(windows.by or [] if windows else [])}
    if windows is None or not windows.horizon:
        apart |= set(data.target_columns.values())
    inputs: dict[str | None, tuple[str, ...]] = (
        {None: tuple(name for name in types if name not in apart)}
        if data.inputs is None
        else {name: tuple(columns) for name, columns in data.inputs.items()}
    )
    texts = frozenset(
        column for name, columns in inputs.items() if name is not None and all(is_text(types[c]) for c in columns)
        for column in columns
    )  # fmt: skip
    for name, columns in inputs.items():
        key: KeyPath = ("data", "inputs", name) if name is not None else ("data",)
        wrong += [_no_number(column, types[column], key, locate) for column in columns
                  if column not in texts and not is_number(types[column])]  # fmt: skip
        if not columns:
            wrong.append(finding("There is no column but the target.", key, None))
    if data.weights is not None and not is_number(types[data.weights]):
        wrong.append(_no_number(data.weights, types[data.weights], ("data", "weights"), locate))
    policies = {
        column: data.missing.policy(column, text=column in texts)
        for columns in inputs.values()
        for column in columns
    }
    wrong += [
        finding(
            f'A missing number of `{printable(column, limit=60)}` cannot become "{printable(str(policy), limit=60)}".',
            ("data", "missing", "columns"), f"Write a number, or one of {', '.join(_POLICIES)}.",
        )
        for column, policy in policies.items()
        if column not in texts and isinstance(policy, str) and policy not in _POLICIES
    ]  # fmt: skip
    if wrong:
        raise RefusedDataError(*wrong)
    whole = {
        name: integers[name]
        for name, columns in inputs.items()
        if name in integers and not texts.intersection(columns)
    }
    exact = {column for name in whole for column in inputs[name]}
    extra = [
        name
        for name in (*data.target_columns.values(), data.weights)
        if data.missing.columns.get(str(name)) == "drop"
    ]
    fill: dict[str, float | str] = {}
    for column, policy in policies.items():
        if column in texts and policy != "drop":
            fill[column] = str(policy)
        elif column not in texts and not isinstance(policy, str):
            fill[column] = float(policy)
        elif column not in texts and policy == "zero":
            fill[column] = 0.0
    return Plan(
        inputs=inputs,
        texts=texts,
        targets={name: TargetPlan(column) for name, column in data.target_columns.items()},
        weights=data.weights,
        drop=tuple([c for c, policy in policies.items() if policy == "drop"] + [str(name) for name in extra]),
        keys=tuple(windows.by or ()) if windows is not None else (),
        fill=fill,
        learn={c: str(policy) for c, policy in policies.items()
               if c not in texts | exact and policy in ("median", "mean")},
        integers=whole,
    )  # fmt: skip


def check_present(names: Sequence[str], data: Table) -> None:
    """Refuse names of columns in the config that the files have not.

    Raises:
        RefusedDataError: there are such; each is told.
    """
    wrong = [
        finding(f'There is no column "{printable(name, limit=60)}".', key, _closest(name, list(names)))
        for name, key in _named(data)
        if name not in names
    ]
    if wrong:
        raise RefusedDataError(*wrong)


def check_columns(names: Sequence[str], plan: Plan) -> None:
    """Refuse new files that lack a column which the model was trained on.

    Raises:
        RefusedDataError: there are such columns; each is told.
    """
    wrong = [
        finding(
            f'There is no column "{printable(name, limit=60)}", which the model was trained on.',
            ("data", "path"), _closest(name, list(names)),
        )
        for name in plan.columns
        if name not in names
    ]  # fmt: skip
    if wrong:
        raise RefusedDataError(*wrong)


def used(names: Sequence[str], data: Table) -> set[str]:
    """The columns that must be read."""
    return set(names) if data.inputs is None else {name for name, _ in _named(data)}


def _named(data: Table) -> list[tuple[str, KeyPath]]:
    """Every column that the config names, and where."""
    named: list[tuple[str, KeyPath]] = [
        (column, ("data", "target") if name is None else ("data", "target", name))
        for name, column in data.target_columns.items()
    ]
    named += [(name, ("data", "types", name)) for name in data.types]
    named += [(name, ("data", "missing", "columns", name)) for name in data.missing.columns]
    named += [
        (column, ("data", "inputs", name))
        for name, columns in (data.inputs or {}).items()
        for column in columns
    ]
    if data.weights is not None:
        named.append((data.weights, ("data", "weights")))
    if data.windows is not None:
        named += [(name, ("data", "windows", "by")) for name in data.windows.by or []]
    return named


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is that of texts."""
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_number(kind: Any) -> bool:
    """Whether values of an Arrow type are numbers."""
    import pyarrow as pa

    return any(
        fits(kind)
        for fits in (
            pa.types.is_integer,
            pa.types.is_floating,
            pa.types.is_boolean,
            pa.types.is_null,
            pa.types.is_decimal,
        )
    )


def trimmed(table: Any, data: Table) -> Any:
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
        wanted = data.types.get(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if wanted == "text" and not is_text(column.type):
            column = column.cast(pa.string())
        if is_text(column.type):
            text = compute.utf8_trim_whitespace(column.cast(pa.string()))
            column = compute.if_else(compute.is_in(text, values), pa.scalar(None, pa.string()), text)
        if wanted == "number" and not is_number(column.type):
            try:
                column = column.cast(pa.float64())
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                said = printable(str(error), limit=150).rstrip(".")
                refuse(f"The column `{printable(name, limit=60)}` is no column of numbers: {said}.",
                       ("data", "types", name), "Correct the files, or read it as text.")  # fmt: skip
        table = table.set_column(index, name, column)
    return table


def check_names(names: Sequence[Sequence[str]], files: Sequence[Path]) -> None:
    """Refuse files of which one has other columns than the first, or one column twice.

    Raises:
        RefusedDataError: there is such a file.
    """
    for columns, file in zip(names, files, strict=True):
        if len(set(columns)) < len(columns):
            refuse(f"{printable(str(file))} has two columns of the same name.", ("data", "path"),
                   "Rename one, or give names by `columns`.")  # fmt: skip
        if columns != names[0]:
            message = f"{printable(str(file))} has other columns than {printable(str(files[0]))}."
            refuse(message, ("data", "path"), "Files that are read together have the same columns.")


def joined_types(schemas: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The Arrow type of each column over several files.

    Raises:
        RefusedDataError: a column has numbers in one file and text in another.
    """
    import pyarrow as pa

    types = dict(schemas[0])
    for schema in schemas[1:]:
        for name, kind in schema.items():
            known = types[name]
            if kind == known or pa.types.is_null(kind):
                continue
            if pa.types.is_null(known) or (
                is_number(known) and is_number(kind) and pa.types.is_floating(kind)
            ):
                types[name] = kind
            elif not (is_number(known) and is_number(kind)):
                shown = printable(name, limit=60)
                message = f"The files do not fit together: `{shown}` is {known} in one and {kind} in another."
                hint = (
                    f"A column has values of one type; `types: {{{name}: text}}` reads it as text everywhere."
                )
                refuse(message, ("data", "path"), hint)
    return types


def _no_number(column: str, kind: Any, key: KeyPath, locate: Locate) -> Finding:
    import pyarrow as pa

    shown = printable(column, limit=60)
    if is_text(kind):
        message = (
            f"The column `{shown}` is text ({locate(column, -1)}); an input of several columns is of numbers."
        )
        hint = f"Give it an input of its own, as in `inputs: {{{column}: {column}}}`, whose first layer is StringLookup."
        if key == ("data", "weights"):
            message = f"The column `{shown}` is text ({locate(column, -1)}); weights are numbers."
            hint = "Correct it, or name another column."
        return finding(message, key, hint)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        message = f"The column `{shown}` holds text that is not in UTF-8 ({locate(column, -1)})."
        return finding(message, key, "Save the file in UTF-8.")
    message = f"The column `{shown}` is of the type {kind}, neither number nor text ({locate(column, -1)})."
    return finding(
        message, key, "Save it as numbers, leave it out by `inputs`, or read it as text by `types`."
    )


def _closest(name: str, names: list[str]) -> str:
    return did_you_mean(
        name, names, otherwise=f"There are {', '.join(printable(n, limit=40) for n in names[:12])}."
    )


def finding(message: str, path: KeyPath, hint: str | None) -> Finding:
    """That the data cannot be used; ``path`` is where the config names it."""
    return Finding(code="unreadable-data", message=message, path=path, hint=hint)


def refuse(message: str, path: KeyPath, hint: str | None) -> NoReturn:
    """Raise that the data cannot be used; ``path`` is where the config names it."""
    raise RefusedDataError(finding(message, path, hint))
