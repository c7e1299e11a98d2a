import io

import pytest
from rich.console import Console

from layercli.activity import show_activity
from layercli.reports import live_training
from layercli.reports.live_training import TrainingScreen


def shown(screen, width=80, height=30):
    console = Console(
        file=io.StringIO(),
        width=width,
        height=height,
        markup=False,
        highlight=False,
        force_terminal=True,
        color_system=None,
    )
    console.print(screen)
    return console.file.getvalue().rstrip("\n").split("\n")


@pytest.fixture
def running(monkeypatch):
    """A training of 10 epochs of 4 steps of 8 examples, one second per step, in its third epoch."""
    screen, clock = TrainingScreen(epochs=10, steps=4, batch_size=8), [0.0]
    monkeypatch.setattr(live_training.time, "monotonic", lambda: clock[0])
    for epoch in (1, 2):
        for step in (1, 2, 3, 4):
            screen.finish_step(epoch, step, {"loss": 2.0 / epoch, "accuracy": 0.5})
            clock[0] += 1
        record = {
            "epoch": epoch,
            "loss": 2.0 / epoch,
            "accuracy": 0.5,
            "val_loss": 3.0 / epoch,
            "val_accuracy": 0.4,
        }
        screen.finish_epoch(
            record | {"seconds": 4.0, "examples_per_second": 8.0},
            {"monitor": "val_loss", "epoch": epoch, **record},
        )
    screen.finish_step(3, 2, {"loss": 0.75, "accuracy": 0.625})
    clock[0] += 1
    return screen


def test_screen_shows_position_metrics_and_remaining_time(running):
    lines = shown(running)
    assert lines[0].split() == ["loss", "training", "validation", "accuracy", "training", "validation"]
    assert lines[1].split()[0] == "3.0000"
    assert "0.7500 " in lines[8]
    assert lines[9].startswith("epoch 3/10 ━")
    assert lines[9].endswith(" 2/4 steps")
    assert lines[10].strip() == "loss 0.7500  accuracy 0.6250"
    assert lines[11].split("   ")[:2] == ["best val_loss 1.5000 at epoch 2", "8 examples/s"]
    assert lines[11].strip().endswith("30.0 s left")  # 9 seconds for the 2.25 epochs since the first step


@pytest.mark.parametrize(("width", "height"), [(140, 40), (80, 24), (40, 20), (20, 10), (5, 3)])
def test_screen_fits_terminal(running, width, height):
    lines = shown(running, width, height)
    assert all(len(line) <= width for line in lines)
    assert len(lines) <= max(height, 3)


def test_charts_depend_on_screen_size(running):
    assert shown(running, height=13)[0].startswith("epoch 3/10")
    assert "accuracy" not in shown(running, width=45)[0]


def test_first_epoch_is_drawn_while_running():
    screen = TrainingScreen(epochs=1, steps=100, batch_size=8)
    assert shown(screen)[0].startswith("epoch 1/1")
    for step in range(1, 50):
        screen.finish_step(1, step, {"loss": 1 / step})
    assert shown(screen)[0].split() == ["loss", "training"]


def test_number_of_points_is_bounded():
    screen = TrainingScreen(epochs=10_000, steps=1, batch_size=8)
    for epoch in range(1, 10_001):
        screen.finish_epoch({"epoch": epoch, "loss": 1.0, "seconds": 1.0, "examples_per_second": 1.0}, {})
    curve = screen._curves["loss"]
    assert 1000 <= len(curve) <= 2000
    assert (curve[0][0], curve[-1][0]) == (1, 10_000)


def test_control_characters_in_names_are_removed():
    screen = TrainingScreen(epochs=1, steps=1, batch_size=8)
    screen.finish_epoch({"epoch": 1, "\x1b[2J[red]": 1.0, "seconds": 1.0, "examples_per_second": 1.0}, {})
    assert "\x1b[2J" not in "".join(shown(screen))


def test_narrow_screen_keeps_the_time_left(running):
    assert [line.strip() for line in shown(running, width=40)][-1] == "8 examples/s   30.0 s left"
    assert [line.strip() for line in shown(running, width=20)][-1] == "30.0 s left"


def test_screen_shows_work_that_is_not_a_step(running):
    with show_activity(""), show_activity("Validating", 8) as activity:
        activity.done = 2
        activity.started_at -= 3
        assert shown(running)[-1].strip() == "Validating: 25%, 3.0 s, 9.0 s left"
    assert shown(running)[-1].strip().endswith("30.0 s left")
