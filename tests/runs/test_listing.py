"""Runs on disk, written by hand: order, histories, damage and results."""

import hashlib
import json
import math
import os

import pytest

from layercli.runs import listing
from layercli.runs.listing import Run, find_runs, is_run, read_run

CONFIG = """
model: {input: [4], layers: [{type: Dense, units: 3}]}
train: {epochs: 5, loss: mean_squared_error, metrics: [mae, accuracy], callbacks: [%s]}
"""


@pytest.fixture
def run(tmp_path):
    """Write a run with a history and return it as it is read."""

    def run(*lines, callback="", config=CONFIG):
        path = tmp_path / "one"
        path.mkdir(exist_ok=True)
        (path / "config.yaml").write_text(config.replace("%s", callback))
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        (path / "history.jsonl").write_text("\n".join(texts))
        return read_run(path)

    return run


def test_runs_are_ordered_by_number_before_names(tmp_path):
    for name in ("b/2", "b/10", "b/x", "b/1", "b/01", "a/3", ".hidden/1", "20/1"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "history.jsonl").touch()
    found = [run.path.relative_to(tmp_path).as_posix() for run in find_runs(tmp_path)]
    assert found == ["20/1", "a/3", "b/01", "b/1", "b/2", "b/10", "b/x"]
    assert [run.name for run in find_runs(tmp_path / "b")] == ["b", "b", "b", "b", "x"]
    assert [run.path for run in find_runs(tmp_path / "b/2")] == [tmp_path / "b/2"]


def test_run_is_known_by_its_files_or_by_its_location(tmp_path):
    (tmp_path / "runs/digits/1").mkdir(parents=True)
    (tmp_path / "runs/digits/x").mkdir()
    (tmp_path / "other/digits/1").mkdir(parents=True)
    assert is_run(tmp_path / "runs/digits/1")
    assert not is_run(tmp_path / "runs/digits/x")
    assert not is_run(tmp_path / "other/digits/1")
    for name in ("manifest.json", "history.jsonl", "summary.json"):
        (tmp_path / name).touch()
        assert is_run(tmp_path)
        (tmp_path / name).unlink()
    assert not is_run(tmp_path)


def test_folders_are_searched_to_a_depth_of_17(tmp_path):
    def write(depth):
        path = tmp_path.joinpath(str(depth), *["d"] * (depth - 1))
        path.mkdir(parents=True)
        (path / "summary.json").touch()

    write(17)
    write(18)
    assert [run.path.relative_to(tmp_path).parts[0] for run in find_runs(tmp_path)] == ["17"]


@pytest.mark.parametrize(
    ("lines", "state", "note", "epochs"),
    [
        ([{"loss": 2.0}, "{", {"loss": 1.0}], "damaged", "history.jsonl is damaged at line 2", 2),
        (["[]", {"loss": 1.0}, "x", {"loss": 1.0}], "damaged", "history.jsonl is damaged at line 1", 2),
        ([{"loss": 2.0}, "3", {"loss": 1.0}], "damaged", "history.jsonl is damaged at line 2", 2),
        ([{"loss": 2.0}, '{"loss'], "unfinished", None, 1),
        ([{"loss": 2.0}, "[]"], "unfinished", None, 1),
        ([], "unfinished", None, 0),
    ],
)
def test_damaged_line_of_a_history_is_named(run, lines, state, note, epochs):
    found = run(*lines)
    assert (found.state, found.note, found.epochs) == (state, note, epochs)


def test_seconds_of_an_unfinished_run_are_summed(run):
    found = run({"loss": 1.0, "seconds": 1.0004}, {"loss": 2.0, "seconds": "x"}, {"loss": 3.0, "seconds": 2})
    assert (found.seconds, found.epochs, found.best["loss"]) == (3.0, 3, 1.0)
    assert run().seconds is None


def test_best_epoch_of_an_unfinished_run_follows_its_monitor(run):
    lines = [{"epoch": n, "loss": loss, "accuracy": 1 - loss} for n, loss in enumerate([0.5, 0.25, 0.75], 1)]
    assert run(*lines).best == {"monitor": "loss", "epoch": 2, "loss": 0.25, "accuracy": 0.75}
    found = run(*lines, callback="{type: EarlyStopping, monitor: accuracy, mode: min}")
    assert found.best == {"monitor": "accuracy", "epoch": 3, "loss": 0.75, "accuracy": 0.25}
    assert run(*lines, config="train: 3").best["epoch"] == 2
    assert run({"epoch": 1, "loss": math.nan}).best == {}


def test_direction_of_a_result(run):
    found = run()
    names = ("test_accuracy", "val_accuracy", "accuracy", "test_loss", "mae", "other")
    assert [found.direction_of(name) for name in names] == ["max", "max", "max", "min", "min", None]
    assert run(config="train: 3").direction_of("accuracy") is None


def test_results_have_the_keys_for_sorting(tmp_path):
    run = Run(tmp_path / "a/7", "finished", epochs=3, best={"monitor": "loss", "epoch": 2}, test={"mae": 0.5})
    path = (tmp_path / "a/7").as_posix()
    expected = {"run": path, "name": "a", "state": "finished", "epochs": 3, "best_epoch": 2, "test_mae": 0.5}
    assert run.results == expected
    assert (run.value("best_epoch"), run.value("seconds"), run.planned_epochs) == (2, None, None)


def test_damaged_summary_keeps_only_finite_numbers(tmp_path):
    summary = {
        "epochs": 3.0,
        "best": {"monitor": "loss", "loss": 1.5, "mae": math.nan, "f1": [1, 2], "bad": [1, "x"], "on": True},
        "test": {"monitor": "absent", "loss": 2},
        "seconds": 4,
        "parameters": math.inf,
    }
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    found = read_run(tmp_path)
    assert (found.state, found.epochs, found.seconds, found.parameters) == ("finished", 3, 4.0, None)
    assert found.best == {"monitor": "loss", "loss": 1.5, "f1": [1, 2]}
    assert found.test == {"loss": 2}


@pytest.mark.parametrize(("limit", "state"), [(2, "finished"), (1, "damaged")])
def test_file_may_be_as_large_as_the_limit(tmp_path, monkeypatch, limit, state):
    monkeypatch.setattr(listing, "_MAX_FILE_BYTES", limit)
    (tmp_path / "summary.json").write_text("{}")
    found = read_run(tmp_path)
    notes = {
        "finished": "summary.json lacks epochs and best and test",
        "damaged": "summary.json cannot be read: it is too large",
    }
    assert (found.state, found.note) == ("damaged", notes[state])


def test_largest_file_has_64_mebibytes():
    assert listing._MAX_FILE_BYTES == 67_108_864


def test_results_are_computed_once(run):
    found = run()
    assert found.results is found.results


@pytest.mark.parametrize(
    ("text", "needs_trust"), [("true", True), ("false", False), ("1", False), ("null", False)]
)
def test_trust_is_needed_if_the_manifest_says_so(tmp_path, text, needs_trust):
    (tmp_path / "manifest.json").write_text(f'{{"needs_trust": {text}}}')
    assert read_run(tmp_path).needs_trust is needs_trust


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_run_whose_manifest_cannot_be_read_is_damaged(tmp_path, content):
    (tmp_path / "summary.json").write_text('{"epochs": 1, "best": {}, "test": {}}')
    assert read_run(tmp_path).state == "finished"  # of a version without manifests
    (tmp_path / "manifest.json").write_text(content)
    run = read_run(tmp_path)
    assert run.state == "damaged"
    assert run.note == "manifest.json cannot be read, so the files of the run cannot be verified"


_SUMMARY = '{"epochs": 1, "best": {}, "test": {}}'


def test_run_whose_manifest_has_no_files_is_damaged(tmp_path):
    (tmp_path / "manifest.json").write_text('{"x": 1}')
    assert read_run(tmp_path).state == "unfinished"
    (tmp_path / "summary.json").write_text(_SUMMARY)
    run = read_run(tmp_path)
    assert run.state == "damaged"
    assert run.note == "manifest.json has no `files`, so the files of the run cannot be verified"


def test_run_whose_config_is_not_a_regular_file_is_damaged(tmp_path):
    (tmp_path / "summary.json").write_text(_SUMMARY)
    digest = hashlib.sha256(_SUMMARY.encode()).hexdigest()
    files = {"summary.json": digest, "model.keras": "", "config.yaml": ""}
    (tmp_path / "manifest.json").write_text(json.dumps({"files": files}))
    assert read_run(tmp_path).state == "finished"  # a missing config does not change the results
    os.mkfifo(tmp_path / "config.yaml")
    run = read_run(tmp_path)
    assert (run.state, run.note) == ("damaged", "config.yaml is not a regular file")
