"""What a person may say of an export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import tensorflow as tf

from layercli.data.examples import Array

Quantize: TypeAlias = Literal["float16", "int8"]
Inputs: TypeAlias = dict[str, Array]
"""A batch for every input of the model, by name."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a model is written."""

    batch_size: int | None = None
    """None: any."""
    opset: int | None = None
    quantize: Quantize | None = None
    calibration: tuple[Inputs, ...] = ()
    """Batches from which ranges are learned."""
    source: Path | None = None
    """The file that the model was loaded from."""
    modules: tuple[Path, ...] = ()
    """Files of the user's layers."""


class Format(Protocol):
    """A module that writes a model in one form, and has the runtime of that form run it."""

    @property
    def TOLERANCE(self) -> float:  # noqa: N802 - a constant of the module
        """Largest difference, as a part of the largest output."""

    def write(self, model: Any, target: Path, options: Options) -> None:
        """Write the model."""

    def run(self, target: Path, batches: list[Inputs], options: Options) -> list[list[Array]]:
        """What the exported model gives for each batch, output by output."""


def signature(model: Any, batch_size: int | None) -> list[Any]:
    """A ``tf.TensorSpec`` for each input of the model, in order."""
    return [
        tf.TensorSpec((batch_size, *tensor.shape[1:]), tensor.dtype, name=tensor.name)
        for tensor in model.inputs
    ]
