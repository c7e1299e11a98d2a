"""Keras's metrics of segmentation: intersection over union."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from pydantic import Field

from layercli.config.training.metric_inputs import (
    MetricInputs,
    MetricMismatchError,
    PredictionForm,
    TargetForm,
)
from layercli.config.training.metrics import (
    IgnoreClass,
    Metric,
    ThresholdMetric,
)
from layercli.config.training.types import ClassAxis
from layercli.schema.field_types import NonNegativeInt
from layercli.schema.strict_model import ArgumentError

NumClasses = Annotated[int, Field(gt=0, le=4096, description="Number of classes.", examples=[10])]
TargetClassIds = Annotated[
    list[NonNegativeInt], Field(min_length=1, description="The classes to measure.", examples=[[0, 1]])
]
SparseTargets = Annotated[bool, Field(description="Whether targets are integers, not one-hot.")]
SparsePredictions = Annotated[bool, Field(description="Whether predictions are integers, not probabilities.")]


def _check_class_ids(classes: list[int], num_classes: int) -> None:
    if max(classes) >= num_classes:
        raise ArgumentError(
            "target_class_ids",
            f"`target_class_ids` must contain classes below {num_classes}, got {max(classes)}.",
            f"Classes range from 0 to {num_classes - 1}.",
        )


class _IoUMetric(Metric):
    def adapt(self, inputs: MetricInputs) -> Self:
        adapted = super().adapt(inputs)
        if inputs.is_weighted and adapted.dtype is None:
            return adapted.with_arguments(dtype="float32")  # Keras rounds the weights to integers otherwise
        return adapted


class _ClassIoU(_IoUMetric):
    has_ignore_class: ClassVar[bool] = True
    prediction_form: ClassVar[PredictionForm] = "order"
    replacements: ClassVar[Mapping[TargetForm, str]] = dict.fromkeys(
        ("signs", "binary", "multi-label"), "{type: BinaryIoU}"
    )

    num_classes: NumClasses
    ignore_class: IgnoreClass = None
    sparse_y_pred: SparsePredictions = True
    axis: ClassAxis = -1

    def adapt(self, inputs: MetricInputs) -> Self:
        return super().adapt(inputs).with_arguments(sparse_y_pred=False)

    def check_inputs(self, inputs: MetricInputs) -> None:
        units = inputs.units
        if units is not None and self.num_classes < units:
            message = f"`num_classes` must be at least {units}, the number of units of the output, got {self.num_classes}."
            raise MetricMismatchError(message, f"Set `num_classes: {units}`.", "num_classes")


class _SparseIoU(_ClassIoU):
    target_forms: ClassVar[tuple[TargetForm, ...]] = ("labels", "one-hot")

    sparse_y_true: SparseTargets = True

    def adapt(self, inputs: MetricInputs) -> Self:
        has_labels = inputs.form == "labels" and self.targets is None
        ignored = inputs.ignore_class if self.ignore_class is None else self.ignore_class
        return super().adapt(inputs).with_arguments(sparse_y_true=has_labels, ignore_class=ignored)


class IoU(_SparseIoU):
    """Mean intersection over union of some classes."""

    target_class_ids: TargetClassIds

    def check(self) -> None:
        """Check that every measured class exists."""
        _check_class_ids(self.target_class_ids, self.num_classes)


class BinaryIoU(ThresholdMetric, _IoUMetric):
    """Mean intersection over union, for targets of 0 and 1."""

    target_class_ids: TargetClassIds = [0, 1]  # noqa: RUF012 - Pydantic copies it

    def check(self) -> None:
        """Check that every measured class exists."""
        _check_class_ids(self.target_class_ids, 2)

    def suggest_replacement(self, inputs: MetricInputs) -> str:
        if inputs.form in ("labels", "one-hot") and inputs.units is not None:
            return f"{{type: MeanIoU, num_classes: {inputs.units}}}"
        return super().suggest_replacement(inputs)


class MeanIoU(_SparseIoU):
    """Mean intersection over union of all classes."""


class _OneHotIoU(_ClassIoU):
    target_forms: ClassVar[tuple[TargetForm, ...]] = ("one-hot",)

    sparse_y_pred: SparsePredictions = False

    def check_inputs(self, inputs: MetricInputs) -> None:
        super().check_inputs(inputs)
        ignored = inputs.ignore_class if self.ignore_class is None else self.ignore_class
        if ignored is not None and inputs.form == "labels":
            message = (
                f"{self.type_name()} cannot ignore a class of labels, because it requires one-hot targets."
            )
            hint = f"Use {{type: MeanIoU, num_classes: {self.num_classes}, ignore_class: {ignored}}}."
            argument = None if self.ignore_class is None else "ignore_class"
            raise MetricMismatchError(message, hint, argument)


class OneHotIoU(_OneHotIoU):
    """Mean intersection over union of some classes, for one-hot targets."""

    target_class_ids: TargetClassIds

    def check(self) -> None:
        """Check that every measured class exists."""
        _check_class_ids(self.target_class_ids, self.num_classes)


class OneHotMeanIoU(_OneHotIoU):
    """Mean intersection over union of all classes, for one-hot targets."""
