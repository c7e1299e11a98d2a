"""Keras's metrics of segmentation: intersection over union."""

from typing import Annotated

from pydantic import Field

from layercli.config.training.metrics import IgnoreClass, Metric, Threshold
from layercli.config.training.types import ClassAxis
from layercli.schema.field_types import NonNegativeInt
from layercli.schema.strict_model import ArgumentError

NumClasses = Annotated[int, Field(gt=0, le=10_000, description="Number of classes.", examples=[10])]
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


class IoU(Metric):
    """Mean intersection over union of some classes."""

    num_classes: NumClasses
    target_class_ids: TargetClassIds
    ignore_class: IgnoreClass = None
    sparse_y_true: SparseTargets = True
    sparse_y_pred: SparsePredictions = True
    axis: ClassAxis = -1

    def check(self) -> None:
        """Check that every measured class exists."""
        _check_class_ids(self.target_class_ids, self.num_classes)


class BinaryIoU(Metric):
    """Mean intersection over union, for targets of 0 and 1."""

    target_class_ids: TargetClassIds = [0, 1]  # noqa: RUF012 - Pydantic copies it
    threshold: Threshold = 0.5

    def check(self) -> None:
        """Check that every measured class exists."""
        _check_class_ids(self.target_class_ids, 2)


class MeanIoU(Metric):
    """Mean intersection over union of all classes."""

    num_classes: NumClasses
    ignore_class: IgnoreClass = None
    sparse_y_true: SparseTargets = True
    sparse_y_pred: SparsePredictions = True
    axis: ClassAxis = -1


class OneHotIoU(Metric):
    """Mean intersection over union of some classes, for one-hot targets."""

    num_classes: NumClasses
    target_class_ids: TargetClassIds
    ignore_class: IgnoreClass = None
    sparse_y_pred: SparsePredictions = False
    axis: ClassAxis = -1

    def check(self) -> None:
        """Check that every measured class exists."""
        _check_class_ids(self.target_class_ids, self.num_classes)


class OneHotMeanIoU(Metric):
    """Mean intersection over union of all classes, for one-hot targets."""

    num_classes: NumClasses
    ignore_class: IgnoreClass = None
    sparse_y_pred: SparsePredictions = False
    axis: ClassAxis = -1
