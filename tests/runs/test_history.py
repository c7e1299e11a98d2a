"""The records of epochs in a run directory."""

import pytest

from layercli.runs.history import find_last_stage


@pytest.mark.parametrize(
    ("lines", "stage"),
    [
        (['{"epoch": 1, "stage": 1}', '{"epoch": 2, "stage": 2}'], 1),
        (['{"epoch": 1, "stage": 3}'], 2),
        (['{"epoch": 1, "stage": 4}'], None),  # the run has three
        (['{"epoch": 1, "stage": 0}'], None),
        (['{"epoch": 1, "stage": true}'], None),
        (['{"epoch": 1, "stage": 1}', '{"epoch": 2, "st', "3"], 0),
        (['{"epoch": 1}'], None),
        ([], None),
    ],
)
def test_stage_of_the_last_epoch_counts_from_zero(tmp_path, lines, stage):
    (tmp_path / "history.jsonl").write_text("\n".join(lines))
    assert find_last_stage(tmp_path, 3) == stage
