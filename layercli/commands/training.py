"""A training carried out in its run directory, from the beginning or from a checkpoint, up to its summary."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layercli import process
from layercli.check import Valid
from layercli.commands.build import save
from layercli.commands.examples import read_parts
from layercli.commands.ready import require_memory, require_sections, require_trust
from layercli.commands.stopping import Noted, StoppedError, noted_signals
from layercli.commands.transferring import take_weights, told
from layercli.errors import LayercliError, Problem
from layercli.reports.console import finite
from layercli.reports.progress import Silent
from layercli.runs import directory as runs
from layercli.runs.checkpoints import Checkpoint, Checkpoints
from layercli.runs.manifest import write_manifest

if TYPE_CHECKING:
    from layercli.data.arrays import Parts
    from layercli.engine.assemble import Assembled
    from layercli.engine.execution import Plan

_COPIES = 4
"""Weights, gradients and an optimizer's two slots are in memory together."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


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
    return Material(valid, parts, assembled, warnings)


def carry_out(
    run: Path,
    material: Material,
    plan: Plan,
    manifest: Mapping[str, Any],
    *,
    progress: Silent,
    began: float,
    checkpoint: Checkpoint | None = None,
    resumed_from: Mapping[str, int] | None = None,
    interruptible: bool = False,
) -> dict[str, Any]:
    """Train, from ``checkpoint`` on where there is one, and leave the model and the summary in the run directory.

    Raises:
        LayercliError: the loss became NaN, the disk is full, a signal came (where ``interruptible``), and the like.
        UnfitSnapshotError: the checkpoint is of another model.
    """
    from layercli.engine.fit import Keeping, fit
    from layercli.engine.keeping import StoppedError as Stopped
    from layercli.engine.loop import BEGINNING, Position
    from layercli.engine.snapshot import Snapshot

    valid = material.valid
    _, section = require_sections(valid)
    for warning in material.warnings:
        progress.warn(warning)
    progress.begin(material.counts, section)
    progress.say(plan.told)
    records = [] if checkpoint is None else checkpoint.state["records"]
    before = 0.0 if checkpoint is None else checkpoint.state["elapsed"]
    store = _Store(Checkpoints(run, keep=section.checkpoints.keep), began - before)
    with _disk_watched(run, valid), noted_signals() if interruptible else nullcontext(Noted()) as noted:
        runs.write_lines(run / runs.HISTORY, [finite(record) for record in records])
        with progress:
            for record in records:
                progress.epoch(record)
            try:
                fitted = fit(
                    material.assembled, valid, section, material.parts, _Recorder(run, progress), run, plan,
                    Keeping(
                        store, noted,
                        BEGINNING if checkpoint is None else Position(checkpoint.epoch, checkpoint.step),
                        None if checkpoint is None else Snapshot(checkpoint.arrays, checkpoint.state),
                    ),
                )  # fmt: skip
            except Stopped as stopped:
                done, step = stopped.position
                where = f"after {step} steps of epoch {done + 1}" if step else f"after epoch {done}"
                raise StoppedError(noted, run, where) from None
    save(material.assembled.model, run / runs.MODEL)
    summary = {
        "ok": True,
        "run": str(run),
        "epochs": len(fitted.records),
        "history": fitted.history,
        "best": fitted.best,
        "test": fitted.test,
        "seconds": round(before + time.perf_counter() - began, 3),
        "examples_per_second": round(fitted.examples_per_second, 1),
        "parameters": material.assembled.model.count_params(),
        "resumed_from": resumed_from,
    }
    runs.write_json(run / runs.SUMMARY, finite(summary))
    write_manifest(run, manifest, finished=True)
    return summary


@contextmanager
def _disk_watched(run: Path, valid: Valid) -> Iterator[None]:
    """A disk that is full, or a file that cannot be read or written, ends a training but is no bug.

    Raises:
        LayercliError: that happened.
    """
    from layercli.data.arrays import RefusedDataError

    try:
        yield
    except RefusedDataError as error:  # of data that are read while training goes on
        raise LayercliError(valid.placed(found) for found in error.findings) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        full = error.errno in _FULL
        what = "The disk is full" if full else f"Training stopped: {error.strerror or error}"
        named = f" ({error.filename})" if error.filename else ""
        hint = f"{'Make room' if full else 'Mend that'}; then go on with `layercli train --resume {run}`."
        problem = Problem(
            code="cannot-write" if full else "training-failed",
            message=f"{what}{named}; the last checkpoint stands.",
            hint=hint,
            file=str(run),
        )
        raise LayercliError(problem) from None


class _Store:
    """Keeps checkpoints in the run directory, with the seconds that training has taken in all."""

    def __init__(self, checkpoints: Checkpoints, began: float) -> None:
        self._checkpoints = checkpoints
        self._began = began

    def save(self, epoch: int, step: int, arrays: Mapping[str, Any], state: Mapping[str, Any]) -> Path | None:
        """Write one; of several processes the first alone does."""
        if process.cluster is not None and process.cluster.rank:
            return None
        elapsed = time.perf_counter() - self._began
        return self._checkpoints.save(epoch, step, arrays, {**state, "elapsed": elapsed})


class _Recorder:
    """Writes each epoch into the history and passes the news on."""

    def __init__(self, run: Path, progress: Silent) -> None:
        self._history = run / runs.HISTORY
        self.step = progress.step
        self._show = progress.epoch

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Record and show a finished epoch."""
        runs.append_line(self._history, finite(record))
        self._show(record)
