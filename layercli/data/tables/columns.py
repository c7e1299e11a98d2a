"""Table columns as inputs, targets and weights, for every file format."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from layercli.config.data.tables import TableConfig
from layercli.data.tables.arrow import is_number_type, is_text_type
from layercli.data.tables.conversions import (
    Inspection,
    are_dates,
    count_numbers,
    describe_no_boolean,
    describe_strays,
)
from layercli.data.tables.dates import is_date_type
from layercli.data.tables.files import LocateRow
from layercli.data.tables.plan import DateNumber, TablePlan, TargetPlan
from layercli.data.types import PATH_KEY, DataError, make_data_finding
from layercli.graph.finding import Finding
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, sanitize_text

_MISSING_POLICIES: Final = ("refuse", "median", "mean", "zero", "drop")
_MAX_LISTED: Final = 12

InputColumns = Mapping[str | None, tuple[str, ...]]
"""Columns of each input; None is the name of a single input."""


def make_table_plan(
    types: Mapping[str, Any],
    data: TableConfig,
    locate_row: LocateRow,
    dtypes: Mapping[str | None, str],
    inspection: Inspection,
) -> tuple[TablePlan, list[Finding]]:
    """Return the plan for tables with these Arrow column types; the kind of each target is still unknown.

    The errors, of columns that do not contain numbers where numbers are required, are returned with the plan of the
    other columns. ``dtypes`` maps inputs of the model to their dtypes.

    Raises:
        DataError: a column by which rows are split or ordered has lists or objects.
    """
    _require_flat_keys(types, data)
    inputs = _list_input_columns(types, data)
    texts = _find_text_columns(inputs, types)
    policies = {
        column: _find_policy(column, data, is_text=column in texts)
        for columns in inputs.values()
        for column in columns
    }
    findings = [
        *inspection.errors,
        *_check_input_types(inputs, texts, types, locate_row, inspection, data),
        *_check_weight_type(types, data, locate_row, inspection),
        *_check_policies(policies, texts),
    ]
    weights = data.weights
    if findings:
        inputs = _remove_unusable(inputs, texts, types, inspection, data)
        weights = weights if weights is not None and is_number_type(types[weights]) else None
    integer_dtypes = {
        name: dtypes[name]
        for name, columns in inputs.items()
        if dtypes.get(name) in ("int32", "int64") and not texts.intersection(columns)
    }
    integer_columns = {column for name in integer_dtypes for column in inputs[name]}
    plan = TablePlan(
        inputs=inputs,
        text_columns=texts,
        targets={name: TargetPlan(columns) for name, columns in data.target_columns.items()},
        weight_column=weights,
        required_columns=_list_required_columns(policies, data),
        series_columns=tuple(data.windows.by or ()) if data.windows is not None else (),
        time_column=data.windows.time if data.windows is not None else None,
        fill_values=_choose_fill_values(policies, texts, data),
        fill_statistics=_choose_fill_statistics(policies, texts | integer_columns, data),
        integer_dtypes=integer_dtypes,
        dates=_list_dates(inputs, data),
        conversions=inspection.conversions,
        findings=inspection.warnings,
    )
    return plan, findings


def _remove_unusable(
    inputs: InputColumns,
    texts: Collection[str],
    types: Mapping[str, Any],
    inspection: Inspection,
    data: TableConfig,
) -> InputColumns:
    """Return the input columns without those that contain neither numbers, nor dates, nor texts of an input of texts."""
    bad_dates = {finding.path[-1] for finding in inspection.errors}
    features = data.date_features

    def is_usable(column: str) -> bool:
        if column in features:
            return features[column][0] not in bad_dates
        return column in texts or is_number_type(types[column])

    usable = {name: tuple(filter(is_usable, columns)) for name, columns in inputs.items()}
    return {name: columns for name, columns in usable.items() if columns} or {None: ()}


def _find_policy(column: str, data: TableConfig, *, is_text: bool) -> str | float:
    """Return how missing values are replaced; a number of a date has the policy of its column of dates."""
    source, _ = data.date_features.get(column, (column, ""))
    name = column if column in data.missing.columns else source
    return data.missing.policy_of(name, text=is_text)


def _list_dates(inputs: InputColumns, data: TableConfig) -> dict[str, DateNumber]:
    """Return the numbers of dates among the inputs."""
    used = {column for columns in inputs.values() for column in columns}
    return {
        name: DateNumber(column, feature)
        for name, (column, feature) in data.date_features.items()
        if name in used
    }


def _list_input_columns(types: Mapping[str, Any], data: TableConfig) -> InputColumns:
    """Return the configured input columns; by default all columns without another role."""
    if data.inputs is not None:
        return {name: _expand_dates(columns, data) for name, columns in data.inputs.items()}
    windows = data.windows
    excluded: set[str | None] = {data.weights, *(windows.by or [] if windows else [])}
    order_columns = {*data.split.key_columns.values(), windows.time if windows else None}
    excluded |= order_columns - data.date_columns.keys()
    if windows is None or not windows.horizon:
        excluded |= {column for _, column, _ in data.target_references}
    return {None: _expand_dates([name for name in types if name not in excluded], data)}


def _expand_dates(columns: Sequence[str], data: TableConfig) -> tuple[str, ...]:
    """Return the columns with the numbers of each date instead of its column."""
    numbers = {
        column: [f"{column}.{feature}" for feature in dates.features]
        for column, dates in data.date_columns.items()
    }
    return tuple(name for column in columns for name in numbers.get(column, [column]))


def _find_text_columns(inputs: InputColumns, types: Mapping[str, Any]) -> frozenset[str]:
    """Return the columns of named inputs that consist only of text columns."""
    return frozenset(
        column
        for name, columns in inputs.items()
        if name is not None and all(other in types and is_text_type(types[other]) for other in columns)
        for column in columns
    )


def _check_input_types(
    inputs: InputColumns,
    texts: Collection[str],
    types: Mapping[str, Any],
    locate_row: LocateRow,
    inspection: Inspection,
    data: TableConfig,
) -> Iterator[Finding]:
    for name, columns in inputs.items():
        key: KeyPath = ("data", "inputs", name) if name is not None else ("data",)
        for column in dict.fromkeys(columns):
            if column in data.date_features:
                if column in types:
                    yield make_data_finding(
                        f"The name `{sanitize_text(column, limit=60)}` is both a column and a number of a date.",
                        ("data", "dates", data.date_features[column][0]),
                        "Rename the column in the file.",
                    )
            elif column not in texts and not is_number_type(types[column]):
                path: KeyPath = ("data", "types", column) if column in data.types else key
                yield _make_non_number_finding(column, types[column], path, locate_row, inspection)
        if not columns:
            yield make_data_finding("The table has no input columns, only the target.", key, None)


def _check_weight_type(
    types: Mapping[str, Any], data: TableConfig, locate_row: LocateRow, inspection: Inspection
) -> Iterator[Finding]:
    if data.weights is not None and not is_number_type(types[data.weights]):
        yield _make_non_number_finding(
            data.weights, types[data.weights], ("data", "weights"), locate_row, inspection
        )


def _check_policies(policies: Mapping[str, Any], texts: Collection[str]) -> Iterator[Finding]:
    """Report missing-value policies that a number column does not support."""
    for column, policy in policies.items():
        if column not in texts and isinstance(policy, str) and policy not in _MISSING_POLICIES:
            expected = f"a number, or one of {', '.join(_MISSING_POLICIES)}"
            yield make_data_finding(
                f"`missing` of the number column `{sanitize_text(column, limit=60)}` must be {expected}; "
                f'got "{sanitize_text(policy, limit=60)}".',
                ("data", "missing", "columns"),
                f"Write {expected}.",
            )


def _list_required_columns(policies: Mapping[str, Any], data: TableConfig) -> tuple[str, ...]:
    """Return the columns that drop a row if their value is missing."""
    features = data.date_features
    dropped = [column for column, policy in policies.items() if policy == "drop"]
    inputs = dict.fromkeys(features[column][0] if column in features else column for column in dropped)
    others = [
        str(name)
        for name in (*(column for _, column, _ in data.target_references), data.weights)
        if data.missing.columns.get(str(name)) == "drop"
    ]
    return (*inputs, *others)


def _choose_fill_values(
    policies: Mapping[str, Any], texts: Collection[str], data: TableConfig
) -> dict[str, float | str]:
    """Return the fixed replacement of missing values of each column that has one."""
    fill_values: dict[str, float | str] = {}
    for column, policy in policies.items():
        if _is_elapsed(column, data):
            continue  # it is filled when the first training date is known
        if column in texts:
            if policy != "drop":
                fill_values[column] = str(policy)
        elif not isinstance(policy, str):
            fill_values[column] = float(policy)
        elif policy == "zero":
            fill_values[column] = 0.0
    return fill_values


def _choose_fill_statistics(
    policies: Mapping[str, Any], excluded: Collection[str], data: TableConfig
) -> dict[str, str]:
    """Return median or mean for each column whose replacement is learned from the training rows.

    For elapsed days it is also a number, because they are known after the first training date.
    """
    statistics = {}
    for column, policy in policies.items():
        if column not in excluded and policy in ("median", "mean"):
            statistics[column] = str(policy)
        elif _is_elapsed(column, data) and policy not in ("refuse", "drop"):
            statistics[column] = "0" if policy == "zero" else str(policy)
    return statistics


def _is_elapsed(column: str, data: TableConfig) -> bool:
    return data.date_features.get(column, ("", ""))[1] == "elapsed"


def check_config_columns(names: Sequence[str], data: TableConfig) -> None:
    """Check that every column in the config exists in the files.

    Raises:
        DataError: columns do not exist; it reports each of them.
    """
    known = {*names, *data.date_features}
    needed = _list_needed_columns(data)
    if _have_other_names(names, needed):
        raise DataError(
            _make_other_names_finding(names, needed, "the config names", "name its columns with `columns`")
        )
    findings = [
        make_data_finding(
            f'Unknown column "{sanitize_text(name, limit=60)}".', key, _suggest_column(name, names)
        )
        for name, key in _list_config_columns(data)
        if name not in known
    ]
    if findings:
        raise DataError(*findings)


def check_trained_columns(names: Sequence[str], plan: TablePlan) -> None:
    """Check that new files have every column that the model was trained with, and those to keep.

    Raises:
        DataError: columns are missing; it reports each of them.
    """
    known, trained = set(names), replace(plan, kept_columns=()).columns
    if _have_other_names(names, trained):
        way = "add a line with the names of its columns above them"
        raise DataError(_make_other_names_finding(names, trained, "the model was trained with", way))
    findings = [
        make_data_finding(
            f'Missing column "{sanitize_text(name, limit=60)}"; '
            + ("`--keep` names it." if name not in trained else "the model was trained with it."),
            ("data", "path"),
            _suggest_column(name, names),
        )
        for name in plan.columns
        if name not in known
    ]
    if findings:
        raise DataError(*findings)


def check_trained_types(
    types: Mapping[str, Any], plan: TablePlan, locate_row: LocateRow, inspection: Inspection
) -> Iterator[Finding]:
    """Report columns that contained numbers in training, and do not in new files."""
    columns = [column for each in plan.inputs.values() for column in each if column not in plan.dates]
    columns += [] if plan.weight_column is None else [plan.weight_column]
    for column in dict.fromkeys(columns):
        if column in plan.text_columns or column in inspection.conversions:
            continue
        if not is_number_type(types[column]):
            finding = _make_non_number_finding(column, types[column], PATH_KEY, locate_row, inspection)
            yield replace(
                finding, hint="Correct the file: the model was trained with numbers in this column."
            )


def check_trained_targets(types: Mapping[str, Any], plan: TablePlan, locate_row: LocateRow) -> None:
    """Check that new files have numbers as targets and weights where training had them, and no lists as classes.

    Raises:
        DataError: a column contains other values; it reports each of them.
    """
    import pyarrow as pa

    uses: list[tuple[str, KeyPath, str]] = [
        (column, ("data", "target"), _describe_expected(target))
        for target in plan.targets.values()
        for column in target.columns
    ]
    if plan.weight_column is not None:
        uses.append((plan.weight_column, ("data", "weights"), "numbers"))
    findings = [
        make_data_finding(
            f"`{sanitize_text(column, limit=60)}` must contain {expected} as in training, "
            f"got {_describe_type(types[column])} ({locate_row(column, -1)}).",
            key,
            "Correct the column.",
        )
        for column, key, expected in uses
        if (not is_number_type(types[column]) if expected == "numbers" else pa.types.is_nested(types[column]))
    ]
    if findings:
        raise DataError(*findings)


def _describe_expected(target: TargetPlan) -> str:
    if target.labels is not None:
        return "texts"
    return "numbers" if target.class_names is None else "classes"


def _describe_type(arrow_type: Any) -> str:
    return "text" if is_text_type(arrow_type) else str(arrow_type)


def select_columns(names: Sequence[str], data: TableConfig) -> set[str]:
    """Return the columns that must be read."""
    return set(names) if data.inputs is None else {*_list_needed_columns(data)}


def _list_needed_columns(data: TableConfig) -> list[str]:
    """Return every column of the files that the config names."""
    features = data.date_features
    names = (features[name][0] if name in features else name for name, _ in _list_config_columns(data))
    return [*dict.fromkeys(names)]


def _require_flat_keys(types: Mapping[str, Any], data: TableConfig) -> None:
    """Check that columns by which rows are split or ordered have one value for each row; it reports each of them."""
    import pyarrow as pa

    findings = [
        make_data_finding(
            f"`{sanitize_text(column, limit=60)}` must have one value for each row, "
            f"got {sanitize_text(str(types[column]), limit=60)}.",
            path,
            "Name a column of texts, numbers or dates.",
        )
        for column, path in _list_config_columns(data)
        if path[1] in ("split", "windows") and pa.types.is_nested(types[column])
    ]
    if findings:
        raise DataError(*findings)


def _list_config_columns(data: TableConfig) -> list[tuple[str, KeyPath]]:
    """Return every column that the config names, with its config key."""
    columns: list[tuple[str, KeyPath]] = [(column, path) for _, column, path in data.target_references]
    columns += [(name, ("data", "types", name)) for name in data.types]
    columns += [(name, ("data", "dates", name)) for name in data.dates]
    columns += [(name, ("data", "missing", "columns", name)) for name in data.missing.columns]
    columns += [
        (column, ("data", "inputs", name))
        for name, columns in (data.inputs or {}).items()
        for column in columns
    ]
    columns += [(column, ("data", "split", key)) for key, column in data.split.key_columns.items()]
    if data.weights is not None:
        columns.append((data.weights, ("data", "weights")))
    if data.windows is not None:
        columns += [(name, ("data", "windows", "by")) for name in data.windows.by or []]
        columns += [(data.windows.time, ("data", "windows", "time"))] if data.windows.time is not None else []
    return columns


def _make_non_number_finding(
    column: str, arrow_type: Any, key: KeyPath, locate: LocateRow, inspection: Inspection
) -> Finding:
    import pyarrow as pa

    shown = sanitize_text(column, limit=60)
    title = f"The column `{shown}`"
    content = inspection.contents.get(column)
    strays = None if content is None else describe_strays(column, content, locate)
    if content is not None and strays is not None:
        place, hint = strays
        message = f"{title} must contain numbers, got text ({place}); {count_numbers(content)}."
        return make_data_finding(message, key, hint)
    location = locate(column, -1)
    if content is not None and not content.are_booleans:
        location = describe_no_boolean(column, content, locate) or location
    if is_date_type(arrow_type) or (is_text_type(arrow_type) and are_dates(content)):
        message = f"{title} must contain numbers, got dates ({location})."
        return make_data_finding(
            message, ("data",), f"Set `dates: {{{shown}: [year, month, weekday, hour, elapsed]}}`."
        )
    if is_text_type(arrow_type):
        if key == ("data", "weights"):
            message = f"{title} must contain numbers to be used as `weights`, got text ({location})."
            return make_data_finding(message, key, "Correct the column, or name another one.")
        if key[:2] == ("data", "types"):
            message = f"{title} must contain numbers, got text ({location})."
            return make_data_finding(message, key, "Correct it, or remove the column from `types`.")
        if key == PATH_KEY:
            return make_data_finding(f"{title} must contain numbers, got text ({location}).", key, None)
        message = f"{title} must contain numbers, got text ({location}); an input with several columns takes only numbers."
        hint = f"Use a separate input, as in `inputs: {{{column}: {column}}}`, and start it with a StringLookup layer."
        return make_data_finding(message, key, hint)
    if pa.types.is_binary(arrow_type) or pa.types.is_large_binary(arrow_type):
        message = f"{title} contains text that is not UTF-8 ({location})."
        return make_data_finding(message, key, "Save the file in UTF-8.")
    message = f"{title} must contain numbers or text, got {arrow_type} ({location})."
    hint = "Save it as numbers, leave it out with `inputs`, or read it as text with `types`."
    if pa.types.is_nested(arrow_type):
        hint = "Save each of its values as a column, or leave it out with `inputs`."
    return make_data_finding(message, key, hint)


def _have_other_names(names: Sequence[str], needed: Sequence[str]) -> bool:
    """Return whether a file has as many columns as are needed, and none of them even with another spelling."""
    known = {name.casefold() for name in names}
    return 1 < len(needed) <= len(names) and known.isdisjoint(name.casefold() for name in needed)


def _make_other_names_finding(names: Sequence[str], needed: Sequence[str], use: str, way: str) -> Finding:
    """Return the error of a file that has none of the columns, probably because its first line is a row."""
    wanted, found = (
        ", ".join(sanitize_text(name, limit=40) for name in each[:_MAX_LISTED])
        + (", ..." if len(each) > _MAX_LISTED else "")
        for each in (needed, names)
    )
    return make_data_finding(
        f"The file has none of the columns that {use}: {wanted}.",
        PATH_KEY,
        f"Its columns are {found}. If these are values, the file has no header line: {way}.",
    )


def _suggest_column(name: str, names: Sequence[str]) -> str:
    listed = ", ".join(sanitize_text(known, limit=40) for known in names[:_MAX_LISTED])
    return did_you_mean(name, list(names), otherwise=f"The columns are {listed}.")
