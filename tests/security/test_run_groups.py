"""Directories of several runs from elsewhere: links, pipes and files that are made to harm."""

import json
import os

import pytest

from layercli.errors import LayercliError
from layercli.io.regular import open_log
from layercli.reports.console import make_console
from layercli.reports.crossval import make_fold_progress
from layercli.sweep.plan import read_sweep_plan
from layercli.sweep.study import make_sweep_directory
from layercli.workflows.crossval import CrossvalRequest, open_crossval, run_crossval
from tests.running import IRIS, invoke


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(IRIS.replace(", test: 0.2", ""))
    return path


@pytest.fixture
def folder(tmp_path):
    """The directory of a cross-validation without folds."""
    folder = tmp_path / "cv"
    folder.mkdir()
    (folder / "crossval.json").write_text("{}")
    return folder


@pytest.fixture
def precious(tmp_path):
    """A folder with files of the names that layercli removes from a run that has not started."""
    folder = tmp_path / "precious"
    folder.mkdir()
    for name in ("config.yaml", "data.json", "notes.txt"):
        (folder / name).write_text("mine")
    return folder


def assert_refused(result, text):
    assert result.exit_code == 1, result.output
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["code"] == "run-directory"
    assert text in problem["message"]


@pytest.mark.parametrize("name", ["1", "worker.log", ".1.lock", "predictions-1.csv", "predictions.csv"])
def test_link_in_a_crossval_directory_is_refused(folder, config, precious, name):
    (folder / name).symlink_to(precious if name == "1" else precious / "notes.txt")
    result = invoke("crossval", config, "--run-dir", folder, "--folds", "2", "--json")
    assert_refused(result, f"no links: {name} is a symbolic link")
    assert {path.name: path.read_text() for path in precious.iterdir()} == dict.fromkeys(
        ("config.yaml", "data.json", "notes.txt"), "mine"
    )


def test_pipe_in_a_crossval_directory_is_refused(folder, config):
    os.mkfifo(folder / "worker.log")
    result = invoke("crossval", config, "--run-dir", folder, "--folds", "2", "--json")
    assert_refused(result, "worker.log is a pipe")


def test_default_directory_behind_a_link_is_refused(config, precious, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "config-crossval").symlink_to(precious)
    result = invoke("crossval", config, "--folds", "2", "--json")
    assert_refused(result, "config-crossval is a symbolic link")


@pytest.mark.usefixtures("config")
def test_link_in_the_directory_of_a_sweep_is_refused(precious, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.yaml").write_text(
        "base: config.yaml\nname: s\nspace: {train.batch_size: {choice: [16, 32]}}\n"
        "objective: {metric: val_accuracy, direction: maximize}\n"
    )
    plan, _ = read_sweep_plan("sweep.yaml", ())
    directory = make_sweep_directory(plan, None)
    (directory / "journal.jsonl").symlink_to(precious / "notes.txt")
    with pytest.raises(LayercliError, match=r"journal\.jsonl is a symbolic link"):
        make_sweep_directory(plan, None)
    directory.rename("elsewhere")
    (tmp_path / "runs" / "s").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LayercliError, match="s is a symbolic link"):
        make_sweep_directory(plan, None)


def test_log_is_appended_only_to_a_regular_file(tmp_path):
    for text in (b"one", b"two"):
        with open_log(tmp_path / "log") as log:
            log.write(text)
    assert (tmp_path / "log").read_bytes() == b"onetwo"
    (tmp_path / "link").symlink_to(tmp_path / "log")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError, match=r"."):
            open_log(tmp_path / name)
    assert (tmp_path / "log").read_bytes() == b"onetwo"


@pytest.mark.parametrize(
    "content", [b"", b"row,y\nx,1\n", b"row,y\n1\n", b"\xff", b"row,y\n" + b"1" * 200_000, b"\0" * (1 << 24)]
)
def test_damaged_predictions_of_folds_are_answered(config, content, tmp_path):
    crossval = open_crossval(CrossvalRequest(str(config), (), str(tmp_path / "cv"), folds=2))
    for number in (1, 2):
        (tmp_path / "cv" / f"predictions-{number}.csv").write_bytes(content)
        (tmp_path / "cv" / str(number)).mkdir()
    with pytest.raises(LayercliError, match="results of the folds cannot be combined"):
        run_crossval(crossval, make_fold_progress(make_console(), is_live=False, total=2, repeats=1))
