"""How far what an exported model gives may be from what the original gives, and whether it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np

from layercli.data.examples import Array
from layercli.engine.adapt import fed
from layercli.engine.export.test_inputs import EXTREMES, Case

_ROUNDING: Final = 2.0**-20
"""A change of an input in its last digits."""
_CONDITION: Final = 8.0
"""How much more than by such a change the outputs may differ, for inputs at the edges."""


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much the outputs of a case differ, as a part of the largest output; and how much is allowed."""

    case: Case
    output: int
    found: float
    allowed: float

    @property
    def is_too_large(self) -> bool:
        """Whether it is more than is allowed; a difference that is no number is."""
        return not self.found <= self.allowed


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the original gives for a case, and how much of a difference rounding alone may make."""

    case: Case
    outputs: list[Array]
    slack: list[float]


def outputs_of(model: Any, inputs: Mapping[str, Array]) -> list[Array]:
    """What a Keras model gives for a batch, each output of shape (batch, ...)."""
    given = [fed(inputs[tensor.name]) for tensor in model.inputs]
    result = model(given if len(given) > 1 else given[0], training=False)
    return [np.asarray(keras.ops.convert_to_numpy(output)) for output in keras.tree.flatten(result)]


def wanted(model: Any, cases: Sequence[Case]) -> list[Wanted]:
    """What the original gives for each case; an edge case that it cannot take is left out."""
    found = []
    for case in cases:
        try:
            outputs = outputs_of(model, case.inputs)
            slack = [0.0] * len(outputs) if case.real else _slack(model, case, outputs)
        except Exception:
            if case.real:
                raise
            continue  # such as an index beyond a table: the original refuses it, too
        found.append(Wanted(case, outputs, slack))
    return found


def _slack(model: Any, case: Case, outputs: list[Array]) -> list[float]:
    """How far the outputs move when the inputs change in their last digits: edges may be ill-conditioned."""
    slack = [0.0] * len(outputs)
    with np.errstate(over="ignore", invalid="ignore"):
        for factor in (1 - _ROUNDING, 1 + _ROUNDING):
            moved = {
                name: (array * factor).astype(array.dtype) if array.dtype.kind == "f" else array
                for name, array in case.inputs.items()
            }
            for index, output in enumerate(outputs_of(model, moved)):
                apart = np.abs(output.astype(np.float64) - outputs[index].astype(np.float64))
                slack[index] = max(slack[index], float(np.max(apart, initial=0, where=np.isfinite(apart))))
    return slack


def differences(
    wants: Sequence[Wanted], got: Sequence[Sequence[Array]], tolerance: float
) -> list[Difference]:
    """The difference of every output of every case."""
    typical = [
        max(
            (_largest(want.outputs[index]) for want in wants if want.case.name in ("examples", "drawn")),
            default=0.0,
        )
        for index in range(len(wants[0].outputs))
    ]
    return [
        _difference(want, index, given[index] if index < len(given) else None, typical[index], tolerance)
        for want, given in zip(wants, got, strict=True)
        for index in range(len(want.outputs))
    ]


def _difference(want: Wanted, index: int, got: Array | None, typical: float, tolerance: float) -> Difference:
    expected = want.outputs[index]
    if got is None or got.shape != expected.shape:
        return Difference(want.case, index, float("inf"), tolerance)
    expected, got = expected.astype(np.float64), got.astype(np.float64)
    scale = max(typical, _largest(expected)) or 1.0
    known = np.isfinite(expected)
    if want.case.name != EXTREMES and (np.isfinite(got) != known).any():
        return Difference(want.case, index, float("inf"), tolerance)
    # At the largest numbers there are, sums overflow in one order and not in another.
    both = known & np.isfinite(got)
    apart = float(np.max(np.abs(got[both] - expected[both]), initial=0.0)) / scale
    return Difference(want.case, index, apart, tolerance + _CONDITION * want.slack[index] / scale)


def _largest(array: Array) -> float:
    values = np.abs(array.astype(np.float64))
    return float(np.max(values, initial=0.0, where=np.isfinite(values)))
