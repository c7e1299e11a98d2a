"""What each column of a table is for: the target, the inputs, and the columns that a model should not use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

from layercli.errors import LayercliError, make_file_error
from layercli.formats.preview import ColumnPreview, TablePreview
from layercli.reports.config_template import TemplateTarget
from layercli.reports.table_template import DateUse, TableColumns, are_pixels
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import sanitize_text
from layercli.workflows.label_lists import find_label_list

_TARGET_NAMES: Final = (
    *("target", "label", "labels", "y", "outcome", "target_class"),
    *("survived", "churn", "churned", "exited", "attrition", "default", "fraud", "is_fraud", "diagnosis"),
    *(
        "price",
        "saleprice",
        "sale_price",
        "median_house_value",
        "medv",
        "cnt",
        "income",
        "species",
        "quality",
    ),
    "class",
)
"""Common names of a target column, the most certain first."""
_AMOUNT_NAME: Final = re.compile(
    r"(?:.*_)?(?:count|cnt|number|num|amount|quantity|qty|price|cost|age|days|hours|minutes|years?|rings|score|total|sales)",
    re.IGNORECASE,
)
"""Names of a quantity, whose integers are not classes."""
_PERSON_NAME: Final = re.compile(
    r"(?:patient|subject|user|customer|client|person|participant|student|respondent|player|member|household|family|"
    r"speaker|driver|employee|borrower|animal)s?(?:[_ .-]?(?:id|no|nr|num|number|name|key|code))?",
    re.IGNORECASE,
)
"""Names of columns that identify persons, of whom a model should know nothing but their other columns."""
_GROUP_NAME: Final = re.compile(
    rf"{_PERSON_NAME.pattern}|.*[_ .-]id|.*[a-z](?:Id|ID)|id|session|device", re.IGNORECASE
)
_SPLIT_NAME: Final = re.compile(r"(?:data[_ .-]?)?(?:split|subset|partition|set)", re.IGNORECASE)
_SET_NUMBERS: Final = frozenset({"0", "1", "2"})
_TIME_NAME: Final = re.compile(
    r"(?:.*[_ .-])?(?:year|yr|quarter|month|week|day|hour|minute|second|date|time|period|step|t)s?",
    re.IGNORECASE,
)
_MAX_PAIRED_KEYS: Final = 6
"""Columns of which two can identify a series together."""
_MIN_ROWS: Final = 3
"""With fewer, a fifth of the rows, the validation set, is less than half a row."""
_MIN_GROUPS: Final = 20
_MIN_ROWS_PER_GROUP: Final = 2
_FEW_CLASSES, _MAX_CLASSES = 10, 20
_VOID: Final = 255
"""The usual value of pixels without a class."""
_MIN_ROWS_PER_CLASS: Final = 5
_MAX_LISTED_REASONS: Final = 2
_ROWS_PER_GAP: Final = 50
"""Rows for each missing number of a forecast of all columns, whose windows do not contain such rows."""
_UNSUITABLE_KINDS: Final = {
    "text": "it is free text",
    "date": "it is a date",
    "unique": "almost every row has a different value",
}


def assign_columns(path: Path, table: TablePreview, target: str | None, *others_named: str) -> TableColumns:
    """Return what each column is for; ``target`` names the target column, and ``others_named`` other columns.

    Raises:
        LayercliError: A target does not exist or cannot be one, or no other column can be an input.
    """
    column, reason = _choose_target(path, table, target)
    targets = [column, *(_choose_target(path, table, name)[0] for name in others_named if name != target)]
    form = find_common_form(path, table, targets) if len(targets) > 1 else "value"
    others = [other for other in table.columns if other not in targets]
    leaks = {name: why for each in targets for name, why in table.find_leaks(each.name).items()}
    left_out = _list_left_out(table, targets, leaks)
    split_column, set_reasons = _find_split_column(others)
    left_out |= set_reasons
    dates, series, series_keys, series_count = _inspect_dates(
        table, [other for other in others if other.name not in left_out]
    )
    series = series or _find_count(table, column)
    if target is None and len(targets) == 1 and reason.startswith("the last column"):
        sensors = _find_sensors(table, column, series) if series is not None and not series_keys else []
        if sensors:
            column, *_ = targets = sensors
            reason = "each number of the next row, because no name says which column is the target"
            form, others = "value", [other for other in others if other not in targets]
            left_out = _list_left_out(table, targets, {}) | set_reasons
    left_out |= {name: "every date is the same" for name, use in dates.items() if not use.features}
    group = None if series is not None else _find_group(table, targets, left_out)
    has_others = any(other.name not in left_out and other.name != group for other in others)
    if group is not None and _PERSON_NAME.fullmatch(group) and has_others:
        left_out[group] = "all rows with the same value are in the same set"
    used = [other for other in others if other.name not in left_out]
    if not used:
        # Columns that determine the target are the only inputs, and different texts in every row may share words.
        used = [other for other in others if other.name in leaks and other.kind not in _UNSUITABLE_KINDS]
        used = used or [other for other in others if other.kind == "unique" and other.defect is None]
        left_out = {name: why for name, why in left_out.items() if name not in {other.name for other in used}}
    label_list = find_label_list(table, column) if len(targets) == 1 else None
    class_names = _list_classes(column, table.row_count)
    is_number = form == "value" and (len(targets) > 1 or (class_names is None and label_list is None))
    if not used and (series is None or not is_number):  # only a number can be predicted from its past
        raise _make_input_error(path, column, left_out)
    _require_rows(path, table, targets)
    from layercli.data.tables.infinity import find_infinity_words

    if len(targets) > 1:
        class_names = None if form == "value" else tuple(each.name for each in targets)
    elif label_list is not None:
        class_names, form = label_list.labels, "multi-label"
    numeric = [other.name for other in [*used, *targets] if other.kind in ("number", "integer")]
    return TableColumns(
        column,
        reason,
        class_names,
        [other for other in used if other.kind in ("number", "integer") or other.is_boolean],
        [other for other in used if other.kind == "category" and not other.is_boolean],
        [other for other in used if other.kind in ("text", "unique")],
        {name: use for name, use in dates.items() if use.features},
        left_out,
        find_infinity_words(table.survey.sample, numeric),
        series,
        series_keys,
        series_count,
        group,
        targets[1:],
        form,
        split_column=split_column,
        label_separator=None if label_list is None else label_list.separator,
    )


def _require_rows(path: Path, table: TablePreview, targets: Sequence[ColumnPreview]) -> None:
    """Check that the table has enough rows for a training and a validation set.

    Raises:
        LayercliError: It has not.
    """
    count = table.row_count - max(column.missing_count for column in targets)
    if count < _MIN_ROWS:
        names = ", ".join(f"`{sanitize_text(column.name, limit=60)}`" for column in targets)
        message = f"At least {_MIN_ROWS} rows must have a value of {names}, got {count}."
        raise _make_error(path, message, "Add rows to the table.")


def _find_split_column(columns: Sequence[ColumnPreview]) -> tuple[str | None, dict[str, str]]:
    """Return the column that names the set of each row, and the reason why such columns are not inputs."""
    from layercli.data.split_keys import SPLIT_OF_NAME

    found, reasons = None, {}
    for column in columns:
        sets = {SPLIT_OF_NAME.get(value.lower()) for value in column.values if column.kind == "category"}
        if len(sets) > 1 and {0} < sets <= {0, 1, 2}:
            reasons[column.name] = "it names the set of each row"
            if 1 not in sets:
                reasons[column.name] += ", but no row is validation"
            elif found is None and not column.missing_count:
                found = column.name
        elif (
            column.kind == "integer"
            and len(column.values) <= len(_SET_NUMBERS)
            and {"0", "1"} <= set(column.values) <= _SET_NUMBERS
            and _SPLIT_NAME.fullmatch(column.name)
        ):
            reasons[column.name] = "it seems to number the sets, which must be train, validation and test"
    return found, reasons


def _inspect_dates(
    table: TablePreview, columns: Sequence[ColumnPreview]
) -> tuple[dict[str, DateUse], str | None, tuple[str, ...], int]:
    """Return what the columns of dates become, the one whose dates make the rows series, their keys and their number."""
    from layercli.data.tables.date_features import count_series, inspect_dates

    uses: dict[str, DateUse] = {}
    series: str | None = None
    series_keys: tuple[str, ...] = ()
    series_count = 1
    keys = [
        column.name
        for column in columns
        if column.kind in ("category", "integer") and not column.missing_count and not column.is_boolean
    ]
    for column in columns:
        if column.kind != "date":
            continue
        dates = table.survey.sample.column(column.name)
        facts = inspect_dates(dates, column.date_order)
        uses[column.name] = DateUse(facts.features, column.date_order)
        is_complete = not column.missing_count and not column.stray_count
        if series is None and facts.is_series and is_complete:
            series = column.name
        elif series is None and is_complete:
            for choice in [*combinations(keys, 1), *combinations(keys[:_MAX_PAIRED_KEYS], 2)]:
                values = [table.survey.sample.column(key) for key in choice]
                count = count_series(dates, column.date_order, values)
                if count:
                    series, series_keys, series_count = column.name, choice, count
                    break
        if series == column.name:
            uses[column.name] = DateUse(facts.early_features, column.date_order)
    return uses, series, series_keys, series_count


def _find_count(table: TablePreview, target: ColumnPreview) -> str | None:
    """Return the column of years, or of other steps of time, that numbers the rows."""
    from layercli.data.tables.date_features import is_regular_count
    from layercli.data.tables.number_texts import convert_numbers

    for column in table.columns:
        if column is target or column.id_reason is None or not _TIME_NAME.fullmatch(column.name):
            continue
        numbers = convert_numbers(table.survey.sample.column(column.name), table.survey.number_format)
        if is_regular_count(numbers):
            return column.name
    return None


def _find_sensors(table: TablePreview, last: ColumnPreview, series: str) -> list[ColumnPreview]:
    """Return the columns of a series over time if there are several, and all are almost complete quantities."""
    left_out = _list_left_out(table, [], {})
    used = [column for column in table.columns if column.name not in {*left_out, series}]
    are_quantities = all(
        column.kind in ("number", "integer") and not column.is_boolean and not column.is_code
        for column in used
    )
    is_class = _list_classes(last, table.row_count) is not None
    has_gaps = sum(column.missing_count for column in used) * _ROWS_PER_GAP > table.row_count
    return used if len(used) > 1 and are_quantities and not is_class and not has_gaps else []


def _find_group(
    table: TablePreview, targets: Sequence[ColumnPreview], left_out: Mapping[str, str]
) -> str | None:
    """Return a column that identifies persons or things, each of which has several rows."""
    for column in table.columns:
        count = column.distinct_count
        if (
            column not in targets
            and column.name not in left_out
            and _GROUP_NAME.fullmatch(column.name)
            and column.kind in ("category", "unique", "integer")
            and count is not None
            and _MIN_GROUPS <= count <= (table.row_count - column.missing_count) // _MIN_ROWS_PER_GROUP
            and not column.missing_count
        ):
            return column.name
    return None


def _choose_target(path: Path, table: TablePreview, target: str | None) -> tuple[ColumnPreview, str]:
    """Return the target column and the reason for it: it is named, or has a common name, or is the last that is possible."""
    by_name = {column.name: column for column in table.columns}
    if target is not None:
        if target in table.nested:
            message = (
                f"`{sanitize_text(target, limit=60)}` cannot be the target: it has lists, objects or bytes."
            )
            raise _make_error(path, message, "Name a different column with --target.")
        if target not in by_name:
            otherwise = f"The columns are {', '.join(map(sanitize_text, list(by_name)[:20]))}."
            hint = did_you_mean(target, list(by_name), otherwise=otherwise)
            message = f'The table has no column "{sanitize_text(target, limit=60)}".'
            raise _make_error(path, message, hint)
        problem = _find_target_problem(by_name[target], is_named=True)
        if problem is not None and find_label_list(table, by_name[target]) is None:
            message = f"`{sanitize_text(target, limit=60)}` cannot be the target: {problem}."
            hint = "Name a different column with --target."
            if by_name[target].is_quantity:
                hint = "Write its values as plain numbers, or name a different column with --target."
            raise _make_error(path, message, hint)
        return by_name[target], "as --target says"
    set_reasons = _find_split_column(table.columns)[1]
    problems = {
        column.name: set_reasons.get(column.name) or _find_target_problem(column) for column in table.columns
    }
    possible = [column for column in table.columns if problems[column.name] is None]
    if not possible:
        listed = _list_reasons({name: str(problem) for name, problem in problems.items()})
        raise _make_error(
            path, f"No column can be the target. {listed}.", "Add a column with the values to predict."
        )
    by_lower_name = {column.name.lower(): column for column in possible}
    if possible[-1] is table.columns[-1] and possible[-1].name.lower() == "class":
        return possible[-1], "by its name and place"
    named = next((by_lower_name[name] for name in _TARGET_NAMES if name in by_lower_name), None)
    if named is not None:
        return named, "by its name"
    if are_pixels(possible) and _is_class_number(first := table.columns[0], possible[-1]):
        return first, "the first column, as the others are pixels"
    last = possible[-1]
    if last is table.columns[-1]:
        return last, "the last column"
    later = table.columns[table.columns.index(last) + 1 :]
    reasons = {
        column.name: str(problems[column.name])
        for column in [*(other for other in table.columns if other.name.lower() in _TARGET_NAMES), *later]
        if problems[column.name] is not None
    }
    return last, f"the last column that can be a target; {_list_reasons(reasons, _MAX_LISTED_REASONS)}"


def _is_class_number(column: ColumnPreview, pixel: ColumnPreview) -> bool:
    """Return whether a column has some integers from 0, and fewer than a column of pixels; a border of images has one."""
    return (
        column.kind == "integer"
        and 1 < len(column.values) <= _MAX_CLASSES
        and float(column.values[-1]) == len(column.values) - 1
        and float(column.values[-1]) < float(pixel.values[-1])
    )


def _find_target_problem(column: ColumnPreview, *, is_named: bool = False) -> str | None:
    """Return why the column cannot be the target; a person may name numbers that seem to be ids, such as amounts."""
    from layercli.data.labels import MAX_CLASSES

    if not column.values:
        return "it is empty"
    if _is_constant(column):
        return "every row has the same value"
    if column.defect is not None:
        return column.defect
    if column.is_quantity and len(column.values) > _MAX_CLASSES:
        return str(column.note).partition(": ")[2]
    if column.kind == "category" and len(column.values) > MAX_CLASSES:
        return f"it has {len(column.values):,} different texts, and a target at most {MAX_CLASSES:,} classes"
    if column.id_reason is not None and not (is_named and column.id_reason.startswith("an id")):
        return f"its values are {column.id_reason}" if column.id_reason.startswith("a") else column.id_reason
    return _UNSUITABLE_KINDS.get(column.kind)


def _is_constant(column: ColumnPreview) -> bool:
    if column.kind in ("number", "integer"):
        return bool(column.values) and float(column.values[0]) == float(column.values[-1])
    return column.kind == "category" and len(column.values) == 1


def _list_left_out(
    table: TablePreview, targets: Sequence[ColumnPreview], leaks: Mapping[str, str]
) -> dict[str, str]:
    """Return the columns that a model should not use, each with the reason."""
    others = [column for column in table.columns if column not in targets]
    numbers = [column for column in others if column.kind == "integer" and column.id_reason is None]
    # The constant corners of images are harmless: all pixels have one mean and variance.
    kept = [column.name for column in numbers] if are_pixels(numbers) else []
    left_out = {}
    for column in others:
        if column.name in kept:
            continue
        reason = _find_reason_to_leave_out(column)
        if reason is None and column.name in leaks:
            reason = f"it {leaks[column.name]}"
        if reason is not None:
            left_out[column.name] = reason
    return left_out


def _find_reason_to_leave_out(column: ColumnPreview) -> str | None:
    if column.defect is not None or column.id_reason is not None:
        return column.defect or column.id_reason
    if not column.values:
        return "empty in every row"
    if column.kind in ("number", "integer"):
        # Normalization divides by a deviation of almost zero, so that any other value becomes huge.
        return "the same number in every row" if _is_constant(column) else None
    if column.kind == "category" and _is_constant(column) and not column.missing_count:
        return "the same text in every row"
    return "too many different texts" if column.kind == "unique" else None


def _list_classes(target: ColumnPreview, row_count: int) -> tuple[str, ...] | None:
    """Return the classes in the order of their numbers; None if the target is a number."""
    if target.kind == "category":
        return tuple(sorted(target.values))
    if target.distinct_count is None or target.distinct_count > len(target.values):
        return None
    return list_number_classes(target.name, target.values, row_count)


def list_number_classes(name: str, values: Sequence[str], row_count: int) -> tuple[str, ...] | None:
    """Return distinct numbers as classes, in ascending order; None if they are quantities."""
    numbers = sorted(map(float, values))
    count = len(numbers)
    if count > _MAX_CLASSES or not all(number.is_integer() for number in numbers):
        return None
    if count > 2:
        is_range = numbers[-1] - numbers[0] == count - 1
        is_certain = count <= _FEW_CLASSES or (is_range and row_count >= _MIN_ROWS_PER_CLASS * count)
        if _AMOUNT_NAME.fullmatch(name) or not is_certain:
            return None
    return tuple(sorted(values, key=float))


@dataclass(frozen=True, slots=True)
class LabelColumns:
    """The target columns of a table whose inputs are files."""

    columns: list[ColumnPreview]
    reason: str
    """Why these columns are the target."""
    form: TemplateTarget
    class_names: tuple[str, ...] | None
    """The classes of the only target, or the names of columns of 0 and 1; None for numbers."""
    target_type: str | None
    """The key that says what the only target is, where its values do not."""
    unused: list[str]
    """The columns that could be targets, too."""
    separator: str | None = None
    """The text between several labels in a value."""


def choose_label_columns(path: Path, table: TablePreview, targets: Sequence[str]) -> LabelColumns:
    """Return the target columns of a table; ``targets`` names them, if it is not empty.

    Several columns of 0 and 1 are one target, if the table has no other columns.

    Raises:
        LayercliError: A column does not exist or cannot be a target, or several are not numbers.
    """
    possible = [column for column in table.columns if _find_target_problem(column) is None]
    if targets:
        columns = [_choose_target(path, table, name)[0] for name in targets]
        reason = "as --target says"
    elif len(possible) > 1 and all(map(_is_binary, possible)):
        columns, reason = possible, "all columns of 0 and 1"
    else:
        column, reason = _choose_target(path, table, None)
        columns = [column]
    unused = [column.name for column in possible if column not in columns]
    if len(columns) == 1:
        [column] = columns
        label_list = find_label_list(table, column)
        if label_list is not None:
            return LabelColumns(
                columns, reason, "multi-label", label_list.labels, None, unused, label_list.separator
            )
        class_names = _list_classes(column, table.row_count)
        is_declared = column.kind == "integer" or (column.kind == "number" and class_names is not None)
        target_type = ("numbers" if class_names is None else "labels") if is_declared else None
        return LabelColumns(columns, reason, "value", class_names, target_type, unused)
    form = find_common_form(path, table, columns)
    names = None if form == "value" else tuple(column.name for column in columns)
    return LabelColumns(columns, reason, form, names, None, unused)


def find_common_form(path: Path, table: TablePreview, columns: Sequence[ColumnPreview]) -> TemplateTarget:
    """Return what several target columns are together.

    Raises:
        LayercliError: A column contains texts.
    """
    if all(map(_is_binary, columns)):
        return "one-hot" if _are_one_hot(table, columns) else "multi-label"
    texts = [column.name for column in columns if column.kind not in ("number", "integer")]
    if texts:
        message = f"Several targets must be columns of numbers, but `{sanitize_text(texts[0], limit=60)}` contains texts."
        raise _make_error(path, message, "Name one target, or columns of numbers.")
    return "value"


def _is_binary(column: ColumnPreview) -> bool:
    return column.is_boolean or (
        column.kind in ("number", "integer") and {float(value) for value in column.values} == {0, 1}
    )


def _are_one_hot(table: TablePreview, columns: Sequence[ColumnPreview]) -> bool:
    """Return whether exactly one of the columns is 1 in each row."""
    if any(column.is_boolean or column.missing_count for column in columns):
        return False
    values = [table.survey.sample.column(column.name).to_pylist() for column in columns]
    return all(sum(map(float, row)) == 1 for row in zip(*values, strict=True))


def choose_class_count(values: Sequence[int]) -> tuple[int | None, int | None]:
    """Return the number of classes of pixels or timesteps, and the value of those without a class.

    The number is None if the ascending ``values`` are not class numbers from 0, so that they must be mapped.
    """
    has_void = values[-1] == _VOID and len(values) > 2 and values[-2] < _VOID // 2
    numbers = values[:-1] if has_void else values
    is_sparse = numbers[-1] + 1 > 2 * len(numbers) or numbers[0] > 0
    if is_sparse and not has_void:
        return None, None
    return max(numbers[-1] + 1, 2), _VOID if has_void else None


def _make_input_error(path: Path, target: ColumnPreview, left_out: Mapping[str, str]) -> LayercliError:
    sentences = [
        f"No column besides the target `{sanitize_text(target.name, limit=60)}` can be an input",
        _list_reasons(left_out),
    ]
    message = "".join(f"{sentence}. " for sentence in sentences if sentence).rstrip()
    hint = "Name a different target with --target; for a time series, write a config with `windows`."
    return _make_error(path, message, hint)


def _list_reasons(reasons: Mapping[str, str], most: int = 8) -> str:
    listed = [f"`{sanitize_text(name, limit=60)}`: {reason}" for name, reason in reasons.items()]
    return "; ".join(listed[:most])


def _make_error(path: Path, message: str, hint: str | None) -> LayercliError:
    return make_file_error(sanitize_text(str(path)), "unreadable-data", message, hint)
