"""What a training works on: the examples, divided, and the model that learns from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from layercli.check import ValidConfig
from layercli.errors import LayercliError, Problem
from layercli.reports.progress import SilentProgress
from layercli.workflows.dataset import load_splits
from layercli.workflows.initial_weights import describe_transfer, load_initial_weights
from layercli.workflows.preflight import require_memory, require_sections, require_trust

if TYPE_CHECKING:
    from layercli.data.examples import Splits
    from layercli.engine.assemble import AssembledModel
    from layercli.engine.transfer_weights import WeightTransfer

_WEIGHT_COPIES = 4
"""Weights, gradients and an optimizer's two slots are in memory together."""


def require_trainable(valid: ValidConfig, *, trust: bool) -> None:
    """Refuse a config without data or training, code that is not trusted, and a machine that is too small.

    Raises:
        LayercliError: it cannot be trained.
    """
    data, _ = require_sections(valid)
    require_trust(valid, trust=trust, data=data)
    require_memory(valid, copies=_WEIGHT_COPIES)


@dataclass(frozen=True, slots=True)
class TrainingInputs:
    """What a training works on."""

    valid: ValidConfig
    splits: Splits
    assembled: AssembledModel
    warnings: list[Problem]
    transfer: WeightTransfer | None
    """What was taken from the model that ``model.weights`` names."""

    @property
    def split_sizes(self) -> tuple[int, int, int]:
        """Examples to train on, to validate on and to test on."""
        return len(self.splits.train), len(self.splits.validation), len(self.splits.test)


def prepare_training(
    valid: ValidConfig, progress: SilentProgress, *, should_load_weights: bool, trust: bool
) -> TrainingInputs:
    """The examples, divided, and a model that can be trained and saved; one that ``begins`` takes over weights.

    Raises:
        LayercliError: the data cannot be read or do not fit; Keras, or a layer of the user's, refuses what the static
            check let pass.
    """
    from layercli.engine.assemble import assemble_model, check_output_shapes, require_savable

    data, _ = require_sections(valid)
    splits, warnings = load_splits(valid, data, trust=trust)
    assembled = assemble_model(valid)
    if problems := check_output_shapes(assembled, valid):
        raise LayercliError(problems)
    require_savable(assembled, valid)
    transfer = load_initial_weights(assembled, valid) if should_load_weights else None
    for line in describe_transfer(transfer, valid) if transfer is not None else ():
        progress.print_message(line)
    return TrainingInputs(valid, splits, assembled, warnings, transfer)
