"""The ``data`` section of type sklearn."""

from math import prod
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from layercli.config.data.section import DataConfig, DataFacts
from layercli.layers.shapes import format_shape
from layercli.schema.field_types import PositiveInt
from layercli.schema.strict_model import ArgumentError

_DATASETS: Final = {
    "digits": DataFacts(1797, (64,), 10),
    "iris": DataFacts(150, (4,), 3),
    "wine": DataFacts(178, (13,), 3),
    "breast_cancer": DataFacts(569, (30,), 2),
    "diabetes": DataFacts(442, (10,), None),
}
"""The data sets that scikit-learn contains."""
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

    def facts(self) -> DataFacts:
        dataset_facts = _DATASETS[self.dataset]
        return DataFacts(
            dataset_facts.samples,
            tuple(self.shape) if self.shape else dataset_facts.shape,
            dataset_facts.classes,
        )

    def check(self) -> None:
        dataset_facts = _DATASETS[self.dataset]
        features = prod(size for size in dataset_facts.shape if size is not None)
        if self.shape is not None and prod(self.shape) != features:
            example_shape = _EXAMPLE_SHAPES.get(features, f"[{features}]")
            raise ArgumentError(
                "shape",
                f"An example of {self.dataset} has {features} features, but the shape {format_shape(self.shape)} "
                f"has {prod(self.shape)}.",
                f"The sizes must multiply to {features}, as in `shape: {example_shape}`.",
            )
        train, validation, test = self.split.counts(dataset_facts.samples)
        if train < 1:
            raise ArgumentError(
                "split",
                f"{self.dataset} has {dataset_facts.samples} examples; {validation} for validation and {test} for testing "
                "leave none for training.",
                "Use smaller fractions, such as `split: {validation: 0.1, test: 0.1}`.",
            )
