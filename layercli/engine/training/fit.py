"""Train a model with its callbacks and checkpoints, and evaluate it on the test set."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import keras

from layercli import runtime
from layercli.activity import show_activity
from layercli.check import ValidConfig
from layercli.config.training.custom_objects import NON_METRIC_KEYS
from layercli.config.training.log_names import collect_log_names
from layercli.config.training.resume_changes import ResumeChanges
from layercli.config.training.section import TrainSection
from layercli.data.examples import Splits
from layercli.data.memory import release_memory
from layercli.data.types import DataError
from layercli.engine.adapt import adapt_layers, adaptable_layers
from layercli.engine.assemble import AssembledModel
from layercli.engine.custom_objects import check_schedule, explain_custom_error
from layercli.engine.keras_errors import is_raised_in, layer_error, model_error_types, summarize_error
from layercli.engine.training.baseline import learn_baseline
from layercli.engine.training.callback_state import STATE_HINT, CallbackStateError
from layercli.engine.training.checkpointing import (
    CheckpointCallback,
    CheckpointSink,
    DivergedError,
    DivergenceGuard,
    TrainingStoppedError,
)
from layercli.engine.training.compile import build_callback, compile_model
from layercli.engine.training.diagnostics import DiagnosticsCallback, LayerProbe
from layercli.engine.training.dtype_errors import explain_dtype_error
from layercli.engine.training.execution_plan import ExecutionPlan
from layercli.engine.training.feed import Feed, make_feed
from layercli.engine.training.log_values import order_logs, to_python
from layercli.engine.training.loop import TRAINING_START, Position, TrainingLoop
from layercli.engine.training.multi_worker import Workers, is_lost_peer
from layercli.engine.training.paired_augmentation import make_training_step
from layercli.engine.training.snapshot import IncompatibleSnapshotError, Snapshot, is_finite, restore_layers
from layercli.engine.training.stages import StageLayers, WholeTraining, compile_stage
from layercli.engine.training.tensorboard_logs import start_event_files
from layercli.engine.training.training_limit import TrainingLimit
from layercli.engine.unknown_ids import check_computed_ids, explain_id_error
from layercli.errors import LayercliError, Problem
from layercli.graph.adaptable import should_adapt
from layercli.graph.best_epoch import find_best_epoch, summarize_epoch
from layercli.graph.training_notes import EarlyStop, LimitStop
from layercli.runs.resume_command import format_resume_command
from layercli.schema.component import Component
from layercli.source.dump import to_yaml
from layercli.source.nodes import KeyPath


class TrainingObserver(Protocol):
    """A receiver of training progress."""

    def finish_step(self, epoch: int, step: int, logs: Mapping[str, float]) -> None:
        """Report a finished step, at most every 0.1 s; ``epoch`` and ``step`` are 1-based."""

    def finish_epoch(self, record: Mapping[str, Any]) -> None:
        """Report a finished epoch: its number, metrics, seconds and examples per second."""

    def record_diagnostics(self, record: Mapping[str, Any]) -> None:
        """Record the statistics of all layers, before the first step and after each epoch."""


@dataclass(slots=True)
class FitResult:
    """The result of a training."""

    records: list[dict[str, Any]] = field(default_factory=list)
    """One history record per epoch."""
    test_metrics: dict[str, float] = field(default_factory=dict)
    best_record: dict[str, Any] = field(default_factory=dict)
    """The best epoch's number and metrics, and the monitored metric."""
    restored_epoch: int | None = None
    """The epoch whose weights a callback restored; None: the weights of the last epoch remain."""
    examples_per_second: float = 0.0
    baseline: dict[str, Any] = field(default_factory=dict)
    """The metrics of a constant prediction, the set they are from, and what it predicts; empty if there is none."""
    constant_loss: float | None = None
    """The training loss of that prediction, with `train.diagnostics`."""
    early_stop: EarlyStop | None = None
    """Why EarlyStopping stopped the training, if it did."""
    limit_stop: LimitStop | None = None
    """Where `train.until` ended the training, if it did."""

    @property
    def history(self) -> dict[str, list[float]]:
        """The values of each metric over the epochs."""
        names = [name for name in (self.records[0] if self.records else {}) if name not in NON_METRIC_KEYS]
        return {name: [record.get(name, math.nan) for record in self.records] for name in names}


_REPORT_INTERVAL_SECONDS = 0.1
"""The shortest time between two step reports: reading metrics takes time."""


@dataclass(frozen=True, slots=True)
class CheckpointSettings:
    """The checkpoint store, the stop request and the start position of a training."""

    store: CheckpointSink
    should_stop: Callable[[], bool] = bool
    """A function that returns whether to stop; the default never stops."""
    start: Position = TRAINING_START
    snapshot: Snapshot | None = None
    changes: ResumeChanges | None = None
    """Allowed differences between the config and that of the snapshot."""
    should_renew_limit: bool = False
    """Whether `train.until` applies again to a training that it ended."""
    is_limit_per_stage: bool = False
    """Whether `train.until` ends each stage instead of a training with stages."""


def fit_model(
    assembled: AssembledModel,
    valid: ValidConfig,
    train: TrainSection,
    splits: Splits,
    observer: TrainingObserver,
    run_dir: Path,
    plan: ExecutionPlan,
    checkpointing: CheckpointSettings,
) -> FitResult:
    """Train the model and evaluate it on the test set.

    Raises:
        LayercliError: the loss became NaN or infinite, or the model refuses the data.
        TrainingStoppedError: a stop was requested; a checkpoint is saved.
        IncompatibleSnapshotError: the checkpoint belongs to a different model.
    """
    model, snapshot = assembled.model, checkpointing.snapshot
    adapted_layers = [
        layer
        for node in valid.graph.nodes
        if should_adapt(node)
        for layer in adaptable_layers(assembled.layers[node.name], node.layer)
    ]
    if snapshot is None:
        with report_model_errors(valid, assembled):
            adapt_layers(assembled, valid, splits.train)
            check_computed_ids(assembled, valid, splits)
        release_memory()
    else:
        restore_layers(adapted_layers, snapshot)
    result = FitResult() if snapshot is None else FitResult(list(snapshot.state["records"]))
    training = _Training(
        assembled, valid, train, splits, observer, run_dir, plan, checkpointing, result, adapted_layers
    )
    loop = training.run()
    restored_record = _summarize_restored_epoch(result.records, training.callbacks)
    result.restored_epoch = restored_record.get("epoch")
    result.best_record = restored_record or find_best_epoch(result.records, train)
    release_memory()
    test_feed = None
    if len(splits.test):
        test_feed = make_feed(splits.test, train.batch_size, stream=plan.feed == "stream")
        with show_activity("Evaluating on the test set"):
            result.test_metrics = order_logs(loop.evaluate(test_feed), training.metric_order)
    if training.workers is None:
        _compare_with_baseline(result, model, valid, splits, training.metric_order, plan, test_feed)
    return result


def find_shuffle_seed(valid: ValidConfig) -> int | None:
    """Return the seed that shuffles the examples in each epoch; None if their order is fixed."""
    config = valid.config
    return config.seed if config.data is None or config.data.shuffle else None


class _Training:
    """A training from its first step, or from a checkpoint, in one stage or several; writes to ``result``."""

    def __init__(
        self,
        assembled: AssembledModel,
        valid: ValidConfig,
        train: TrainSection,
        splits: Splits,
        observer: TrainingObserver,
        run_dir: Path,
        plan: ExecutionPlan,
        checkpointing: CheckpointSettings,
        result: FitResult,
        adapted_layers: Sequence[Any],
    ) -> None:
        self._assembled = assembled
        self._model = assembled.model
        self._valid = valid
        self._train = train
        self._splits = splits
        self._observer = observer
        self._run_dir = run_dir
        self._plan = plan
        self._checkpointing = checkpointing
        self._result = result
        self._adapted_layers = adapted_layers
        self._stage_layers = StageLayers(assembled.layers, train, valid)
        self._first_stage = 0
        """The stage in which this process starts."""
        self._stage_starts = [0]
        """The number of epochs before each stage that has started."""
        self._callback_paths: list[KeyPath] = []
        self._position = checkpointing.start
        self._saved_position: Position | None = None
        self.callbacks: list[Any] = []
        """The callbacks of all stages, then those of the current one."""
        self.metric_order = list(collect_log_names(train, valid.graph.output_references))
        self.workers: Workers | None = None

    def run(self) -> TrainingLoop:
        """Train all stages and return the loop of the last one.

        Raises:
            LayercliError: the loss became NaN or infinite, or the model refuses the data.
        """
        train, checkpointing, snapshot = self._train, self._checkpointing, self._checkpointing.snapshot
        stages = snapshot.state.get("stages") if snapshot is not None else None
        if stages is not None:
            self._stage_starts = list(stages["starts"])
        with self._report_errors():
            self.workers = Workers() if runtime.cluster is not None else None
            stream = self._plan.feed == "stream"
            self._feed = make_feed(self._splits.train, train.batch_size, stream=stream)
            self._validation = (
                make_feed(self._splits.validation, train.batch_size, stream=stream)
                if len(self._splits.validation)
                else None
            )
        self._limit = self._make_limit(checkpointing.start)
        self._history = _HistoryCallback(
            self._result,
            self._observer,
            metric_order=self.metric_order,
            examples=len(self._splits.train),
            batch_size=train.batch_size,
        )
        if snapshot is not None:
            self._history.restore_state(snapshot.state["watch"])
        self._first_stage = first = len(self._stage_starts) - 1
        with self._report_errors():
            shared_callbacks = self._build_callbacks(None) if train.stages else []
        self._whole = WholeTraining(shared_callbacks)
        for index in range(first, max(len(train.stages or ()), 1)):
            if index > first:
                self._stage_starts.append(len(self._result.records))
                if checkpointing.is_limit_per_stage:
                    self._limit = self._make_limit(Position(self._stage_starts[index], 0))
            loop = self._run_stage(index, shared_callbacks, is_first=index == first)
            if self._has_ended:
                break
        self._result.examples_per_second = self._history.examples_per_second
        if self._limit.is_reached and not (checkpointing.is_limit_per_stage and train.stages):
            self._result.limit_stop = LimitStop(
                self._position.epoch, self._position.step, loop.steps_per_epoch
            )
        else:
            self._result.early_stop = _find_early_stop(len(self._result.records), self.callbacks)
        self._stage_layers.freeze_for_optimizer(index)
        return loop

    @property
    def _has_ended(self) -> bool:
        """Whether the training is over before the next stage."""
        is_limited = self._limit.is_reached and not self._checkpointing.is_limit_per_stage
        return self._whole.has_ended_training or is_limited

    def _is_last(self, stage: int) -> bool:
        return stage + 1 >= len(self._train.stages or ()) or self._has_ended

    def _run_stage(self, index: int, shared_callbacks: Sequence[Any], *, is_first: bool) -> TrainingLoop:
        """Train a stage, counted from 0; the first one of this process can start from a checkpoint."""
        train, model, checkpointing = self._train, self._model, self._checkpointing
        snapshot = checkpointing.snapshot if is_first else None
        start = checkpointing.start if is_first else Position(self._stage_starts[index], 0)
        self._position = start
        with self._report_errors():
            if is_first or train.stages_with_optimizer_of(index).start == index:
                compile_stage(model, train, self._valid, self._stage_layers, index)
            else:
                compile_model(model, train, self._valid, optimizer=model.optimizer)
            self._stage_layers.freeze_stage(index)
            own_callbacks = self._build_callbacks(index if train.stages else None)
        self.callbacks = [*shared_callbacks, *own_callbacks]
        self._history.begin_stage(index + 1 if train.stages else None, self.callbacks)
        epochs = self._stage_starts[index] + (train.stages[index].epochs if train.stages else train.epochs)
        if snapshot is not None and self._was_stopped(snapshot, start):
            epochs = start.epoch
        with self._report_errors():
            loop = TrainingLoop(
                model,
                self._feed,
                max_steps_per_call=self._plan.steps_per_execution,
                seed=find_shuffle_seed(self._valid),
                validation=self._validation,
                jit_compile=self._plan.jit_compile,
                checkpoint_every=train.checkpoints.steps,
                last_step=self._limit.last_step,
                workers=self.workers,
                train_step=make_training_step(self._assembled, self._valid, self._splits.train),
            )
            should_measure_start = checkpointing.snapshot is None and is_first
            diagnostics = self._make_diagnostics(should_measure_start=should_measure_start)
            checkpoint_callback = self._make_checkpoint_callback(index, loop, start, snapshot)
            self._whole.is_ending = lambda: self._is_last(index)
            shared = [self._whole] if shared_callbacks else []
            try:
                loop.run(
                    [
                        DivergenceGuard(),
                        *shared,
                        *own_callbacks,
                        self._history,
                        *diagnostics,
                        checkpoint_callback,
                    ],
                    epochs=epochs,
                    start=start,
                )
            except CallbackStateError as error:
                raise self._explain_callback_state(error) from error
            except DivergedError as error:
                self._history.record_divergence(error)
                for callback in diagnostics:
                    callback.record(error.epoch + 1)
                cause = f"Training stopped: the loss became {to_python(error.logs['loss'])} in epoch {error.epoch + 1}"
                raise self._divergence_error(cause, index, checkpoint_callback.saved_position) from None
            finally:
                _close_callbacks(own_callbacks)
                if self._is_last(index) or sys.exc_info()[0] is not None:
                    _close_callbacks(shared_callbacks)
            if not is_finite(model):
                cause = "Weights became NaN or infinite in the last steps"
                raise self._divergence_error(cause, index, checkpoint_callback.saved_position)
        self._position, self._saved_position = (
            checkpoint_callback.position,
            checkpoint_callback.saved_position,
        )
        return loop

    def _was_stopped(self, snapshot: Snapshot, start: Position) -> bool:
        """Return whether the training, or its stage, had already ended at the checkpoint."""
        state, train = snapshot.state, self._train
        stages = state.get("stages")
        is_unchanged = self._checkpointing.changes is None and train.epochs == state["epochs"]
        if stages is not None:
            is_unchanged &= stages["epochs"] == [stage.epochs for stage in train.stages or ()]
            self._whole.has_ended_training = stages["has_ended"] and is_unchanged
        return (state["stopped"] and is_unchanged) or (self._limit.was_reached and not start.step)

    def _make_limit(self, start: Position) -> TrainingLimit:
        """Return the limit of `train.until` for a training that continues from a position."""
        train, snapshot = self._train, self._checkpointing.snapshot
        steps_per_epoch = -(-len(self._splits.train) // train.batch_size)
        limit = TrainingLimit(
            train.until,
            start.epoch * steps_per_epoch + start.step,
            None if snapshot is None else snapshot.state.get("until"),
            should_renew=self._checkpointing.should_renew_limit,
        )
        if self.workers is not None:
            limit.share_time(self.workers.share_time_limit)
        return limit

    def _build_callbacks(self, stage: int | None) -> list[Any]:
        """Return the callbacks of a stage, counted from 0; None: those of all stages."""
        found = [
            (callback, path) for callback, path, number in self._train.iterate_callbacks() if number == stage
        ]
        count = 0 if stage is None else len(self._train.callbacks)
        self._callback_paths = [*self._callback_paths[:count], *(path for _, path in found)]
        callbacks = [build_callback(callback, self._run_dir, self._valid, path) for callback, path in found]
        if self._checkpointing.snapshot is None or stage not in (None, self._first_stage):
            for callback in callbacks:
                if isinstance(callback, keras.callbacks.TensorBoard):
                    start_event_files(Path(callback.log_dir), to_yaml(self._valid.to_resolved_dict()))
        return callbacks

    def _make_diagnostics(self, *, should_measure_start: bool) -> list[DiagnosticsCallback]:
        """Return the callback for `train.diagnostics`; only the first process of a group has one."""
        if not self._train.diagnostics or (runtime.cluster is not None and runtime.cluster.rank):
            return []
        probe = LayerProbe(self._assembled, self._valid, self._splits.train)
        is_resumed = not should_measure_start
        return [DiagnosticsCallback(probe, self._observer.record_diagnostics, is_resumed=is_resumed)]

    def _make_checkpoint_callback(
        self, index: int, loop: TrainingLoop, start: Position, snapshot: Snapshot | None
    ) -> CheckpointCallback:
        checkpointing, workers = self._checkpointing, self.workers
        callback = CheckpointCallback(
            checkpointing.store,
            self._train.checkpoints,
            adapted_layers=self._adapted_layers,
            callbacks=self.callbacks,
            steps_per_epoch=loop.steps_per_epoch,
            should_stop=checkpointing.should_stop
            if workers is None
            else workers.share_stop(checkpointing.should_stop),
            extra_state=self._get_state,
            start=start,
            snapshot=snapshot,
            changes=checkpointing.changes,
            limit=self._limit,
            is_last_stage=lambda: self._is_last(index),
        )
        if self._saved_position is not None:
            callback.saved_position = self._saved_position
        return callback

    def _get_state(self) -> dict[str, Any]:
        """Return the rest of a checkpoint's state: without the model and its callbacks."""
        state: dict[str, Any] = {
            "records": self._result.records,
            "watch": self._history.get_state(),
            "epochs": self._train.epochs,
        }
        if self._train.stages is not None:
            state["stages"] = {
                "starts": list(self._stage_starts),
                "epochs": [stage.epochs for stage in self._train.stages],
                "has_ended": self._whole.has_ended_training,
            }
        return state

    def _explain_callback_state(self, error: CallbackStateError) -> LayercliError:
        index = next(index for index, callback in enumerate(self.callbacks) if callback is error.callback)
        problem = self._valid.make_problem(
            self._callback_paths[index], "custom-object", f"{error}.", STATE_HINT
        )
        return explain_custom_error(error, self._valid) or LayercliError(problem)

    def _divergence_error(self, cause: str, stage: int, saved_position: Position | None) -> LayercliError:
        """Return the error that training diverged, with the position of the last valid checkpoint."""
        optimizer, path = self._train.optimizer_in_stage(stage)
        problem = _divergence_problem(self._valid, cause, self._run_dir, saved_position, optimizer, path)
        return LayercliError(problem)

    def _report_errors(self) -> AbstractContextManager[None]:
        return report_model_errors(self._valid, self._assembled)


@show_activity("Evaluating a constant prediction")
def _compare_with_baseline(
    result: FitResult,
    model: Any,
    valid: ValidConfig,
    splits: Splits,
    metric_order: Sequence[str],
    plan: ExecutionPlan,
    test_feed: Feed | None,
) -> None:
    """Add the metrics of a constant prediction for the last set that has examples."""
    train = valid.config.train
    baseline = learn_baseline(model, valid, splits)
    if baseline is None or train is None:
        return
    named = {"test": splits.test, "validation": splits.validation, "training": splits.train}
    part = next(name for name, subset in named.items() if len(subset))
    parts = {part, "training"} if train.diagnostics else {part}
    metrics = {
        name: baseline.evaluate(
            model,
            test_feed
            if name == "test" and test_feed is not None
            else make_feed(named[name], train.batch_size, stream=plan.feed == "stream"),
            metric_order,
            max_steps_per_call=plan.steps_per_execution,
        )
        for name in parts
    }
    result.baseline = {"set": part, "predicts": baseline.description, "metrics": metrics[part]}
    result.baseline |= baseline.constants_to_json(valid.graph.output_references)
    result.constant_loss = metrics["training"]["loss"] if train.diagnostics else None


def _close_callbacks(callbacks: Iterable[Any]) -> None:
    """Close the files that callbacks leave open if training does not finish."""
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.CSVLogger) and callback.csv_file is not None:
            callback.csv_file.close()


def _divergence_problem(
    valid: ValidConfig,
    cause: str,
    run_dir: Path,
    saved_position: Position | None,
    optimizer: str | Component,
    optimizer_path: KeyPath,
) -> Problem:
    """Return the problem that training with an optimizer diverged, with the position of the last valid checkpoint."""
    advice = "Lower the learning rate, scale the inputs (Rescaling or Normalization), or set `clipnorm: 1` on the optimizer"
    if saved_position is None:
        return valid.make_problem(("train", "loss"), "loss-not-finite", f"{cause}.", f"{advice}.")
    saved_text = (
        f"epoch {saved_position.epoch + 1}, step {saved_position.step}"
        if saved_position.step
        else f"the end of epoch {saved_position.epoch}"
    )
    message = f"{cause}. The last valid checkpoint is from {saved_text}."
    key = ".".join(map(str, (*optimizer_path, "learning_rate")))
    rate = f"--set {key}={_find_smaller_rate(optimizer):g}"
    command = format_resume_command(run_dir, "--allow-changes", rate, needs_trust=valid.needs_trust)
    return valid.make_problem(
        ("train", "loss"), "loss-not-finite", message, f"{advice}. Resume from the checkpoint with {command}."
    )


def _find_smaller_rate(optimizer: str | Component) -> float:
    """Return a tenth of the learning rate; for a schedule, a tenth of Keras's default."""
    rate = getattr(optimizer, "learning_rate", None)
    return (rate if isinstance(rate, float) and rate > 0 else 0.001) / 10


def _find_early_stop(epochs: int, callbacks: list[Any]) -> EarlyStop | None:
    """Return why an EarlyStopping ended the training after this number of epochs, if one did."""
    for callback in callbacks:
        # After a resume, a callback can still have the epoch at which it stopped the training before.
        if isinstance(callback, keras.callbacks.EarlyStopping) and 0 < callback.stopped_epoch == epochs - 1:
            baseline, best = callback.baseline, to_python(callback.best)
            is_missed = baseline is not None and not callback._is_improvement(best, baseline)
            return EarlyStop(
                callback.stopped_epoch + 1,
                callback.best_epoch + 1,
                best,
                callback.monitor,
                abs(callback.min_delta),
                baseline if is_missed else None,
            )
    return None


def _summarize_restored_epoch(records: list[dict[str, Any]], callbacks: list[Any]) -> dict[str, Any]:
    """Return the record of the epoch whose weights a callback restored, if any."""
    for callback in reversed(callbacks):
        if isinstance(callback, keras.callbacks.EarlyStopping) and callback.best_weights is not None:
            return summarize_epoch(records[callback.best_epoch], callback.monitor)
    return {}


@contextmanager
def report_model_errors(valid: ValidConfig, assembled: AssembledModel) -> Iterator[None]:
    """Report exceptions of Keras, TensorFlow and custom layers as problems of the config.

    Raises:
        LayercliError: the model failed, or another worker is lost.
    """
    known_errors = (LayercliError, TrainingStoppedError, IncompatibleSnapshotError, DataError)
    caught_errors: tuple[type[BaseException], ...] = (OSError, *model_error_types(valid))
    hint = "Check that the loss and metrics match the targets and the model's output."
    if valid.custom_layers:
        hint = "Check your custom layers, and that the loss and metrics match the targets and the output."
    try:
        yield
    except known_errors:
        raise
    except caught_errors as error:
        check_schedule(
            getattr(assembled.model, "optimizer", None), valid
        )  # a custom optimizer would get the blame
        custom_error = explain_custom_error(error, valid)
        if custom_error is not None:
            raise custom_error from error
        if isinstance(error, OSError):
            raise
        if runtime.cluster is not None and is_lost_peer(error):
            message = f"Lost the connection to another worker process: {summarize_error(error)}"
            command = format_resume_command("RUN", needs_trust=valid.needs_trust)
            hint = f"Restart all workers with {command}, which continues from the last checkpoint."
            raise LayercliError(Problem(code="worker-lost", message=message, hint=hint)) from error
        id_error = explain_id_error(error, valid)
        if id_error is not None:
            raise id_error from error
        for codes in assembled.codes.values():
            if is_raised_in(error, codes):
                node = codes[0].part.node
                raise layer_error(node, valid, f"`{node.name}` fails in training", error, codes) from error
        if (dtype_problem := explain_dtype_error(error, valid)) is not None:
            raise LayercliError(dtype_problem) from error
        message = f"Training stopped: {summarize_error(error)}"
        raise LayercliError(valid.make_problem(("train",), "training-failed", message, hint)) from error


_MONITORING_CALLBACKS = (keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau)


class _HistoryCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Records each epoch and reports progress to the observer."""

    def __init__(
        self,
        result: FitResult,
        observer: TrainingObserver,
        *,
        metric_order: Sequence[str],
        examples: int,
        batch_size: int,
    ) -> None:
        super().__init__()
        self._result = result
        self._observer = observer
        self._callbacks: Sequence[Any] = ()
        self._stage: int | None = None
        self._examples = examples
        self._batch_size = batch_size
        self._epoch_examples = examples
        """Examples that were trained on in the current epoch."""
        self._metric_order = metric_order
        self._epoch = 0
        self._epoch_start = self._last_step_time = self._last_report_time = 0.0
        self._earlier_seconds = 0.0
        """Seconds of the current epoch before it was interrupted."""
        self._train_seconds = 0.0

    def begin_stage(self, stage: int | None, callbacks: Sequence[Any]) -> None:
        """Record the following epochs with the number of their stage, if there are stages."""
        self._stage, self._callbacks = stage, callbacks

    def get_state(self) -> dict[str, float]:
        """Return the state for a checkpoint."""
        is_mid_epoch = self._epoch_start and self._epoch > len(self._result.records)
        return {
            "seconds": self._train_seconds,
            "before": self._earlier_seconds + time.perf_counter() - self._epoch_start
            if is_mid_epoch
            else 0.0,
        }

    def restore_state(self, state: Mapping[str, float]) -> None:
        """Restore the state of a checkpoint."""
        self._train_seconds, self._earlier_seconds = state["seconds"], state["before"]

    @property
    def examples_per_second(self) -> float:
        """The average speed over all epochs, training steps only."""
        examples = self._examples * (len(self._result.records) - 1) + self._epoch_examples
        return examples / self._train_seconds if self._train_seconds else 0.0

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras's signature
        for callback in self._callbacks:
            if isinstance(callback, _MONITORING_CALLBACKS) and callback.best is None:
                # Keras uses the first value as the best; after a NaN, no value would be better.
                callback.best = -math.inf if callback.mode == "max" else math.inf

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._epoch = epoch + 1
        self._epoch_start = self._last_step_time = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._last_step_time = time.perf_counter()
        self._epoch_examples = min((batch + 1) * self._batch_size, self._examples)
        if self._last_step_time - self._last_report_time >= _REPORT_INTERVAL_SECONDS:
            self._last_report_time = self._last_step_time
            self._observer.finish_step(self._epoch, batch + 1, order_logs(logs or {}, self._metric_order))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._record_epoch(epoch, logs or {})

    def record_divergence(self, error: DivergedError) -> None:
        """Record the epoch that ended early."""
        self._record_epoch(error.epoch, error.logs)

    def _record_epoch(self, epoch: int, logs: Mapping[str, Any]) -> None:
        step_seconds = self._earlier_seconds + self._last_step_time - self._epoch_start
        self._train_seconds += step_seconds
        record = {
            "epoch": epoch + 1,
            **({} if self._stage is None else {"stage": self._stage}),
            **order_logs(logs, self._metric_order),
            "seconds": round(self._earlier_seconds + time.perf_counter() - self._epoch_start, 4),
            "examples_per_second": round(self._epoch_examples / step_seconds, 1) if step_seconds else 0.0,
        }
        self._earlier_seconds = 0.0
        self._result.records.append(record)
        self._observer.finish_epoch(record)
