"""Keras's metrics of positives and negatives, right and wrong."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator

from layercli.config.training.metrics import Direction, Metric
from layercli.config.training.types import FromLogits, UnitFloat
from layercli.schema.field_types import NonNegativeInt, PositiveInt
from layercli.schema.strict_model import ArgumentError, ExpectedText, value_error
from layercli.source.nodes import quote_value


def _parse_thresholds(value: Any) -> float | list[float]:
    items = list(value) if isinstance(value, (list, tuple)) else [value]
    are_numbers = all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in items)
    if not items or not are_numbers or not all(0 <= item <= 1 for item in items):
        expected = "a number between 0 and 1, or a list of them"
        message = f"`thresholds` is {quote_value(value)}; it must be {expected}."
        raise value_error(
            "out-of-range" if are_numbers else "wrong-type", message, "For example `thresholds: 0.5`."
        )
    return items if isinstance(value, (list, tuple)) else float(value)


Thresholds = Annotated[
    float | list[float] | None,
    PlainValidator(lambda value: None if value is None else _parse_thresholds(value)),
    ExpectedText("a number between 0 and 1, or a list of them"),
    Field(description="Probabilities from which on a prediction is positive; null: 0.5."),
]
TopK = Annotated[
    PositiveInt | None, Field(description="Only the k most probable classes are positive; null: all.")
]
ClassId = Annotated[
    NonNegativeInt | None, Field(description="The class that is measured; null: all together.")
]
ThresholdCount = Annotated[int, Field(le=100_000, description="How many thresholds are tried.")]


class _ConfusionCount(Metric):
    direction: ClassVar[Direction] = None
    thresholds: Thresholds = None


class TruePositives(_ConfusionCount):
    """Number of true positives."""


class TrueNegatives(_ConfusionCount):
    """Number of true negatives."""


class FalsePositives(_ConfusionCount):
    """Number of false positives."""


class FalseNegatives(_ConfusionCount):
    """Number of false negatives."""


class Precision(Metric):
    """Part of the positive predictions that are right."""

    thresholds: Thresholds = None
    top_k: TopK = None
    class_id: ClassId = None


class Recall(Metric):
    """Part of the positive targets that are found."""

    thresholds: Thresholds = None
    top_k: TopK = None
    class_id: ClassId = None


class _MetricAtValue(Metric):
    num_thresholds: Annotated[ThresholdCount, Field(ge=1)] = 200
    class_id: ClassId = None


class SensitivityAtSpecificity(_MetricAtValue):
    """Best sensitivity where the specificity is at least the one given."""

    specificity: Annotated[UnitFloat, Field(description="The specificity.", examples=[0.5])]


class SpecificityAtSensitivity(_MetricAtValue):
    """Best specificity where the sensitivity is at least the one given."""

    sensitivity: Annotated[UnitFloat, Field(description="The sensitivity.", examples=[0.5])]


class PrecisionAtRecall(_MetricAtValue):
    """Best precision where the recall is at least the one given."""

    recall: Annotated[UnitFloat, Field(description="The recall.", examples=[0.5])]


class RecallAtPrecision(_MetricAtValue):
    """Best recall where the precision is at least the one given."""

    precision: Annotated[UnitFloat, Field(description="The precision.", examples=[0.5])]


class AUC(Metric):
    """Area under the ROC curve, or under another."""

    num_thresholds: Annotated[ThresholdCount, Field(ge=2)] = 200
    curve: Annotated[Literal["ROC", "PR", "PRGAIN"], Field(description="Which curve.")] = "ROC"
    summation_method: Annotated[
        Literal["interpolation", "minoring", "majoring"], Field(description="How the area is summed.")
    ] = "interpolation"
    thresholds: Annotated[
        list[UnitFloat] | None,
        Field(description="Thresholds to try; null: `num_thresholds` of them.", examples=[[0.5]]),
    ] = None
    multi_label: Annotated[bool, Field(description="Whether each label has a curve of its own.")] = False
    num_labels: Annotated[PositiveInt | None, Field(description="How many labels; null: as in the data.")] = (
        None
    )
    label_weights: Annotated[
        list[Annotated[float, Field(ge=0)]] | None,
        Field(min_length=1, description="Weight of each label; null: equal."),
    ] = None
    from_logits: FromLogits = False

    def check(self) -> None:
        """Labels are counted only where each has a curve, and weighted one by one."""
        if self.num_labels is not None and not self.multi_label:
            message = "`num_labels` is set, but it counts only where each label has a curve of its own."
            raise ArgumentError("num_labels", message, "Add `multi_label: true`, or remove `num_labels`.")
        if self.num_labels and self.label_weights is not None and len(self.label_weights) != self.num_labels:
            message = f"There are {self.num_labels} labels, but {len(self.label_weights)} weights."
            raise ArgumentError("label_weights", message, f"Give {self.num_labels} weights.")
