"""LoRA equals Keras's, resumes exactly, and is merged into the kernels of the saved model."""

import keras
import numpy as np
import pytest
from sklearn.datasets import load_iris

from layercli import api
from tests.interrupting import Killed, assert_same, at_block, kill, outcome
from tests.running import invoke, train, write_config

HIDDEN = {"type": "Dense", "name": "hidden", "units": 8, "activation": "relu"}
HEAD = {"type": "Dense", "name": "head", "units": 3, "activation": "softmax"}
SECTION = {
    "epochs": 3,
    "optimizer": {"type": "Adam", "learning_rate": 0.01},
    "loss": "sparse_categorical_crossentropy",
    "execution": {"steps_per_execution": 1, "jit_compile": False},
}
DATA = {"type": "npz", "path": "d.npz", "features": "x", "target": "y", "shuffle": False}
X, Y = load_iris(return_X_y=True)


def write_lora_config(directory, **model):
    np.savez(directory / "d.npz", x=X.astype("float32"), y=Y.astype("int32"))
    model = {"input": [4], "layers": [HIDDEN, HEAD], **model}
    return write_config(directory, [], data=DATA, model=model, train=SECTION)


def list_kernels(model, name="hidden"):
    return {weight.name: np.asarray(weight) for weight in model.get_layer(name).weights}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """The weights of a model, a config that trains updates of rank 2 of them, and its run."""
    directory = tmp_path_factory.mktemp("tuned")
    base = api.build(write_lora_config(directory))
    base.save_weights(directory / "base.weights.h5")
    config = write_lora_config(directory, weights="base.weights.h5", lora_rank={"hidden": 2})
    run = train(config, directory / "run")
    assert run.result.exit_code == 0, run.result.output
    return list_kernels(base), config, run


def test_loaded_weights_leave_the_new_updates(tuned):
    before, config, _ = tuned
    built = list_kernels(api.build(config))
    assert np.array_equal(built["kernel"], before["kernel"])
    assert built["lora_kernel_a"].all()
    assert not built["lora_kernel_b"].any()


def test_training_equals_plain_keras(tuned):
    _, config, run = tuned
    model = api.build(config)  # has the initial updates of the seed
    assert model.count_params() == run.summary["parameters"]
    assert (
        sum(np.prod(weight.shape) for weight in model.trainable_weights)
        == run.summary["trainable_parameters"]
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(X, Y, batch_size=32, epochs=3, shuffle=False, verbose=0)
    layer = model.get_layer("hidden")
    theirs = layer._kernel + layer.lora_kernel_a @ layer.lora_kernel_b  # the scale is alpha / rank = 1
    ours = list_kernels(keras.models.load_model(run.path / "model.keras"))
    assert sorted(ours) == ["bias", "kernel"]
    assert np.array_equal(ours["kernel"], theirs)


def test_saved_model_has_an_update_of_the_rank_in_its_kernel(tuned):
    before, _, run = tuned
    after = list_kernels(keras.models.load_model(run.path / "model.keras"))
    assert np.linalg.matrix_rank(after["kernel"] - before["kernel"], tol=1e-5) == 2
    assert run.summary["lora"] == {
        "layers": ["hidden"],
        "parameters": 4 * 8 + 8 + 8 * 3 + 3,
        "difference": 0.0,
    }
    assert run.summary["parameters"] == 4 * 8 + 8 + 8 * 3 + 3 + 2 * (4 + 8)
    assert run.summary["trainable_parameters"] == 8 + 8 * 3 + 3 + 2 * (4 + 8)


@pytest.mark.usefixtures("warm_processes")
def test_exported_model_has_no_update_and_no_optimizer(tuned, tmp_path):
    _, _, run = tuned
    result = invoke("export", run.path, "--format", "keras", "--output", tmp_path / "m.keras", "--json")
    assert result.exit_code == 0, result.output
    model = keras.models.load_model(tmp_path / "m.keras")
    assert sorted(list_kernels(model)) == ["bias", "kernel"]
    assert not model.compiled


def test_resume_is_exact(tuned, tmp_path, monkeypatch):
    _, config, run = tuned
    with monkeypatch.context() as patch:
        at_block(patch, 7, kill)
        with pytest.raises(Killed):
            train(config, tmp_path / "run", "--set", "train.checkpoints.steps=2")
    result = invoke("train", "--resume", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert_same(outcome(tmp_path / "run"), outcome(run.path))


def test_embedding_has_the_scale_of_its_update(tmp_path):
    layers = [
        {
            "type": "Embedding",
            "name": "hidden",
            "input_dim": 9,
            "output_dim": 4,
            "lora_rank": 2,
            "lora_alpha": 6.0,
        },
        "Flatten",
    ]
    model = api.build(
        write_config(tmp_path, layers, data=None, train=None, model={"input": [2], "layers": layers})
    )
    assert model.get_layer("hidden").lora_alpha == 6
