"""A saved model is loaded again after training and compared bit for bit."""

import numpy as np
import pytest

from layercli.check import check_config, require_valid
from layercli.engine.saved_model_check import check_saved_model
from layercli.errors import LayercliError
from layercli.workflows.build import assemble_checked_model
from tests.running import invoke, train, write_config

INPUTS = {"input": np.linspace(-1, 1, 20, dtype="float32").reshape(5, 4)}
HEAD = {"type": "Dense", "units": 3, "activation": "softmax"}
OTHER_BIAS = "def call(self, x):\n    return x + self.start\n"
START = "def __init__(self, **kwargs):\n    super().__init__(**kwargs)\n    self.start = next(NUMBERS)\n\n"
NUMBERED = "import itertools\nNUMBERS = itertools.count()\nclass Mine(keras.layers.Layer):"


def check(tmp_path, entry, change=None):
    """Save a model with this first layer, change the model, and compare it with the file."""
    valid = require_valid(check_config(str(write_config(tmp_path, [entry, HEAD]))))
    assembled = assemble_checked_model(valid, should_be_savable=True)
    assembled.model.save(tmp_path / "model.keras")
    if change is not None:
        change(assembled.model)
    return check_saved_model(tmp_path / "model.keras", assembled, valid, INPUTS)


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "Dense", "units": 4},
        {"type": "BatchNormalization"},
        {"type": "Dropout", "rate": 0.5},
        {"type": "Discretization", "bin_boundaries": [0.0], "output_mode": "multi_hot"},
    ],
    ids=lambda entry: entry["type"],
)
def test_saved_layer_is_equal(tmp_path, entry):
    assert check(tmp_path, entry) == []


def test_changed_last_bit_of_weights_is_an_error_at_its_layer(tmp_path):
    def change(model):
        kernel, bias = model.layers[-1].get_weights()
        model.layers[-1].set_weights([np.nextafter(kernel, np.float32(9)), bias])

    with pytest.raises(LayercliError) as error:
        check(tmp_path, {"type": "Dense", "units": 4, "name": "first"}, change)
    (problem,) = error.value.problems
    assert problem.code == "not-savable"
    assert problem.message.endswith("after it is loaded, first at `dense`.")


def test_state_outside_the_weights_is_an_error_at_its_layer(tmp_path, layer_file):
    with pytest.raises(LayercliError) as error:
        check(tmp_path, {"type": layer_file(START + OTHER_BIAS, header=NUMBERED)})
    (problem,) = error.value.problems
    assert (problem.code, problem.path) == ("not-savable", "model.layers[0]")
    assert problem.message.endswith("first at `mine`.")


def test_random_layer_is_a_warning(tmp_path, layer_file):
    mine = layer_file("def call(self, x):\n    return x + keras.random.normal((4,))")
    (problem,) = check(tmp_path, {"type": mine})
    assert (problem.code, problem.severity, problem.path) == ("not-compared", "warning", "model.layers[0]")
    assert problem.message == (
        "`mine` returns different values for the same input, so the saved model was not compared."
    )


def test_training_reports_a_model_that_changes_when_loaded(tmp_path, layer_file):
    mine = layer_file(START + OTHER_BIAS, header=NUMBERED)
    config = write_config(tmp_path, [{"type": mine}, HEAD])
    run = train(config, tmp_path / "run", "--trust", "--set", "train.epochs=1")
    assert run.result.exit_code == 1
    (problem,) = run.summary["problems"]
    assert (problem["code"], problem["line"]) == ("not-savable", 11)
    assert invoke("evaluate", tmp_path / "run", "--json", "--trust").exit_code == 1
