"""``train --resume``: a run that was interrupted goes on from its last checkpoint."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from layercli.errors import LayercliError, Problem
from layercli.reports.progress import Silent
from layercli.runs import directory as runs
from layercli.runs import manifest as manifests
from layercli.runs.checkpoints import Checkpoint, Checkpoints
from layercli.runs.lock import locked
from layercli.workflows.prepare import prepare, require_trainable
from layercli.workflows.resume_check import Begun, other_data
from layercli.workflows.run_writer import disk_watched
from layercli.workflows.training_run import Going


def go_on(
    begun: Begun, *, trust: bool = False, progress: Silent | None = None, interruptible: bool = False
) -> dict[str, Any]:
    """Go on with a run from its last checkpoint, to end as if it had never been interrupted; a finished one says so.

    Raises:
        LayercliError: as ``train``; or the data are others, or another process works on the run.
    """
    began = time.perf_counter()
    progress = progress or Silent()
    run, valid, changes = begun.run, begun.valid, begun.changes
    if begun.finished:
        progress.say(f"Run {run} is finished; `--set train.epochs=N` with more epochs goes on from its end.")
        summary: dict[str, Any] = json.loads((run / runs.SUMMARY).read_text(encoding="utf-8"))
        return summary
    require_trainable(valid, trust=trust)
    with locked(run), disk_watched(run, valid):
        runs.tidy(run)
        checkpoint = _last_checkpoint(begun, progress)
        position = (
            {"epoch": checkpoint.epoch, "step": checkpoint.step} if checkpoint else {"epoch": 0, "step": 0}
        )
        progress.say(f"Run {run}: going on after {position['epoch']} epochs and {position['step']} steps.")
        material = prepare(valid, progress, begins=checkpoint is None, trust=trust)
        differing = [*begun.differing, *other_data(begun, material.parts.fingerprint())]
        if differing and not begun.allow_changes:
            raise LayercliError(differing)
        for problem in differing:
            progress.say(f"Changed: {problem.message}")
        if changes is not None:
            progress.say(changes.told)
            position["step"] = changes.step(position["step"])
        if len(differing) > len(begun.differing):
            position["step"] = 0  # of other examples none is done
        from layercli.engine.training.execution_plan import Plan, plan
        from layercli.engine.training.snapshot import UnfitSnapshotError

        kept = begun.manifest["execution"]
        execution = plan(valid, material.parts.train) if begun.replanned else Plan.from_json(kept)
        again = {"command": sys.argv, **position, "versions": manifests.versions()}
        if differing:
            again["changes"] = [problem.message for problem in differing]
        manifest = {
            **begun.manifest,
            "execution": execution.as_json(),
            "resumed": [*begun.manifest.get("resumed", []), again],
        }
        written = (run / runs.CONFIG).read_text(encoding="utf-8")
        if begun.changed:
            manifests.write_manifest(run, manifest, without=runs.CONFIG)  # a kill may come between the two
            runs.write_config(run, valid)
        manifests.write_manifest(run, manifest)
        going = Going(run, material, execution, manifest, began, checkpoint, position, changes)
        try:
            return going.carry_out(progress, interruptible=interruptible)
        except UnfitSnapshotError as error:
            runs.write_text(run / runs.CONFIG, written)
            manifests.write_manifest(run, begun.manifest)
            message = f"The checkpoint is of another model: {error}."
            hint = "Begin another run; once this one is finished, `model: {weights: RUN}` takes its weights by name."
            raise LayercliError(valid.problem(("model",), "resume-differs", message, hint)) from None


def _last_checkpoint(begun: Begun, progress: Silent) -> Checkpoint | None:
    """The newest that is whole; those that are not are told."""
    checkpoints = Checkpoints(begun.run)
    checkpoints.tidy()
    checkpoint, damaged = checkpoints.latest()
    then = "the one before it is used" if checkpoint else "there is none before it, so training begins again"
    for told in damaged:
        message = f"The checkpoint {told}; {then}."
        progress.warn(
            Problem(code="damaged-checkpoint", severity="warning", message=message, file=str(begun.run))
        )
    return checkpoint
