"""The ``data`` section: the base of its types, and the facts that are known before the data is read."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, Self, TypeAlias, get_args

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from layercli.layers.shapes import Shape, Tensor
from layercli.schema.addresses import find_address_fault, is_address, join_directory, show_address
from layercli.schema.component import Catalogue, Component
from layercli.schema.section_hints import SPLIT_HINTS
from layercli.schema.strict_model import (
    ArgumentError,
    ExpectedText,
    StrictModel,
    mismatch_error,
    value_error,
)
from layercli.schema.suggestions import did_you_mean, suggest_space
from layercli.source.nodes import quote_value, sanitize_text
from layercli.source.scalars import is_number

TargetType: TypeAlias = Literal["labels", "numbers"]
HeldOutName: TypeAlias = Literal["validation", "test"]


@dataclass(frozen=True, slots=True)
class TargetValues:
    """The values of a target, over all examples and positions."""

    low: float
    high: float
    is_integral: bool
    """Whether no value has a fraction."""
    is_one_hot: bool = False
    """Whether every vector along the last axis has a single 1 and otherwise 0."""
    first_rows: Mapping[float, int] | None = None
    """Each distinct value, in ascending order -> the first example that has it, from 0; None if there are too many."""
    counts: Mapping[float, int] = field(default_factory=dict)
    """Each value of ``first_rows`` -> its number of examples, or of positions in them."""
    first_files: Mapping[float, str] = field(default_factory=dict)
    """Each value of ``first_rows`` -> the file of the first example that has it, if each target is a file."""

    @classmethod
    def of_classes(cls, classes: int) -> Self:
        """Return the values of labels from 0."""
        return cls(0, classes - 1, is_integral=True, first_rows=dict.fromkeys(map(float, range(classes)), 0))

    @property
    def distinct(self) -> list[float] | None:
        """The distinct values in ascending order; None if there are too many."""
        return None if self.first_rows is None else list(self.first_rows)


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """The target of one output: its shape, its values, and what the data says about them."""

    classes: int | None = None
    """Number of classes if its values are labels from 0 for any loss; None if the loss decides."""
    shape: Shape = ()
    """The shape of one example."""
    values: TargetValues | None = None
    """None if the data must be read first."""
    kind: TargetType | None = None
    """What the values are: as the config declares them, or labels if they are texts or folders; None if the loss decides."""
    has_integers: bool = False
    """Whether the values are saved as integers."""


@dataclass(frozen=True, slots=True)
class DataFacts:
    """The size, the shapes and the targets of a data set."""

    samples: int
    shape: Shape
    """The shape of one example, without the batch axis; () if there are several inputs."""
    target: TargetFacts | None = None
    """The only target; None if there are several."""
    inputs: Mapping[str, Shape] | None = None
    """The shape of one example of each input, if there are several."""
    targets: Mapping[str, TargetFacts] | None = None
    """The facts of each output's target by its name, if there are several."""

    @property
    def classes(self) -> int | None:
        """Number of classes of the only target; see ``TargetFacts``."""
        return None if self.target is None else self.target.classes

    def target_of(self, output: str) -> TargetFacts | None:
        """Return the facts of an output's target; None if it has no target."""
        return self.target if self.targets is None else self.targets.get(output)

    def with_targets(self, targets: Mapping[str | None, TargetFacts]) -> Self:
        """Return the facts with these targets; None is the name of the only one."""
        named = {str(name): target for name, target in targets.items() if name is not None}
        return replace(self, target=targets.get(None), targets=named or None)

    @property
    def named_targets(self) -> Mapping[str | None, TargetFacts]:
        """Each target by its output; None is the name of the only one."""
        if self.targets is not None:
            return dict(self.targets.items())
        return {} if self.target is None else {None: self.target}


class UserFunction(NamedTuple):
    """A function in custom code."""

    reference: str
    """As the config names it."""
    module: str
    """The file or module that contains it."""
    file: Path | None
    """The file; None if it is in a module."""


def _parse_split_size(value: Any) -> int | float | list[str]:
    if is_number(value) and (value >= 0 if isinstance(value, int) else 0 <= value < 1):
        return value
    if isinstance(value, str) and _is_number_text(value):
        message = f"Invalid split size: expected a number, got the string {quote_value(value)}."
        raise value_error("wrong-type", message, f"Remove the quotes: `{value}`.")
    if isinstance(value, str) and (percent := re.fullmatch(r"(\d{1,2}) ?%", value, re.ASCII)):
        message = f"Invalid split size: expected a fraction from 0 to below 1, got {quote_value(value)}."
        raise value_error("wrong-type", message, f"Write {int(percent[1]) / 100}.")
    paths = [value] if isinstance(value, str) else value
    if isinstance(paths, list) and paths and all(isinstance(path, str) and path for path in paths):
        return paths
    raise value_error(
        "out-of-range" if is_number(value) else "wrong-type",
        "Invalid split size: expected a fraction from 0 to below 1, a number of examples, or files, "
        f"got {quote_value(value)}.",
        "For example `validation: 0.1`, or `validation: validation.csv`.",
    )


def _is_number_text(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


SplitSize = Annotated[
    int | float | list[str],
    PlainValidator(_parse_split_size),
    WithJsonSchema({"type": ["number", "string", "array"]}),
    ExpectedText("a fraction from 0 to below 1, a number of examples, or files"),
]


class FoldConfig(StrictModel):
    """One of the folds of a cross-validation: its examples are the test set."""

    example: ClassVar[str | None] = "fold: {number: 1, folds: 5}"

    number: Annotated[int, Field(ge=1, description="The fold whose examples are the test set, from 1.")]
    folds: Annotated[int, Field(ge=2, le=10_000, description="Number of folds.")]
    repeat: Annotated[
        int,
        Field(ge=1, le=10_000, description="The repetition, from 1: each divides the examples differently."),
    ] = 1

    @classmethod
    def title(cls) -> str:
        return "`fold`"

    def check(self) -> None:
        if self.number > self.folds:
            message = f"`number` must be at most `folds`, {self.folds}, got {self.number}."
            raise ArgumentError("number", message, f"Write a number from 1 to {self.folds}.")


class SplitConfig(StrictModel):
    """The validation and test sets; all other examples are the training set."""

    hints: ClassVar[dict[str, str]] = SPLIT_HINTS

    validation: Annotated[
        SplitSize,
        Field(
            description="The validation set: a fraction, a number of examples, or separate files (a file, a folder, a "
            "pattern, or a list)."
        ),
    ] = 0
    test: Annotated[SplitSize, Field(description="The test set, likewise.")] = 0
    stratify: Annotated[bool, Field(description="Keep the proportions of the classes equal in all sets.")] = (
        False
    )
    group: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Column, or array, whose equal values are always in the same set.",
            examples=["patient"],
        ),
    ] = None
    order: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Column, or array, of numbers or dates: the examples with the largest values are the test set, those "
            "before them the validation set.",
            examples=["date"],
        ),
    ] = None
    column: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Column, or array, that names the set of each example: train, validation (val, valid, dev) or test.",
            examples=["part"],
        ),
    ] = None

    fold: Annotated[
        FoldConfig | None,
        Field(
            description="The test set is one of several folds, as in `layercli crossval`; null: it follows from `test`.",
            examples=[{"number": 1, "folds": 5}],
        ),
    ] = None

    example: ClassVar[str | None] = "split: {validation: 0.1, test: 0.1}"

    @classmethod
    def title(cls) -> str:
        return "`split`"

    @property
    def own_files(self) -> dict[HeldOutName, list[str]]:
        """The files of the sets that have separate files."""
        sizes: dict[HeldOutName, SplitSize] = {"validation": self.validation, "test": self.test}
        return {name: size for name, size in sizes.items() if isinstance(size, list)}

    @property
    def key_columns(self) -> dict[str, str]:
        """The columns that determine the set of an example, by their keys."""
        columns = {"group": self.group, "order": self.order, "column": self.column}
        return {key: column for key, column in columns.items() if column is not None}

    @property
    def has_validation(self) -> bool:
        """Whether there may be validation examples."""
        return self.validation != 0 or self.column is not None

    def with_absolute_paths(self, directory: Path, name: HeldOutName) -> Self:
        """Return the same split with the paths of the files of a set made absolute."""
        return self.model_copy(
            update={name: [join_directory(directory, path) for path in self.own_files[name]]}
        )

    def without_own_files(self) -> Self:
        """Return the split of the examples that are left for sets without separate files."""
        return self.model_copy(update=dict.fromkeys(self.own_files, 0))

    def counts(self, samples: int) -> tuple[int, int, int]:
        """Return the numbers of training, validation and test examples; 0 for sets with separate files."""
        validation, test = (
            0 if isinstance(size, list) else size if isinstance(size, int) else round(size * samples)
            for size in (self.validation, self.test)
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
        self._check_keys()

    def _check_keys(self) -> None:
        if self.fold is not None:
            self._check_fold()
        sizes = [name for name in ("validation", "test") if getattr(self, name)]
        if self.column is not None:
            self._refuse_beside(
                "column", (*sizes, "group", "order", "stratify"), "names the set of each example"
            )
        if self.order is not None:
            self._refuse_beside("order", ("group", "stratify"), "splits the examples by order")
        for key in ("group", "order"):
            has_sizes = any(getattr(self.without_own_files(), name) for name in sizes)
            if getattr(self, key) is not None and not has_sizes and self.fold is None:
                message = f"`{key}` has no effect: no set is a part of the examples of `path`."
                raise ArgumentError(key, message, f"Add a size, such as `test: 0.2`, or remove `{key}`.")

    def _check_fold(self) -> None:
        reasons = {"test": "the fold is the test set", "column": "it names the set of each example"}
        for key, reason in reasons.items():
            if getattr(self, key):
                raise ArgumentError(key, f"`{key}` contradicts `fold`: {reason}.", f"Remove `{key}`.")
        if self.own_files:
            message = "`validation` must be a fraction or a number of examples with `fold`, got files."
            raise ArgumentError("validation", message, "Write for example `validation: 0.1`.")

    def _refuse_beside(self, key: str, others: Sequence[str], reason: str) -> None:
        given = [f"`{other}`" for other in others if getattr(self, other)]
        if given:
            listed = " and ".join(filter(None, (", ".join(given[:-1]), given[-1])))
            verb = "contradict" if len(given) > 1 else "contradicts"
            message = (
                f"{listed} {verb} `{key}: {sanitize_text(getattr(self, key), limit=60)}`, which {reason}."
            )
            raise ArgumentError(given[0].strip("`"), message, f"Remove {listed}, or remove `{key}`.")


def _check_target_type(value: Any) -> Any:
    """Return the value; one error for all forms that it may have.

    Raises:
        PydanticCustomError: it is neither a type nor a mapping to types.
    """
    kinds = get_args(TargetType)
    for kind in value.values() if isinstance(value, Mapping) else [value]:
        if value is not None and kind not in kinds:
            hint = did_you_mean(str(kind), kinds, otherwise="For example `target_type: labels`.")
            expected = "labels or numbers, or a mapping from an output to one of them"
            raise mismatch_error("unknown-value", expected, kind, hint, container=value)
    return value


TargetTypeField = Annotated[
    Literal["labels", "numbers"] | dict[str, Literal["labels", "numbers"]] | None,
    BeforeValidator(_check_target_type),
    Field(
        description="What the target is: labels (mapped to class numbers from 0, in ascending order), numbers, or output -> "
        "one of them; null: texts are labels, and the loss decides about numbers.",
        examples=["labels"],
    ),
]


def check_target_type(
    target_type: str | Mapping[str, str] | None, target: str | Sequence[str] | Mapping[str, Any] | None
) -> None:
    """Check that `target_type` names only outputs of `target`.

    Raises:
        ArgumentError: it names an output without a target.
    """
    for name in target_type if isinstance(target_type, Mapping) else ():
        if not isinstance(target, Mapping) or name not in target:
            message = f"`target_type` names `{name}`, for which `target` names nothing."
            raise ArgumentError("target_type", message, "Use the output names of `target`.")


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
    may_have_positions: ClassVar[bool] = False
    """True if a target may have a value for each pixel or timestep; False if it has one for each example."""
    has_pixel_targets: ClassVar[bool] = False
    """True if the target certainly has a value for each pixel of an image."""
    has_text_labels: ClassVar[bool] = False
    """True if labels are assumed to be text if the data cannot be read."""
    has_numbers_as_texts: ClassVar[bool] = False
    """Whether numbers in the files are texts, so that `missing` can declare any of them as missing."""

    @classmethod
    def type_name(cls) -> str:
        return cls.__name__.lower()

    @classmethod
    def title(cls) -> str:
        return f"{cls.type_name()} data"

    def target_type_of(self, output: str | None) -> TargetType | None:
        """Return the declared type of an output's target; None if the loss decides. The only output has the name None."""
        declared = getattr(self, "target_type", None)
        if not isinstance(declared, dict):
            return declared
        return next(iter(declared.values()), None) if output is None else declared.get(output)

    def find_declared_target(self, output: str) -> TargetFacts | None:  # noqa: ARG002 - most types must be read
        """Return what is known about the target of an output before the data is read; None if that is nothing."""
        return None

    @property
    def declared_input(self) -> Tensor | None:
        """The only input of the model, with the batch axis; axes that only the data determines are None, as is all of it."""
        return None

    def facts(self) -> DataFacts | None:
        """Return the facts that are known without reading; None if the data must be read first."""
        return None

    @property
    def split_sources(self) -> frozenset[Literal["files", "columns"]]:
        """The sources of the sets in addition to sizes: separate files; columns or arrays."""
        return frozenset({"files", "columns"})

    @property
    def has_random_sets(self) -> bool:
        """Whether the sets are drawn at random, and not in the order of the examples."""
        return self.shuffle and self.split.order is None

    @property
    def example_suffixes(self) -> tuple[str, ...] | None:
        """File suffixes of the examples for class folders; None for other data."""
        return None

    def select_examples(self, files: list[Path]) -> list[Path]:
        """Return the files of a new folder that are examples."""
        return files

    @property
    def preparation(self) -> tuple[str, ...]:
        """Return a sentence for each step from a file of an example to the input of the model."""
        return ()

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

    @property
    def file_paths(self) -> dict[str, list[str]]:
        """The files that the section names, by key; those of separate sets by ``split``."""
        path = getattr(self, "path", None)
        paths = {} if path is None else {"path": [path] if isinstance(path, str) else list(path)}
        return paths | {"split": [file for files in self.split.own_files.values() for file in files]}

    @property
    def can_be_remote(self) -> bool:
        """Whether its files may have addresses: a folder of many files may not."""
        return True

    def _check_addresses(self) -> None:
        for key, names in self.file_paths.items():
            for name in filter(is_address, names):
                fault = find_address_fault(name)
                if fault is None and not self.can_be_remote:
                    message = f"{self.title()} must be in a local folder, got {show_address(name)}."
                    fault = message, "Copy the folder, for example with `aws s3 sync`, or mount the bucket."
                if fault is not None:
                    raise ArgumentError(key, *fault)

    def check(self) -> None:
        self._check_addresses()
        for name in self.split.own_files:
            if "files" not in self.split_sources:
                message = f"{self.title()} cannot have separate files for {name}."
                raise ArgumentError("split", message, f"Write a fraction, such as `{name}: 0.1`.")
        for key in self.split.key_columns:
            if "columns" not in self.split_sources:
                message = f"`{key}` names a column or an array, and {self.title()} has none."
                raise ArgumentError("split", message, f"Remove `{key}`.")
        fold = self.split.fold
        if fold is not None and fold.repeat > 1 and not self.has_random_sets:
            message = (
                f"`repeat` must be 1, got {fold.repeat}: the folds follow from the order of the examples."
            )
            raise ArgumentError(
                "split", message, "Remove `repeat`; for `layercli crossval` remove `--repeats`."
            )


DATA_TYPES: Final = Catalogue[DataConfig](
    noun="data type",
    package="layercli.formats",
    modules={
        "Sklearn": "sklearn.config",
        "Csv": "csv.config",
        "Parquet": "parquet.config",
        "Jsonl": "jsonl.config",
        "Feather": "feather.config",
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
        hint = suggest_space(value, ["type"]) or example
        raise value_error("missing-key", "`data` is missing `type`.", hint)
    return DATA_TYPES.parse(value)


DataField = Annotated[DataConfig, PlainValidator(_parse_data), ExpectedText("a mapping with a `type`")]
