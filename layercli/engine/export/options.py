"""The options and the interface of export formats."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import tensorflow as tf

from layercli.data.types import Array

Quantization: TypeAlias = Literal["float16", "int8"]
InputBatch: TypeAlias = dict[str, Array]
"""One batch for every input of the model, by name."""


@dataclass(frozen=True, slots=True)
class ColumnInput:
    """An input of the model that consists of columns of a table: shape (batch, columns)."""

    columns: tuple[str, ...]
    fill_values: Mapping[str, float | str] = field(default_factory=dict)
    """Column -> replacement of a missing value: NaN for numbers, an empty text for texts."""


@dataclass(frozen=True, slots=True)
class WordIndex:
    """A lookup of words that the file of a format can contain: index 1 for the second word, and so on."""

    source: str
    """The input of texts."""
    words: tuple[str, ...]
    unknown: int
    """The index of all other words."""


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
