"""Callbacks that save checkpoints, stop at a signal and detect divergence."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import keras

from layercli.config.training.execution import CheckpointsConfig
from layercli.config.training.resume_changes import ResumeChanges
from layercli.engine.training.loop import TRAINING_START, Position
from layercli.engine.training.snapshot import (
    Snapshot,
    is_finite,
    restore_callback_files,
    restore_training,
    take_snapshot,
)

_SAVE_TIME_RATIO: Final = 20
"""Automatic checkpoints take at most 1/20 of the training time."""


class CheckpointSink(Protocol):
    """A store for checkpoints."""

    def save(self, epoch: int, step: int, arrays: Mapping[str, Any], state: Mapping[str, Any]) -> object:
        """Save the state after ``epoch`` complete epochs and ``step`` steps of the next one."""


class TrainingStoppedError(Exception):
    """A signal stopped the training; the last checkpoint contains all progress."""

    def __init__(self, position: Position) -> None:
        super().__init__(f"stopped at epoch {position.epoch + 1}, step {position.step}")
        self.position = position


class DivergedError(Exception):
    """The loss became NaN or infinite."""

    def __init__(self, epoch: int, logs: Mapping[str, Any]) -> None:
        super().__init__(f"the loss became {logs['loss']}")
        self.epoch = epoch
        self.logs = logs


class DivergenceGuard(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Ends training if the loss is NaN or infinite; must be the first callback."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras's signature
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        if logs and not math.isfinite(logs.get("loss", 0.0)):
            raise DivergedError(self._epoch, logs)


class CheckpointCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Saves checkpoints, resumes from one, and stops between two steps on request; must be the last callback.

    ``should_stop`` reports a stop request. ``extra_state`` returns JSON values that each checkpoint also contains.
    """

    def __init__(
        self,
        store: CheckpointSink,
        schedule: CheckpointsConfig,
        *,
        adapted_layers: Sequence[Any],
        callbacks: Sequence[Any],
        steps_per_epoch: int,
        should_stop: Callable[[], bool],
        extra_state: Callable[[], dict[str, Any]],
        start: Position = TRAINING_START,
        snapshot: Snapshot | None = None,
        changes: ResumeChanges | None = None,
    ) -> None:
        super().__init__()
        self._store = store
        self._schedule = schedule
        self._adapted_layers = adapted_layers
        self._callbacks = callbacks
        self._steps_per_epoch = steps_per_epoch
        self._should_stop = should_stop
        self._extra_state = extra_state
        self._start = start
        self._snapshot = snapshot
        self._changes = changes
        self._position = start
        self.saved_position = start if snapshot is not None else None
        """The position in the last checkpoint; None: there is none."""
        self._is_due = False
        self._last_save_time = time.monotonic()
        self._save_seconds = 0.0
        if snapshot is not None:
            restore_callback_files(callbacks, snapshot, changes)

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras's signature
        if self._snapshot is not None:
            restore_training(self.model, self._callbacks, self._snapshot, self._changes)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        if self._snapshot is not None and self._start.step:
            restore_training(
                self.model, self._callbacks, self._snapshot, self._changes
            )  # including the metrics, which have just been reset
        self._snapshot = None  # later epochs start from their own state

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._position = Position(self._position.epoch, batch + 1)
        steps_done = self._position.epoch * self._steps_per_epoch + batch + 1
        schedule = self._schedule
        self._is_due |= schedule.steps is not None and steps_done % schedule.steps == 0
        self._is_due |= (
            schedule.minutes is not None and time.monotonic() - self._last_save_time >= 60 * schedule.minutes
        )
        if self._should_stop():
            self._save_checkpoint()
            raise TrainingStoppedError(self._position)
        if (
            self._is_due and self._position.step < self._steps_per_epoch
        ):  # at the end of the epoch, on_epoch_end saves a more complete one
            self._save_checkpoint()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._position = Position(epoch + 1, 0)
        is_last = epoch + 1 == self.params["epochs"] or self.model.stop_training
        if is_last or self._is_due or self._should_stop() or self._is_epoch_due(epoch + 1):
            self._save_checkpoint()
        if self._should_stop() and not is_last:
            raise TrainingStoppedError(self._position)

    def _is_epoch_due(self, epochs: int) -> bool:
        schedule = self._schedule
        if schedule.epochs is not None:
            return epochs % schedule.epochs == 0
        if schedule.steps is not None or schedule.minutes is not None:
            return False
        return time.monotonic() - self._last_save_time >= _SAVE_TIME_RATIO * self._save_seconds

    def _save_checkpoint(self) -> None:
        if not is_finite(self.model):
            return  # keep the last valid checkpoint; the next loss reports the divergence
        save_start = time.monotonic()
        snapshot = take_snapshot(self.model, self._adapted_layers, self._callbacks)
        state = {**snapshot.state, **self._extra_state(), "stopped": bool(self.model.stop_training)}
        self._store.save(*self._position, snapshot.arrays, state)
        self.saved_position = self._position
        self._is_due = False
        self._last_save_time = time.monotonic()
        self._save_seconds = self._last_save_time - save_start
