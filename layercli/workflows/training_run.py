"""A training carried out in its run directory, up to its summary."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layercli.commands.build import save
from layercli.config.training.resume_changes import Changes
from layercli.reports.console import finite
from layercli.reports.progress import Silent
from layercli.runs import directory as runs
from layercli.runs import manifest as manifests
from layercli.runs.checkpoints import Checkpoint, Checkpoints
from layercli.workflows.preflight import require_sections
from layercli.workflows.prepare import Material
from layercli.workflows.run_writer import Recorder, Store, disk_watched
from layercli.workflows.signals import Noted, StoppedError, noted_signals

if TYPE_CHECKING:
    from layercli.engine.training.execution_plan import Plan


@dataclass(frozen=True, slots=True)
class Going:
    """A training that begins, or goes on from a checkpoint."""

    run: Path
    material: Material
    plan: Plan
    manifest: Mapping[str, Any]
    began: float
    """When the command did."""
    checkpoint: Checkpoint | None = None
    resumed_from: Mapping[str, int] | None = None
    """The epochs and steps that were done."""
    changes: Changes | None = None

    def carry_out(self, progress: Silent, *, interruptible: bool = False) -> dict[str, Any]:
        """Train, and leave the model and the summary in the run directory.

        Raises:
            LayercliError: the loss became NaN, the disk is full, a signal came (where ``interruptible``), and the like.
            UnfitSnapshotError: the checkpoint is of another model.
        """
        from layercli.engine.training.checkpointing import StoppedError as Stopped
        from layercli.engine.training.fit import Keeping, fit
        from layercli.engine.training.loop import BEGINNING, Position
        from layercli.engine.training.snapshot import Snapshot

        run, material, checkpoint = self.run, self.material, self.checkpoint
        _, section = require_sections(material.valid)
        for warning in material.warnings:
            progress.warn(warning)
        progress.begin(material.counts, section)
        progress.say(self.plan.told)
        records = [] if checkpoint is None else checkpoint.state["records"]
        before = 0.0 if checkpoint is None else checkpoint.state["elapsed"]
        store = Store(Checkpoints(run, keep=section.checkpoints.keep), self.began - before)
        with (
            disk_watched(run, material.valid),
            noted_signals() if interruptible else nullcontext(Noted()) as noted,
        ):
            runs.write_lines(run / runs.HISTORY, [finite(record) for record in records])
            keeping = Keeping(
                store,
                noted,
                Position(**self.resumed_from) if self.resumed_from else BEGINNING,
                None if checkpoint is None else Snapshot(checkpoint.arrays, checkpoint.state),
                self.changes,
            )
            with progress:
                for record in records:
                    progress.epoch(record)
                try:
                    fitted = fit(
                        material.assembled, material.valid, section, material.parts, Recorder(run, progress),
                        run, self.plan, keeping,
                    )  # fmt: skip
                except Stopped as stopped:
                    raise StoppedError(noted, run, stopped.position) from None
            save(material.assembled.model, run / runs.MODEL)
            summary = {
                "ok": True,
                "run": str(run),
                "epochs": len(fitted.records),
                "history": fitted.history,
                "best": fitted.best,
                "test": fitted.test,
                "seconds": round(before + time.perf_counter() - self.began, 3),
                "examples_per_second": round(fitted.examples_per_second, 1),
                "parameters": material.assembled.model.count_params(),
                "resumed_from": self.resumed_from,
            }
            if fitted.restored is not None:
                summary["restored_epoch"] = fitted.restored
            runs.write_json(run / runs.SUMMARY, finite(summary))
            manifests.write_manifest(run, self.manifest, finished=True)
        return summary
