"""The size of a trial's model, and the limits of a sweep that it exceeds. TensorFlow is not loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from layercli.check import ValidConfig
from layercli.graph.shapes import sum_if_known

SIZE_NOUNS: Final = {"parameters": "parameters", "flops": "FLOPs", "memory_mib": "MiB of memory"}
"""Name of a size -> its noun in messages."""
_BYTES_PER_MIB: Final = 2**20

Sizes = dict[str, float | None]


class ExceededLimit(NamedTuple):
    """A limit that a model exceeds."""

    limit: str
    value: float
    maximum: float

    def as_json(self) -> dict[str, Any]:
        """Return the limit with its name, the model's value, and the largest allowed value."""
        return self._asdict()


def measure_model(valid: ValidConfig) -> Sizes:
    """Return the parameters, the FLOPs for one example and the memory for a batch; None for unknown sizes.

    The figures are those of ``inspect-shapes`` and ``show``.
    """
    shapes, train = valid.shapes, valid.config.train
    parameters = sum_if_known(row.parameters for row in shapes.rows)
    memory = shapes.weight_bytes + shapes.activation_bytes(train.batch_size if train is not None else 1)
    return {
        "parameters": parameters,
        "flops": shapes.flops,
        "memory_mib": None if parameters is None else round(memory / _BYTES_PER_MIB, 3),
    }


def find_exceeded_limits(limits: Mapping[str, float], sizes: Sizes) -> list[ExceededLimit]:
    """Return the limits that a model exceeds; a size that is unknown exceeds none."""
    return [
        ExceededLimit(name, value, maximum)
        for name, maximum in limits.items()
        if (value := sizes[name]) is not None and value > maximum
    ]


def compute_constraints(limits: Mapping[str, float], sizes: Sizes) -> dict[str, float]:
    """Return Optuna's constraint of each limit: above 0 if it is exceeded, and then by how much in relation to the limit.

    The scale is logarithmic, so that a huge model does not hide a second limit that it exceeds.
    """
    return {
        name: 0.0 if (value := sizes[name]) is None else math.log(max(value, 1e-6) / maximum)
        for name, maximum in limits.items()
    }


def describe_exceeded(limit: str, value: float, maximum: float) -> str:
    """Return a sentence such as ``12,345 parameters exceed the limit of 10,000.``"""
    return f"{format_size(value)} {SIZE_NOUNS[limit]} exceed the limit of {format_size(maximum)}."


def format_size(value: float) -> str:
    """Return a size with separators, and with at most three decimals."""
    return f"{value:,.3f}".rstrip("0").rstrip(".")
