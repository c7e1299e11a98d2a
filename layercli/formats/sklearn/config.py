"""The ``data`` section of type sklearn."""

from math import prod
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from layercli.config.data.section import DataConfig, DataFacts, TargetFacts, TargetTypeField, TargetValues
from layercli.layers.shapes import format_shape
from layercli.schema.field_types import PositiveInt
from layercli.schema.strict_model import ArgumentError

_DATASETS: Final = {
    "digits": (1797, (64,), TargetValues.of_classes(10)),
    "iris": (150, (4,), TargetValues.of_classes(3)),
    "wine": (178, (13,), TargetValues.of_classes(3)),
    "breast_cancer": (569, (30,), TargetValues.of_classes(2)),
    "diabetes": (442, (10,), TargetValues(25, 346, is_integral=True)),
}
"""Data set in scikit-learn -> its number of examples, their shape, and the values of the target."""
_DIABETES_CLASSES: Final = 214
"""Number of distinct values of the target of diabetes."""
_NUMBER_DATASETS: Final = frozenset({"diabetes"})
"""The data sets whose target is a number."""
_EXAMPLE_SHAPES: Final = {64: "[8, 8, 1]"}
"""Number of features -> the shape that hints show; a vector for all other numbers."""


class Sklearn(DataConfig):
    """A data set that ships inside scikit-learn.

    Example:
        {type: sklearn, dataset: digits, shape: [8, 8, 1], split: {validation: 0.1, test: 0.1}}
    """

    hints: ClassVar[dict[str, str]] = {"name": "Name the data set with `dataset: digits`."}

    dataset: Annotated[
        Literal["digits", "iris", "wine", "breast_cancer", "diabetes"],
        Field(description="The data set's name.", examples=["digits"]),
    ]
    shape: Annotated[
        list[PositiveInt] | None,
        Field(description="Shape of one example, without the batch axis; null: a vector of its features."),
    ] = None
    target_type: TargetTypeField = None

    @property
    def split_sources(self) -> frozenset[Literal["files", "columns"]]:
        return frozenset()

    def facts(self) -> DataFacts:
        samples, shape, values = _DATASETS[self.dataset]
        kind = self.target_type_of(None) or ("numbers" if self.dataset in _NUMBER_DATASETS else "labels")
        target = TargetFacts(kind="numbers", values=values, has_integers=True)
        if kind == "labels":
            classes = _DIABETES_CLASSES if self.dataset in _NUMBER_DATASETS else int(values.high) + 1
            target = TargetFacts(
                classes, values=TargetValues.of_classes(classes), kind=kind, has_integers=True
            )
        return DataFacts(samples, tuple(self.shape) if self.shape else shape, target)

    def check(self) -> None:
        super().check()
        samples, dataset_shape, _ = _DATASETS[self.dataset]
        features = prod(dataset_shape)
        if self.shape is not None and prod(self.shape) != features:
            example_shape = _EXAMPLE_SHAPES.get(features, f"[{features}]")
            raise ArgumentError(
                "shape",
                f"An example of {self.dataset} has {features} features, but the shape {format_shape(self.shape)} "
                f"has {prod(self.shape)}.",
                f"The sizes must multiply to {features}, as in `shape: {example_shape}`.",
            )
        train, validation, test = self.split.counts(samples)
        if train < 1:
            raise ArgumentError(
                "split",
                f"{self.dataset} has {samples} examples; {validation} for validation and {test} for testing "
                "leave none for training.",
                "Use smaller fractions, such as `split: {validation: 0.1, test: 0.1}`.",
            )
