"""What a training works on: the examples, divided, and the model that learns from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from layercli.check import Valid
from layercli.errors import LayercliError, Problem
from layercli.reports.progress import Silent
from layercli.workflows.dataset import read_parts
from layercli.workflows.initial_weights import take_weights, told
from layercli.workflows.preflight import require_memory, require_sections, require_trust

if TYPE_CHECKING:
    from layercli.data.examples import Parts
    from layercli.engine.assemble import Assembled
    from layercli.engine.transfer_weights import Transfer

_COPIES = 4
"""Weights, gradients and an optimizer's two slots are in memory together."""


def require_trainable(valid: Valid, *, trust: bool) -> None:
    """Refuse a config without data or training, code that is not trusted, and a machine that is too small.

    Raises:
        LayercliError: it cannot be trained.
    """
    data, _ = require_sections(valid)
    require_trust(valid, trust=trust, data=data)
    require_memory(valid, copies=_COPIES)


@dataclass(frozen=True, slots=True)
class Material:
    """What a training works on."""

    valid: Valid
    parts: Parts
    assembled: Assembled
    warnings: list[Problem]
    transfer: Transfer | None
    """What was taken from the model that ``model.weights`` names."""

    @property
    def counts(self) -> tuple[int, int, int]:
        """Examples to train on, to validate on and to test on."""
        return len(self.parts.train), len(self.parts.validation), len(self.parts.test)


def prepare(valid: Valid, progress: Silent, *, begins: bool, trust: bool) -> Material:
    """The examples, divided, and a model that can be trained and saved; one that ``begins`` takes over weights.

    Raises:
        LayercliError: the data cannot be read or do not fit; Keras, or a layer of the user's, refuses what the static
            check let pass.
    """
    from layercli.engine.assemble import assemble, check_savable, misstated

    data, _ = require_sections(valid)
    parts, warnings = read_parts(valid, data, trust=trust)
    assembled = assemble(valid)
    if problems := misstated(assembled, valid):
        raise LayercliError(problems)
    check_savable(assembled, valid)
    transfer = take_weights(assembled, valid) if begins else None
    for line in told(transfer, valid) if transfer is not None else ():
        progress.say(line)
    return Material(valid, parts, assembled, warnings, transfer)
