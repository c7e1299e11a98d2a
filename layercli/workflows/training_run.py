"""A training carried out in its run directory, up to its summary."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layercli.commands.build import save_model
from layercli.config.training.resume_changes import ResumeChanges
from layercli.reports.console import replace_non_finite
from layercli.reports.progress import SilentProgress
from layercli.runs import directory as runs
from layercli.runs import manifest as manifests
from layercli.runs.checkpoints import Checkpoint, CheckpointDirectory
from layercli.workflows.preflight import require_sections
from layercli.workflows.prepare import TrainingInputs
from layercli.workflows.run_writer import HistoryWriter, TimedCheckpointStore, report_disk_errors
from layercli.workflows.signals import StopRequest, TrainingInterruptedError, catch_stop_signals

if TYPE_CHECKING:
    from layercli.engine.training.execution_plan import ExecutionPlan


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A training that begins, or goes on from a checkpoint."""

    run_dir: Path
    inputs: TrainingInputs
    execution_plan: ExecutionPlan
    manifest: Mapping[str, Any]
    started_at: float
    """When the command did."""
    checkpoint: Checkpoint | None = None
    resumed_from: Mapping[str, int] | None = None
    """The epochs and steps that were done."""
    changes: ResumeChanges | None = None

    def execute(self, progress: SilentProgress, *, is_interruptible: bool = False) -> dict[str, Any]:
        """Train, and leave the model and the summary in the run directory.

        Raises:
            LayercliError: the loss became NaN, the disk is full, a signal came (where ``interruptible``), and the like.
            UnfitSnapshotError: the checkpoint is of another model.
        """
        from layercli.engine.training.checkpointing import TrainingStoppedError
        from layercli.engine.training.fit import CheckpointSettings, fit_model
        from layercli.engine.training.loop import TRAINING_START, Position
        from layercli.engine.training.snapshot import Snapshot

        run_dir, inputs, checkpoint = self.run_dir, self.inputs, self.checkpoint
        _, section = require_sections(inputs.valid)
        for warning in inputs.warnings:
            progress.print_warning(warning)
        progress.start_training(inputs.split_sizes, section)
        progress.print_message(self.execution_plan.summary)
        records = [] if checkpoint is None else checkpoint.state["records"]
        earlier_seconds = 0.0 if checkpoint is None else checkpoint.state["elapsed"]
        store = TimedCheckpointStore(
            CheckpointDirectory(run_dir, keep=section.checkpoints.keep), self.started_at - earlier_seconds
        )
        with (
            report_disk_errors(run_dir, inputs.valid),
            catch_stop_signals() if is_interruptible else nullcontext(StopRequest()) as stop_request,
        ):
            runs.write_json_lines(run_dir / runs.HISTORY, [replace_non_finite(record) for record in records])
            checkpoint_settings = CheckpointSettings(
                store,
                stop_request,
                Position(**self.resumed_from) if self.resumed_from else TRAINING_START,
                None if checkpoint is None else Snapshot(checkpoint.arrays, checkpoint.state),
                self.changes,
            )
            with progress:
                for record in records:
                    progress.finish_epoch(record)
                try:
                    fitted = fit_model(
                        inputs.assembled, inputs.valid, section, inputs.splits, HistoryWriter(run_dir, progress),
                        run_dir, self.execution_plan, checkpoint_settings,
                    )  # fmt: skip
                except TrainingStoppedError as stopped:
                    raise TrainingInterruptedError(stop_request, run_dir, stopped.position) from None
            save_model(inputs.assembled.model, run_dir / runs.MODEL)
            summary = {
                "ok": True,
                "run": str(run_dir),
                "epochs": len(fitted.records),
                "history": fitted.history,
                "best": fitted.best_record,
                "test": fitted.test_metrics,
                "seconds": round(earlier_seconds + time.perf_counter() - self.started_at, 3),
                "examples_per_second": round(fitted.examples_per_second, 1),
                "parameters": inputs.assembled.model.count_params(),
                "resumed_from": self.resumed_from,
            }
            if fitted.restored_epoch is not None:
                summary["restored_epoch"] = fitted.restored_epoch
            runs.write_json(run_dir / runs.SUMMARY, replace_non_finite(summary))
            manifests.write_manifest(run_dir, self.manifest, is_finished=True)
        return summary
