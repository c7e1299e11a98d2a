"""Run directories: their files, contents and numbers."""

import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import layercli
from layercli import api
from layercli.config.training.registry import OPTIMIZERS
from layercli.errors import LayercliError
from layercli.formats.registry import load_dataset
from layercli.runs import directory as runs
from tests.running import CONFIGS, train


@pytest.mark.tensorflow
def test_files_of_a_finished_run(digits_run, custom_run):
    files = [
        "checkpoints",
        "config.yaml",
        "data.json",
        "history.jsonl",
        "manifest.json",
        "model.keras",
        "summary.json",
    ]
    assert sorted(path.name for path in digits_run.path.iterdir()) == files
    assert sorted(path.name for path in custom_run.path.iterdir()) == [
        *files[:6],
        "simple_dense.py",
        "summary.json",
    ]


@pytest.mark.tensorflow
def test_summary_file_equals_the_printed_summary(digits_run):
    assert json.loads((digits_run.path / "summary.json").read_text()) == digits_run.summary


@pytest.mark.tensorflow
def test_history_has_every_metric_and_the_speed_per_epoch(digits_run):
    records = [json.loads(line) for line in (digits_run.path / "history.jsonl").read_text().splitlines()]
    names = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds", "examples_per_second"]
    assert [list(record) for record in records] == [names] * 3
    assert [record["epoch"] for record in records] == [1, 2, 3]
    for name, values in digits_run.summary["history"].items():
        assert [record[name] for record in records] == values
    assert all(record["seconds"] > 0 and record["examples_per_second"] > 0 for record in records)


@pytest.mark.tensorflow
def test_manifest_has_versions_seed_and_data(digits_run):
    import keras

    manifest = json.loads((digits_run.path / "manifest.json").read_text())
    assert [key for key in manifest if key != "git"] == [  # the tests may be in a repository
        "format",
        "started",
        "versions",
        "packages",
        "platform",
        "environment",
        "machine",
        "seed",
        "command",
        "needs_trust",
        "execution",
        "data",
        "files",
    ]
    assert manifest["versions"]["layercli"] == layercli.__version__
    assert manifest["versions"]["keras"] == keras.__version__
    assert manifest["versions"]["scikit-learn"] == version("scikit-learn")
    assert manifest["seed"] == 7
    config = api.load(CONFIGS / "digits_dense.yaml").config
    parts = load_dataset(config.data).split(config.data.split, seed=7, shuffle=True)
    assert manifest["data"] == {
        "fingerprint": parts.fingerprint(),
        "train": 1437,
        "validation": 180,
        "test": 180,
    }


@pytest.mark.tensorflow
def test_manifest_hashes_match_the_files(custom_run):
    files = json.loads((custom_run.path / "manifest.json").read_text())["files"]
    assert set(files) == {path.name for path in custom_run.path.iterdir()} - {"manifest.json", "checkpoints"}
    for name, digest in files.items():
        assert hashlib.sha256((custom_run.path / name).read_bytes()).hexdigest() == digest


@pytest.mark.tensorflow
def test_saved_model_has_the_reported_test_result(digits_run):
    import keras

    config = api.load(digits_run.path / "config.yaml").config
    parts = load_dataset(config.data).split(config.data.split, seed=config.seed, shuffle=True)
    model = keras.models.load_model(digits_run.path / "model.keras")
    loss, accuracy = model.evaluate(parts.test.x, parts.test.y, verbose=0)
    assert accuracy == pytest.approx(digits_run.summary["test"]["accuracy"])
    assert loss == pytest.approx(digits_run.summary["test"]["loss"], rel=1e-4)
    before = api.build(CONFIGS / "digits_dense.yaml").get_weights()
    assert not np.array_equal(before[0], model.get_weights()[0])


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["digits_run", "custom_run"])
def test_config_of_a_run_trains_to_the_same_history(name, request, tmp_path):
    run = request.getfixturevalue(name)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in run.path.iterdir():
        if path.name == "config.yaml" or path.suffix == ".py":
            shutil.copy(path, elsewhere)
    again = train(elsewhere / "config.yaml", tmp_path / "again", "--trust")
    assert again.result.exit_code == 0, again.result.output
    for key in ("history", "test", "best"):
        assert again.summary[key] == run.summary[key]
    assert (again.path / "config.yaml").read_text() == (run.path / "config.yaml").read_text()


@pytest.mark.parametrize("name", [path.name for path in sorted(CONFIGS.glob("*.yaml"))])
def test_resolved_config_equals_the_original(name, tmp_path):
    valid = api.load(CONFIGS / name)
    runs.write_config(tmp_path, valid)
    again = api.load(tmp_path / "config.yaml")
    data = valid.config.data
    given = {"model": None, "data": data.with_absolute_paths(CONFIGS).to_plain()}  # its paths hold anywhere
    if data.type_name() == "python":
        given["data"] = data.to_plain()  # the file of its function comes with the run
    if isinstance(optimizer := valid.config.train.optimizer, str):  # the written config has its arguments
        given["train"] = valid.config.train.to_plain() | {"optimizer": OPTIMIZERS.parse(optimizer).to_plain()}
    assert again.config.to_plain() | {"model": None} == valid.config.to_plain() | given
    written = (tmp_path / "config.yaml").read_text()
    runs.write_config(tmp_path, again)
    assert (tmp_path / "config.yaml").read_text() == written
    assert [row.outputs for row in again.shapes.rows] == [row.outputs for row in valid.shapes.rows]
    assert again.check_result.name == valid.check_result.name


def test_run_numbers_increase_without_filling_gaps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [runs.create_run("digits", None).as_posix() for _ in range(3)] == [
        f"runs/digits/{n}" for n in (1, 2, 3)
    ]
    (tmp_path / "runs/digits/1").rmdir()
    (tmp_path / "runs/digits/10").mkdir()
    (tmp_path / "runs/digits/notes").mkdir()
    assert runs.create_run("digits", None).name == "11"
    assert runs.create_run("iris", None).name == "1"


def test_concurrent_runs_get_separate_directories(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(16) as pool:
        paths = list(pool.map(lambda _: runs.create_run("digits", None), range(64)))
    assert sorted(int(path.name) for path in paths) == list(range(1, 65))


def test_name_must_not_point_outside_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LayercliError, match=r"must not point outside `runs/`"):
        runs.create_run("../elsewhere", None)


def test_existing_run_directory_must_be_empty(tmp_path):
    (tmp_path / "mine").mkdir()
    assert runs.create_run("digits", str(tmp_path / "mine")) == tmp_path / "mine"
    assert runs.create_run("digits", str(tmp_path / "deep/er")).is_dir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(LayercliError, match="The run directory is not empty"):
        runs.create_run("digits", str(tmp_path / "mine"))
    (tmp_path / "mine" / "manifest.json").touch()
    with pytest.raises(LayercliError) as raised:
        runs.create_run("digits", str(tmp_path / "mine"))
    command = f"`layercli train --resume {tmp_path / 'mine'}`"
    assert raised.value.problems[0].hint == f"Resume its training with {command}, or choose a new directory."
    (tmp_path / "mine" / "summary.json").touch()
    with pytest.raises(LayercliError) as raised:
        runs.create_run("digits", str(tmp_path / "mine"))
    assert raised.value.problems[0].hint == "Choose a new directory; layercli never overwrites a run."
    with pytest.raises(LayercliError, match="The run directory cannot be created: File exists"):
        runs.create_run("digits", str(tmp_path / "mine" / "file"))


def test_only_an_empty_run_directory_is_discarded(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for name in ("empty", "full", "absent"):
        runs.discard_run(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_unstarted_run_has_at_most_a_lock(tmp_path):
    assert not runs.is_unstarted(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    assert runs.is_unstarted(tmp_path)
    (tmp_path / "checkpoints" / ".lock").touch()
    (tmp_path / "config.yaml").touch()
    assert runs.is_unstarted(tmp_path)
    for name in ("manifest.json", "history.jsonl", "summary.json", "model.keras", "checkpoints/1"):
        (tmp_path / name).touch()
        assert not runs.is_unstarted(tmp_path)
        (tmp_path / name).unlink()


def test_latest_run_is_a_link(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("digits/1", "digits/2"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        runs.update_latest_link(Path("runs") / name)
        assert (tmp_path / "runs/latest").readlink() == Path(name)
    runs.update_latest_link(tmp_path)  # outside runs/
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["digits", "latest"]


def test_links_in_a_directory_of_runs_are_named(tmp_path):
    for name in ("a" * 101, "b", "c", "d"):
        (tmp_path / name).symlink_to("absent")
    with pytest.raises(LayercliError) as error:
        runs.require_own_entries(tmp_path, may_be_link=True)
    [problem] = error.value.problems
    assert problem.message == (
        "A directory of runs must contain only regular files and folders, no links: "
        f"{'a' * 99}…, b is a symbolic link, c is a symbolic link."
    )


def test_link_to_a_directory_of_runs_must_be_named(tmp_path):
    (tmp_path / "all").mkdir()
    link = tmp_path / "link"
    link.symlink_to("all")
    runs.require_own_entries(link, may_be_link=True)
    runs.require_own_entries(tmp_path / "all", may_be_link=False)
    with pytest.raises(LayercliError, match="no links: link is a symbolic link"):
        runs.require_own_entries(link, may_be_link=False)
