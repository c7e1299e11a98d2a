"""One training: load its inputs, run it, and write its run directory."""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layercli import runtime
from layercli.activity import show_activity
from layercli.check import ValidConfig, require_one_seed
from layercli.config.training.resume_changes import ResumeChanges
from layercli.errors import LayercliError, Problem, find_first_error, make_file_error
from layercli.graph.training_notes import count_stage_epochs, describe_training, describe_training_end
from layercli.io.atomic import append_json_line, write_json, write_json_lines
from layercli.processes.stop_signals import StopRequest
from layercli.reports.console import replace_non_finite
from layercli.reports.target_summary import describe_targets
from layercli.reports.training_progress import SilentProgress
from layercli.runs import directory as runs
from layercli.runs import manifest as manifests
from layercli.runs.checkpoints import Checkpoint, CheckpointDirectory
from layercli.runs.diagnostics import keep_diagnostics
from layercli.runs.resume_command import format_resume_command
from layercli.workflows.batch_size import (
    FoundBatchSize,
    find_batch_size,
    has_auto_batch_size,
    with_batch_size,
)
from layercli.workflows.build import assemble_checked_model, complete_output_shapes, save_model
from layercli.workflows.dataset import load_training_data
from layercli.workflows.diagnose import diagnose_run
from layercli.workflows.initial_weights import (
    describe_transfer,
    load_initial_weights,
    require_initial_weights,
)
from layercli.workflows.preflight import require_memory, require_sections, require_trust
from layercli.workflows.signals import TrainingInterruptedError, catch_stop_signals
from layercli.workflows.tracking import log_results, report_failure_to_mlflow

if TYPE_CHECKING:
    from layercli.data.examples import Splits
    from layercli.engine.assemble import AssembledModel
    from layercli.engine.training.execution_plan import ExecutionPlan
    from layercli.engine.training.fit import FitResult
    from layercli.engine.transfer_weights import WeightTransfer

_WEIGHT_COPIES: Final = 4
"""Copies of the weights in memory during training: weights, gradients and two optimizer slots."""
_DISK_FULL_ERRNOS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UNWRITABLE_ERRNOS: Final = (*_DISK_FULL_ERRNOS, errno.EROFS, errno.EACCES, errno.EPERM)


def require_trainable(valid: ValidConfig, *, trust: bool) -> None:
    """Check that the config can be trained on this machine, without loading TensorFlow.

    Raises:
        LayercliError: `data` or `train` is missing, there are several seeds, code is not trusted, or memory is too small.
    """
    data, _ = require_sections(valid)
    require_one_seed(valid)
    require_trust(valid, trust=trust, data=data)
    require_memory(valid, copies=_WEIGHT_COPIES)


@dataclass(frozen=True, slots=True)
class TrainingInputs:
    """The config, the split examples and the assembled model of a training."""

    valid: ValidConfig
    """With the arguments that its metrics require for the data."""
    splits: Splits
    assembled: AssembledModel
    warnings: list[Problem]
    transfer: WeightTransfer | None
    """The weights loaded from ``model.weights``."""
    batch_size: FoundBatchSize | None = None
    """What was found for `batch_size: auto`."""

    def with_held_out_batches(self, count: int) -> TrainingInputs:
        """Return the inputs with only the first ``count`` batches of the validation and test sets."""
        from layercli.data.examples import take_first

        _, section = require_sections(self.valid)
        examples = count * section.batch_size
        validation, test = (
            take_first(subset, examples) for subset in (self.splits.validation, self.splits.test)
        )
        return replace(self, splits=replace(self.splits, validation=validation, test=test, rows=None))

    @property
    def split_sizes(self) -> tuple[int, int, int]:
        """The numbers of training, validation and test examples."""
        return len(self.splits.train), len(self.splits.validation), len(self.splits.test)


def load_training_inputs(
    valid: ValidConfig, progress: SilentProgress, *, should_load_weights: bool, trust: bool
) -> TrainingInputs:
    """Load and split the examples, complete the metrics, and assemble a model that can be trained and saved.

    ``should_load_weights`` is false if a checkpoint replaces the weights of ``model.weights``.

    Raises:
        LayercliError: The data cannot be read or does not fit, or Keras or custom code rejects a layer.
    """
    data, _ = require_sections(valid)
    if should_load_weights:
        require_initial_weights(valid)  # before the seconds that data and TensorFlow take
    valid, splits, warnings = load_training_data(complete_output_shapes(valid), data, trust=trust)
    batch_size = None
    if has_auto_batch_size(valid):
        progress.print_message("Finding the batch size.")
        batch_size = find_batch_size(valid, len(splits.train), trust=trust)
        valid = with_batch_size(valid, batch_size.size)
        progress.print_message(batch_size.describe(len(splits.train)))
    changed = {name: meaning for name, meaning in splits.target_meanings.items() if meaning.is_converted}
    for line in describe_targets(changed, lambda _: None):
        progress.print_message(line)
    assembled = assemble_checked_model(valid, should_be_savable=True)
    transfer = load_initial_weights(assembled, valid) if should_load_weights else None
    for line in describe_transfer(transfer, valid) if transfer is not None else ():
        progress.print_message(line)
    return TrainingInputs(valid, splits, assembled, [*warnings, *assembled.warnings], transfer, batch_size)


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A training from the first step or from a checkpoint."""

    run_dir: Path
    inputs: TrainingInputs
    execution_plan: ExecutionPlan
    manifest: Mapping[str, Any]
    started_at: float
    """The start of the command, by ``time.perf_counter()``."""
    checkpoint: Checkpoint | None = None
    resumed_from: Mapping[str, int] | None = None
    """The numbers of finished epochs and steps."""
    changes: ResumeChanges | None = None
    should_renew_limit: bool = False
    """Whether `train.until` applies again to a training that it ended."""
    is_limit_per_stage: bool = False
    """Whether `train.until` ends each stage instead of the training."""

    def execute(self, progress: SilentProgress, *, is_interruptible: bool = False) -> dict[str, Any]:
        """Train, then write the model and the summary to the run directory. Return the summary.

        Raises:
            LayercliError: For example, the loss became NaN, the disk is full, or a signal stopped the training (only
                if ``is_interruptible``).
            IncompatibleSnapshotError: The checkpoint is from a different model.
        """
        _, section = require_sections(self.inputs.valid)
        for warning in self.inputs.warnings:
            progress.print_warning(warning)
        progress.start_training(self.inputs.split_sizes, section)
        progress.print_detail(self.execution_plan.summary)
        self._describe_batch_callbacks(progress)
        with (
            report_failure_to_mlflow(self.run_dir, self.inputs.valid),
            _record_failure(self.run_dir, self.manifest),
            report_disk_errors(self.run_dir, self.inputs.valid),
            catch_stop_signals() if is_interruptible else nullcontext(StopRequest()) as stop_request,
        ):
            fit_result = self._fit_model(progress, stop_request)
            saved = self._save_model()
            warnings, lora = self._check_saved_model(saved)
            if lora is not None:
                progress.print_message(describe_merged_lora(lora))
            warnings += diagnose_run(
                self.run_dir,
                self.inputs,
                fit_result.history,
                has_best_weights=fit_result.restored_epoch is not None,
                constant_loss=fit_result.constant_loss,
            )
            for warning in warnings:
                progress.print_warning(warning)
            known = [*self.inputs.valid.check_result.problems, *self.inputs.warnings]
            summary = self._summarize_training(fit_result, [*known, *warnings])
            if lora is not None:
                summary["lora"] = lora
            write_json(self.run_dir / runs.SUMMARY, replace_non_finite(summary))
            manifest = manifests.with_end(self.manifest, has_reached_limit=fit_result.limit_stop is not None)
            manifests.write_manifest(self.run_dir, manifest, is_finished=True)
            log_results(self.run_dir, self.inputs.valid, summary)
        return summary

    @property
    def _earlier_records(self) -> Sequence[Mapping[str, Any]]:
        return [] if self.checkpoint is None else self.checkpoint.state["records"]

    @property
    def _earlier_seconds(self) -> float:
        return 0.0 if self.checkpoint is None else self.checkpoint.state["elapsed"]

    def _describe_batch_callbacks(self, progress: SilentProgress) -> None:
        """Say what custom callbacks cost that work on each batch."""
        from layercli.engine.training.execution_plan import describe_batch_callbacks

        _, section = require_sections(self.inputs.valid)
        steps = -(-self.inputs.split_sizes[0] // section.batch_size)
        cost = describe_batch_callbacks(self.inputs.valid, section, self.execution_plan, steps)
        if cost is not None:
            progress.print_message(cost)

    def _fit_model(self, progress: SilentProgress, stop_request: StopRequest) -> FitResult:
        from layercli.engine.training.checkpointing import TrainingStoppedError
        from layercli.engine.training.fit import CheckpointSettings, fit_model
        from layercli.engine.training.loop import TRAINING_START, Position
        from layercli.engine.training.snapshot import Snapshot

        inputs, checkpoint = self.inputs, self.checkpoint
        _, section = require_sections(inputs.valid)
        store = TimedCheckpointStore(
            CheckpointDirectory(self.run_dir, keep=section.checkpoints.keep),
            self.started_at - self._earlier_seconds,
        )
        settings = CheckpointSettings(
            store,
            stop_request,
            Position(**self.resumed_from) if self.resumed_from else TRAINING_START,
            None if checkpoint is None else Snapshot(checkpoint.arrays, checkpoint.state),
            self.changes,
            self.should_renew_limit,
            self.is_limit_per_stage,
        )
        write_json_lines(
            self.run_dir / runs.HISTORY, [replace_non_finite(record) for record in self._earlier_records]
        )
        keep_diagnostics(self.run_dir, epochs=-1 if checkpoint is None else checkpoint.epoch)
        writer = HistoryWriter(self.run_dir, progress)
        with progress:
            for record in self._earlier_records:
                progress.finish_epoch(record)
            try:
                return fit_model(
                    inputs.assembled,
                    inputs.valid,
                    section,
                    inputs.splits,
                    writer,
                    self.run_dir,
                    self.execution_plan,
                    settings,
                )
            except TrainingStoppedError as error:
                needs_trust = inputs.valid.needs_trust
                raise TrainingInterruptedError(
                    stop_request, self.run_dir, error.position, needs_trust=needs_trust
                ) from None
            except LayercliError as error:
                if not any(problem.code == "loss-not-finite" for problem in error.problems):
                    raise
                losses = [record["loss"] for record in (*self._earlier_records, *writer.records)]
                warnings = diagnose_run(self.run_dir, inputs, {"loss": losses}, is_diverged=True)
                raise LayercliError([*error.problems, *warnings]) from None

    def _save_model(self) -> AssembledModel:
        """Save the trained model with merged low-rank updates, and return it.

        Its state can come from custom code, which can fail with any exception.
        """
        from layercli.engine.custom_objects import explain_custom_error
        from layercli.engine.keras_errors import summarize_error
        from layercli.engine.lora import merge_trained_lora

        valid = self.inputs.valid
        try:
            merged = merge_trained_lora(self.inputs.assembled, valid)
            save_model(merged.model, self.run_dir / runs.MODEL)
            return merged
        except LayercliError:
            raise
        except (Exception, SystemExit) as error:
            custom_error = explain_custom_error(error, valid)
            if custom_error is not None:
                raise custom_error from error
            message = f"The trained model cannot be saved: {summarize_error(error)}"
            hint = (
                "The last checkpoint has its weights. Check the code that saves the state of custom classes."
            )
            problem = valid.make_problem(
                ("train",), "training-failed", message, hint if valid.needs_trust else None
            )
            raise LayercliError(problem) from error

    @show_activity("Checking the saved model")
    def _check_saved_model(self, saved: AssembledModel) -> tuple[list[Problem], dict[str, Any] | None]:
        """Load the saved model, and compare it with the trained model on a batch of training examples.

        Returns:
            Warnings, and the layers with merged updates with the difference of the outputs; None if there are none.
        """
        from layercli.engine.comparison_inputs import COMPARED_EXAMPLES, examples_to_inputs
        from layercli.engine.lora import describe_merge
        from layercli.engine.saved_model_check import check_saved_model

        valid, assembled = self.inputs.valid, self.inputs.assembled
        batch_size = assembled.model.inputs[0].shape[0] or COMPARED_EXAMPLES
        batch = next(iter(self.inputs.splits.train.batches(batch_size)))
        inputs = examples_to_inputs(batch, valid.graph)
        lora = None if saved is assembled else describe_merge(assembled, saved, valid, inputs)
        return check_saved_model(self.run_dir / runs.MODEL, saved, valid, inputs), lora

    def _summarize_training(self, fit_result: FitResult, warnings: Sequence[Problem]) -> dict[str, Any]:
        seconds = self._earlier_seconds + time.perf_counter() - self.started_at
        model = self.inputs.assembled.model
        summary = {
            "ok": True,
            "run": str(self.run_dir),
            "epochs": len(fit_result.records),
            "history": fit_result.history,
            "best": fit_result.best_record,
            "test": fit_result.test_metrics,
            "baseline": fit_result.baseline or None,
            "seconds": round(seconds, 3),
            "examples_per_second": round(fit_result.examples_per_second, 1),
            "parameters": model.count_params(),
            "trainable_parameters": sum(math.prod(weight.shape) for weight in model.trainable_weights),
            "resumed_from": self.resumed_from,
        }
        _, section = require_sections(self.inputs.valid)
        stage_epochs = count_stage_epochs(fit_result.records)
        summary["stop_reason"] = describe_training_end(
            len(fit_result.records), section, fit_result.early_stop, fit_result.limit_stop, stage_epochs
        )
        if fit_result.restored_epoch is not None:
            summary["restored_epoch"] = fit_result.restored_epoch
        summary["notes"] = describe_training(
            fit_result.history,
            section,
            split_sizes=self.inputs.split_sizes,
            best=fit_result.best_record,
            restored_epoch=fit_result.restored_epoch,
            early_stop=fit_result.early_stop,
            limit_stop=fit_result.limit_stop,
            stage_epochs=stage_epochs,
        )
        summary["problems"] = [warning.as_json() for warning in warnings]
        return summary


def describe_merged_lora(lora: Mapping[str, Any]) -> str:
    """Return a sentence on the merged updates, for the person who trains."""
    count, difference = len(lora["layers"]), lora["difference"]
    effect = f"differ by {difference:.1g} of the largest one" if difference else "are equal"
    layers = f"{count} {'kernel' if count == 1 else 'kernels'}"
    return (
        f"LoRA: added the updates to {layers}, so the saved model has {lora['parameters']:,} parameters; "
        f"the outputs {effect}."
    )


class TimedCheckpointStore:
    """A checkpoint store that adds the total training time in seconds to each checkpoint."""

    def __init__(self, checkpoints: CheckpointDirectory, started_at: float) -> None:
        self._checkpoints = checkpoints
        self._started_at = started_at

    def save(self, epoch: int, step: int, arrays: Mapping[str, Any], state: Mapping[str, Any]) -> Path | None:
        """Write a checkpoint and return its path. In a cluster, only rank 0 writes."""
        if runtime.cluster is not None and runtime.cluster.rank:
            return None
        elapsed = time.perf_counter() - self._started_at
        return self._checkpoints.save(epoch, step, arrays, {**state, "elapsed": elapsed})


class HistoryWriter:
    """An observer that appends each epoch to the history file and shows it."""

    def __init__(self, run_dir: Path, progress: SilentProgress) -> None:
        self.records: list[Mapping[str, Any]] = []
        self._history = run_dir / runs.HISTORY
        self._diagnostics = run_dir / runs.DIAGNOSTICS
        self.finish_step = progress.finish_step
        self._show_epoch = progress.finish_epoch

    def finish_epoch(self, record: Mapping[str, Any]) -> None:
        """Record and show a finished epoch."""
        self.records.append(record)
        append_json_line(self._history, replace_non_finite(record))
        self._show_epoch(record)

    def record_diagnostics(self, record: Mapping[str, Any]) -> None:
        """Record the statistics of all layers."""
        append_json_line(self._diagnostics, replace_non_finite(record))


@contextmanager
def _record_failure(run_dir: Path, manifest: Mapping[str, Any]) -> Iterator[None]:
    """Write the first error that ends a training into its manifest, where ``layercli runs`` reads it."""
    try:
        yield
    except BrokenPipeError:  # nobody reads the output any more
        raise
    except LayercliError as error:
        if error.problems:
            first = find_first_error(error.problems)
            _record_end(run_dir, manifest, first.code, first.full_message)
        raise
    except Exception as error:
        message = f"Internal error in layercli: {type(error).__name__}."
        _record_end(run_dir, manifest, "internal-error", message)
        raise


def _record_end(run_dir: Path, manifest: Mapping[str, Any], code: str, message: str) -> None:
    with suppress(OSError):
        manifests.write_manifest(run_dir, {**manifest, "ended": {"code": code, "message": message}})


@contextmanager
def report_disk_errors(run_dir: Path, valid: ValidConfig, *, is_resumable: bool = True) -> Iterator[None]:
    """Convert a full disk, or a file that cannot be read or written, into an error with a next step.

    Raises:
        LayercliError: Such an error occurred. The hint names ``--resume`` if ``is_resumable``.
    """
    from layercli.data.types import DataError

    try:
        yield
    except DataError as error:  # raised by data that is read during training
        raise valid.error_from_findings(error.findings) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        is_disk_full = error.errno in _DISK_FULL_ERRNOS
        cause = "The disk is full" if is_disk_full else f"Training stopped: {error.strerror or error}"
        file_note = f" ({error.filename})" if error.filename else ""
        remedy = "Free disk space" if is_disk_full else "Fix the cause"
        command = format_resume_command(run_dir, needs_trust=valid.needs_trust)
        next_step = f"resume with {command}" if is_resumable else "train again"
        raise make_file_error(
            run_dir,
            "cannot-write" if error.errno in _UNWRITABLE_ERRNOS else "training-failed",
            f"{cause}{file_note}{'; the last checkpoint is intact' if is_resumable else ''}.",
            f"{remedy}; then {next_step}.",
        ) from None
