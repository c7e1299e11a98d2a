"""The directory of a cross-validation."""

import json

import pytest

from layercli.errors import LayercliError
from layercli.runs.crossval_directory import (
    CrossvalDirectory,
    Fold,
    open_crossval_directory,
    read_crossval_directory,
)


def test_folds_are_numbered_through_all_repetitions(tmp_path):
    directory = CrossvalDirectory(tmp_path, folds=3, repeats=2)
    members = [*directory.list_members()]
    assert [(fold.number, fold.repeat) for fold in members] == [
        (1, 1),
        (2, 1),
        (3, 1),
        (1, 2),
        (2, 2),
        (3, 2),
    ]
    assert [fold.directory_name for fold in members] == ["1", "2", "3", "4", "5", "6"]
    assert directory.run_path(members[3]) == tmp_path / "4"
    assert directory.lock_path(members[3]) == tmp_path / ".4.lock"
    assert directory.predictions_path(members[3]) == tmp_path / "predictions-4.csv"
    assert Fold(2, 1, 3).overrides == [
        "data.split.test=0",
        "data.split.fold={number: 2, folds: 3, repeat: 1}",
    ]


def test_fold_is_finished_when_it_has_predictions(tmp_path):
    directory = CrossvalDirectory(tmp_path, folds=2, repeats=1)
    (tmp_path / "predictions-2.csv").touch()
    assert [directory.is_finished(fold) for fold in directory.list_members()] == [False, True]


def test_runs_are_those_of_the_folds_that_have_started(tmp_path):
    for name in ("10", "2", "1", "7", "06", "0", "x", "6", "1234567890"):
        (tmp_path / name).mkdir()
    found = CrossvalDirectory(tmp_path, folds=3, repeats=2).find_runs()
    assert [path.name for path in found] == ["1", "2", "6"]


def test_directory_keeps_the_numbers_of_folds(tmp_path):
    folder = tmp_path / "cv"
    made = open_crossval_directory("x", str(folder), folds=3, repeats=2, digest="d")
    assert json.loads((folder / "crossval.json").read_text()) == {
        "version": 1,
        "folds": 3,
        "repeats": 2,
        "config": "d",
    }
    assert read_crossval_directory(folder) == made == CrossvalDirectory(folder, 3, 2)
    with pytest.raises(LayercliError) as error:
        open_crossval_directory("x", str(folder), folds=4, repeats=2, digest="e")
    [problem] = error.value.problems
    assert problem.message == (
        "The directory has a cross-validation that differs in folds (3, now 4) and the config."
    )


@pytest.mark.parametrize(
    "content", ["", "[]", '{"folds": 3}', '{"repeats": 3}', '{"folds": true, "repeats": 1}']
)
def test_state_from_elsewhere_is_not_a_cross_validation(tmp_path, content):
    (tmp_path / "crossval.json").write_text(content)
    assert read_crossval_directory(tmp_path) is None
