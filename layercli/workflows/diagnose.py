"""Warnings from the diagnostics of a training."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layercli.activity import show_activity
from layercli.errors import Problem
from layercli.graph.training_diagnosis import TrainingFacts, diagnose_training
from layercli.runs.diagnostics import read_diagnostics
from layercli.workflows.preflight import require_sections

if TYPE_CHECKING:
    from layercli.workflows.training_run import TrainingInputs

_RECENT_RECORDS: Final = 3
"""The last epochs that show the state of the layers at the end."""


@show_activity("Checking the diagnostics")
def diagnose_run(
    run_dir: Path,
    inputs: TrainingInputs,
    history: Mapping[str, Sequence[float]],
    *,
    is_diverged: bool = False,
    has_best_weights: bool = False,
    constant_loss: float | None = None,
) -> list[Problem]:
    """Return the warnings that follow from the diagnostics of a run, if its config records them.

    Args:
        run_dir: The run directory.
        inputs: The config and examples of the training.
        history: The values of each metric over the epochs.
        is_diverged: Whether the loss became NaN or infinite.
        has_best_weights: Whether the saved model has the weights of the best epoch.
        constant_loss: The training loss of the best constant prediction.
    """
    from layercli.data.target_faults import count_conflicting_labels, find_constant_targets

    valid = inputs.valid
    _, train = require_sections(valid)
    if not train.diagnostics:
        return []
    first: Mapping[str, Any] | None = None
    recent: deque[Mapping[str, Any]] = deque(maxlen=_RECENT_RECORDS)
    for record in read_diagnostics(run_dir):
        if record["epoch"] == 0:
            first = record
        else:
            recent.append(record)
    classes = [name for name, meaning in inputs.splits.target_meanings.items() if meaning.is_one_class]
    facts = TrainingFacts(
        history=history,
        first=first,
        recent=list(recent),
        pretrained=inputs.assembled.transferred,
        is_diverged=is_diverged,
        has_best_weights=has_best_weights,
        constant_loss=constant_loss,
        constant_targets=find_constant_targets(inputs.splits.train),
        conflicting_examples=count_conflicting_labels(inputs.splits.train, classes),
        examples=len(inputs.splits.train),
    )
    return [
        valid.problem_from_finding(finding)
        for finding in diagnose_training(valid.shapes, train, facts, frozen=valid.config.model.freeze)
    ]
