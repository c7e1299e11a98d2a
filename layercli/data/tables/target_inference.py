"""Kind of each target column: labels with class names, or numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, NoReturn

from layercli.config.data.tables import TableConfig
from layercli.data.labels import MAX_CLASSES, describe_unknown_label
from layercli.data.tables.arrow import is_number_type, is_text_type, list_values
from layercli.data.tables.files import LocateRow
from layercli.data.tables.label_lists import LABEL_SEPARATORS, find_unknown_labels, split_labels
from layercli.data.tables.plan import TablePlan, TargetPlan
from layercli.data.types import Array, DataError, raise_data_error
from layercli.graph.finding import Finding
from layercli.source.nodes import KeyPath, sanitize_text

_MAX_TEXT_CLASSES: Final = MAX_CLASSES
_MAX_UNKNOWN_CLASSES: Final = 8
_MAX_LABEL_VALUES: Final = 1 << 27
"""Most values of a target with a 0 or 1 for each label of each row: 512 MiB."""


class TargetInference:
    """Inference of the kind of one target column, from some rows at a time."""

    def __init__(self, data: TableConfig, output: str | None, column: str, key: KeyPath) -> None:
        self.column = column
        self._output = output
        self._key = key
        self._is_one_of_several = len(data.target_columns[output]) > 1
        """Whether the target has a value for each of several columns."""
        self._declared_kind = data.target_type_of(output)
        self._separator = data.label_separators.get(column)
        self._row_count = 0
        self._separator_counts: Counter[str] = Counter()
        """Number of values that contain each separator, the declared one and usual ones."""
        self._values: set[Any] = set()
        self._arrow_types: set[Any] = set()
        self._missing_count = 0
        self._first_missing_row = -1

    def add(self, column: Any, rows: Array) -> None:
        """Add the targets of some rows: an Arrow column, and the row numbers of shape (rows,)."""
        import pyarrow as pa
        from pyarrow import compute

        self._arrow_types.add(column.type)
        if pa.types.is_nested(column.type):
            return
        if self._separator is not None:
            self._row_count += len(column)
            self._count_separators(column)
            if len(self._values) <= MAX_CLASSES:
                self._values |= set(compute.unique(split_labels(column, self._separator).labels).to_pylist())
            return
        if pa.types.is_floating(column.type):
            column = compute.if_else(compute.is_nan(column), pa.scalar(None, column.type), column)
        if column.null_count:
            if not self._missing_count:
                self._first_missing_row = int(rows[compute.index(compute.is_null(column), True).as_py()])
            self._missing_count += column.null_count
        if self._is_one_of_several or len(self._values) > _MAX_TEXT_CLASSES:
            return
        if pa.types.is_floating(column.type) and self._declared_kind != "labels":
            return
        if not pa.types.is_integer(column.type):
            column = column.cast(pa.string())
        self._values |= set(list_values(compute.unique(column))) - {None}

    def _count_separators(self, column: Any) -> None:
        import pyarrow as pa
        from pyarrow import compute

        texts = column.cast(pa.string())
        for separator in dict.fromkeys((str(self._separator), *LABEL_SEPARATORS)):
            found = compute.sum(compute.match_substring(texts, separator)).as_py()
            self._separator_counts[separator] += found or 0
            if separator == self._separator and found:
                break  # the others are only for a hint

    def _warn_of_unused_separator(self, separator: str) -> Iterator[Finding]:
        """Warn if no value contains the separator, so that each value is one label."""
        if self._separator_counts[separator]:
            return
        column = sanitize_text(self.column, limit=60)
        others = [other for other in LABEL_SEPARATORS if self._separator_counts[other]]
        yield Finding(
            code="unused-separator",
            message=f'The separator "{sanitize_text(separator)}" is in no value of the target `{column}`, so each value is one '
            "label.",
            path=("data", "label_separators", self.column),
            hint=f'Write `label_separators: {{{column}: "{others[0]}"}}`, which '
            f"{self._separator_counts[others[0]]:,} of {self._row_count:,} values contain."
            if others
            else "Remove `label_separators`: then the values are classes.",
            severity="warning",
        )

    def infer(self, plan: TablePlan, locate_row: LocateRow) -> TablePlan:
        """Return the plan with the kind of this target: numbers, labels from 0, or labels with class names.

        Raises:
            DataError: a target is missing, a list or an object, or there are too many distinct texts.
        """
        self._check_not_nested()
        if self._separator is not None:
            return self._infer_labels(plan, self._separator, locate_row)
        if self._missing_count:
            self._raise_missing(locate_row)
        if self._is_one_of_several:
            if not all(map(is_number_type, self._arrow_types)):
                self._raise_not_numbers(locate_row)
            return plan
        if self._are_labels_declared_or_needed():
            if self._declared_kind == "numbers" and all(map(is_number_type, self._arrow_types)):
                return plan
            if self._declared_kind == "numbers" or self._has_too_many_values:
                self._raise_unusable(locate_row)
            names = sorted(self._values, key=self._sort_key)
            return self._with_target(plan, len(names), tuple(map(str, names)))
        is_label_range = self._is_integer and self._values == set(range(len(self._values)))
        if self._declared_kind is None and is_label_range and not self._has_too_many_values:
            return self._with_target(plan, len(self._values), None)
        return plan

    def _infer_labels(self, plan: TablePlan, separator: str, locate_row: LocateRow) -> TablePlan:
        """Return the plan with the labels that the values of this target list.

        Raises:
            DataError: there are none or too many.
        """
        count = len(self._values)
        expected, received = f"1 to {MAX_CLASSES:,} different labels", f"{count:,}"
        if count > MAX_CLASSES:
            received = "more"
        elif count * self._row_count > _MAX_LABEL_VALUES:
            expected = f"at most {_MAX_LABEL_VALUES:,} values of 0 or 1"
            received = f"{count:,} labels in {self._row_count:,} rows"
        elif count:
            target = TargetPlan((self.column,), label_separator=separator, labels=tuple(sorted(self._values)))
            plan = plan.with_findings(self._warn_of_unused_separator(separator))
            return replace(plan, targets={**plan.targets, self._output: target})
        return raise_data_error(
            f"The target `{sanitize_text(self.column, limit=60)}` must have {expected}, got {received} "
            f"({locate_row(self.column, -1)}).",
            self._key,
            f'Correct the separator, "{sanitize_text(separator)}", or leave out rare labels.',
        )

    @property
    def _sort_key(self) -> Callable[[Any], Any] | None:
        """The order of the classes: numbers by size, texts by their letters."""
        import pyarrow as pa

        if self._is_integer:
            return None
        return float if all(map(pa.types.is_floating, self._arrow_types)) else str

    @property
    def _is_integer(self) -> bool:
        import pyarrow as pa

        return all(pa.types.is_integer(kind) for kind in self._arrow_types)

    @property
    def _has_too_many_values(self) -> bool:
        return len(self._values) > _MAX_TEXT_CLASSES

    def _are_labels_declared_or_needed(self) -> bool:
        """Return whether the config declares labels, or the values are neither integers nor floating point."""
        import pyarrow as pa

        is_float = any(pa.types.is_floating(kind) for kind in self._arrow_types)
        return self._declared_kind == "labels" or not (self._is_integer or is_float)

    def _check_not_nested(self) -> None:
        import pyarrow as pa

        nested = next(filter(pa.types.is_nested, self._arrow_types), None)
        if nested is not None:
            raise_data_error(
                f"The target `{sanitize_text(self.column, limit=60)}` must contain numbers or text, "
                f"got {sanitize_text(str(nested), limit=60)}.",
                self._key,
                "Save each of its values as a column, and list these columns as `target: [first, second]`; or join a list of "
                f'labels as one text, and write `label_separators: {{{self.column}: ";"}}`.',
            )

    def _raise_missing(self, locate_row: LocateRow) -> NoReturn:
        location = locate_row(self.column, self._first_missing_row)
        affected = "" if self._missing_count == 1 else f" ({self._missing_count:,} rows affected)"
        raise_data_error(
            f"The target `{sanitize_text(self.column, limit=60)}` is missing in {location}{affected}.",
            self._key,
            f"Rows without a target cannot be used; `missing: {{columns: {{{self.column}: drop}}}}` leaves them out.",
        )

    def _raise_not_numbers(self, locate_row: LocateRow) -> NoReturn:
        raise_data_error(
            f"The target `{sanitize_text(self.column, limit=60)}` must contain numbers, because the target has several "
            f"columns; got text ({locate_row(self.column, -1)}).",
            self._key,
            "Write its values as numbers, or predict it with another output of the model, as in "
            f"`target: {{first: {self.column}, second: [...]}}`.",
        )

    def _raise_unusable(self, locate_row: LocateRow) -> NoReturn:
        expected = {
            "numbers": "numbers",
            "labels": f"labels of at most {_MAX_TEXT_CLASSES} classes",
        }.get(self._declared_kind or "", f"numbers or labels of at most {_MAX_TEXT_CLASSES} classes")
        kind = "text with " if any(map(is_text_type, self._arrow_types)) else ""
        count = f"more than {_MAX_TEXT_CLASSES}" if self._has_too_many_values else f"{len(self._values)}"
        raise_data_error(
            f"The target `{sanitize_text(self.column, limit=60)}` must contain {expected}, "
            f"got {kind}{count} distinct values ({locate_row(self.column, -1)}).",
            self._key,
            f"Use at most {_MAX_TEXT_CLASSES} classes, or write the target as numbers.",
        )

    def _with_target(self, plan: TablePlan, classes: int, names: tuple[str, ...] | None) -> TablePlan:
        target = TargetPlan((self.column,), classes, names)
        return replace(plan, targets={**plan.targets, self._output: target})


class KnownClassCheck:
    """Check that new targets are classes of training, some rows at a time."""

    def __init__(self, output: str | None, target: TargetPlan) -> None:
        self.column = target.columns[0]
        self._output = output
        self._target = target
        self._first_rows: dict[str | None, int] = {}
        """Each unknown class, or None for missing values -> its first row."""

    def add(self, column: Any, rows: Array) -> None:
        """Add the targets of some rows: an Arrow column, and the row numbers of shape (rows,)."""
        import pyarrow as pa
        from pyarrow import compute

        if self._target.labels is not None:
            split = split_labels(column, str(self._target.label_separator))
            for value, row in find_unknown_labels(split, self._target.labels).items():
                self._first_rows.setdefault(value, int(rows[row]))
        if self._target.class_names is None:
            return
        texts = column.cast(pa.string()).combine_chunks()
        is_unknown = compute.index_in(texts, pa.array(self._target.class_names, pa.string())).is_null()
        for value in compute.unique(texts.filter(is_unknown)).to_pylist():
            matches = texts.is_null() if value is None else compute.equal(texts, value)
            self._first_rows.setdefault(value, int(rows[compute.index(matches, True).as_py()]))

    def list_findings(self, locate_row: LocateRow) -> Iterator[Finding]:
        """Yield a finding for each unknown class, with its first row."""
        title = sanitize_text(self.column, limit=60)
        for value, row in list(self._first_rows.items())[:_MAX_UNKNOWN_CLASSES]:
            problem = describe_unknown_label(value)
            yield Finding(
                code="bad-label",
                message=f"The target `{title}` {problem} ({locate_row(self.column, row)}).",
                path=("data", "target") if self._output is None else ("data", "target", self._output),
                hint="Remove those rows.",
            )


def make_inferences(data: TableConfig) -> list[TargetInference]:
    """Return the inference of each target column."""
    return [TargetInference(data, *reference) for reference in data.target_references]


def infer_targets(inferences: Sequence[TargetInference], plan: TablePlan, locate_row: LocateRow) -> TablePlan:
    """Return the plan with the kinds of all targets.

    Raises:
        DataError: with the findings of all targets.
    """
    findings: list[Finding] = []
    for inference in inferences:
        try:
            plan = inference.infer(plan, locate_row)
        except DataError as error:
            findings += error.findings
    if findings:
        raise DataError(*findings)
    return plan
