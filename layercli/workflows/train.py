"""A training from its beginning: a config in, a run directory out."""

from __future__ import annotations

import time
from typing import Any

from layercli.check import ValidConfig
from layercli.distribution.run_paths import publish_run_path
from layercli.reports.progress import SilentProgress
from layercli.runs import directory as runs
from layercli.runs import manifest as manifests
from layercli.runs.lock import lock_run
from layercli.workflows.prepare import prepare_training, require_trainable
from layercli.workflows.run_writer import report_disk_errors
from layercli.workflows.training_run import TrainingRun


def train_new_run(
    valid: ValidConfig,
    *,
    run_dir: str | None = None,
    trust: bool = False,
    progress: SilentProgress | None = None,
    is_interruptible: bool = False,
) -> dict[str, Any]:
    """Train a config and leave a run directory; the summary that is returned stands in it, too.

    With ``interruptible``, Ctrl-C and SIGTERM end it between two steps, with a checkpoint.

    Raises:
        LayercliError: nothing to train on, code that is not trusted, a machine too small, an infinite loss.
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
                inputs = prepare_training(valid, progress, should_load_weights=True, trust=trust)
                runs.write_config(run, valid)
                runs.write_json(run / runs.READER_STATE, ReaderState.from_splits(inputs.splits).to_json())
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
            runs.discard_run(run)  # so that the same command works once the mistake is mended
            raise
        runs.update_latest_link(run)
        training_run = TrainingRun(run, inputs, execution, manifest, started_at)
        return training_run.execute(progress, is_interruptible=is_interruptible)
