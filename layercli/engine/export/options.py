"""The options and the interface of export formats."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import tensorflow as tf

from layercli.data.types import Array

Quantization: TypeAlias = Literal["float16", "int8"]
InputBatch: TypeAlias = dict[str, Array]
"""One batch for every input of the model, by name."""


class ColumnBatch(dict[str, Array]):
    """One batch for every raw column of a table, by name: floats, or texts of columns of texts, dates and boolean words."""


@dataclass(frozen=True, slots=True)
class DateSource:
    """A number of the dates of a raw column."""

    column: str
    feature: str
    """One of ``DATE_FEATURES``."""
    order: str
    """One of ``DATE_ORDERS``."""
    first_day: float = 0.0
    """For the feature elapsed: the day since 1970 from which it counts."""


@dataclass(frozen=True, slots=True)
class ColumnInput:
    """An input of the model that consists of columns of a table: shape (batch, columns)."""

    columns: tuple[str, ...]
    fill_values: Mapping[str, float | str] = field(default_factory=dict)
    """Column -> replacement of a missing value: NaN for numbers, an empty text for texts."""
    dates: Mapping[str, DateSource] = field(default_factory=dict)
    """Column -> the dates of which it is a number."""
    booleans: frozenset[str] = frozenset()
    """Columns of boolean words."""
    missing_words: tuple[str, ...] = ()
    """Texts that mean a missing value, in addition to the empty text."""

    @property
    def text_fill_value(self) -> str | None:
        """The replacement of missing texts; None if columns have different ones."""
        values = {str(self.fill_values.get(column, "")) for column in self.columns}
        return values.pop() if len(values) == 1 else None


RawColumnKind: TypeAlias = Literal["number", "text", "boolean", "date"]


@dataclass(frozen=True, slots=True)
class RawColumn:
    """A column of a table, as a file takes it by itself."""

    name: str
    kind: RawColumnKind
    dtype: str
    """Texts are "string"."""


def list_raw_columns(
    column_inputs: Mapping[str, ColumnInput], dtypes: Mapping[str, str]
) -> dict[tuple[str, str], RawColumn]:
    """Return the raw columns of inputs with these dtypes, each once: (input, column of the input) -> raw column."""
    return {
        (name, column): _make_raw_column(column_input, column, dtypes[name])
        for name, column_input in column_inputs.items()
        for column in column_input.columns
    }


def _make_raw_column(column_input: ColumnInput, column: str, dtype: str) -> RawColumn:
    if column in column_input.dates:
        return RawColumn(column_input.dates[column].column, "date", "string")
    if dtype == "string":
        return RawColumn(column, "text", "string")
    if column in column_input.booleans:
        return RawColumn(column, "boolean", "string")
    return RawColumn(column, "number", dtype)


@dataclass(frozen=True, slots=True)
class OutputClasses:
    """The classes of an output of shape (batch, ..., units)."""

    names: tuple[str, ...]
    threshold: float | None = None
    """The first unit is above it for the second of two classes; None: the largest unit is the class."""


@dataclass(frozen=True, slots=True)
class WordIndex:
    """A lookup of words that the file of a format can contain: index 1 for the second word, and so on."""

    source: str
    """The input of texts."""
    words: tuple[str, ...]
    unknown: int
    """The index of all other words."""
    missing: Mapping[str, int] = field(default_factory=dict)
    """The texts that mean a missing value -> the index of their replacement."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Options for writing a model."""

    batch_size: int | None = None
    """None: any size."""
    opset: int | None = None
    quantize: Quantization | None = None
    calibration: tuple[InputBatch, ...] = ()
    """Batches that calibrate the ranges of quantized values."""
    code_files: tuple[Path, ...] = ()
    """Files with custom layers."""
    column_inputs: Mapping[str, ColumnInput] = field(default_factory=dict)
    """The inputs of the model that consist of columns of a table, by name."""
    has_column_signature: bool = False
    """Whether all inputs are columns of one row, so that a file can take each column by itself."""
    word_indices: Mapping[str, WordIndex] = field(default_factory=dict)
    """Inputs of indices that the file computes from texts, by name."""
    output_names: tuple[str, ...] = ()
    """The names of the model's outputs; by default those that Keras gives."""
    output_classes: tuple[OutputClasses | None, ...] = ()
    """The classes of each output; None if they have no names."""


class ExportFormat(Protocol):
    """A module that writes a model in one format and runs it in the runtime of that format."""

    @property
    def TOLERANCE(self) -> float:  # noqa: N802 - a module constant
        """The allowed difference, relative to the largest output."""

    def write_model(self, model: Any, output_path: Path, options: ExportOptions) -> None:
        """Write the model."""

    def run_model(
        self, output_path: Path, batches: list[InputBatch], options: ExportOptions
    ) -> list[list[Array]]:
        """Return the outputs of the exported model for each batch."""


Runner: TypeAlias = Callable[[InputBatch], list[Array]]
"""Computes the outputs of a loaded model for a batch."""


def input_signature(model: Any, batch_size: int | None) -> list[Any]:
    """Return a ``tf.TensorSpec`` for each input of the model, in order."""
    return [
        tf.TensorSpec((batch_size, *tensor.shape[1:]), tensor.dtype, name=tensor.name)
        for tensor in model.inputs
    ]


def make_argument_names(names: Sequence[str]) -> list[str]:
    """Return a name for each that TensorFlow accepts in a signature: letters, digits and underscores, all different."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        if not plain[:1].isalpha():
            plain = f"column_{plain.lstrip('_')}"
        argument, number = f"{plain}_" if keyword.iskeyword(plain) else plain, 2
        while argument in found:
            argument, number = f"{plain}_{number}", number + 1
        found.append(argument)
    return found
