import io

import pytest
from rich.console import Console

from layercli.config.training.section import TrainSection
from layercli.errors import Problem
from layercli.reports.training_progress import QuietProgress, SilentProgress, TrainingProgress

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


def test_live_display_is_removed_and_the_curves_stay():
    console = terminal()
    progress = TrainingProgress(console, live=True)
    progress.start_training((64, 0, 0), section())
    with progress:
        progress.finish_epoch(RECORD)
        progress.finish_step(2, 1, {"loss": 1.0})
        progress._live.refresh()
        assert "epoch 2/2" in console.file.getvalue()
        assert "1/2 steps" in console.file.getvalue()
        assert "loss 1.0000" in console.file.getvalue()
        progress.finish_epoch(RECORD | {"epoch": 2, "loss": 0.25})
    lines = console.file.getvalue().rpartition("\x1b[2K")[2].splitlines()
    assert lines[0].split() == ["loss", "training", "validation"]
    assert [lines[1].split()[0], lines[-1].split()[0]] == ["12,346", "0.2500"]


def test_no_curves_stay_of_a_single_epoch():
    console = terminal()
    progress = TrainingProgress(console, live=True)
    progress.start_training((64, 0, 0), section())
    with progress:
        progress.finish_epoch(RECORD)
    assert console.file.getvalue().rpartition("\x1b[2K")[2].strip() in ("", "\x1b[?25h")


def test_details_are_printed_only_if_verbose():
    for is_verbose, expected in ((False, ""), (True, "45 steps per call\n")):
        console = plain()
        TrainingProgress(console, live=False, is_verbose=is_verbose).print_detail("45 steps per call")
        assert console.file.getvalue() == expected


def test_hint_of_a_warning_follows_it():
    console = plain()
    warning = Problem(code="dead-units", message="Dead.", hint="Lower the rate.", severity="warning")
    QuietProgress(console).print_warning(warning)
    assert console.file.getvalue() == "warning: Dead. [dead-units]\n  fix: Lower the rate.\n"


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
        (54, ["epoch", "loss", "val_loss", "time", "examples/s"]),
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
