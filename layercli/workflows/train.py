"""Train a config into a new run directory, or for two steps only."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from layercli.check import ValidConfig
from layercli.config.training.callbacks import MLflow
from layercli.config.training.execution import CheckpointsConfig, UntilConfig
from layercli.distribution.run_paths import publish_run_path
from layercli.errors import Problem
from layercli.io.atomic import write_json
from layercli.reports.training_progress import SilentProgress
from layercli.runs import directory as runs
from layercli.runs import manifest as manifests
from layercli.runs.lock import lock_run
from layercli.runs.membership import MANIFEST_KEY, Membership
from layercli.workflows.initial_weights import require_initial_weights
from layercli.workflows.preflight import read_memory_limit, require_sections
from layercli.workflows.signals import TrainingInterruptedError
from layercli.workflows.tracking import require_tracking
from layercli.workflows.training_run import (
    TrainingRun,
    load_training_inputs,
    report_disk_errors,
    require_trainable,
)
from layercli.workflows.weight_files import hash_weight_files

_SMOKE_STEPS: Final = 2
_SMOKE_END: Final = (
    "The smoke test passed: training, validation, a checkpoint and the saved model work. Nothing was kept."
)


def train_new_run(
    valid: ValidConfig,
    *,
    run_dir: str | None = None,
    trust: bool = False,
    progress: SilentProgress | None = None,
    is_interruptible: bool = False,
    smoke_steps: int | None = None,
    membership: Membership | None = None,
) -> dict[str, Any]:
    """Train a config and write a run directory. Return the summary that is also written there.

    If ``is_interruptible``, Ctrl-C and SIGTERM end the training between two steps with a checkpoint.
    Validation and test use only the examples of ``smoke_steps`` batches, if it is given. The manifest records
    the ``membership`` of a run in a group.

    Raises:
        LayercliError: For example, `data` is missing, code is not trusted, memory is too small, or the loss is infinite.
    """
    started_at = time.perf_counter()
    progress = progress or SilentProgress()
    require_trainable(valid, trust=trust)
    require_tracking(valid)
    require_initial_weights(valid)
    run = runs.create_run(valid.check_result.name, run_dir)
    publish_run_path(run)
    with lock_run(run):
        title = f"Run {run}" if smoke_steps is None else "Smoke test"
        progress.print_message(f"{title}: loading TensorFlow and the data.")
        from layercli.data.reader_state import ReaderState

        try:
            with report_disk_errors(run, valid, is_resumable=False):
                inputs = load_training_inputs(valid, progress, should_load_weights=True, trust=trust)
                valid = inputs.valid
                if smoke_steps is not None:
                    inputs = inputs.with_held_out_batches(smoke_steps)
                runs.write_config(run, valid)
                write_json(run / runs.READER_STATE, ReaderState.from_splits(inputs.splits).to_json())
                from layercli.engine.gpus import list_gpu_names
                from layercli.engine.training.execution_plan import plan_execution

                execution = plan_execution(valid, inputs.splits.train)
                manifest = manifests.create_manifest(
                    valid,
                    counts=inputs.split_sizes,
                    fingerprint=inputs.splits.fingerprint(),
                    execution=execution.as_json(),
                    memory=read_memory_limit(),
                    gpus=list_gpu_names(),
                )
                if membership is not None:
                    manifest[MANIFEST_KEY] = membership.as_json()
                if weight_files := hash_weight_files(valid):
                    manifest["weight_files"] = weight_files
                if inputs.transfer is not None:
                    manifest["weights"] = inputs.transfer.as_json()
                if inputs.batch_size is not None:
                    manifest["batch_size"] = inputs.batch_size.as_json()
                manifests.write_manifest(run, manifest)
        except BaseException:
            runs.discard_run(run)  # so that the same command works after the fix
            raise
        runs.update_latest_link(run)
        training_run = TrainingRun(
            run, inputs, execution, manifest, started_at, is_limit_per_stage=smoke_steps is not None
        )
        return training_run.execute(progress, is_interruptible=is_interruptible)


def run_smoke_test(
    valid: ValidConfig,
    *,
    trust: bool = False,
    progress: SilentProgress | None = None,
    is_interruptible: bool = False,
) -> dict[str, Any]:
    """Train and validate for two steps, save a checkpoint and the model, and remove all of it. Return the summary.

    Raises:
        LayercliError: As for ``train_new_run``.
    """
    _, section = require_sections(valid)
    changes = {
        "epochs": _SMOKE_STEPS,
        "batch_size": int(section.batch_size),  # 32 for `auto`
        "until": UntilConfig(steps=_SMOKE_STEPS),
        "checkpoints": CheckpointsConfig(epochs=_SMOKE_STEPS),
        "seeds": None,  # one of them shows whether the training works
        "diagnostics": False,  # two steps say nothing about the layers
        "callbacks": [callback for callback in section.callbacks if not isinstance(callback, MLflow)],
    }
    if section.stages is not None:
        stages = [stage.model_copy(update={"epochs": _SMOKE_STEPS}) for stage in section.stages]
        changes |= {"stages": stages, "epochs": _SMOKE_STEPS * len(stages)}
    config = valid.config.model_copy(update={"train": section.model_copy(update=changes)})
    with TemporaryDirectory(prefix="layercli-") as directory:
        try:
            summary = train_new_run(
                replace(valid, config=config),
                run_dir=str(Path(directory) / "run"),
                trust=trust,
                progress=progress,
                is_interruptible=is_interruptible,
                smoke_steps=_SMOKE_STEPS,
            )
        except TrainingInterruptedError as error:
            error.problems = [Problem(code="interrupted", message="The smoke test was interrupted.")]
            raise
    return {**summary, "run": None, "stop_reason": _SMOKE_END, "notes": []}
