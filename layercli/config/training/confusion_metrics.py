"""Keras's metrics of true and false positives and negatives."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator

from layercli.config.training.metrics import Direction, Metric
from layercli.config.training.types import FromLogits, UnitFloat
from layercli.schema.field_types import NonNegativeInt, PositiveInt
from layercli.schema.strict_model import ArgumentError, ExpectedText, value_error
from layercli.source.nodes import quote_value
from layercli.source.scalars import is_number


def _parse_thresholds(value: Any) -> float | list[float]:
    items = list(value) if isinstance(value, (list, tuple)) else [value]
    are_numbers = all(is_number(item) for item in items)
    if not items or not are_numbers or not all(0 <= item <= 1 for item in items):
        expected = "a number between 0 and 1 or a list of such numbers"
        message = f"`thresholds` must be {expected}, got {quote_value(value)}."
        raise value_error(
            "out-of-range" if are_numbers else "wrong-type", message, "For example `thresholds: 0.5`."
        )
    return items if isinstance(value, (list, tuple)) else float(value)


Thresholds = Annotated[
    float | list[float] | None,
    PlainValidator(lambda value: None if value is None else _parse_thresholds(value)),
    ExpectedText("a number between 0 and 1 or a list of such numbers"),
    Field(description="Probabilities from which a prediction is positive; null: 0.5."),
]
TopK = Annotated[
    PositiveInt | None, Field(description="Number of most probable classes that are positive; null: all.")
]
ClassId = Annotated[NonNegativeInt | None, Field(description="The class to measure; null: all together.")]
ThresholdCount = Annotated[int, Field(le=100_000, description="Number of thresholds to try.")]


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
    """Fraction of positive predictions that are correct."""

    thresholds: Thresholds = None
    top_k: TopK = None
    class_id: ClassId = None


class Recall(Metric):
    """Fraction of positive targets that are predicted."""

    thresholds: Thresholds = None
    top_k: TopK = None
    class_id: ClassId = None


class _MetricAtValue(Metric):
    num_thresholds: Annotated[ThresholdCount, Field(ge=1)] = 200
    class_id: ClassId = None


class SensitivityAtSpecificity(_MetricAtValue):
    """Best sensitivity with at least the given specificity."""

    specificity: Annotated[UnitFloat, Field(description="The specificity.", examples=[0.5])]


class SpecificityAtSensitivity(_MetricAtValue):
    """Best specificity with at least the given sensitivity."""

    sensitivity: Annotated[UnitFloat, Field(description="The sensitivity.", examples=[0.5])]


class PrecisionAtRecall(_MetricAtValue):
    """Best precision with at least the given recall."""

    recall: Annotated[UnitFloat, Field(description="The recall.", examples=[0.5])]


class RecallAtPrecision(_MetricAtValue):
    """Best recall with at least the given precision."""

    precision: Annotated[UnitFloat, Field(description="The precision.", examples=[0.5])]


class AUC(Metric):
    """Area under the ROC curve or a precision-recall curve."""

    num_thresholds: Annotated[ThresholdCount, Field(ge=2)] = 200
    curve: Annotated[Literal["ROC", "PR", "PRGAIN"], Field(description="The curve.")] = "ROC"
    summation_method: Annotated[
        Literal["interpolation", "minoring", "majoring"], Field(description="How to sum the area.")
    ] = "interpolation"
    thresholds: Annotated[
        list[UnitFloat] | None,
        Field(description="Thresholds to try; null: `num_thresholds` equally spaced ones.", examples=[[0.5]]),
    ] = None
    multi_label: Annotated[bool, Field(description="Whether each label has a separate curve.")] = False
    num_labels: Annotated[
        PositiveInt | None, Field(description="Number of labels; null: taken from the data.")
    ] = None
    label_weights: Annotated[
        list[Annotated[float, Field(ge=0)]] | None,
        Field(min_length=1, description="Weight of each label; null: equal."),
    ] = None
    from_logits: FromLogits = False

    def check(self) -> None:
        """Check that ``num_labels`` fits ``multi_label`` and the number of weights."""
        if self.num_labels is not None and not self.multi_label:
            message = (
                "`num_labels` requires `multi_label: true`, which computes a separate curve for each label."
            )
            raise ArgumentError("num_labels", message, "Add `multi_label: true`, or remove `num_labels`.")
        if self.num_labels and self.label_weights is not None and len(self.label_weights) != self.num_labels:
            message = f"`label_weights` must have {self.num_labels} items, one for each label, got {len(self.label_weights)}."
            raise ArgumentError("label_weights", message, f"Set {self.num_labels} weights.")
