"""Directories that contain runs, or are one, and what to name instead."""

import json
from pathlib import Path

import pytest

from layercli.errors import Problem
from layercli.runs.run_folder import explain_directory, inspect_run_folder, suggest_run

NO_RUN = "Pass the directory of a training, such as runs/digits/1; `layercli runs` lists them."


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Be in an empty folder."""
    monkeypatch.chdir(tmp_path)


def write_run(path, *, is_finished=True, kind=None):
    path = Path(path)
    path.mkdir(parents=True)
    group = {"kind": kind, "directory": path.parent.as_posix(), "member": path.name}
    manifest = ({"group": group} if kind else {"versions": {}}) | {"files": {"model.keras": ""}}
    (path / "manifest.json").write_text(json.dumps(manifest))
    (path / "config.yaml").write_text("seed: 1\n")
    if is_finished:
        (path / "summary.json").write_text(json.dumps({"epochs": 1, "best": {}, "test": {}}))
    else:
        (path / "history.jsonl").write_text('{"epoch": 1, "loss": 1.0}\n')
        (path / "checkpoints").mkdir()


def write_state(kind, **state):
    Path("all", f"{kind}.json").write_text(json.dumps({"version": 1, "config": "d", **state}))


def test_first_finished_run_is_the_example():
    write_run("all/1", is_finished=False)
    write_run("all/2")
    write_run("all/3")
    found = inspect_run_folder(Path("all"))
    assert (found.path, found.kind, found.run.path) == (Path("all"), None, Path("all/2"))
    assert (found.title, found.run.state) == ("a folder of runs", "finished")
    assert suggest_run(Path("all")) == (
        "It is a folder of runs: pass one of its runs, such as all/2. `layercli runs all` takes the directory."
    )


def test_first_unfinished_run_is_the_example_if_none_is_finished():
    write_run("all/1", is_finished=False)
    write_run("all/2", is_finished=False)
    found = inspect_run_folder(Path("all"))
    assert (found.run.path, found.run.state) == (Path("all/1"), "unfinished")
    assert suggest_run(Path("all")) == NO_RUN


def test_runs_are_searched_one_folder_deeper():
    write_run("all/digits/1")
    assert inspect_run_folder(Path("all")).run.path == Path("all/digits/1")
    write_run("deep/a/digits/1")
    assert inspect_run_folder(Path("deep")) is None


def test_other_paths_are_not_folders_of_runs():
    write_run("all/1")
    Path("empty").mkdir()
    Path("file").touch()
    for path in ("all/1", "empty", "file", "absent", "a\0b"):
        assert inspect_run_folder(Path(path)) is None
        assert suggest_run(Path(path)) == NO_RUN


@pytest.mark.parametrize(
    ("kind", "state", "title"),
    [
        ("crossval", {"folds": 1, "repeats": 1}, "the directory of a cross-validation"),
        ("seeds", {"seeds": [1]}, "the directory of several seeds"),
    ],
)
def test_report_takes_groups_whose_state_can_be_read(kind, state, title):
    write_run("all/1", kind=kind)
    found = inspect_run_folder(Path("all"))
    assert (found.kind, found.title) == (kind, title)
    assert found.usable_commands == "`layercli runs all` takes the directory."
    write_state(kind, **state)
    both = "`layercli report all` and `layercli runs all` take the directory."
    assert found.usable_commands == both
    assert suggest_run(Path("all")) == f"It is {title}: pass one of its runs, such as all/1. {both}"


def test_report_does_not_take_other_groups():
    write_run("all/2", kind="crossval")
    write_state("crossval", folds=1, repeats=1)  # which has no fold 2
    assert inspect_run_folder(Path("all")).usable_commands == "`layercli runs all` takes the directory."
    write_run("trials/1", kind="sweep")
    found = inspect_run_folder(Path("trials"))
    assert found.title == "the directory of a sweep"
    assert found.usable_commands == "`layercli runs trials` takes the directory."


def test_folder_around_a_group_is_not_the_group():
    write_run("all/cv/1", kind="crossval")
    assert inspect_run_folder(Path("all")).kind is None


def test_directory_in_place_of_a_config_is_explained():
    write_run("all/1")
    problem = Problem(code="unreadable-file", message="It is a directory.", file="all/1")
    run = explain_directory(problem)
    assert run.message == "This is the directory of a run, not a config file."
    assert run.hint == "Name its config, all/1/config.yaml."
    folder = explain_directory(Problem(code="unreadable-file", message="It is a directory.", file="all"))
    assert folder.message == "This is a folder of runs, not a config file."
    assert folder.hint == (
        "Name the config of one of its runs, such as all/1/config.yaml. `layercli runs all` takes the directory."
    )


@pytest.mark.parametrize(
    ("code", "file"), [("unreadable-file", None), ("syntax", "all"), ("unreadable-file", "x")]
)
def test_other_problems_stay_as_they_are(code, file):
    write_run("all/1")
    problem = Problem(code=code, message="The message.", file=file)
    assert explain_directory(problem) is problem
