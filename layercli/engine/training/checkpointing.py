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
from layercli.engine.training.training_limit import TrainingLimit

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
    ``limit`` ends the training between two steps, with a checkpoint. ``is_last_stage`` returns whether the training is
    over after its current stage.
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
        limit: TrainingLimit | None = None,
        is_last_stage: Callable[[], bool] = lambda: True,
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
        self._limit = limit or TrainingLimit(None, 0)
        self._is_last_stage = is_last_stage
        self.position = start
        """The progress of the training."""
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
        self._limit.start_clock()
        self.model.stop_training |= self._limit.was_reached

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        if self._snapshot is not None and self._start.step:
            restore_training(
                self.model, self._callbacks, self._snapshot, self._changes
            )  # including the metrics, which have just been reset
        self._snapshot = None  # later epochs start from their own state

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.position = Position(self.position.epoch, batch + 1)
        steps_done = self.position.epoch * self._steps_per_epoch + batch + 1
        schedule = self._schedule
        self._is_due |= schedule.steps is not None and steps_done % schedule.steps == 0
        self._is_due |= (
            schedule.minutes is not None and time.monotonic() - self._last_save_time >= 60 * schedule.minutes
        )
        if self._should_stop():
            self._save_checkpoint()
            raise TrainingStoppedError(self.position)
        if self.position.step == self._steps_per_epoch:
            return  # on_epoch_end saves a more complete checkpoint
        if self._limit.is_over(steps_done) and not self.model.stop_training:
            self._limit.is_reached = True
            self._save_checkpoint()
            self.model.stop_training = True
        elif self._is_due:
            self._save_checkpoint()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        if self._limit.is_reached:
            return  # the checkpoint is from the middle of this epoch
        self.position = Position(epoch + 1, 0)
        is_stage_over = epoch + 1 == self.params["epochs"] or self.model.stop_training
        is_last = is_stage_over and self._is_last_stage()
        should_stop = self._should_stop()
        is_over = self._limit.is_over((epoch + 1) * self._steps_per_epoch)
        self._limit.is_reached = is_over and not is_last and not should_stop
        if (
            is_stage_over
            or self._limit.is_reached
            or self._is_due
            or should_stop
            or self._is_epoch_due(epoch + 1)
        ):
            self._save_checkpoint()
        if should_stop and not is_last:
            raise TrainingStoppedError(self.position)
        self.model.stop_training |= self._limit.is_reached

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
        steps_done = self.position.epoch * self._steps_per_epoch + self.position.step
        limit_state = self._limit.get_state(steps_done)
        until = {} if limit_state is None else {"until": limit_state}
        state = {**snapshot.state, **self._extra_state(), **until, "stopped": bool(self.model.stop_training)}
        self._store.save(*self.position, snapshot.arrays, state)
        self.saved_position = self.position
        self._is_due = False
        self._last_save_time = time.monotonic()
        self._save_seconds = self._last_save_time - save_start
