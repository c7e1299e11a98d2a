import io

import pytest
from rich.console import Console

from layercli.reports.progress import Progress, Silent, metrics, number

RECORD = {"epoch": 1, "loss": 0.5, "val_loss": 12345.6, "seconds": 1.25, "examples_per_second": 1439.6}


def plain():
    return Console(file=io.StringIO(), width=80, markup=False, highlight=False)


@pytest.mark.parametrize(("value", "shown"), [
    (0.0, "0.0000"), (0.12345, "0.1235"), (1234.5, "1234.5000"), (12345.6, "1.235e+04"), (1e-3, "0.0010"),
    (5e-4, "5.000e-04"), (-2.0, "-2.0000"), (float("nan"), "nan"), ([0.5, 1.0], "[0.5000, 1.0000]"),
])  # fmt: skip
def test_metrics_show_the_digits_that_matter(value, shown):
    assert number(value) == shown


def test_metrics_stand_side_by_side():
    assert metrics({"loss": 0.1234, "accuracy": 1.0}) == "loss 0.1234  accuracy 1.0000"


def test_epochs_are_rows_under_one_head_with_columns_in_line():
    console = plain()
    progress = Progress(console, live=False)
    progress.begin((1437, 180, 0), epochs=2, batch_size=32)
    with progress:
        progress.step(1, 1, {"loss": 1.0})
        progress.epoch(RECORD)
        progress.epoch(RECORD | {"epoch": 2, "loss": 0.25})
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "1,437 examples to train on, 180 to validate, 0 to test; 45 steps an epoch."
    assert [line.split() for line in lines[1:]] == [
        ["epoch", "loss", "val_loss", "time", "examples/s"],
        ["1/2", "0.5000", "1.235e+04", "1.2", "s", "1,440"],
        ["2/2", "0.2500", "1.235e+04", "1.2", "s", "1,440"],
    ]
    assert len({len(line) for line in lines[2:]}) == 1


def test_a_terminal_sees_the_running_epoch_and_it_is_gone_at_the_end():
    console = Console(file=io.StringIO(), width=80, force_terminal=True, markup=False, highlight=False)
    progress = Progress(console, live=True)
    progress.begin((64, 0, 0), epochs=2, batch_size=32)
    with progress:
        progress.step(2, 1, {"loss": 1.0})
        progress._live.refresh()
        assert "epoch 2/2" in console.file.getvalue()
        assert "1/2  loss 1.0000" in console.file.getvalue()
    assert console.file.getvalue().endswith("\x1b[2K") or "\x1b[?25h" in console.file.getvalue()


def test_silent_says_nothing(capsys):
    with Silent() as progress:
        progress.say("text")
        progress.begin((1, 0, 0), epochs=1, batch_size=1)
        progress.step(1, 1, {})
        progress.epoch(RECORD)
    assert capsys.readouterr() == ("", "")
