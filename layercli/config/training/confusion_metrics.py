"""Keras's metrics of true and false positives and negatives."""

import math
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, PlainValidator

from layercli.config.training.metric_inputs import (
    MetricInputs,
    MetricMismatchError,
    PredictionForm,
    TargetForm,
)
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
_MAX_CURVE_VALUES: Final = 10_000_000
"""Most values of the curves of all labels; Keras keeps four numbers for each."""
ThresholdCount = Annotated[int, Field(le=100_000, description="Number of thresholds to try.")]


class _ConfusionMetric(Metric):
    target_forms: ClassVar[tuple[TargetForm, ...]] = ("one-hot", "multi-label", "binary")
    prediction_form: ClassVar[PredictionForm] = "probabilities"


class _ConfusionAtThresholds(_ConfusionMetric):
    thresholds: Thresholds = None

    @property
    def single_value_argument(self) -> str | None:
        has_several = isinstance(self.thresholds, list) and len(self.thresholds) > 1
        return "thresholds: 0.5" if has_several else None

    def for_logits(self, inputs: MetricInputs) -> Self:
        if getattr(self, "top_k", None) is not None and self.thresholds is None:
            return self  # only the order of the units matters
        if self.activation or self.thresholds == 0:
            return self
        if inputs.logits == "sigmoid" and self.thresholds in (None, 0.5):
            return self.with_arguments(thresholds=0.0)  # the logit of 0.5
        return super().for_logits(inputs)


class _ConfusionCount(_ConfusionAtThresholds):
    direction: ClassVar[Direction] = None
    limits: ClassVar[tuple[float, float]] = (0, math.inf)


class TruePositives(_ConfusionCount):
    """Number of true positives."""


class TrueNegatives(_ConfusionCount):
    """Number of true negatives."""


class FalsePositives(_ConfusionCount):
    """Number of false positives."""


class FalseNegatives(_ConfusionCount):
    """Number of false negatives."""


class _OfOneClass(_ConfusionMetric):
    class_id: ClassId = None

    def adapt(self, inputs: MetricInputs) -> Self:
        adapted = super().adapt(inputs)
        is_positive_class = inputs.has_two_classes and self.class_id is None
        if is_positive_class and getattr(self, "top_k", None) is None:
            return adapted.with_arguments(class_id=1)  # of two classes, 1 is the positive one
        return adapted

    def check_inputs(self, inputs: MetricInputs) -> None:
        units, class_id, top_k = inputs.units, self.class_id, getattr(self, "top_k", None)
        if class_id is not None and units == 1:
            message = "`class_id` selects a unit of the output, but the output has 1 unit, which is class 1."
            raise MetricMismatchError(message, "Remove `class_id` from the metric.", "class_id")
        if class_id is not None and units is not None and class_id >= units:
            message = f"`class_id` must be below {units}, the number of units of the output, got {class_id}."
            raise MetricMismatchError(
                message, f"Set `class_id` to a class from 0 to {units - 1}.", "class_id"
            )
        if top_k is not None and units is not None and top_k > units:
            message = f"`top_k` must be at most {units}, the number of units of the output, got {top_k}."
            raise MetricMismatchError(message, f"Set `top_k` to at most {units}.", "top_k")


class Precision(_OfOneClass, _ConfusionAtThresholds):
    """Fraction of positive predictions that are correct."""

    top_k: TopK = None


class Recall(_OfOneClass, _ConfusionAtThresholds):
    """Fraction of positive targets that are predicted."""

    top_k: TopK = None


class _MetricAtValue(_OfOneClass):
    num_thresholds: Annotated[ThresholdCount, Field(ge=1)] = 200


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


class AUC(_ConfusionMetric):
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

    @property
    def requires_matrix(self) -> bool:
        return self.multi_label

    def for_logits(self, inputs: MetricInputs) -> Self:
        if self.activation or self.from_logits:
            return self
        if inputs.logits == "sigmoid":
            return self.with_arguments(from_logits=True)
        return super().for_logits(inputs)

    def adapt(self, inputs: MetricInputs) -> Self:
        adapted = super().adapt(inputs)
        if inputs.has_two_classes and self.curve == "ROC" and not self.label_weights:
            return adapted.with_arguments(multi_label=True)  # both curves equal that of class 1
        return adapted

    def check_inputs(self, inputs: MetricInputs) -> None:
        units = inputs.units
        if units is None:
            return
        if self.num_labels is not None and self.num_labels != units:
            message = (
                f"`num_labels` must be {units}, the number of units of the output, got {self.num_labels}."
            )
            raise MetricMismatchError(message, f"Set `num_labels: {units}`.", "num_labels")
        if self.label_weights is not None and len(self.label_weights) != units:
            message = (
                f"`label_weights` must have {units} items, one for each unit, got {len(self.label_weights)}."
            )
            raise MetricMismatchError(message, f"Set {units} weights.", "label_weights")
        count = self.num_thresholds if self.thresholds is None else len(self.thresholds)
        argument = "num_thresholds" if self.thresholds is None else "thresholds"
        if self.multi_label and units * count > _MAX_CURVE_VALUES:
            most = _MAX_CURVE_VALUES // units
            message = f"`{argument}` of {units:,} labels must have at most {most:,} values, got {count:,}."
            hint = "Decrease it, or remove `multi_label`."
            raise MetricMismatchError(message, hint, argument)
