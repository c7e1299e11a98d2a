"""A finished run opens only with the unmodified files of its training."""

import json
import shutil

import pytest

from layercli.errors import LayercliError
from layercli.runs.manifest import write_manifest
from layercli.runs.open_run import check_run_config, max_weight_bytes, open_run, require_own_files
from tests.running import IRIS, invoke


@pytest.fixture
def copied_run(tmp_path):
    """A run directory as after a training; its model cannot be loaded."""
    run = tmp_path / "run"
    run.mkdir()
    for name, text in {"config.yaml": IRIS, "model.keras": "weights", "data.json": "{}"}.items():
        (run / name).write_text(text)
    write_manifest(run, {"versions": {}, "data": {"fingerprint": ""}, "execution": {}}, is_finished=True)
    return run


def refusal(name):
    with pytest.raises(LayercliError) as caught:
        open_run(str(name))
    (problem,) = caught.value.problems
    return problem.code, problem.message


@pytest.mark.tensorflow
def test_finished_run_opens_with_its_config_and_model(digits_run):
    from layercli.engine.load_model import load_model

    run, valid = open_run(str(digits_run.path))
    assert run == digits_run.path
    model = load_model(run, valid)
    assert [layer.name for layer in model.layers[1:]] == [node.name for node in valid.graph.nodes]


@pytest.mark.parametrize("name", ["model.keras", "config.yaml", "data.json"])
def test_modified_file_is_refused(copied_run, name):
    with (copied_run / name).open("ab") as file:
        file.write(b"\n")
    code, message = refusal(copied_run)
    assert code == "run-directory"
    assert message == (f"{name} was modified after training: its SHA-256 does not match manifest.json.")


@pytest.mark.tensorflow
def test_modified_or_missing_layer_file_is_refused(custom_run, tmp_path):
    copied_run = shutil.copytree(custom_run.path, tmp_path / "run")
    (copied_run / "simple_dense.py").write_text("raise SystemExit")
    assert "simple_dense.py was modified" in refusal(copied_run)[1]
    (copied_run / "simple_dense.py").unlink()
    assert refusal(copied_run) == ("run-directory", "The file simple_dense.py of the run is missing.")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"files": 3}', "[" * 100_000])
def test_invalid_manifest_is_refused(copied_run, text):
    (copied_run / "manifest.json").write_text(text)
    with pytest.raises(LayercliError):
        open_run(str(copied_run))


def test_unfinished_run_is_refused_with_its_missing_files(copied_run, tmp_path):
    assert "is not a run directory" in refusal(tmp_path / "none")[1]
    assert refusal("x" * 5000)[0] == "run-directory"
    assert refusal("none/1")[1] == "This is not a run directory: it does not exist."
    (copied_run / "manifest.json").unlink()
    assert refusal(copied_run)[1] == "This is not a finished run: it has no manifest.json."


def test_finished_run_without_its_model_must_be_restored(copied_run):
    (copied_run / "model.keras").unlink()
    with pytest.raises(LayercliError) as caught:
        open_run(str(copied_run))
    [problem] = caught.value.problems
    assert problem.message == "This is not a finished run: it has no model.keras."
    assert problem.hint == "Restore the file, or train the run again."


@pytest.mark.parametrize(
    ("has_model", "reason"),
    [(False, "it has no model.keras"), (True, "its training ended before everything was written")],
)
def test_run_killed_before_its_end_names_the_command_that_resumes_it(copied_run, has_model, reason):
    manifest = json.loads((copied_run / "manifest.json").read_text())
    del manifest["files"]["model.keras"]
    (copied_run / "manifest.json").write_text(json.dumps(manifest | {"needs_trust": True}))
    if not has_model:
        (copied_run / "model.keras").unlink()
    with pytest.raises(LayercliError) as caught:
        open_run(str(copied_run))
    [problem] = caught.value.problems
    assert problem.message == f"This is not a finished run: {reason}."
    assert problem.hint.startswith(f"Resume with `layercli train --resume {copied_run} --trust`")


def test_folder_of_runs_with_a_link_is_not_a_run(copied_run):
    (copied_run.parent / "latest").symlink_to("run")
    code, message = refusal(copied_run.parent)
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


@pytest.mark.tensorflow
def test_damaged_model_with_a_matching_hash_is_a_problem(digits_run, tmp_path):
    from layercli.engine.load_model import load_model
    from layercli.io.paths import hash_file

    copied_run = shutil.copytree(digits_run.path, tmp_path / "run")
    model = copied_run / "model.keras"
    model.write_bytes(model.read_bytes()[:1000])
    manifest = json.loads((copied_run / "manifest.json").read_text())
    manifest["files"]["model.keras"] = hash_file(model)
    (copied_run / "manifest.json").write_text(json.dumps(manifest))
    run, valid = open_run(str(copied_run))
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


def test_run_without_the_state_of_a_reader_opens(copied_run):
    (copied_run / "data.json").unlink()
    run, valid = open_run(str(copied_run))
    assert (run, valid.graph.nodes[-1].name) == (copied_run, "dense_1")


def test_model_file_is_at_most_six_times_its_weights(copied_run):
    # iris: 4 inputs, (4 x 8 + 8) + (8 x 3 + 3) = 67 weights of 4 bytes; 256 MiB for everything else
    _, valid = open_run(str(copied_run))
    assert max_weight_bytes(valid) == 6 * 67 * 4 + 268_435_456
    assert max_weight_bytes(valid, copies=1) == 67 * 4 + 268_435_456


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: \xff", "config.yaml is not UTF-8 text."),
        (b" " * 1_048_577, "config.yaml is too large."),
        (b"extends: base.yaml\n", "`extends` in config.yaml names a file outside the run."),
    ],
)
def test_config_that_layercli_does_not_write_is_refused(tmp_path, content, message):
    with pytest.raises(LayercliError) as caught:
        check_run_config(tmp_path, content)
    [problem] = caught.value.problems
    assert problem.message.startswith(message)
    assert problem.code == "run-directory"


def test_config_with_a_byte_order_mark_is_read(tmp_path):
    assert check_run_config(tmp_path, b"\xef\xbb\xbf" + IRIS.encode()).config.seed == 3


@pytest.mark.parametrize("name", ["link", "base"])
def test_diff_reads_no_file_outside_of_a_run(copied_run, tmp_path, name):
    other = tmp_path / "other.yaml"
    other.write_text(IRIS)
    config = copied_run / "config.yaml"
    config.unlink()
    if name == "link":
        config.symlink_to(other)
    else:
        config.write_text(f"extends: {other}\n{IRIS}")
    for arguments in (("diff", other, copied_run), ("build", copied_run)):
        result = invoke(*arguments, "--json")
        assert (result.exit_code, json.loads(result.stdout)["problems"][0]["code"]) == (1, "run-directory")
