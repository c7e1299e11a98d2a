"""Train a config into a new run directory."""

from __future__ import annotations

import time
from typing import Any

from layercli.check import ValidConfig
from layercli.distribution.run_paths import publish_run_path
from layercli.io.atomic import write_json
from layercli.reports.progress import SilentProgress
from layercli.runs import directory as runs
from layercli.runs import manifest as manifests
from layercli.runs.lock import lock_run
from layercli.workflows.training_run import (
    TrainingRun,
    load_training_inputs,
    report_disk_errors,
    require_trainable,
)


def train_new_run(
    valid: ValidConfig,
    *,
    run_dir: str | None = None,
    trust: bool = False,
    progress: SilentProgress | None = None,
    is_interruptible: bool = False,
) -> dict[str, Any]:
    """Train a config and write a run directory. Return the summary that is also written there.

    If ``is_interruptible``, Ctrl-C and SIGTERM end the training between two steps with a checkpoint.

    Raises:
        LayercliError: For example, `data` is missing, code is not trusted, memory is too small, or the loss is infinite.
    """
    started_at = time.perf_counter()
    progress = progress or SilentProgress()
    require_trainable(valid, trust=trust)
    run = runs.create_run(valid.check_result.name, run_dir)
    publish_run_path(run)
    with lock_run(run):
        progress.print_message(f"Run {run}: loading TensorFlow and the data.")
        from layercli.data.reader_state import ReaderState

        try:
            with report_disk_errors(run, valid, is_resumable=False):
                inputs = load_training_inputs(valid, progress, should_load_weights=True, trust=trust)
                valid = inputs.valid
                runs.write_config(run, valid)
                write_json(run / runs.READER_STATE, ReaderState.from_splits(inputs.splits).to_json())
                from layercli.engine.training.execution_plan import plan_execution

                execution = plan_execution(valid, inputs.splits.train)
                manifest = manifests.create_manifest(
                    valid,
                    counts=inputs.split_sizes,
                    fingerprint=inputs.splits.fingerprint(),
                    execution=execution.as_json(),
                )
                if inputs.transfer is not None:
                    manifest["weights"] = inputs.transfer.as_json()
                manifests.write_manifest(run, manifest)
        except BaseException:
            runs.discard_run(run)  # so that the same command works after the fix
            raise
        runs.update_latest_link(run)
        training_run = TrainingRun(run, inputs, execution, manifest, started_at)
        return training_run.execute(progress, is_interruptible=is_interruptible)
