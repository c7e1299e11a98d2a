"""A finished run opens only with the unmodified files of its training."""

import json
import shutil

import pytest

from layercli.engine.load_model import load_model
from layercli.errors import LayercliError
from layercli.runs.open_run import open_run, require_own_files


@pytest.fixture
def copy(digits_run, tmp_path):
    return shutil.copytree(digits_run.path, tmp_path / "run")


def refusal(name):
    with pytest.raises(LayercliError) as caught:
        open_run(str(name))
    (problem,) = caught.value.problems
    return problem.code, problem.message


def test_finished_run_opens_with_its_config_and_model(digits_run):
    run, valid = open_run(str(digits_run.path))
    assert run == digits_run.path
    model = load_model(run, valid)
    assert [layer.name for layer in model.layers[1:]] == [node.name for node in valid.graph.nodes]


@pytest.mark.parametrize("name", ["model.keras", "config.yaml"])
def test_modified_file_is_refused(copy, name):
    with (copy / name).open("ab") as file:
        file.write(b"\n")
    code, message = refusal(copy)
    assert code == "run-directory"
    assert message == (f"{name} was modified after training: its SHA-256 does not match manifest.json.")


def test_modified_or_missing_layer_file_is_refused(custom_run, tmp_path):
    copy = shutil.copytree(custom_run.path, tmp_path / "run")
    (copy / "simple_dense.py").write_text("raise SystemExit")
    assert "simple_dense.py was modified" in refusal(copy)[1]
    (copy / "simple_dense.py").unlink()
    assert refusal(copy) == ("run-directory", "The file simple_dense.py of the run is missing.")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"files": 3}', "[" * 100_000])
def test_invalid_manifest_is_refused(copy, text):
    (copy / "manifest.json").write_text(text)
    with pytest.raises(LayercliError):
        open_run(str(copy))


def test_unfinished_run_is_refused_with_its_missing_files(copy, tmp_path):
    assert "is not a run directory" in refusal(tmp_path / "none")[1]
    assert refusal("x" * 5000)[0] == "run-directory"
    assert refusal("none/1")[1] == "This is not a run directory: it does not exist."
    (copy / "manifest.json").unlink()
    assert refusal(copy)[1] == "This is not a finished run: it has no manifest.json."


def test_finished_run_without_its_model_must_be_restored(copy):
    (copy / "model.keras").unlink()
    with pytest.raises(LayercliError) as caught:
        open_run(str(copy))
    [problem] = caught.value.problems
    assert problem.message == "This is not a finished run: it has no model.keras."
    assert problem.hint == "Restore the file, or train the run again."


@pytest.mark.parametrize(
    ("has_model", "reason"),
    [(False, "it has no model.keras"), (True, "its training ended before everything was written")],
)
def test_run_killed_before_its_end_names_the_command_that_resumes_it(copy, has_model, reason):
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["files"]["model.keras"]
    (copy / "manifest.json").write_text(json.dumps(manifest | {"needs_trust": True}))
    if not has_model:
        (copy / "model.keras").unlink()
    with pytest.raises(LayercliError) as caught:
        open_run(str(copy))
    [problem] = caught.value.problems
    assert problem.message == f"This is not a finished run: {reason}."
    assert problem.hint.startswith(f"Resume with `layercli train --resume {copy} --trust`")


def test_folder_of_runs_with_a_link_is_not_a_run(copy):
    (copy.parent / "latest").symlink_to("run")
    code, message = refusal(copy.parent)
    assert code == "run-directory"
    assert message == "This is not a run directory: it has no config.yaml, model.keras, manifest.json."


@pytest.mark.parametrize("levels", [0, 1])
def test_folder_of_runs_names_the_first_finished_one(levels, tmp_path):
    summary = {"epochs": 1, "best": {"monitor": "loss", "epoch": 1, "loss": 0.5}, "test": {}}
    for number, name in (("10", "summary.json"), ("2", "summary.json"), ("1", "manifest.json")):
        run = tmp_path / "my seeds" / number
        run.mkdir(parents=True)
        (run / name).write_text(json.dumps(summary if name == "summary.json" else {}))
    with pytest.raises(LayercliError) as caught:
        open_run(str([tmp_path / "my seeds", tmp_path][levels]))
    [problem] = caught.value.problems
    folder = [f"'{tmp_path}/my seeds'", tmp_path][levels]
    assert problem.hint == (
        f"It is a folder of runs: pass one of its runs, such as '{tmp_path}/my seeds/2'. "
        f"`layercli runs {folder}` takes the directory."
    )


def test_hdf5_model_is_refused_with_a_conversion_hint():
    with pytest.raises(LayercliError) as caught:
        open_run("old/model.h5")
    (problem,) = caught.value.problems
    assert problem.code == "legacy-model"
    assert "load_model('model.h5').save('model.keras')" in problem.hint


def test_damaged_model_with_a_matching_hash_is_a_problem(copy):
    from layercli.io.paths import hash_file

    model = copy / "model.keras"
    model.write_bytes(model.read_bytes()[:1000])
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["model.keras"] = hash_file(model)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    run, valid = open_run(str(copy))
    with pytest.raises(LayercliError, match="The model cannot be loaded"):
        load_model(run, valid)


def test_first_three_links_are_listed(tmp_path):
    for number in range(5):
        (tmp_path / f"{number}{'x' * 150}").symlink_to("/")
    with pytest.raises(LayercliError) as caught:
        require_own_files(tmp_path)
    shown = ", ".join(f"{number}{'x' * 98}…" for number in range(3))
    assert caught.value.problems[0].message == (
        f"A run directory must contain only regular files and folders, no links: {shown}, and 2 more."
    )
