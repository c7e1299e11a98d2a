"""``train --resume``: a run that was interrupted goes on from its last checkpoint."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from layercli.errors import LayercliError, Problem
from layercli.reports.progress import SilentProgress
from layercli.runs import directory as runs
from layercli.runs import manifest as manifests
from layercli.runs.checkpoints import Checkpoint, CheckpointDirectory
from layercli.runs.lock import lock_run
from layercli.workflows.prepare import prepare_training, require_trainable
from layercli.workflows.resume_check import ResumableRun, check_data_fingerprint
from layercli.workflows.run_writer import report_disk_errors
from layercli.workflows.training_run import TrainingRun


def resume_run(
    resumable: ResumableRun,
    *,
    trust: bool = False,
    progress: SilentProgress | None = None,
    is_interruptible: bool = False,
) -> dict[str, Any]:
    """Go on with a run from its last checkpoint, to end as if it had never been interrupted; a finished one says so.

    Raises:
        LayercliError: as ``train``; or the data are others, or another process works on the run.
    """
    started_at = time.perf_counter()
    progress = progress or SilentProgress()
    run, valid, changes = resumable.run_dir, resumable.valid, resumable.changes
    if resumable.is_finished:
        progress.print_message(
            f"Run {run} is finished; `--set train.epochs=N` with more epochs goes on from its end."
        )
        summary: dict[str, Any] = json.loads((run / runs.SUMMARY).read_text(encoding="utf-8"))
        return summary
    require_trainable(valid, trust=trust)
    with lock_run(run), report_disk_errors(run, valid):
        runs.remove_partial_files(run)
        checkpoint = _load_last_checkpoint(resumable, progress)
        position = (
            {"epoch": checkpoint.epoch, "step": checkpoint.step} if checkpoint else {"epoch": 0, "step": 0}
        )
        progress.print_message(
            f"Run {run}: going on after {position['epoch']} epochs and {position['step']} steps."
        )
        inputs = prepare_training(valid, progress, should_load_weights=checkpoint is None, trust=trust)
        differences = [
            *resumable.differences,
            *check_data_fingerprint(resumable, inputs.splits.fingerprint()),
        ]
        if differences and not resumable.allow_changes:
            raise LayercliError(differences)
        for problem in differences:
            progress.print_message(f"Changed: {problem.message}")
        if changes is not None:
            progress.print_message(changes.summary)
            position["step"] = changes.map_step(position["step"])
        if len(differences) > len(resumable.differences):
            position["step"] = 0  # of other examples none is done
        from layercli.engine.training.execution_plan import ExecutionPlan, plan_execution
        from layercli.engine.training.snapshot import IncompatibleSnapshotError

        previous_execution = resumable.manifest["execution"]
        execution = (
            plan_execution(valid, inputs.splits.train)
            if resumable.has_changed_execution
            else ExecutionPlan.from_json(previous_execution)
        )
        resume_record = {"command": sys.argv, **position, "versions": manifests.collect_versions()}
        if differences:
            resume_record["changes"] = [problem.message for problem in differences]
        manifest = {
            **resumable.manifest,
            "execution": execution.as_json(),
            "resumed": [*resumable.manifest.get("resumed", []), resume_record],
        }
        previous_config = (run / runs.CONFIG).read_text(encoding="utf-8")
        if resumable.has_changed_config:
            manifests.write_manifest(run, manifest, excluded=runs.CONFIG)  # a kill may come between the two
            runs.write_config(run, valid)
        manifests.write_manifest(run, manifest)
        training_run = TrainingRun(
            run, inputs, execution, manifest, started_at, checkpoint, position, changes
        )
        try:
            return training_run.execute(progress, is_interruptible=is_interruptible)
        except IncompatibleSnapshotError as error:
            runs.write_text(run / runs.CONFIG, previous_config)
            manifests.write_manifest(run, resumable.manifest)
            message = f"The checkpoint is of another model: {error}."
            hint = "Begin another run; once this one is finished, `model: {weights: RUN}` takes its weights by name."
            raise LayercliError(valid.make_problem(("model",), "resume-differs", message, hint)) from None


def _load_last_checkpoint(resumable: ResumableRun, progress: SilentProgress) -> Checkpoint | None:
    """The newest that is whole; those that are not are told."""
    checkpoints = CheckpointDirectory(resumable.run_dir)
    checkpoints.remove_partial()
    checkpoint, damaged = checkpoints.read_latest()
    consequence = (
        "the one before it is used" if checkpoint else "there is none before it, so training begins again"
    )
    for reason in damaged:
        message = f"The checkpoint {reason}; {consequence}."
        progress.print_warning(
            Problem(
                code="damaged-checkpoint", severity="warning", message=message, file=str(resumable.run_dir)
            )
        )
    return checkpoint
