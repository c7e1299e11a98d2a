"""What a person may say of an export."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import tensorflow as tf

from layercli.data.arrays import Array
from layercli.errors import LayercliError, Problem

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

    TOLERANCE: float
    """Largest difference, as a part of the largest output."""

    @staticmethod
    def require() -> None:
        """Find the packages that it needs.

        Raises:
            LayercliError: one is not installed.
        """

    @staticmethod
    def write(model: Any, target: Path, options: Options) -> None:
        """Write the model."""

    @staticmethod
    def run(target: Path, batches: list[Inputs], options: Options) -> list[list[Array]]:
        """What the exported model gives for each batch, output by output."""


def require_packages(extra: str, *names: str) -> None:
    """Find the packages of an extra; nothing is imported.

    Raises:
        LayercliError: one is not installed.
    """
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        message = f"This format needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed."
        hint = f"Install it: `pip install 'layercli[{extra}]'`."
        raise LayercliError(Problem(code="missing-package", message=message, hint=hint))


def signature(model: Any, batch_size: int | None) -> list[Any]:
    """A ``tf.TensorSpec`` for each input of the model, in order."""
    return [
        tf.TensorSpec((batch_size, *tensor.shape[1:]), tensor.dtype, name=tensor.name)
        for tensor in model.inputs
    ]
