"""How far what an exported model gives may be from what the original gives, and whether it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np

from layercli.data.types import Array
from layercli.engine.adapt import to_keras_inputs
from layercli.engine.export.test_inputs import EXTREMES, ComparisonCase

_ROUNDING_STEP: Final = 2.0**-20
"""A change of an input in its last digits."""
_SENSITIVITY_FACTOR: Final = 8.0
"""How much more than by such a change the outputs may differ, for inputs at the edges."""


@dataclass(frozen=True, slots=True)
class OutputDifference:
    """By how much the outputs of a case differ, as a part of the largest output; and how much is allowed."""

    case: ComparisonCase
    output_index: int
    relative_error: float
    tolerance: float

    @property
    def is_too_large(self) -> bool:
        """Whether it is more than is allowed; a difference that is no number is."""
        return not self.relative_error <= self.tolerance


@dataclass(frozen=True, slots=True)
class ReferenceOutputs:
    """What the original gives for a case, and how much of a difference rounding alone may make."""

    case: ComparisonCase
    outputs: list[Array]
    sensitivity: list[float]


def run_keras_model(model: Any, inputs: Mapping[str, Array]) -> list[Array]:
    """What a Keras model gives for a batch, each output of shape (batch, ...)."""
    tensors = [to_keras_inputs(inputs[tensor.name]) for tensor in model.inputs]
    result = model(tensors if len(tensors) > 1 else tensors[0], training=False)
    return [np.asarray(keras.ops.convert_to_numpy(output)) for output in keras.tree.flatten(result)]


def run_references(model: Any, cases: Sequence[ComparisonCase]) -> list[ReferenceOutputs]:
    """What the original gives for each case; an edge case that it cannot take is left out."""
    references = []
    for case in cases:
        try:
            outputs = run_keras_model(model, case.inputs)
            sensitivity = [0.0] * len(outputs) if case.is_real else _measure_sensitivity(model, case, outputs)
        except Exception:
            if case.is_real:
                raise
            continue  # such as an index beyond a table: the original refuses it, too
        references.append(ReferenceOutputs(case, outputs, sensitivity))
    return references


def _measure_sensitivity(model: Any, case: ComparisonCase, outputs: list[Array]) -> list[float]:
    """How far the outputs move when the inputs change in their last digits: edges may be ill-conditioned."""
    sensitivity = [0.0] * len(outputs)
    with np.errstate(over="ignore", invalid="ignore"):
        for factor in (1 - _ROUNDING_STEP, 1 + _ROUNDING_STEP):
            perturbed = {
                name: (array * factor).astype(array.dtype) if array.dtype.kind == "f" else array
                for name, array in case.inputs.items()
            }
            for index, output in enumerate(run_keras_model(model, perturbed)):
                absolute_error = np.abs(output.astype(np.float64) - outputs[index].astype(np.float64))
                sensitivity[index] = max(
                    sensitivity[index],
                    float(np.max(absolute_error, initial=0, where=np.isfinite(absolute_error))),
                )
    return sensitivity


def compare_outputs(
    references: Sequence[ReferenceOutputs], outputs: Sequence[Sequence[Array]], tolerance: float
) -> list[OutputDifference]:
    """The difference of every output of every case."""
    typical_scales = [
        max(
            (
                _largest_finite(want.outputs[index])
                for want in references
                if want.case.name in ("examples", "drawn")
            ),
            default=0.0,
        )
        for index in range(len(references[0].outputs))
    ]
    return [
        _compare_output(
            reference,
            index,
            case_outputs[index] if index < len(case_outputs) else None,
            typical_scales[index],
            tolerance,
        )
        for reference, case_outputs in zip(references, outputs, strict=True)
        for index in range(len(reference.outputs))
    ]


def _compare_output(
    reference: ReferenceOutputs, index: int, output: Array | None, typical_scale: float, tolerance: float
) -> OutputDifference:
    expected = reference.outputs[index]
    if output is None or output.shape != expected.shape:
        return OutputDifference(reference.case, index, float("inf"), tolerance)
    expected, output = expected.astype(np.float64), output.astype(np.float64)
    scale = max(typical_scale, _largest_finite(expected)) or 1.0
    is_finite = np.isfinite(expected)
    if reference.case.name != EXTREMES and (np.isfinite(output) != is_finite).any():
        return OutputDifference(reference.case, index, float("inf"), tolerance)
    # At the largest numbers there are, sums overflow in one order and not in another.
    both_finite = is_finite & np.isfinite(output)
    relative_error = float(np.max(np.abs(output[both_finite] - expected[both_finite]), initial=0.0)) / scale
    return OutputDifference(
        reference.case,
        index,
        relative_error,
        tolerance + _SENSITIVITY_FACTOR * reference.sensitivity[index] / scale,
    )


def _largest_finite(array: Array) -> float:
    values = np.abs(array.astype(np.float64))
    return float(np.max(values, initial=0.0, where=np.isfinite(values)))
