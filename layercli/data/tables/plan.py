"""The plan for converting table rows to examples, in training and for new files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

from layercli.config.data.section import DataFacts, TargetFacts
from layercli.data.labels import ConvertedForm
from layercli.graph.finding import Finding


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """Columns and kind of a target."""

    columns: tuple[str, ...]
    """Several columns are one target with a value for each."""
    classes: int | None = None
    """Number of classes of a label target; None for numbers."""
    class_names: tuple[str, ...] | None = None
    """Names of the labels if they were text."""
    label_separator: str | None = None
    """The text between several labels in a value; None: a value is one label or a number."""
    labels: tuple[str, ...] | None = None
    """The labels, each of which has a 0 or 1 in the target, if a value lists several."""

    @property
    def has_several_values(self) -> bool:
        """Whether a row has a value for each of several columns or labels."""
        return len(self.columns) > 1 or self.labels is not None

    @property
    def value_names(self) -> tuple[str, ...]:
        """The names of the values of the target: labels, or columns."""
        return self.columns if self.labels is None else self.labels


class DateNumber(NamedTuple):
    """A number of the dates of a column."""

    column: str
    feature: str
    first_day: float = 0.0
    """For the feature elapsed: the first date of the training rows, in days since 1970."""


@dataclass(frozen=True, slots=True)
class TablePlan:
    """Columns of the inputs, targets and weights, class names, and replacements of missing values."""

    inputs: Mapping[str | None, tuple[str, ...]]
    """Columns of each input; None is the name of a single input."""
    text_columns: frozenset[str]
    """Text columns; all other input columns contain numbers."""
    targets: Mapping[str | None, TargetPlan]
    """Targets by output name, None for a single output; empty if only inputs are read."""
    weight_column: str | None = None
    required_columns: tuple[str, ...] = ()
    """Columns that drop a row if their value is missing."""
    series_columns: tuple[str, ...] = ()
    """Columns that identify the series of a row."""
    time_column: str | None = None
    """Column by which the rows of a series are sorted."""
    fill_values: Mapping[str, float | str] = field(default_factory=dict)
    """Column -> replacement of a missing value."""
    fill_statistics: Mapping[str, str] = field(default_factory=dict)
    """Column -> median or mean, to be learned from the training rows."""
    integer_dtypes: Mapping[str | None, str] = field(default_factory=dict)
    """Integer input -> its dtype, int32 or int64."""
    dates: Mapping[str, DateNumber] = field(default_factory=dict)
    """Input column, such as ``when.year`` -> the number of a date that it contains."""
    conversions: Mapping[str, str] = field(default_factory=dict)
    """How columns of texts are converted; see ``Inspection``."""
    findings: tuple[Finding, ...] = ()
    """Warnings about the columns, which a run does not keep."""
    kept_columns: tuple[str, ...] = ()
    """Columns of new files that are copied to their predictions."""

    @property
    def columns(self) -> list[str]:
        """All columns that are read, without duplicates."""
        input_columns = [self.source_of(column) for columns in self.inputs.values() for column in columns]
        target_columns = [column for target in self.targets.values() for column in target.columns]
        weight_columns = [] if self.weight_column is None else [self.weight_column]
        extra = [*target_columns, *weight_columns, *self.required_columns, *self.row_columns]
        return list(dict.fromkeys([*input_columns, *extra]))

    @property
    def order_columns(self) -> list[str]:
        """The columns that determine the series of a row and its place in it."""
        return [*self.series_columns, *([] if self.time_column is None else [self.time_column])]

    @property
    def row_columns(self) -> list[str]:
        """The columns that are shown with the predictions of new rows of a series."""
        return list(dict.fromkeys([*self.order_columns, *self.kept_columns]))

    def source_of(self, column: str) -> str:
        """Return the column of the table that contains an input column: for a number of a date, that of the dates."""
        return self.dates[column].column if column in self.dates else column

    def is_text(self, name: str | None) -> bool:
        """Return whether an input contains text."""
        return any(column in self.text_columns for column in self.inputs[name])

    def select_inputs(self, columns: Collection[str]) -> TablePlan:
        """Return the plan with only these input columns."""
        inputs = {
            name: tuple(column for column in input_columns if column in columns)
            for name, input_columns in self.inputs.items()
        }
        return replace(
            self,
            inputs={name: selected for name, selected in inputs.items() if selected} or {None: ()},
            integer_dtypes={},
            weight_column=None,
            series_columns=(),
            time_column=None,
        )

    def select_readable_inputs(self) -> TablePlan | None:
        """Return the plan that reads only inputs, without those of integers, of the same rows; None if there are none."""
        inputs = {
            name: columns
            for name, columns in self.inputs.items()
            if columns and name not in self.integer_dtypes
        }
        if not inputs:
            return None
        return replace(
            self,
            inputs=inputs,
            integer_dtypes={},
            targets={},
            weight_column=None,
            series_columns=(),
            time_column=None,
        )

    def without_target(self) -> TablePlan:
        """Return the plan for files without targets; it keeps all rows."""
        return replace(self, targets={}, weight_column=None, required_columns=())

    @property
    def class_names(self) -> Any:
        """As in ``Examples``."""
        named = {
            name: target.class_names
            for name, target in self.targets.items()
            if target.class_names is not None
        }
        return named.get(None, named or None)

    def data_facts(self, base: DataFacts, samples: int) -> DataFacts:
        """Return the facts of examples decoded with this plan; ``base`` gives the shapes."""
        targets = {
            name: TargetFacts(
                target.classes,
                base.named_targets.get(name, TargetFacts()).shape,
                kind=None if target.class_names is None else "labels",
                has_integers=target.classes is not None,
            )
            for name, target in self.targets.items()
        }
        return replace(base, samples=samples).with_targets(targets or {None: TargetFacts()})

    def with_target_forms(self, forms: Mapping[str | None, ConvertedForm]) -> TablePlan:
        """Return the plan with the targets in these forms; labels with names keep them."""
        targets = {
            name: replace(target, classes=forms[name].classes or None)
            if name in forms and target.class_names is None
            else target
            for name, target in self.targets.items()
        }
        return replace(self, targets=targets)

    def with_fill_values(self, fill_values: Mapping[str, float | str]) -> TablePlan:
        """Return the plan with learned replacements of missing values."""
        return replace(self, fill_values={**self.fill_values, **fill_values}, fill_statistics={})

    @property
    def elapsed_columns(self) -> list[str]:
        """The input columns of elapsed days."""
        return [name for name, number in self.dates.items() if number.feature == "elapsed"]

    def with_learned(self, fill_values: Mapping[str, float], first_days: Mapping[str, float]) -> TablePlan:
        """Return the plan with learned replacements, and elapsed days from these days later than now."""
        days = {name: self.dates[name].first_day + shift for name, shift in first_days.items()}
        return self.with_first_days(days).with_fill_values(fill_values)

    def with_findings(self, findings: Iterable[Finding]) -> TablePlan:
        """Return the plan with more warnings."""
        return replace(self, findings=(*self.findings, *findings))

    def with_first_days(self, first_days: Mapping[str, float]) -> TablePlan:
        """Return the plan in which elapsed days count from these days since 1970, by column of the inputs."""
        dates = {
            name: number._replace(first_day=first_days[name]) if name in first_days else number
            for name, number in self.dates.items()
        }
        return replace(self, dates=dates)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a JSON document."""
        return {
            "input": list(self.inputs[None]) if None in self.inputs else None,
            "inputs": {name: list(columns) for name, columns in self.inputs.items() if name is not None},
            "texts": sorted(self.text_columns),
            "targets": [
                [
                    name,
                    list(target.columns) if len(target.columns) > 1 else target.columns[0],
                    None if target.has_several_values else target.classes,
                    None if target.class_names is None else list(target.class_names),
                ]
                for name, target in self.targets.items()
            ],
            "labels": [
                [name, target.label_separator, list(target.labels)]
                for name, target in self.targets.items()
                if target.labels is not None
            ],
            "weights": self.weight_column,
            "drop": list(self.required_columns),
            "keys": list(self.series_columns),
            "time": self.time_column,
            "fill": dict(self.fill_values),
            "integers": [[name, dtype] for name, dtype in self.integer_dtypes.items()],
            "dates": {name: list(number) for name, number in self.dates.items()},
            "conversions": dict(self.conversions),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the plan of a ``to_json`` document.

        Raises:
            KeyError | TypeError: the document has a different form.
        """
        single = document["input"]
        several = {name: tuple(columns) for name, columns in document["inputs"].items()}
        labels = {
            name: {"label_separator": separator, "labels": tuple(texts)}
            for name, separator, texts in document.get("labels", ())
        }
        return cls(
            inputs={None: tuple(single)} if single is not None else several,
            text_columns=frozenset(document["texts"]),
            targets={
                name: TargetPlan(
                    (columns,) if isinstance(columns, str) else tuple(columns),
                    classes,
                    None if names is None else tuple(names),
                    **labels.get(name, {}),
                )
                for name, columns, classes, names in document["targets"]
            },
            weight_column=document["weights"],
            required_columns=tuple(document["drop"]),
            series_columns=tuple(document["keys"]),
            time_column=document.get("time"),  # older runs have none
            fill_values=dict(document["fill"]),
            integer_dtypes=dict(document["integers"]),
            dates={name: DateNumber(*number) for name, number in document.get("dates", {}).items()},
            conversions=dict(document.get("conversions", {})),
        )
