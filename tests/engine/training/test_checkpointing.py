"""When checkpoints are saved, on a clock that the test sets."""

from types import SimpleNamespace

import pytest

from layercli.config.training.execution import CheckpointsConfig
from layercli.engine.training import checkpointing
from layercli.engine.training.checkpointing import CheckpointCallback, TrainingStoppedError
from layercli.engine.training.snapshot import Snapshot


class Clock:
    now = 1000.0


@pytest.fixture
def make_callback(monkeypatch):
    """Return a function that makes a callback, and the list of the positions that it saves; saving takes a second."""
    monkeypatch.setattr(Clock, "now", 1000.0)
    monkeypatch.setattr(checkpointing.time, "monotonic", lambda: Clock.now)
    monkeypatch.setattr(checkpointing, "is_finite", lambda _: True)
    monkeypatch.setattr(checkpointing, "take_snapshot", lambda *_: Snapshot({}, {}))
    saved = []

    class Store:
        def save(self, epoch, step, arrays, state):  # noqa: ARG002
            Clock.now += 1
            saved.append((epoch, step))

    def make_callback(*, should_stop=lambda: False, **schedule):
        callback = CheckpointCallback(
            Store(),
            CheckpointsConfig(**schedule),
            adapted_layers=[],
            callbacks=[],
            steps_per_epoch=10,
            should_stop=should_stop,
            extra_state=dict,
        )
        callback.set_model(SimpleNamespace(stop_training=False))
        callback.set_params({"epochs": 100})
        return callback, saved

    return make_callback


def run_epoch(callback, epoch, seconds=0.0, steps=10):
    callback.on_epoch_begin(epoch)
    for batch in range(steps):
        callback.on_train_batch_end(batch)
    Clock.now += seconds
    callback.on_epoch_end(epoch)


def test_minutes_between_checkpoints(make_callback):
    callback, saved = make_callback(minutes=1)
    callback.on_epoch_begin(0)
    for batch, seconds in enumerate((59.5, 0.5, 59.5, 0.5)):
        Clock.now += seconds
        callback.on_train_batch_end(batch)
    assert saved == [(0, 2), (0, 4)]


def test_steps_and_epochs_between_checkpoints(make_callback):
    callback, saved = make_callback(steps=4)
    for epoch in range(2):
        run_epoch(callback, epoch)
    assert saved == [(0, 4), (0, 8), (1, 2), (1, 6), (2, 0)]  # step 20 is saved with the end of its epoch
    saved.clear()
    callback, saved = make_callback(epochs=3)
    for epoch in range(7):
        run_epoch(callback, epoch)
    assert saved == [(3, 0), (6, 0)]


def test_automatic_checkpoints_take_a_twentieth_of_the_time(make_callback):
    callback, saved = make_callback()
    for epoch, seconds in enumerate((0, 19.5, 0.5, 20, 19.5)):  # the first one is free, each takes a second
        run_epoch(callback, epoch, seconds)
    assert saved == [(1, 0), (3, 0), (4, 0)]


def test_stop_saves_the_current_step(make_callback):
    stops = iter([False, False, True])
    callback, saved = make_callback(should_stop=lambda: next(stops))
    with pytest.raises(TrainingStoppedError, match="stopped at epoch 1, step 3"):
        run_epoch(callback, 0)
    assert saved == [(0, 3)]
