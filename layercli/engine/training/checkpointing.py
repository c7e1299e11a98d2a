"""When a checkpoint is due, and what happens at a signal: the last of a training's callbacks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import keras

from layercli.config.training.execution import CheckpointsConfig
from layercli.config.training.resume_changes import ResumeChanges
from layercli.engine.training.loop import BEGINNING, Position
from layercli.engine.training.snapshot import Snapshot, is_finite, put_back, put_back_files, taken

_SHARE: Final = 20
"""Checkpoints that nobody asked for take at most one part in so many of the time."""


class Store(Protocol):
    """Where checkpoints go."""

    def save(self, epoch: int, step: int, arrays: Mapping[str, Any], state: Mapping[str, Any]) -> object:
        """Keep a state: after whole epochs, and steps of the next one."""


class StoppedError(Exception):
    """A signal has ended the training; all that was done is in the last checkpoint."""

    def __init__(self, position: Position) -> None:
        super().__init__(f"stopped in epoch {position.epoch + 1} after {position.step} steps")
        self.position = position


class DivergedError(Exception):
    """The loss became NaN or infinite."""

    def __init__(self, epoch: int, logs: Mapping[str, Any]) -> None:
        super().__init__(f"the loss became {logs['loss']}")
        self.epoch = epoch
        self.logs = logs


class Guard(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Ends training before anyone else hears of a loss that is no number; the first of the callbacks."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras's signature
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        if logs and not math.isfinite(logs.get("loss", 0.0)):
            raise DivergedError(self._epoch, logs)


class Keeper(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps checkpoints, goes on from one, and stops between two steps when it is told to.

    ``told`` is whether to stop; ``more`` gives what else a checkpoint must hold, and is given it back by ``recall``.
    """

    def __init__(
        self,
        store: Store,
        schedule: CheckpointsConfig,
        *,
        layers: Sequence[Any],
        callbacks: Sequence[Any],
        steps: int,
        told: Callable[[], bool],
        more: Callable[[], dict[str, Any]],
        start: Position = BEGINNING,
        snapshot: Snapshot | None = None,
        changes: ResumeChanges | None = None,
    ) -> None:
        super().__init__()
        self._store = store
        self._schedule = schedule
        self._layers = layers
        self._callbacks = callbacks
        self._steps = steps
        self._told = told
        self._more = more
        self._start = start
        self._snapshot = snapshot
        self._changes = changes
        self._position = start
        self.saved = start if snapshot is not None else None
        """What the last checkpoint holds; None: there is none."""
        self._due = False
        self._saved = time.monotonic()
        self._cost = 0.0
        if snapshot is not None:
            put_back_files(callbacks, snapshot, changes)

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras's signature
        if self._snapshot is not None:
            put_back(self.model, self._callbacks, self._snapshot, self._changes)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        if self._snapshot is not None and self._start.step and epoch == self._start.epoch:
            put_back(
                self.model, self._callbacks, self._snapshot, self._changes
            )  # metrics, too, which have just been reset
        self._snapshot = None if epoch >= self._start.epoch else self._snapshot

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._position = Position(self._position.epoch, batch + 1)
        done = self._position.epoch * self._steps + batch + 1
        asked = self._schedule
        self._due |= asked.steps is not None and done % asked.steps == 0
        self._due |= asked.minutes is not None and time.monotonic() - self._saved >= 60 * asked.minutes
        if self._told():
            self._save()
            raise StoppedError(self._position)
        if self._due and self._position.step < self._steps:  # else the end of the epoch says more
            self._save()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._position = Position(epoch + 1, 0)
        last = epoch + 1 == self.params["epochs"] or self.model.stop_training
        if last or self._due or self._told() or self._epoch_is_due(epoch + 1):
            self._save()
        if self._told() and not last:
            raise StoppedError(self._position)

    def _epoch_is_due(self, epochs: int) -> bool:
        asked = self._schedule
        if asked.epochs is not None:
            return epochs % asked.epochs == 0
        if asked.steps is not None or asked.minutes is not None:
            return False
        return time.monotonic() - self._saved >= _SHARE * self._cost

    def _save(self) -> None:
        if not is_finite(self.model):
            return  # the last good checkpoint stands; the next loss will tell
        began = time.monotonic()
        snapshot = taken(self.model, self._layers, self._callbacks)
        state = {**snapshot.state, **self._more(), "stopped": bool(self.model.stop_training)}
        self._store.save(*self._position, snapshot.arrays, state)
        self.saved = self._position
        self._due = False
        self._saved = time.monotonic()
        self._cost = self._saved - began
