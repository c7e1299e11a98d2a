"""``layercli find-rate``: the same losses each time, a proposal that is written, and clear ends without one."""

import json
import os
from xml.etree import ElementTree

import keras
import numpy as np
import pytest
from sklearn.datasets import load_iris

from layercli.api import build
from tests.running import IRIS, invoke, problems


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "iris.yaml"
    path.write_text(IRIS)
    return path


def test_proposal_is_written_and_the_test_repeats_exactly(config, tmp_path):
    options = ("find-rate", config, "--from", "1e-3", "--to", "1", "--steps", 40, "--json")
    first = json.loads(invoke(*options).stdout)
    picture = tmp_path / "rate.svg"
    second = json.loads(invoke(*options, "--plot", picture, "--write").stdout)
    assert second["curve"] == first["curve"]
    assert 0.001 < first["rate"] < 1
    assert (first["key"], first["written"]) == ("train.optimizer.learning_rate", None)
    assert config.read_text() == IRIS.replace("learning_rate: 0.02", f"learning_rate: {first['rate']:g}")
    assert second["written"] == str(config)
    ElementTree.fromstring(picture.read_text())
    assert "learning rate" in picture.read_text()


def test_steps_equal_those_of_keras(config):
    """The first loss is that of the untrained model on the first batch; the second follows one step of SGD."""
    changes = ("train.optimizer=SGD", "data.shuffle=false", "data.split={}", "train.batch_size=150")
    sets = [part for change in changes for part in ("--set", change)]
    result = invoke("find-rate", config, *sets, "--from", "0.5", "--to", "1", "--steps", 20, "--json")
    losses = json.loads(result.stdout)["curve"]["losses"]
    model = build(str(config))
    x, y = load_iris(return_X_y=True)
    x = x.astype(np.float32)
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    expected = [model.train_on_batch(x, y), model.evaluate(x, y, verbose=0)]
    assert losses[:2] == pytest.approx(expected, rel=1e-5)


def test_text_shows_the_curve_and_the_next_command(config):
    change = ("--set", "train.batch_size=16")
    options = ("--from", "1e-3", "--to", "1", "--steps", 30)
    lines = invoke("find-rate", config, *change, *options).stdout.splitlines()
    assert lines[0] == "Loading TensorFlow and the data."
    assert any(line.split()[:2] == ["rate", "0.001"] for line in lines)
    changes = "--set train.batch_size=16 --set train.optimizer.learning_rate=0."
    assert lines[-1].startswith(f"  layercli train {config} {changes}")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--from", "1e-12", "--to", "1e-11"), "times its noise"),
        (("--set", "train.optimizer=SGD", "--from", "1e5", "--to", "1e6"), "the loss diverged after"),
    ],
)
def test_no_proposal_is_an_error(config, options, reason):
    result = invoke("find-rate", config, "--steps", 20, "--json", *options)
    assert problems(result) == [("no-learning-rate", 10 if "--set" not in options else None)]
    assert reason in json.loads(result.stdout)["problems"][0]["message"]


def test_schedule_is_replaced_and_named(config):
    schedule = "{type: CosineDecay, initial_learning_rate: 0.1, decay_steps: 9}"
    change = f"train.optimizer.learning_rate={schedule}"
    result = invoke("find-rate", config, "--from", "1e-3", "--to", "1", "--steps", 30, "--set", change)
    assert "The test replaces the schedule CosineDecay: the proposal is a constant rate." in result.stdout


def test_custom_optimizer_with_a_schedule_is_refused(config, tmp_path):
    (tmp_path / "own.py").write_text(
        "import keras\n\n\nclass Own(keras.optimizers.SGD):\n    def __init__(self, **arguments):\n"
        "        schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 9, 0.9)\n"
        "        super().__init__(learning_rate=schedule)\n"
    )
    result = invoke(
        "find-rate", config, "--set", "train.optimizer=own.py:Own", "--trust", "--steps", 20, "--json"
    )
    assert [code for code, _ in problems(result)] == ["custom-object"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--from", "1", "--to", "0.1"), "--to must be larger than --from (1), got 0.1"),
        (("--steps", "5"), "20"),
        (("--from", "0"), "0.000000000001"),
        (("--plot", "x.png"), "the file name must end in .svg"),
    ],
)
def test_wrong_options_are_usage_errors(config, options, message):
    result = invoke("find-rate", config, *options)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


def test_config_on_standard_input_cannot_be_written():
    result = invoke("find-rate", "-", "--write", stdin=IRIS)
    assert result.exit_code == 2
    assert "--write requires a config file" in result.output


def test_config_in_a_pipe_cannot_be_written():
    reader, writer = os.pipe()
    os.write(writer, IRIS.encode())
    os.close(writer)
    result = invoke("find-rate", f"/dev/fd/{reader}", "--write")
    os.close(reader)
    assert result.exit_code == 2
    assert "--write requires a regular file" in result.output
