"""Order and types of logs, and the speed of training, by hand-made numbers."""

import numpy as np
import pytest

from layercli.engine.training import fit
from layercli.engine.training.log_values import order_logs, to_python


def test_logs_are_ordered_by_split_then_loss_then_metric():
    names = ["val_mae", "accuracy", "val_b_loss", "val_loss", "a_loss", "mae", "loss", "other", "b_loss"]
    found = order_logs(dict.fromkeys(names, 0), ["mae", "accuracy"])
    assert list(found) == [
        "loss",
        "a_loss",
        "b_loss",
        "mae",
        "accuracy",
        "other",
        "val_loss",
        "val_b_loss",
        "val_mae",
    ]


def test_logs_are_plain_numbers():
    found = order_logs({"loss": np.float32(0.5), "f1": np.array([0.25, 1], dtype=np.float32)})
    assert found == {"loss": 0.5, "f1": [0.25, 1.0]}
    assert type(found["loss"]) is float
    assert (to_python(3), type(to_python(3))) == (3.0, float)


class Observer:
    def __init__(self):
        self.records = []

    def finish_step(self, epoch, step, logs):
        pass

    def finish_epoch(self, record):
        self.records.append(record)


@pytest.fixture
def clock(monkeypatch):
    """Replace the clock by one that the test sets."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(fit.time, "perf_counter", lambda: Clock.now)
    return Clock


def test_speed_counts_training_steps_only(clock):
    observer, result = Observer(), fit.FitResult()
    history = fit._HistoryCallback(result, observer, metric_order=(), examples=1000, batch_size=1000)
    assert history.examples_per_second == 0.0
    for epoch, seconds in enumerate((2.0, 0.5)):
        history.on_epoch_begin(epoch)
        clock.now += seconds
        history.on_train_batch_end(7)
        clock.now += 3.25  # validation
        history.on_epoch_end(epoch, {"loss": 0.5})
    assert observer.records == result.records
    assert result.records == [
        {"epoch": 1, "loss": 0.5, "seconds": 5.25, "examples_per_second": 500.0},
        {"epoch": 2, "loss": 0.5, "seconds": 3.75, "examples_per_second": 2000.0},
    ]
    assert history.examples_per_second == 800.0


def test_seconds_of_a_resumed_epoch_include_those_before(clock):
    result = fit.FitResult()
    history = fit._HistoryCallback(result, Observer(), metric_order=(), examples=1000, batch_size=1000)
    history.restore_state({"seconds": 2.0, "before": 1.5})
    history.on_epoch_begin(0)
    clock.now += 0.5
    assert history.get_state() == {"seconds": 2.0, "before": 2.0}
    history.on_train_batch_end(0)
    history.on_epoch_end(0)
    assert result.records == [{"epoch": 1, "seconds": 2.0, "examples_per_second": 500.0}]
    assert history.examples_per_second == 250.0
    assert history.get_state() == {"seconds": 4.0, "before": 0.0}
