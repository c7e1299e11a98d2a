import io

import pytest
from rich.console import Console

from layercli.reports import live_training as screens
from layercli.reports.chart import draw_chart
from layercli.reports.live_training import TrainingScreen


def dots(chart):
    """Places (column, row), from the top left, of the dots of a chart."""
    bits = {
        0x01: (0, 0),
        0x02: (0, 1),
        0x04: (0, 2),
        0x40: (0, 3),
        0x08: (1, 0),
        0x10: (1, 1),
        0x20: (1, 2),
        0x80: (1, 3),
    }
    return {
        (2 * column + bits[bit][0], 4 * row + bits[bit][1])
        for row, cells in enumerate(chart.rows)
        for column, (character, _) in enumerate(cells)
        for bit in bits
        if character != " " and (ord(character) - 0x2800) & bit
    }


def test_a_line_goes_from_corner_to_corner():
    assert dots(draw_chart([[(1, 7.0), (8, 0.0)]], width=4, height=2)) == {(n, n) for n in range(8)}


def test_points_are_joined_and_the_scale_is_that_of_the_values():
    chart = draw_chart([[(1, 2.0), (2, 2.0), (3, 4.0)]], width=4, height=1)
    assert (chart.low, chart.high) == (2.0, 4.0)
    assert {(0, 3), (4, 3), (7, 0)} <= dots(chart)
    assert {x for x, _ in dots(chart)} == set(range(8))


def test_a_wide_range_of_positive_values_is_logarithmic():
    assert (2, 3) in dots(draw_chart([[(0, 100.0), (1, 1.0), (2, 0.01)]], width=2, height=2))
    assert (2, 3) not in dots(draw_chart([[(0, 100.0), (1, 1.0), (2, -0.01)]], width=2, height=2))


def test_curves_have_owners_and_what_is_not_finite_is_left_out():
    chart = draw_chart(
        [[(1, 0.0), (2, 0.0)], [(1, float("nan")), (2, 1.0), (3, float("inf"))]], width=3, height=2
    )
    assert {owner for row in chart.rows for _, owner in row} == {0, 1, None}
    assert draw_chart([[(1, float("nan"))], []], width=3, height=2) is None


@pytest.mark.parametrize("values", [[5.0], [5.0, 5.0], [0.0, 0.0, 0.0], [-1e300, 1e300], [1e-320, 1.0]])
def test_few_equal_and_extreme_values_are_drawn(values):
    assert dots(draw_chart([list(enumerate(values))], width=5, height=3))


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
    """A training of 10 epochs of 4 steps of 8 examples, a second a step, in its third epoch."""
    screen, clock = TrainingScreen(epochs=10, steps=4, batch_size=8), [0.0]
    monkeypatch.setattr(screens.time, "monotonic", lambda: clock[0])
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


def test_the_screen_tells_where_it_is_how_it_goes_and_how_long_it_takes(running):
    lines = shown(running)
    assert lines[0].split() == ["loss", "training", "validation", "accuracy", "training", "validation"]
    assert lines[1].split()[0] == "3.0000"
    assert "0.7500 " in lines[8]
    assert lines[9].startswith("epoch 3/10 ━")
    assert lines[9].endswith(" 2/4 steps")
    assert lines[10].strip() == "loss 0.7500  accuracy 0.6250"
    assert lines[11].split("   ")[:2] == ["best val_loss 1.5000 at epoch 2", "8 examples/s"]
    assert lines[11].strip().endswith("30.0 s left")  # 9 seconds for the 2.25 epochs since the first news


@pytest.mark.parametrize(("width", "height"), [(140, 40), (80, 24), (40, 20), (20, 10), (5, 3)])
def test_the_screen_fits(running, width, height):
    lines = shown(running, width, height)
    assert all(len(line) <= width for line in lines)
    assert len(lines) <= max(height, 3)


def test_a_small_screen_has_no_charts_and_a_narrow_one_has_one(running):
    assert shown(running, height=13)[0].startswith("epoch 3/10")
    assert "accuracy" not in shown(running, width=45)[0]


def test_the_first_epoch_is_drawn_while_it_runs():
    screen = TrainingScreen(epochs=1, steps=100, batch_size=8)
    assert shown(screen)[0].startswith("epoch 1/1")
    for step in range(1, 50):
        screen.finish_step(1, step, {"loss": 1 / step})
    assert shown(screen)[0].split() == ["loss", "training"]


def test_a_long_training_keeps_a_bounded_number_of_points():
    screen = TrainingScreen(epochs=10_000, steps=1, batch_size=8)
    for epoch in range(1, 10_001):
        screen.finish_epoch({"epoch": epoch, "loss": 1.0, "seconds": 1.0, "examples_per_second": 1.0}, {})
    curve = screen._curves["loss"]
    assert 1000 <= len(curve) <= 2000
    assert (curve[0][0], curve[-1][0]) == (1, 10_000)


def test_names_cannot_act_on_the_terminal():
    screen = TrainingScreen(epochs=1, steps=1, batch_size=8)
    screen.finish_epoch({"epoch": 1, "\x1b[2J[red]": 1.0, "seconds": 1.0, "examples_per_second": 1.0}, {})
    assert "\x1b[2J" not in "".join(shown(screen))
