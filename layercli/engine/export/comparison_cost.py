"""The cost of the forward passes that compare an export with the original model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from layercli.check import ValidConfig
from layercli.engine.comparison_inputs import DEFAULT_LENGTH, ComparisonCase, infer_run_shapes
from layercli.graph.forward_cost import EXPORT_LIMITS, ForwardCost, combine_costs, estimate_forward_cost
from layercli.graph.shapes import ModelShapes

_PASSES: Final = 2
"""Forward passes of real examples: the original and the export."""
_SENSITIVITY_PASSES: Final = 2
"""Additional passes of the original for other inputs."""
_OUTPUT_COPIES: Final = 8
"""Copies of the outputs in float64, at most, while they are compared."""


def choose_affordable_cases(
    valid: ValidConfig, cases: Sequence[ComparisonCase], available: int | None
) -> tuple[list[ComparisonCase], str | None]:
    """Return the inputs on which an export can be compared, and why it costs too much if there are none.

    Batches that need too much memory are left out. ``available`` is the memory that this process can use in addition, if
    it is known.
    """
    if not cases:
        return [], None
    costs = estimate_case_costs(valid, cases)
    excesses = [cost.find_excess(available, EXPORT_LIMITS) for cost in costs]
    kept = [case for case, excess in zip(cases, excesses, strict=True) if excess is None]
    if not any(case.is_typical for case in kept):
        return [], next(filter(None, excesses), None)
    total = combine_costs([cost for cost, excess in zip(costs, excesses, strict=True) if excess is None])
    excess = total.find_excess(available, EXPORT_LIMITS)
    if excess is not None:
        return [], excess
    if len(kept) < len(cases):
        most = max(map(_count_rows, kept))
        kept = [replace(case, examples=min(case.examples, most)) for case in kept]
    return kept, None


def estimate_case_costs(valid: ValidConfig, cases: Sequence[ComparisonCase]) -> list[ForwardCost]:
    """Return the cost of each case: of the original, with its sensitivity, and of the export."""
    shapes: dict[int, ModelShapes] = {}
    costs = []
    for case in cases:
        length = _find_length(valid, case)
        if length not in shapes:
            shapes[length] = infer_run_shapes(valid, length)
        costs.append(
            estimate_forward_cost(
                shapes[length],
                _count_rows(case),
                passes=_PASSES + (0 if case.is_real else _SENSITIVITY_PASSES),
                output_copies=_OUTPUT_COPIES,
                should_hold_all=True,
                is_built=True,
            )
        )
    return costs


def _find_length(valid: ValidConfig, case: ComparisonCase) -> int:
    """Return the largest size of an axis of a case whose size the model does not declare."""
    return max(
        (
            size
            for name, x in valid.graph.inputs.items()
            for declared, size in zip(x.shape[1:], case.inputs[name].shape[1:], strict=True)
            if declared is None
        ),
        default=DEFAULT_LENGTH,
    )


def _count_rows(case: ComparisonCase) -> int:
    return len(next(iter(case.inputs.values())))
