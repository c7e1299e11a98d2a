"""A script trains in stages as layercli does; what it cannot do is refused."""

import keras
import numpy as np
import pytest
from sklearn.datasets import load_iris

from layercli.check import check_config, require_valid
from layercli.script.stage_code import find_inexpressible_stages
from tests.running import invoke, train, write_config
from tests.script.running import script_of
from tests.stacks import checked

MODEL = {
    "input": [4],
    "layers": [
        {"type": "Dense", "name": "body_1", "units": 8, "activation": "relu"},
        {"type": "BatchNormalization", "name": "body_2", "momentum": 0.5},
        {"type": "Dense", "name": "head", "units": 3, "activation": "softmax"},
    ],
}
DATA = {"type": "npz", "path": "d.npz", "features": "x", "target": "y", "shuffle": False}
STAGES = [
    {"epochs": 2, "freeze": ["body*"]},
    {"epochs": 1, "freeze": ["body_1"]},
    {"epochs": 1, "freeze": ["head"], "optimizer": {"type": "SGD", "learning_rate": 0.1}},
]


def write_stages(directory, stages, model=MODEL, **section):
    x, y = load_iris(return_X_y=True)
    np.savez(directory / "d.npz", x=x.astype("float32"), y=y.astype("int32"))
    section = {
        "optimizer": {"type": "Adam", "learning_rate": 0.01},
        "loss": "sparse_categorical_crossentropy",
        "execution": {"steps_per_execution": 1, "jit_compile": False},
        "stages": stages,
    } | section
    return write_config(directory, [], name="staged", data=DATA, model=model, train=section)


def test_script_trains_to_the_same_weights(tmp_path, monkeypatch):
    config = write_stages(tmp_path, STAGES)
    result = invoke("export", config, "--format", "python", "--output", tmp_path / "script.py")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "script.py").read_text()
    assert text.count("model.compile(") == 3
    assert text.count("optimizer=model.optimizer") == 1
    monkeypatch.chdir(tmp_path)
    exec(
        compile(text, "script.py", "exec"), {"__name__": "__main__", "__file__": str(tmp_path / "script.py")}
    )
    run = train(config, tmp_path / "run")
    ours, theirs = (
        keras.models.load_model(path).get_weights()
        for path in (run.path / "model.keras", tmp_path / "staged.keras")
    )
    assert all(map(np.array_equal, ours, theirs))


@pytest.mark.parametrize(
    ("layer", "section", "paths"),
    [
        ({}, {"callbacks": ["TerminateOnNaN"]}, [("train", "callbacks")]),
        ({"lora_rank": 2}, {}, [("train", "stages", 0, "freeze"), ("train", "stages", 1, "freeze")]),
        ({}, {}, []),
    ],
)
def test_stages_that_a_script_cannot_express(layer, section, paths, tmp_path):
    layers = [MODEL["layers"][0] | layer, *MODEL["layers"][1:]]
    valid = require_valid(
        check_config(str(write_stages(tmp_path, STAGES, MODEL | {"layers": layers}, **section)))
    )
    assert list(find_inexpressible_stages(valid.config.train, valid.graph)) == paths


def test_model_without_data_is_compiled_for_the_first_stage():
    text = """
model: {input: [4], layers: [{type: Dense, units: 1}]}
train:
  optimizer: Adam
  loss: mean_squared_error
  stages: [{epochs: 1, optimizer: RMSprop}, {epochs: 1, optimizer: SGD}]
"""
    script = script_of(require_valid(checked(text)))
    assert [name in script for name in ("rmsprop", "adam", "sgd")] == [True, False, False]
