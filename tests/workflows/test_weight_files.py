"""Files with initial weights are recorded by their hashes, and compared when a run without a checkpoint is resumed."""

import hashlib

import pytest

from layercli.check import check_config, require_valid
from layercli.errors import LayercliError
from layercli.workflows.initial_weights import require_initial_weights
from layercli.workflows.weight_files import check_weight_files, hash_weight_files
from tests.running import write_config

BACKBONE = {"type": "MobileNet", "include_top": False, "weights": "mobile.weights.h5", "pooling": "avg"}


@pytest.fixture
def valid(tmp_path):
    (tmp_path / "mobile.weights.h5").write_bytes(b"one")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.keras").write_bytes(b"two")
    model = {"input": [32, 32, 3], "weights": "run", "layers": [BACKBONE, {"type": "Dense", "units": 3}]}
    return require_valid(check_config(str(write_config(tmp_path, [], data=None, train=None, model=model))))


def test_files_of_layers_and_of_the_model_are_hashed(valid, tmp_path):
    assert hash_weight_files(valid) == {
        str(tmp_path / "mobile.weights.h5"): hashlib.sha256(b"one").hexdigest(),
        str(tmp_path / "run" / "model.keras"): hashlib.sha256(b"two").hexdigest(),
    }


def test_modified_and_missing_files_are_named(valid, tmp_path):
    manifest = {"weight_files": hash_weight_files(valid)}
    assert list(check_weight_files(valid, manifest)) == []
    (tmp_path / "mobile.weights.h5").write_bytes(b"three")
    (tmp_path / "run" / "model.keras").unlink()
    layer, model = check_weight_files(valid, manifest)
    assert (layer.code, layer.path, "was modified" in layer.message) == (
        "resume-differs",
        "model.layers[0].weights",
        True,
    )
    assert hashlib.sha256(b"one").hexdigest() in layer.hint
    assert (model.path, "does not exist any more" in model.message) == ("model.weights", True)


def read_initial_weights(tmp_path, weights):
    model = {"input": [3], "weights": weights, "layers": [{"type": "Dense", "units": 3}]}
    path = write_config(tmp_path, [], data=None, train=None, model=model)
    return require_initial_weights(require_valid(check_config(str(path))))


@pytest.mark.parametrize("name", ["run", "a.keras", "a.weights.h5", None])
def test_initial_weights_are_relative_to_the_config(name, tmp_path):
    (tmp_path / "run").mkdir()
    for file in ("a.keras", "a.weights.h5"):
        (tmp_path / file).write_bytes(b"one")
    assert read_initial_weights(tmp_path, name) == (tmp_path / name if name else None)


@pytest.mark.parametrize(
    ("weights", "code", "end"),
    [
        ("none/1", "unreadable-file", "none/1 does not exist."),
        ("mobile.txt", "unreadable-file", "mobile.txt is not a weights file."),
        ("old.h5", "legacy-model", "old.h5 is not a weights file."),
    ],
)
def test_initial_weights_must_be_a_run_or_a_file_of_keras(weights, code, end, tmp_path):
    for name in ("mobile.txt", "old.h5"):
        (tmp_path / name).write_bytes(b"one")
    with pytest.raises(LayercliError) as error:
        read_initial_weights(tmp_path, weights)
    [problem] = error.value.problems
    assert (problem.code, problem.path) == (code, "model.weights")
    assert problem.message.endswith(end)


def test_older_runs_have_no_hashes(valid):
    assert list(check_weight_files(valid, {})) == []


@pytest.mark.parametrize("weights", ["imagenet", None])
def test_weights_that_are_not_in_a_file_have_no_hash(weights, tmp_path):
    model = {"input": [32, 32, 3], "layers": [BACKBONE | {"weights": weights}]}
    config = write_config(tmp_path, [], data=None, train=None, model=model)
    assert hash_weight_files(require_valid(check_config(str(config)))) == {}


@pytest.mark.parametrize("known", [["x"], "x", {"mobile": 3}, 5])
def test_hashes_of_a_foreign_manifest_can_have_any_type(valid, known, tmp_path):
    if isinstance(known, dict):
        known = {str(tmp_path / "mobile.weights.h5"): [1]}
    assert list(check_weight_files(valid, {"weight_files": known})) == []
