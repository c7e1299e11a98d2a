"""The time left in the titles of live tables."""

from dataclasses import dataclass

import pytest
from rich.console import Console

from layercli.reports.group_progress import GroupProgress, MemberRow
from layercli.reports.sweep import SweepProgress


@dataclass
class Run:
    epochs: int | None
    planned_epochs: int | None = 10


@pytest.fixture
def clock(monkeypatch):
    """A clock that shows the only item of the list."""
    now = [100.0]
    monkeypatch.setattr("layercli.activity.time.monotonic", lambda: now[0])
    return now


def test_group_estimates_the_time_left_from_epochs(clock):
    progress = GroupProgress(Console(), is_live=False, total=4, plural="folds", name_member=str)

    def format_title(*runs):
        rows = [MemberRow(number, run, run.epochs == 10) for number, run in enumerate(runs)]
        return progress._make_progress_table(rows).title

    assert format_title(Run(10), Run(None)) == "1 of 4 folds"  # finished by an earlier command
    clock[0] += 6
    assert (
        format_title(Run(10), Run(2), Run(3, None)) == "1 of 4 folds, 1 m 24 s left"
    )  # 0.2 folds in 6 s, 2.8 are left
    clock[0] += 24
    assert format_title(Run(10), Run(10)) == "2 of 4 folds, 1 m 00 s left"


def test_sweep_estimates_the_time_left_from_trials(clock):
    progress = SweepProgress(Console(), is_live=False, metrics=["loss"], maximize=[False], trial_count=5)

    def format_title(*states):
        rows = [
            {"number": number, "state": state, "params": {}, "values": [1.0], "epochs": 1}
            | {"loss": None, "parameters": None, "refused": [{"limit": "flops"}]}
            for number, state in enumerate(states)
        ]
        return progress._progress_table(rows).title

    assert format_title("running") == "0 of 5 trials"
    clock[0] += 8
    expected = "2 of 5 trials, 12.0 s left; refused: flops 1"
    assert format_title("complete", "failed", "refused", "running") == expected
