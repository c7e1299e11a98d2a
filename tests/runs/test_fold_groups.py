"""Folds of a cross-validation: which runs are a group, and mean, deviation and interval against values by hand."""

import math
from pathlib import Path

import pytest

from layercli.runs.fold_groups import FoldGroup, find_fold_groups, list_test_scores, summarize_folds
from layercli.runs.listing import Run


def make_run(path, *, kind="crossval", state="finished", data=None, **test):
    """Return a fold as it is read from its directory."""
    path = Path(path)
    group = {"kind": kind, "directory": path.parent.as_posix(), "member": path.name}
    data = {"train": 20, "test": 10} if data is None else data
    return Run(path, state, test=test, manifest={"group": group, "data": data})


def test_interval_is_that_of_nadeau_and_bengio():
    metrics = {name: [0.8, 0.9, 1.0] for name in ("accuracy", "r2_score")}
    found = summarize_folds(metrics, [(20, 10)] * 3, {"accuracy": (0, 1)})
    assert found["mean"]["accuracy"] == pytest.approx(0.9)
    assert found["std"]["accuracy"] == pytest.approx(0.1)
    # t(0.975, 2) = 4.302653; 4.302653 * 0.1 * sqrt(1/3 + 1/2) = 0.392777
    assert found["interval"]["r2_score"] == pytest.approx([0.507223, 1.292777], abs=1e-6)
    assert found["interval"]["accuracy"] == pytest.approx([0.507223, 1], abs=1e-6)


def test_interval_of_folds_of_different_sizes():
    # Mean 3, deviation 1.5811388, ratio (9/21 + 9/21 + 9/21 + 10/20 + 10/20) / 5 = 0.4571429, t(0.975, 4) = 2.7764451:
    # 2.7764451 * 1.5811388 * sqrt(1/5 + 0.4571429) = 3.558680
    found = summarize_folds({"mae": [1, 2, 3, 4, 5]}, [(21, 9)] * 3 + [(20, 10)] * 2, {"mae": (0, math.inf)})
    assert found["mean"] == {"mae": 3.0}
    assert found["std"]["mae"] == pytest.approx(2.5**0.5)
    assert found["interval"]["mae"] == pytest.approx([0, 6.558680], abs=1e-6)


def test_results_of_a_group_are_those_that_all_folds_have():
    runs = [make_run("cv/1", accuracy=0.5, auc=0.5), make_run("cv/2", accuracy=0.75, loss=1.0)]
    found = FoldGroup(Path("cv"), runs).summarize_results({})
    assert found["mean"] == {"accuracy": 0.625}
    assert found["std"] == pytest.approx({"accuracy": 0.1767767})
    # t(0.975, 1) = 12.7062047; 12.7062047 * 0.1767767 * sqrt(1/2 + 1/2) = 2.246161
    assert found["interval"]["accuracy"] == pytest.approx([-1.621161, 2.871161], abs=1e-6)
    runs[1] = make_run("cv/2", data={"train": 20}, accuracy=0.75)
    with pytest.raises(ValueError, match=r"manifest\.json of a fold has no numbers of examples"):
        FoldGroup(Path("cv"), runs).summarize_results({})


def test_groups_are_the_finished_folds_of_each_directory():
    runs = [
        make_run("b/1"),
        make_run("a/1"),
        make_run("b/2", data={"train": 1, "test": 1}),
        make_run("b/3", state="unfinished"),
        make_run("b/4", kind="sweep"),
        Run(Path("b/5"), "finished"),
        make_run("c/1"),
        make_run("a/2"),
    ]
    groups = find_fold_groups(runs)
    found = [(group.directory.name, [run.path.name for run in group.runs]) for group in groups]
    assert found == [("b", ["1", "2"]), ("a", ["1", "2"])]


@pytest.mark.parametrize(
    "data",
    [
        [20, 10],
        {"train": 20},
        {"test": 10},
        {"train": True, "test": 10},
        {"train": 20, "test": 10.0},
        {"train": 0, "test": 10},
        {"train": 20, "test": 0},
        {"train": 10**151, "test": 10},
        {"train": int(1e150), "test": 10},
    ],
)
def test_folds_without_valid_numbers_of_examples_are_left_out(data):
    assert find_fold_groups([make_run("a/1", data=data), make_run("a/2")]) == []


def test_scores_are_numbers_whose_squares_are_finite():
    run = make_run("a/1", loss=1e150, mae=-1e150, mse=1.1e150, note="x", flag=True, nan=math.nan)
    assert list_test_scores(run) == {"loss": 1e150, "mae": -1e150}
