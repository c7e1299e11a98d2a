"""What a person may say of an export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import tensorflow as tf

from layercli.data.types import Array

Quantization: TypeAlias = Literal["float16", "int8"]
InputBatch: TypeAlias = dict[str, Array]
"""A batch for every input of the model, by name."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """How a model is written."""

    batch_size: int | None = None
    """None: any."""
    opset: int | None = None
    quantize: Quantization | None = None
    calibration: tuple[InputBatch, ...] = ()
    """Batches from which ranges are learned."""
    source_file: Path | None = None
    """The file that the model was loaded from."""
    code_files: tuple[Path, ...] = ()
    """Files of the user's layers."""


class ExportFormat(Protocol):
    """A module that writes a model in one form, and has the runtime of that form run it."""

    @property
    def TOLERANCE(self) -> float:  # noqa: N802 - a constant of the module
        """Largest difference, as a part of the largest output."""

    def write_model(self, model: Any, target: Path, options: ExportOptions) -> None:
        """Write the model."""

    def run_model(self, target: Path, batches: list[InputBatch], options: ExportOptions) -> list[list[Array]]:
        """What the exported model gives for each batch, output by output."""


def input_signature(model: Any, batch_size: int | None) -> list[Any]:
    """A ``tf.TensorSpec`` for each input of the model, in order."""
    return [
        tf.TensorSpec((batch_size, *tensor.shape[1:]), tensor.dtype, name=tensor.name)
        for tensor in model.inputs
    ]
