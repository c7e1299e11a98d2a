"""Fit and evaluate: what came of it, and who is told."""

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
from layercli.config.training.log_names import collect_log_names
from layercli.config.training.metrics import NON_METRIC_KEYS
from layercli.config.training.resume_changes import ResumeChanges
from layercli.config.training.section import TrainSection
from layercli.data.examples import DataError, Splits
from layercli.engine.adapt import adapt, learners
from layercli.engine.assemble import Assembled
from layercli.engine.keras_errors import refusals, said
from layercli.engine.training.checkpointing import DivergedError, Guard, Keeper, StoppedError, Store
from layercli.engine.training.compile import compile_model, declared_callback
from layercli.engine.training.execution_plan import Plan
from layercli.engine.training.feed import feed_for
from layercli.engine.training.logs import loss_first, plain
from layercli.engine.training.loop import BEGINNING, Loop, Position
from layercli.engine.training.multi_worker import Workers, is_loss
from layercli.engine.training.snapshot import Snapshot, UnfitSnapshotError, is_finite, put_back_layers
from layercli.errors import LayercliError, Problem
from layercli.graph.adaptable import should_adapt
from layercli.graph.checks.monitors import find_best_epoch, summarize_epoch


class Observer(Protocol):
    """Who is told how training goes."""

    def step(self, epoch: int, step: int, logs: Mapping[str, float]) -> None:
        """A step is done, and the last news is a moment old; both count from 1."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """An epoch is done: its number, metrics, seconds and examples per second."""


@dataclass(slots=True)
class Fitted:
    """What came of a training."""

    records: list[dict[str, Any]] = field(default_factory=list)
    """A line of the history for each epoch."""
    test: dict[str, float] = field(default_factory=dict)
    best: dict[str, Any] = field(default_factory=dict)
    """The best epoch's number and metrics, and what they were judged by."""
    restored: int | None = None
    """The epoch whose weights a callback has put back into the model; None: they are those of the end."""
    examples_per_second: float = 0.0

    @property
    def history(self) -> dict[str, list[float]]:
        """Each metric over the epochs."""
        names = [name for name in (self.records[0] if self.records else {}) if name not in NON_METRIC_KEYS]
        return {name: [record.get(name, math.nan) for record in self.records] for name in names}


_NEWS_SECONDS = 0.1
"""Shortest time between two reports of a step: nobody reads faster, and reading the metrics costs time."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where a training keeps its checkpoints, whether it is to stop, and where it goes on."""

    store: Store
    told: Callable[[], bool] = bool
    """Whether a signal has come; by default, none ever does."""
    start: Position = BEGINNING
    snapshot: Snapshot | None = None
    changes: ResumeChanges | None = None
    """How the config differs from that of the snapshot, where that is allowed."""


def fit(
    assembled: Assembled,
    valid: ValidConfig,
    train: TrainSection,
    parts: Splits,
    observer: Observer,
    run: Path,
    plan: Plan,
    keeping: Keeping,
) -> Fitted:
    """Train the model and evaluate it on the test part.

    Raises:
        LayercliError: the loss became NaN or infinite.
        StoppedError: it was told to stop, and has kept a checkpoint.
        UnfitSnapshotError: the checkpoint is of another model.
    """
    model, snapshot = assembled.model, keeping.snapshot
    learning = [
        layer
        for node in valid.graph.nodes
        if should_adapt(node)
        for layer in learners(assembled.layers[node.name], node.layer)
    ]
    if snapshot is None:
        adapt(assembled, valid, parts.train)
    else:
        put_back_layers(learning, snapshot)
    compile_model(model, train)
    declared = [
        declared_callback(callback, run, valid, index) for index, callback in enumerate(train.callbacks)
    ]
    fitted = Fitted() if snapshot is None else Fitted(list(snapshot.state["records"]))
    order = list(collect_log_names(train, valid.graph.output_references))
    watch = _Watch(fitted, observer, declared, order=order, examples=len(parts.train))
    stopped = False
    if snapshot is not None:
        watch.recall(snapshot.state["watch"])
        same = keeping.changes is None and train.epochs == snapshot.state["epochs"]
        stopped = snapshot.state["stopped"] and same
    stream = plan.feed == "stream"
    with _refusals(valid):
        workers = Workers() if runtime.cluster is not None else None
        loop = Loop(
            model,
            feed_for(parts.train, train.batch_size, stream=stream),
            most=plan.steps_per_execution,
            seed=valid.config.seed if valid.config.data is None or valid.config.data.shuffle else None,
            validation=feed_for(parts.validation, train.batch_size, stream=stream)
            if len(parts.validation)
            else None,
            jit_compile=plan.jit_compile,
            cut=train.checkpoints.steps,
            workers=workers,
        )
        keeper = Keeper(
            keeping.store,
            train.checkpoints,
            layers=learning,
            callbacks=declared,
            steps=loop.steps,
            told=keeping.told if workers is None else workers.heed(keeping.told),
            more=lambda: {"records": fitted.records, "watch": watch.memory(), "epochs": train.epochs},
            start=keeping.start,
            snapshot=snapshot,
            changes=keeping.changes,
        )
        epochs = keeping.start.epoch if stopped else train.epochs
        try:
            loop.run([Guard(), *declared, watch, keeper], epochs=epochs, start=keeping.start)
        except DivergedError as error:
            watch.diverged(error)
            what = f"The loss became {plain(error.logs['loss'])} in epoch {error.epoch + 1}; training stopped"
            raise LayercliError(_not_finite(valid, what, run, keeper.saved)) from None
        finally:
            _close(declared)
        if not is_finite(model):
            what = "The last steps made weights that are no numbers"
            raise LayercliError(_not_finite(valid, what, run, keeper.saved))
    fitted.examples_per_second = watch.examples_per_second
    restored = _restored(fitted.records, declared)
    fitted.restored = restored.get("epoch")
    fitted.best = restored or find_best_epoch(fitted.records, train)
    if len(parts.test):
        test = feed_for(parts.test, train.batch_size, stream=stream)
        fitted.test = loss_first(loop.evaluate(test), order)
    return fitted


def _close(callbacks: Iterable[Any]) -> None:
    """Close what callbacks leave open where training does not come to its end."""
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.CSVLogger) and callback.csv_file is not None:
            callback.csv_file.close()


def _not_finite(valid: ValidConfig, said: str, run: Path, saved: Position | None) -> Problem:
    """What became infinite or NaN, where the last state before that is, and what to do."""
    mend = "Lower the learning rate, scale the inputs (Rescaling or Normalization), or set `clipnorm: 1` on the optimizer"
    if saved is None:
        return valid.make_problem(("train", "loss"), "loss-not-finite", f"{said}.", f"{mend}.")
    where = (
        f"after {saved.step} steps of epoch {saved.epoch + 1}" if saved.step else f"after epoch {saved.epoch}"
    )
    message = f"{said}. The last good checkpoint stands, {where}."
    again = f"`layercli train --resume {run} --allow-changes --set train.optimizer.learning_rate=...`"
    return valid.make_problem(
        ("train", "loss"), "loss-not-finite", message, f"{mend}: {again} goes on from there."
    )


def _restored(records: list[dict[str, Any]], callbacks: list[Any]) -> dict[str, Any]:
    """The epoch whose weights a callback has put back, if one has."""
    for callback in reversed(callbacks):
        if isinstance(callback, keras.callbacks.EarlyStopping) and callback.best_weights is not None:
            return summarize_epoch(records[callback.best_epoch], callback.monitor)
    return {}


@contextmanager
def _refusals(valid: ValidConfig) -> Iterator[None]:
    """What Keras and TensorFlow refuse while they run is a problem of the config.

    Raises:
        LayercliError: they refused it.
    """
    ours = (LayercliError, StoppedError, UnfitSnapshotError, DataError, OSError)
    hint = "Look at the loss and the metrics: they must fit the targets and the model's output."
    if valid.custom_layers:
        hint = (
            "Look at your own layers, and at the loss and metrics: they must fit the targets and the output."
        )
    try:
        yield
    except ours:
        raise
    except refusals(valid) as error:
        if runtime.cluster is not None and is_loss(error):
            message = f"Another process of the group is gone, or cannot be reached: {said(error)}"
            hint = "Begin all of them again; `train --resume RUN` goes on from the last checkpoint."
            raise LayercliError(Problem(code="worker-lost", message=message, hint=hint)) from error
        message = f"Training stopped: {said(error)}"
        raise LayercliError(valid.make_problem(("train",), "training-failed", message, hint)) from error


_WATCHING = (keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau)


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Records each epoch and passes the news on."""

    def __init__(
        self,
        fitted: Fitted,
        observer: Observer,
        callbacks: Sequence[Any],
        *,
        order: Sequence[str],
        examples: int,
    ) -> None:
        super().__init__()
        self._fitted = fitted
        self._observer = observer
        self._callbacks = callbacks
        self._examples = examples
        self._order = order
        self._epoch = 0
        self._began = self._stepped = self._told = 0.0
        self._before = 0.0
        """Seconds that the running epoch took before it was interrupted."""
        self._seconds = 0.0

    def memory(self) -> dict[str, float]:
        """What to remember in a checkpoint."""
        inside = self._began and self._epoch > len(self._fitted.records)
        return {
            "seconds": self._seconds,
            "before": self._before + time.perf_counter() - self._began if inside else 0.0,
        }

    def recall(self, memory: Mapping[str, float]) -> None:
        """Go on with what was remembered."""
        self._seconds, self._before = memory["seconds"], memory["before"]

    @property
    def examples_per_second(self) -> float:
        """Over all epochs, training steps alone."""
        return self._examples * len(self._fitted.records) / self._seconds if self._seconds else 0.0

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras's signature
        for callback in self._callbacks:
            if isinstance(callback, _WATCHING) and callback.best is None:
                # Keras takes the first value for the best, and after a NaN nothing would ever be better.
                callback.best = -math.inf if callback.mode == "max" else math.inf

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._epoch = epoch + 1
        self._began = self._stepped = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._stepped = time.perf_counter()
        if self._stepped - self._told >= _NEWS_SECONDS:
            self._told = self._stepped
            self._observer.step(self._epoch, batch + 1, loss_first(logs or {}, self._order))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._record(epoch, logs or {})

    def diverged(self, error: DivergedError) -> None:
        """Record the epoch that ended early."""
        self._record(error.epoch, error.logs)

    def _record(self, epoch: int, logs: Mapping[str, Any]) -> None:
        stepping = self._before + self._stepped - self._began
        self._seconds += stepping
        record = {
            "epoch": epoch + 1,
            **loss_first(logs, self._order),
            "seconds": round(self._before + time.perf_counter() - self._began, 4),
            "examples_per_second": round(self._examples / stepping, 1) if stepping else 0.0,
        }
        self._before = 0.0
        self._fitted.records.append(record)
        self._observer.epoch(record)
