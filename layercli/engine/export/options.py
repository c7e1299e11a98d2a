"""The options and the interface of export formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import tensorflow as tf

from layercli.data.types import Array

Quantization: TypeAlias = Literal["float16", "int8"]
InputBatch: TypeAlias = dict[str, Array]
"""One batch for every input of the model, by name."""


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
