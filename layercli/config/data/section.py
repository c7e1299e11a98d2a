"""The ``data`` section: what the model learns from, and what is known of it before it is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, PlainValidator

from layercli.layers.shapes import Shape, format_shape
from layercli.schema.component import Catalogue, Component
from layercli.schema.field_types import PositiveInt
from layercli.schema.strict_model import ArgumentError, ExpectedText, StrictModel, value_error
from layercli.source.nodes import quote_value


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What can be said of the target of an output."""

    classes: int | None = None
    """Number of classes where it is a label from 0; None where it is a number."""
    shape: Shape = ()
    """Of one example."""


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What can be said of a data set without reading it."""

    samples: int
    shape: Shape
    """Of one example, without the batch axis; () where there are several inputs."""
    classes: int | None
    """Number of classes where the target is a label from 0; None where it is a number."""
    inputs: Mapping[str, Shape] | None = None
    """Of one example of each input, where there are several."""
    target_shape: Shape = ()
    """Of the target of one example."""
    targets: Mapping[str, TargetFacts] | None = None
    """Of each output by its name, where there are several; then nothing is said of one target."""

    def target_of(self, output: str) -> TargetFacts | None:
        """What is said of the target of an output; None where it has none."""
        if self.targets is None:
            return TargetFacts(self.classes, self.target_shape)
        return self.targets.get(output)


def _parse_split_size(value: Any) -> int | float:
    is_valid = (isinstance(value, int) and not isinstance(value, bool) and value >= 0) or (
        isinstance(value, float) and 0 <= value < 1
    )
    if is_valid:
        return value  # type: ignore[no-any-return]
    raise value_error(
        "out-of-range" if isinstance(value, (int, float)) and not isinstance(value, bool) else "wrong-type",
        f"{quote_value(value)} is no part of the data; it must be a fraction from 0 to below 1, or a number of examples.",
        "For example `validation: 0.1`.",
    )


SplitSize = Annotated[
    int | float,
    PlainValidator(_parse_split_size),
    ExpectedText("a fraction from 0 to below 1, or a number of examples"),
]


class SplitConfig(StrictModel):
    """How the examples are divided; what is left is trained on."""

    hints: ClassVar[dict[str, str]] = {"train": "Remove it: what validation and test leave is trained on."}

    validation: Annotated[
        SplitSize, Field(description="Held out to watch training: a fraction, or a count.")
    ] = 0
    test: Annotated[SplitSize, Field(description="Held out until the end: a fraction, or a count.")] = 0
    stratify: Annotated[bool, Field(description="Whether each part has the classes in equal proportion.")] = (
        False
    )

    example: ClassVar[str | None] = "split: {validation: 0.1, test: 0.1}"

    @classmethod
    def title(cls) -> str:
        return "`split`"

    def counts(self, samples: int) -> tuple[int, int, int]:
        """Examples to train on, to validate on and to test on."""
        validation, test = (
            part if isinstance(part, int) else round(part * samples) for part in (self.validation, self.test)
        )
        return samples - validation - test, validation, test

    def check(self) -> None:
        held_out = sum(part for part in (self.validation, self.test) if isinstance(part, float))
        if held_out >= 1:
            raise ArgumentError("test", f"validation and test together are {held_out:g}; nothing is left to train on.",
                                "Let them sum to less than 1.")  # fmt: skip


class DataConfig(Component):
    """What every type of data has."""

    split: Annotated[
        SplitConfig,
        Field(description="How the examples are divided.", examples=[{"validation": 0.1, "test": 0.1}]),
    ] = SplitConfig.model_construct()
    shuffle: Annotated[bool, Field(description="Whether the order of the training examples is drawn anew each epoch, "
                                               "and the split is drawn at random.")] = True  # fmt: skip

    path_key: ClassVar[str] = "path"
    """The key that names its files; relative ones are so to the file in which it stands."""

    @classmethod
    def type_name(cls) -> str:
        return cls.__name__.lower()

    @classmethod
    def title(cls) -> str:
        return f"{cls.type_name()} data"

    def facts(self) -> DataFacts | None:
        """What is known without reading; None where only reading tells."""
        return None

    @property
    def code_path(self) -> str | None:
        """Where, beside its config, a run keeps the file of the user's code that gives the data; None where none does."""
        return None

    def with_code_path(self, path: str) -> Self:  # noqa: ARG002 - most data are given by no code
        """The same, given by the file at ``place``."""
        return self

    def with_absolute_paths(self, directory: Path) -> Self:  # noqa: ARG002 - what ships with a package has no place
        """The same, its paths absolute where they were relative to ``directory``."""
        return self


_SKLEARN_DATASETS: Final = {
    "digits": DataFacts(1797, (64,), 10),
    "iris": DataFacts(150, (4,), 3),
    "wine": DataFacts(178, (13,), 3),
    "breast_cancer": DataFacts(569, (30,), 2),
    "diabetes": DataFacts(442, (10,), None),
}
"""What ships inside scikit-learn."""


class Sklearn(DataConfig):
    """A data set that ships inside scikit-learn.

    Example:
        {type: sklearn, dataset: digits, shape: [8, 8, 1], split: {validation: 0.1, test: 0.1}}
    """

    hints: ClassVar[dict[str, str]] = {"name": "The data set is named as `dataset: digits`."}

    dataset: Annotated[
        Literal["digits", "iris", "wine", "breast_cancer", "diabetes"],
        Field(description="Which data set.", examples=["digits"]),
    ]
    shape: Annotated[
        list[PositiveInt] | None,
        Field(description="Shape of one example, without the batch axis; null: a vector of its features."),
    ] = None

    def facts(self) -> DataFacts:
        dataset_facts = _SKLEARN_DATASETS[self.dataset]
        return DataFacts(
            dataset_facts.samples,
            tuple(self.shape) if self.shape else dataset_facts.shape,
            dataset_facts.classes,
        )

    def check(self) -> None:
        dataset_facts = _SKLEARN_DATASETS[self.dataset]
        features = prod(size for size in dataset_facts.shape if size is not None)
        if self.shape is not None and prod(self.shape) != features:
            raise ArgumentError(
                "shape",
                f"An example of {self.dataset} has {features} features; they do not fill the shape {format_shape(self.shape)} "
                f"of {prod(self.shape)}.",
                f"The sizes must multiply to {features}, as in `shape: {_example_shape(features)}`.",
            )
        train, validation, test = self.split.counts(dataset_facts.samples)
        if train < 1:
            raise ArgumentError(
                "split",
                f"{self.dataset} has {dataset_facts.samples} examples; {validation} for validation and {test} for testing leave "
                "none to train on.",
                "Use smaller parts, such as `split: {validation: 0.1, test: 0.1}`.",
            )


def _example_shape(features: int) -> str:
    return {64: "[8, 8, 1]"}.get(features, f"[{features}]")


DATA_TYPES: Final = Catalogue[DataConfig](
    noun="data type",
    package="layercli.config.data",
    modules={
        "Sklearn": "section",
        **dict.fromkeys(("Csv", "Parquet"), "tables"),
        **dict.fromkeys(("Npz", "Npy", "Images", "Text", "Python"), "files"),
    },
)


def _parse_data(value: Any) -> DataConfig:
    if not isinstance(value, DataConfig) and (not isinstance(value, dict) or "type" not in value):
        defect = (
            "has no `type`"
            if isinstance(value, dict)
            else f"is {quote_value(value)}; it must be a mapping with a `type`"
        )
        code = "missing-key" if isinstance(value, dict) else "wrong-type"
        raise value_error(code, f"`data` {defect}.", "For example `data: {type: sklearn, dataset: digits}`.")
    return DATA_TYPES.parse(value)


DataField = Annotated[DataConfig, PlainValidator(_parse_data), ExpectedText("a mapping with a `type`")]
