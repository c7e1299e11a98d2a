"""The steps and minutes of `train.until`, on a clock that the test sets."""

import pytest

from layercli.config.training.execution import UntilConfig
from layercli.engine.training import training_limit
from layercli.engine.training.loop import _split_spans
from layercli.engine.training.training_limit import TrainingLimit


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(training_limit.time, "monotonic", lambda: now[0])
    return now


def test_steps_count_from_the_first_one():
    limit = TrainingLimit(UntilConfig(steps=5), 7)
    assert limit.last_step == 12
    assert [limit.is_over(step) for step in (11, 12, 13)] == [False, True, True]


def test_minutes_are_over_at_the_last_second(clock):
    limit = TrainingLimit(UntilConfig(minutes=2), 0)
    limit.start_clock()
    clock[0] += 119.5
    assert not limit.is_over(1)
    clock[0] += 0.5
    assert limit.is_over(1)
    assert limit.last_step is None


def test_interrupted_training_keeps_what_it_used(clock):
    first = TrainingLimit(UntilConfig(minutes=2, steps=10), 4)
    first.start_clock()
    clock[0] += 90
    state = first.get_state(7)
    assert state == {"seconds": 90.0, "steps": 3, "is_reached": False}
    clock[0] += 1000
    second = TrainingLimit(UntilConfig(minutes=2, steps=10), 7, state, should_renew=True)
    second.start_clock()
    assert second.last_step == 14
    clock[0] += 29
    assert not second.is_over(7)
    clock[0] += 1
    assert second.is_over(7)
    assert (second.is_reached, second.was_reached) == (False, False)


def test_reached_limit_is_renewed_or_kept(clock):  # noqa: ARG001
    state = {"seconds": 10.0, "steps": 5, "is_reached": True}
    renewed = TrainingLimit(UntilConfig(steps=5), 12, state, should_renew=True)
    assert (renewed.last_step, renewed.was_reached) == (17, False)
    kept = TrainingLimit(UntilConfig(steps=5), 12, state)
    assert (kept.last_step, kept.was_reached, kept.is_reached) == (12, True, True)


def test_no_limit():
    limit = TrainingLimit(None, 3, {"seconds": 1e9, "steps": 5, "is_reached": True})
    assert not limit.is_over(10**9)
    assert (limit.get_state(5), limit.last_step, limit.was_reached) == (None, None, False)


def test_processes_share_the_time():
    limit = TrainingLimit(UntilConfig(minutes=1), 0)
    limit.share_time(lambda _: lambda: True)
    assert limit.is_over(1)


def test_blocks_end_at_the_last_step():
    assert _split_spans(0, 10, 4, last_step=6) == [(0, 4), (4, 6), (6, 10)]
    assert _split_spans(0, 10, 4, last_step=26, steps_before=20) == [(0, 4), (4, 6), (6, 10)]
    assert _split_spans(6, 10, 4, last_step=6) == [(6, 10)]
    assert _split_spans(0, 10, 4, last_step=8) == [(0, 4), (4, 8), (8, 10)]
    assert _split_spans(0, 10, 10, last_step=5, checkpoint_every=3) == [
        (0, 3),
        (3, 5),
        (5, 6),
        (6, 9),
        (9, 10),
    ]
