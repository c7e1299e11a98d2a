"""Fit and evaluate: what came of it, and who is told."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from layercli.check import Valid
from layercli.config.metrics import BOOKKEEPING
from layercli.config.train import TrainSection
from layercli.data.arrays import Parts
from layercli.engine.adapting import adapt
from layercli.engine.assemble import Assembled
from layercli.engine.compiling import compile_model, declared_callback
from layercli.engine.execution import Plan
from layercli.engine.feed import feed_for
from layercli.engine.loop import Loop
from layercli.engine.refusals import said
from layercli.errors import LayercliError
from layercli.graph.monitors import best_epoch, epoch_of


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
    examples_per_second: float = 0.0

    @property
    def history(self) -> dict[str, list[float]]:
        """Each metric over the epochs."""
        names = [name for name in (self.records[0] if self.records else {}) if name not in BOOKKEEPING]
        return {name: [record.get(name, math.nan) for record in self.records] for name in names}


_NEWS_SECONDS = 0.1
"""Shortest time between two reports of a step: nobody reads faster, and reading the metrics costs time."""


def fit(
    assembled: Assembled,
    valid: Valid,
    train: TrainSection,
    parts: Parts,
    observer: Observer,
    run: Path,
    plan: Plan,
) -> Fitted:
    """Train the model and evaluate it on the test part.

    Raises:
        LayercliError: the loss became NaN or infinite.
    """
    model = assembled.model
    adapt(assembled, valid, parts.train)
    compile_model(model, train)
    fitted = Fitted()
    watch = _Watch(fitted, observer, examples=len(parts.train))
    declared = [
        declared_callback(callback, run, valid, index) for index, callback in enumerate(train.callbacks)
    ]
    with _refusals(valid):
        stream = plan.feed == "stream"
        loop = Loop(
            model,
            feed_for(parts.train, train.batch_size, stream=stream),
            most=plan.steps_per_execution,
            seed=valid.config.seed if valid.config.data is None or valid.config.data.shuffle else None,
            validation=feed_for(parts.validation, train.batch_size, stream=stream)
            if len(parts.validation)
            else None,
            jit_compile=plan.jit_compile,
        )
        loop.run([*declared, watch], epochs=train.epochs)
    if watch.diverged is not None:
        raise LayercliError(
            valid.problem(
                ("train", "loss"),
                "loss-not-finite",
                f"The loss became {watch.diverged} in epoch {len(fitted.records)}; training stopped.",
                "Lower the learning rate, scale the inputs (Rescaling or Normalization), or set "
                "`clipnorm: 1` on the optimizer.",
            )
        )
    fitted.examples_per_second = watch.examples_per_second
    fitted.best = _restored(fitted.records, declared) or best_epoch(fitted.records, train)
    if len(parts.test):
        fitted.test = _loss_first(loop.evaluate(feed_for(parts.test, train.batch_size, stream=stream)))
    return fitted


def _restored(records: list[dict[str, Any]], callbacks: list[Any]) -> dict[str, Any]:
    """The epoch whose weights a callback has put back, if one has."""
    for callback in reversed(callbacks):
        if isinstance(callback, keras.callbacks.EarlyStopping) and callback.best_weights is not None:
            return epoch_of(records[callback.best_epoch], callback.monitor)
    return {}


@contextmanager
def _refusals(valid: Valid) -> Iterator[None]:
    """What Keras and TensorFlow refuse while they run is a problem of the config.

    Raises:
        LayercliError: they refused it.
    """
    refusals: tuple[type[Exception], ...] = (ValueError, TypeError, tf.errors.OpError)
    hint = "Look at the loss and the metrics: they must fit the targets and the model's output."
    if valid.custom_layers:
        refusals = (Exception,)  # whatever the user's code may raise
        hint = (
            "Look at your own layers, and at the loss and metrics: they must fit the targets and the output."
        )
    try:
        yield
    except refusals as error:
        message = f"Training stopped: {said(error)}"
        raise LayercliError(valid.problem(("train",), "training-failed", message, hint)) from error


def _loss_first(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Keras's logs as plain numbers; training before validation, and the loss before the metrics."""
    names = sorted(logs, key=lambda name: (name.startswith("val_"), not name.endswith("loss")))
    return {name: _plain(logs[name]) for name in names}


def _plain(value: Any) -> Any:
    """A logged value as a number; one that has a number for each class as a list."""
    array = np.asarray(value)
    return float(array) if array.ndim == 0 else array.astype(float).tolist()


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Records each epoch and passes the news on."""

    def __init__(self, fitted: Fitted, observer: Observer, *, examples: int) -> None:
        super().__init__()
        self.diverged: float | None = None
        self._fitted = fitted
        self._observer = observer
        self._examples = examples
        self._epoch = 0
        self._began = self._stepped = self._told = 0.0
        self._seconds = 0.0

    @property
    def examples_per_second(self) -> float:
        """Over all epochs, training steps alone."""
        return self._examples * len(self._fitted.records) / self._seconds if self._seconds else 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras's signature
        self._epoch = epoch + 1
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._stepped = time.perf_counter()
        if self._stepped - self._told >= _NEWS_SECONDS:
            self._told = self._stepped
            self._observer.step(self._epoch, batch + 1, _loss_first(logs or {}))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        metrics = _loss_first(logs or {})
        stepping = self._stepped - self._began
        self._seconds += stepping
        record = {
            "epoch": epoch + 1,
            **metrics,
            "seconds": round(time.perf_counter() - self._began, 4),
            "examples_per_second": round(self._examples / stepping, 1) if stepping else 0.0,
        }
        self._fitted.records.append(record)
        self._observer.epoch(record)
        if not math.isfinite(metrics.get("loss", 0.0)):
            self.diverged = metrics["loss"]
            self.model.stop_training = True
