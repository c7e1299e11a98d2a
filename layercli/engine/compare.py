"""Compare the outputs of two models: the one comparison that import and export share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import keras
import numpy as np

from layercli.data.types import Array
from layercli.engine.adapt import to_tensor
from layercli.engine.comparison_inputs import EXTREMES, ComparisonCase

_ROUNDING_STEP: Final = 2.0**-20
"""A relative change of an input in its last digits."""
_SENSITIVITY_FACTOR: Final = 8.0
"""Outputs may differ by this many times the change that rounding the inputs causes."""

Mismatch: TypeAlias = Literal["shape", "finiteness", "values"]


@dataclass(frozen=True, slots=True)
class OutputDifference:
    """The difference between two models in one output of one case, relative to the largest output."""

    case: ComparisonCase
    output_index: int
    relative_error: float
    """Infinite if the outputs cannot be subtracted; see ``mismatch``."""
    tolerance: float
    """The largest allowed relative error, including what rounding causes."""
    sensitivity: float = 0.0
    """The relative change of the reference output when its inputs change in their last digits."""
    mismatch: Mismatch = "values"

    @property
    def is_too_large(self) -> bool:
        """Whether the difference exceeds the tolerance; NaN does."""
        return not self.relative_error <= self.tolerance


@dataclass(frozen=True, slots=True)
class ReferenceOutputs:
    """The outputs of the reference model for one case."""

    case: ComparisonCase
    outputs: list[Array]
    sensitivity: list[float]
    """The absolute change of each output when the inputs change in their last digits."""


def run_keras_model(model: Any, inputs: Mapping[str, Array]) -> list[Array]:
    """Return the outputs of a Keras model for one batch, each of shape (batch, ...).

    Inputs are matched by name, or by position if the model's names differ.
    """
    names = [tensor.name for tensor in model.inputs]
    arrays = [inputs[name] for name in names] if inputs.keys() >= set(names) else list(inputs.values())
    tensors = [to_tensor(array) for array in arrays]
    result = model(tensors if len(tensors) > 1 else tensors[0], training=False)
    return [np.asarray(keras.ops.convert_to_numpy(output)) for output in keras.tree.flatten(result)]


def run_reference(model: Any, case: ComparisonCase, *, measure_sensitivity: bool) -> ReferenceOutputs:
    """Return the outputs of the reference model for a case, and their sensitivity if asked for."""
    outputs = run_keras_model(model, case.inputs)
    sensitivity = _measure_sensitivity(model, case, outputs) if measure_sensitivity else [0.0] * len(outputs)
    return ReferenceOutputs(case, outputs, sensitivity)


def run_references(model: Any, cases: Sequence[ComparisonCase]) -> list[ReferenceOutputs]:
    """Return the outputs of the reference model for each case, without the edge cases that it refuses."""
    references = []
    for case in cases:
        try:
            references.append(run_reference(model, case, measure_sensitivity=not case.is_real))
        except Exception:
            if case.is_real:
                raise
            continue  # for example an index beyond an embedding table
    return references


def _measure_sensitivity(model: Any, case: ComparisonCase, outputs: list[Array]) -> list[float]:
    """Return the largest change of each output when the inputs change in their last digits."""
    sensitivity = [0.0] * len(outputs)
    with np.errstate(over="ignore", invalid="ignore"):
        for factor in (1 - _ROUNDING_STEP, 1 + _ROUNDING_STEP):
            perturbed = {
                name: (array * factor).astype(array.dtype) if array.dtype.kind == "f" else array
                for name, array in case.inputs.items()
            }
            for index, output in enumerate(run_keras_model(model, perturbed)):
                if output.dtype.kind == "O":
                    continue
                absolute_error = np.abs(output.astype(np.float64) - outputs[index].astype(np.float64))
                sensitivity[index] = max(
                    sensitivity[index],
                    float(np.max(absolute_error, initial=0, where=np.isfinite(absolute_error))),
                )
    return sensitivity


def compare_outputs(
    references: Sequence[ReferenceOutputs],
    outputs: Sequence[Sequence[Array]],
    tolerance: float,
    *,
    has_exact_integers: bool = False,
) -> list[OutputDifference]:
    """Return the difference of every output of every case.

    With ``has_exact_integers``, integer outputs must be equal; otherwise they have the same tolerance as floats.
    """
    if not references:
        return []
    typical_scales = [
        max(
            (
                _largest_finite(reference.outputs[index])
                for reference in references
                if reference.case.is_typical
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
            has_exact_integers=has_exact_integers,
        )
        for reference, case_outputs in zip(references, outputs, strict=True)
        for index in range(len(reference.outputs))
    ]


def _compare_output(
    reference: ReferenceOutputs,
    index: int,
    output: Array | None,
    typical_scale: float,
    tolerance: float,
    *,
    has_exact_integers: bool,
) -> OutputDifference:
    expected = reference.outputs[index]

    def make_difference(
        error: float, mismatch: Mismatch = "values", sensitivity: float = 0.0
    ) -> OutputDifference:
        allowed = tolerance + _SENSITIVITY_FACTOR * sensitivity
        return OutputDifference(reference.case, index, error, allowed, sensitivity, mismatch)

    if output is None or output.shape != expected.shape:
        return make_difference(float("inf"), "shape")
    is_exact = expected.dtype.kind in ("OSU" + ("iub" if has_exact_integers else ""))
    if is_exact:
        return make_difference(0.0 if np.array_equal(expected, output) else float("inf"))
    expected, output = expected.astype(np.float64), output.astype(np.float64)
    scale = max(typical_scale, _largest_finite(expected)) or 1.0
    is_finite = np.isfinite(expected)
    if reference.case.name != EXTREMES and (np.isfinite(output) != is_finite).any():
        return make_difference(float("inf"), "finiteness")
    # For the largest float inputs, a sum may overflow in one order of terms and not in another.
    both_finite = is_finite & np.isfinite(output)
    absolute_error = float(np.max(np.abs(output[both_finite] - expected[both_finite]), initial=0.0))
    return make_difference(absolute_error / scale, sensitivity=reference.sensitivity[index] / scale)


def _largest_finite(array: Array) -> float:
    if array.dtype.kind == "O":
        return 0.0
    values = np.abs(array.astype(np.float64))
    return float(np.max(values, initial=0.0, where=np.isfinite(values)))
