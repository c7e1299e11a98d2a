"""Train a model with its callbacks and checkpoints, and evaluate it on the test set."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import keras

from layercli import runtime
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
from layercli.engine.training.execution_plan import ExecutionPlan
from layercli.engine.training.feed import Feed, make_feed
from layercli.engine.training.log_values import order_logs, to_python
from layercli.engine.training.loop import TRAINING_START, Position, TrainingLoop
from layercli.engine.training.multi_worker import Workers, is_lost_peer
from layercli.engine.training.paired_augmentation import make_training_step
from layercli.engine.training.snapshot import IncompatibleSnapshotError, Snapshot, is_finite, restore_layers
from layercli.engine.training.training_limit import TrainingLimit
from layercli.engine.unknown_ids import check_computed_ids, explain_id_error
from layercli.errors import LayercliError, Problem
from layercli.graph.adaptable import should_adapt
from layercli.graph.best_epoch import find_best_epoch, summarize_epoch
from layercli.graph.training_notes import EarlyStop, LimitStop
from layercli.runs.resume_command import format_resume_command


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
        with _reporting_model_errors(valid, assembled):
            adapt_layers(assembled, valid, splits.train)
            check_computed_ids(assembled, valid, splits)
        release_memory()
    else:
        restore_layers(adapted_layers, snapshot)
    with _reporting_model_errors(valid, assembled):
        compile_model(model, train, valid)
        callbacks = [
            build_callback(callback, run_dir, valid, index) for index, callback in enumerate(train.callbacks)
        ]
    result = FitResult() if snapshot is None else FitResult(list(snapshot.state["records"]))
    metric_order = list(collect_log_names(train, valid.graph.output_references))
    history_callback = _HistoryCallback(
        result,
        observer,
        callbacks,
        metric_order=metric_order,
        examples=len(splits.train),
        batch_size=train.batch_size,
    )
    start = checkpointing.start
    limit = TrainingLimit(
        train.until,
        start.epoch * -(-len(splits.train) // train.batch_size) + start.step,
        None if snapshot is None else snapshot.state.get("until"),
        should_renew=checkpointing.should_renew_limit,
    )
    was_stopped = False
    if snapshot is not None:
        history_callback.restore_state(snapshot.state["watch"])
        is_unchanged = checkpointing.changes is None and train.epochs == snapshot.state["epochs"]
        was_stopped = (snapshot.state["stopped"] and is_unchanged) or (limit.was_reached and not start.step)
    stream = plan.feed == "stream"
    with _reporting_model_errors(valid, assembled):
        workers = Workers() if runtime.cluster is not None else None
        if workers is not None:
            limit.share_time(workers.share_time_limit)
        loop = TrainingLoop(
            model,
            make_feed(splits.train, train.batch_size, stream=stream),
            max_steps_per_call=plan.steps_per_execution,
            seed=valid.config.seed if valid.config.data is None or valid.config.data.shuffle else None,
            validation=make_feed(splits.validation, train.batch_size, stream=stream)
            if len(splits.validation)
            else None,
            jit_compile=plan.jit_compile,
            checkpoint_every=train.checkpoints.steps,
            last_step=limit.last_step,
            workers=workers,
            train_step=make_training_step(assembled, valid, splits.train),
        )
        diagnostics = _make_diagnostics(assembled, valid, train, splits, observer, checkpointing)
        checkpoint_callback = CheckpointCallback(
            checkpointing.store,
            train.checkpoints,
            adapted_layers=adapted_layers,
            callbacks=callbacks,
            steps_per_epoch=loop.steps_per_epoch,
            should_stop=checkpointing.should_stop
            if workers is None
            else workers.share_stop(checkpointing.should_stop),
            extra_state=lambda: {
                "records": result.records,
                "watch": history_callback.get_state(),
                "epochs": train.epochs,
            },
            start=start,
            snapshot=snapshot,
            changes=checkpointing.changes,
            limit=limit,
        )
        epochs = start.epoch if was_stopped else train.epochs
        try:
            loop.run(
                [DivergenceGuard(), *callbacks, history_callback, *diagnostics, checkpoint_callback],
                epochs=epochs,
                start=start,
            )
        except CallbackStateError as error:
            index = next(index for index, callback in enumerate(callbacks) if callback is error.callback)
            raise explain_custom_error(error, valid) or LayercliError(
                valid.make_problem(("train", "callbacks", index), "custom-object", f"{error}.", STATE_HINT)
            ) from error
        except DivergedError as error:
            history_callback.record_divergence(error)
            for callback in diagnostics:
                callback.record(error.epoch + 1)
            cause = f"Training stopped: the loss became {to_python(error.logs['loss'])} in epoch {error.epoch + 1}"
            raise LayercliError(
                _divergence_problem(valid, cause, run_dir, checkpoint_callback.saved_position)
            ) from None
        finally:
            _close_callbacks(callbacks)
        if not is_finite(model):
            cause = "Weights became NaN or infinite in the last steps"
            raise LayercliError(
                _divergence_problem(valid, cause, run_dir, checkpoint_callback.saved_position)
            )
    result.examples_per_second = history_callback.examples_per_second
    restored_record = _restored_record(result.records, callbacks)
    result.restored_epoch = restored_record.get("epoch")
    if limit.is_reached:
        result.limit_stop = LimitStop(*checkpoint_callback.position, loop.steps_per_epoch)
    else:
        result.early_stop = _find_early_stop(len(result.records), callbacks)
    result.best_record = restored_record or find_best_epoch(result.records, train)
    release_memory()
    test_feed = make_feed(splits.test, train.batch_size, stream=stream) if len(splits.test) else None
    if test_feed is not None:
        result.test_metrics = order_logs(loop.evaluate(test_feed), metric_order)
    if workers is None:
        _compare_with_baseline(result, model, valid, splits, metric_order, plan, test_feed)
    return result


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


def _make_diagnostics(
    assembled: AssembledModel,
    valid: ValidConfig,
    train: TrainSection,
    splits: Splits,
    observer: TrainingObserver,
    checkpointing: CheckpointSettings,
) -> list[DiagnosticsCallback]:
    """Return the callback for `train.diagnostics`; only the first process of a group has one."""
    if not train.diagnostics or (runtime.cluster is not None and runtime.cluster.rank):
        return []
    probe = LayerProbe(assembled, valid, splits.train)
    is_resumed = checkpointing.snapshot is not None
    return [DiagnosticsCallback(probe, observer.record_diagnostics, is_resumed=is_resumed)]


def _close_callbacks(callbacks: Iterable[Any]) -> None:
    """Close the files that callbacks leave open if training does not finish."""
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.CSVLogger) and callback.csv_file is not None:
            callback.csv_file.close()


def _divergence_problem(
    valid: ValidConfig, cause: str, run_dir: Path, saved_position: Position | None
) -> Problem:
    """Return the problem that training diverged, with the position of the last valid checkpoint."""
    advice = "Lower the learning rate, scale the inputs (Rescaling or Normalization), or set `clipnorm: 1` on the optimizer"
    if saved_position is None:
        return valid.make_problem(("train", "loss"), "loss-not-finite", f"{cause}.", f"{advice}.")
    saved_text = (
        f"epoch {saved_position.epoch + 1}, step {saved_position.step}"
        if saved_position.step
        else f"the end of epoch {saved_position.epoch}"
    )
    message = f"{cause}. The last valid checkpoint is from {saved_text}."
    rate = f"--set train.optimizer.learning_rate={_find_smaller_rate(valid):g}"
    command = format_resume_command(run_dir, "--allow-changes", rate, needs_trust=valid.needs_trust)
    return valid.make_problem(
        ("train", "loss"), "loss-not-finite", message, f"{advice}. Resume from the checkpoint with {command}."
    )


def _find_smaller_rate(valid: ValidConfig) -> float:
    """Return a tenth of the learning rate; of a schedule, a tenth of Keras's default."""
    optimizer = None if valid.config.train is None else valid.config.train.optimizer
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


def _restored_record(records: list[dict[str, Any]], callbacks: list[Any]) -> dict[str, Any]:
    """Return the record of the epoch whose weights a callback restored, if any."""
    for callback in reversed(callbacks):
        if isinstance(callback, keras.callbacks.EarlyStopping) and callback.best_weights is not None:
            return summarize_epoch(records[callback.best_epoch], callback.monitor)
    return {}


@contextmanager
def _reporting_model_errors(valid: ValidConfig, assembled: AssembledModel) -> Iterator[None]:
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
        message = f"Training stopped: {summarize_error(error)}"
        raise LayercliError(valid.make_problem(("train",), "training-failed", message, hint)) from error


_MONITORING_CALLBACKS = (keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau)


class _HistoryCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Records each epoch and reports progress to the observer."""

    def __init__(
        self,
        result: FitResult,
        observer: TrainingObserver,
        callbacks: Sequence[Any],
        *,
        metric_order: Sequence[str],
        examples: int,
        batch_size: int,
    ) -> None:
        super().__init__()
        self._result = result
        self._observer = observer
        self._callbacks = callbacks
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
            **order_logs(logs, self._metric_order),
            "seconds": round(self._earlier_seconds + time.perf_counter() - self._epoch_start, 4),
            "examples_per_second": round(self._epoch_examples / step_seconds, 1) if step_seconds else 0.0,
        }
        self._earlier_seconds = 0.0
        self._result.records.append(record)
        self._observer.finish_epoch(record)
