"""The ``data`` section: the base of its types, and the facts that are known before the data is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, NamedTuple, Self

from pydantic import Field, PlainValidator

from layercli.layers.shapes import Shape
from layercli.schema.component import Catalogue, Component
from layercli.schema.strict_model import ArgumentError, ExpectedText, StrictModel, value_error
from layercli.source.nodes import quote_value
from layercli.source.scalars import is_number


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """The classes and shape of the target of one output."""

    classes: int | None = None
    """Number of classes if it is a label from 0; None if it is a number."""
    shape: Shape = ()
    """Of one example."""


@dataclass(frozen=True, slots=True)
class DataFacts:
    """The size, shapes and classes of a data set."""

    samples: int
    shape: Shape
    """Of one example, without the batch axis; () if there are several inputs."""
    classes: int | None
    """Number of classes if the target is a label from 0; None if it is a number."""
    inputs: Mapping[str, Shape] | None = None
    """Of one example of each input, if there are several."""
    target_shape: Shape = ()
    """Of the target of one example."""
    targets: Mapping[str, TargetFacts] | None = None
    """Of each output by its name, if there are several; then ``classes`` and ``target_shape`` are unused."""

    def target_of(self, output: str) -> TargetFacts | None:
        """Return the facts of an output's target; None if it has no target."""
        if self.targets is None:
            return TargetFacts(self.classes, self.target_shape)
        return self.targets.get(output)


class UserFunction(NamedTuple):
    """A function in custom code."""

    reference: str
    """As the config names it."""
    module: str
    """The file or module that contains it."""
    file: Path | None
    """The file; None if it is in a module."""


def _parse_split_size(value: Any) -> int | float:
    if is_number(value) and (value >= 0 if isinstance(value, int) else 0 <= value < 1):
        return value
    raise value_error(
        "out-of-range" if is_number(value) else "wrong-type",
        f"Invalid split size: expected a fraction from 0 to below 1 or a number of examples, got {quote_value(value)}.",
        "For example `validation: 0.1`.",
    )


SplitSize = Annotated[
    int | float,
    PlainValidator(_parse_split_size),
    ExpectedText("a fraction from 0 to below 1, or a number of examples"),
]


class SplitConfig(StrictModel):
    """The sizes of the validation and test sets; all other examples are the training set."""

    hints: ClassVar[dict[str, str]] = {
        "train": "Remove it: the training set contains all remaining examples."
    }

    validation: Annotated[
        SplitSize, Field(description="Size of the validation set: a fraction, or a number of examples.")
    ] = 0
    test: Annotated[
        SplitSize, Field(description="Size of the test set: a fraction, or a number of examples.")
    ] = 0
    stratify: Annotated[bool, Field(description="Keep the proportions of the classes equal in all sets.")] = (
        False
    )

    example: ClassVar[str | None] = "split: {validation: 0.1, test: 0.1}"

    @classmethod
    def title(cls) -> str:
        return "`split`"

    def counts(self, samples: int) -> tuple[int, int, int]:
        """Return the numbers of training, validation and test examples."""
        validation, test = (
            size if isinstance(size, int) else round(size * samples) for size in (self.validation, self.test)
        )
        return samples - validation - test, validation, test

    def check(self) -> None:
        held_out = sum(size for size in (self.validation, self.test) if isinstance(size, float))
        if held_out >= 1:
            raise ArgumentError(
                "test",
                f"validation and test must sum to less than 1, got {held_out:g}: no training examples remain.",
                "Reduce validation or test.",
            )


class DataConfig(Component):
    """The base of all types of data, with what the rest of the package asks of each type.

    A type overrides the class variables, properties and methods for which its answer differs from the default.
    """

    split: Annotated[
        SplitConfig,
        Field(description="How the examples are split.", examples=[{"validation": 0.1, "test": 0.1}]),
    ] = SplitConfig.model_construct()
    shuffle: Annotated[
        bool,
        Field(description="Shuffle the training examples each epoch, and split the examples at random."),
    ] = True

    path_key: ClassVar[str] = "path"
    """The key that names its files; relative paths are relative to the file that contains the key."""
    has_text_labels: ClassVar[bool] = False
    """True if labels are assumed to be text if the data cannot be read."""

    @classmethod
    def type_name(cls) -> str:
        return cls.__name__.lower()

    @classmethod
    def title(cls) -> str:
        return f"{cls.type_name()} data"

    def facts(self) -> DataFacts | None:
        """Return the facts that are known without reading; None if the data must be read first."""
        return None

    @property
    def example_suffixes(self) -> tuple[str, ...] | None:
        """File suffixes of the examples for class folders; None for other data."""
        return None

    @property
    def user_function(self) -> UserFunction | None:
        """The custom function that returns the data; None if the type runs no custom code."""
        return None

    @property
    def code_path(self) -> str | None:
        """Path of the custom code file in a run directory; None if there is no file."""
        return None

    def with_code_path(self, path: str) -> Self:  # noqa: ARG002 - most types run no custom code
        """Return the same section with its custom code in the file at ``path``."""
        return self

    def with_absolute_paths(self, directory: Path) -> Self:  # noqa: ARG002 - some types have no files
        """Return the same section with each path that is relative to ``directory`` made absolute."""
        return self


DATA_TYPES: Final = Catalogue[DataConfig](
    noun="data type",
    package="layercli.formats",
    modules={
        "Sklearn": "sklearn.config",
        "Csv": "csv.config",
        "Parquet": "parquet.config",
        "Npz": "npz.config",
        "Npy": "npy.config",
        "Images": "images.config",
        "Text": "text.config",
        "Python": "python.config",
    },
)
"""Every type of data: the only list of the folders in ``layercli.formats``."""


def _parse_data(value: Any) -> DataConfig:
    example = "For example `data: {type: sklearn, dataset: digits}`."
    if not isinstance(value, (DataConfig, dict)):
        message = f"`data` must be a mapping with a `type`, got {quote_value(value)}."
        raise value_error("wrong-type", message, example)
    if isinstance(value, dict) and "type" not in value:
        raise value_error("missing-key", "`data` is missing `type`.", example)
    return DATA_TYPES.parse(value)


DataField = Annotated[DataConfig, PlainValidator(_parse_data), ExpectedText("a mapping with a `type`")]
