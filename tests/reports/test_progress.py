import io

import pytest
from rich.console import Console

from layercli.config.training.section import TrainSection
from layercli.errors import Problem
from layercli.reports.progress import QuietProgress, SilentProgress, TrainingProgress

RECORD = {"epoch": 1, "loss": 0.5, "val_loss": 12345.6, "seconds": 1.25, "examples_per_second": 1439.6}


def section(epochs=2):
    return TrainSection.model_validate({"epochs": epochs, "loss": "mse", "metrics": ["mae"]})


def plain():
    return Console(file=io.StringIO(), width=80, markup=False, highlight=False)


def test_epochs_are_aligned_rows_under_one_header():
    console = plain()
    progress = TrainingProgress(console, live=False)
    progress.start_training((1437, 180, 0), section())
    with progress:
        progress.finish_step(1, 1, {"loss": 1.0})
        progress.finish_epoch(RECORD)
        progress.finish_epoch(RECORD | {"epoch": 2, "loss": 0.25})
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "1,437 examples to train on, 180 to validate, 0 to test; 45 steps an epoch."
    assert [line.split() for line in lines[1:]] == [
        ["epoch", "loss", "val_loss", "time", "examples/s"],
        ["1/2", "0.5000", "12,346", "1.2", "s", "1,440"],
        ["2/2", "0.2500", "12,346", "1.2", "s", "1,440"],
    ]
    assert len({len(line) for line in lines[2:]}) == 1


def terminal(width=80, height=30):
    return Console(
        file=io.StringIO(),
        width=width,
        height=height,
        force_terminal=True,
        markup=False,
        highlight=False,
        color_system=None,
    )


def test_live_display_is_removed_at_the_end():
    console = terminal()
    progress = TrainingProgress(console, live=True)
    progress.start_training((64, 0, 0), section())
    with progress:
        progress.finish_step(2, 1, {"loss": 1.0})
        progress._live.refresh()
        assert "epoch 2/2" in console.file.getvalue()
        assert "1/2 steps" in console.file.getvalue()
        assert "loss 1.0000" in console.file.getvalue()
    assert console.file.getvalue().endswith("\x1b[2K") or "\x1b[?25h" in console.file.getvalue()


def test_interrupt_restores_terminal():
    console = terminal()
    progress = TrainingProgress(console, live=True)
    progress.start_training((64, 0, 0), section())
    progress.finish_step(1, 1, {"loss": 1.0})
    with pytest.raises(KeyboardInterrupt), progress:
        raise KeyboardInterrupt
    assert console.file.getvalue().rfind("\x1b[?25h") > console.file.getvalue().rfind("\x1b[?25l") >= 0


@pytest.mark.parametrize(
    ("width", "kept"),
    [
        (140, ["epoch", "loss", "mae", "val_loss", "val_mae", "time", "examples/s"]),
        (56, ["epoch", "loss", "val_loss", "time", "examples/s"]),
    ],
)
def test_rows_fit_terminal_width(width, kept):
    console = terminal(width)
    progress = TrainingProgress(console, live=True)
    progress.start_training((64, 8, 0), section())
    progress.finish_epoch(
        {
            "epoch": 1,
            "loss": 1.0,
            "mae": 1.0,
            "val_loss": 2.0,
            "val_mae": 1.0,
            "seconds": 1.0,
            "examples_per_second": 64.0,
        }
    )
    lines = console.file.getvalue().splitlines()[1:]
    assert lines[0].split() == kept
    assert all(len(line) <= width for line in lines)


def test_quiet_progress_prints_only_warnings():
    console = plain()
    with QuietProgress(console) as progress:
        progress.print_message("text")
        progress.start_training((64, 8, 0), section())
        progress.finish_epoch(RECORD)
        progress.print_warning(Problem(code="constant-column", message="All same.", severity="warning"))
    assert console.file.getvalue() == "warning: All same. [constant-column]\n"


def test_silent_progress_prints_nothing(capsys):
    with SilentProgress() as progress:
        progress.print_message("text")
        progress.start_training((1, 0, 0), section())
        progress.finish_step(1, 1, {})
        progress.finish_epoch(RECORD)
    assert capsys.readouterr() == ("", "")
