"""An inverted Normalization learns the mean and variance of the training targets."""

import keras
import numpy as np
import pytest
import yaml

from layercli import api
from layercli.engine.adapt import adapt_layers
from layercli.engine.assemble import assemble_model
from layercli.errors import LayercliError
from layercli.formats.registry import load_dataset
from tests.running import invoke, train

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(200, 4)).astype(np.float32)
PRICE = (X @ [3, -2, 1, 0.5] * 10_000 + 150_000).astype(np.float32)
SCALED = {"type": "Normalization", "name": "out", "invert": True}


def write(place, y, layers, *, loss="mse", outputs=None, data=None, **settings):
    names = y if isinstance(y, dict) else {"y": y}
    np.savez(place / "d.npz", x=X, **names)
    document = {
        "seed": 2,
        "data": {
            "type": "npz",
            "path": str(place / "d.npz"),
            "features": "x",
            "target": {name: name for name in y} if isinstance(y, dict) else "y",
            "split": {"validation": 0.1, "test": 0.2},
            **(data or {}),
        },
        "model": {"input": [4], "layers": layers} | ({"outputs": outputs} if outputs else {}),
        "train": {"loss": loss, "optimizer": {"type": "Adam", "learning_rate": 0.03}} | settings,
    }
    (place / "c.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return place / "c.yaml"


def adapted(place, *arguments, **keys):
    """Return a model whose layers have learned from the training examples, and the splits."""
    valid = api.load(write(place, *arguments, **keys))
    data = valid.config.data
    splits = load_dataset(data).split(data.split, seed=valid.config.seed, shuffle=data.shuffle)
    assembled = assemble_model(valid)
    adapt_layers(assembled, valid, splits.train)
    return assembled, splits.train


def assert_learned(layer, targets, shape):
    assert np.shape(layer.mean) == shape
    axes = 0 if len(np.shape(targets)) > 1 else None
    np.testing.assert_allclose(np.ravel(layer.mean), np.ravel(np.mean(targets, axis=axes)), rtol=1e-5)
    np.testing.assert_allclose(np.ravel(layer.variance), np.ravel(np.var(targets, axis=axes)), rtol=1e-4)


@pytest.mark.parametrize(
    ("y", "units"),
    [
        (PRICE, 1),
        (PRICE[:, None], 1),
        (np.stack([PRICE, X[:, 0] * 5 - 7, X[:, 1] + 2000], axis=1), 3),
        (np.round(PRICE).astype(np.int64), 1),
    ],
)
def test_mean_and_variance_equal_those_of_numpy(tmp_path, y, units):
    assembled, part = adapted(tmp_path, y, [{"type": "Dense", "units": units}, SCALED])
    assert len(part) == 140
    assert_learned(assembled.layers["out"], part.y, (1, units))
    assert not np.allclose(np.mean(part.y), np.mean(y), rtol=1e-5)  # of the training part only


@pytest.mark.parametrize("axis", [-1, None])
def test_steps_have_a_mean_each_or_one(tmp_path, axis):
    steps = np.arange(4.0) * 100 + PRICE[:, None]
    layers = [{"type": "Dense", "units": 4}, SCALED | {"axis": axis}]
    assembled, part = adapted(tmp_path, steps, layers)
    layer = assembled.layers["out"]
    assert_learned(layer, part.y if axis == -1 else np.ravel(part.y), (1, 4) if axis == -1 else (1, 1))


def test_layer_before_a_reshape_learns_in_its_own_shape(tmp_path):
    steps = np.stack([PRICE, X[:, 0], PRICE * 2, X[:, 1]], axis=1)
    layers = [
        {"type": "Dense", "units": 4},
        {"type": "Reshape", "target_shape": [2, 2]},
        SCALED,
        "Flatten",
    ]
    assembled, part = adapted(tmp_path, steps, layers)
    assert_learned(assembled.layers["out"], part.y.reshape(-1, 2), (1, 1, 2))


def test_layer_for_each_timestep_learns_targets(tmp_path):
    steps = np.stack([PRICE, PRICE + 50_000], axis=1)[..., None]
    inner = {"type": "Normalization", "invert": True}
    layers = [
        {"type": "Dense", "units": 2},
        {"type": "Reshape", "target_shape": [2, 1]},
        {"type": "TimeDistributed", "name": "each", "layer": inner},
    ]
    assembled, part = adapted(tmp_path, steps, layers)
    assert_learned(assembled.layers["each"].layer, np.ravel(part.y), (1, 1))


def test_each_output_learns_its_own_target(tmp_path):
    targets = {"a": PRICE, "b": X[:, 0] * 3 + 40}
    layers = [
        {"type": "Dense", "units": 2, "name": "trunk"},
        {"type": "Dense", "units": 1},
        SCALED | {"name": "a"},
        {"type": "Dense", "units": 1, "inputs": "trunk"},
        SCALED | {"name": "b"},
    ]
    keys = {"outputs": ["b", "a"], "loss": {"a": "mse", "b": "mse"}}
    assembled, part = adapted(tmp_path, targets, layers, **keys)
    assert_learned(assembled.layers["a"], part.y["a"], (1, 1))
    assert_learned(assembled.layers["b"], part.y["b"], (1, 1))


def test_layer_without_its_weights_in_the_file_is_an_error(tmp_path):
    valid = api.load(write(tmp_path, PRICE, [{"type": "Dense", "units": 1}, SCALED]))
    layers = [{"type": "Dense", "units": 1}, SCALED, {"type": "Dense", "units": 1, "name": "last"}]
    config = write(tmp_path, PRICE, layers)
    text = config.read_text().replace("layers:", "weights: old.keras\n  layers:", 1)
    config.write_text(text)
    other = api.load(config)
    with pytest.raises(LayercliError) as caught:
        adapt_layers(assemble_model(other), other, load_dataset(valid.config.data))
    (problem,) = caught.value.problems
    assert (problem.code, problem.path) == ("target-scale", "model.layers[1].invert")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A training on prices with weights of examples, which the mean ignores."""
    place = tmp_path_factory.mktemp("prices")
    y = {"y": PRICE, "w": np.linspace(0, 2, 200)}
    layers = [{"type": "Dense", "units": 1}, SCALED]
    keys = {"data": {"target": "y", "weights": "w"}, "epochs": 25, "metrics": ["mean_absolute_error"]}
    done = train(write(place, y, layers, **keys), place / "run")
    assert done.result.exit_code == 0, done.result.output
    return done


def test_trained_model_predicts_in_target_units(run):
    """The mean absolute error of guessing the mean is about 30,000."""
    assert run.summary["test"]["mean_absolute_error"] < 3_000
    model = keras.models.load_model(run.path / "model.keras")
    assert abs(float(np.mean(model.predict(X, verbose=0))) - float(PRICE.mean())) < 3_000


def test_sample_weights_do_not_change_the_mean(run):
    valid = api.load(run.path / "config.yaml")
    data = valid.config.data
    part = load_dataset(data).split(data.split, seed=2, shuffle=True).train
    layer = keras.models.load_model(run.path / "model.keras").get_layer("out")
    assert_learned(layer, part.y, (1, 1))


def test_loss_and_metrics_are_those_of_keras_in_target_units(run):
    result = invoke("evaluate", run.path, "--json")
    assert result.exit_code == 0, result.output
    model = keras.models.load_model(run.path / "model.keras")
    data = api.load(run.path / "config.yaml").config.data
    part = load_dataset(data).split(data.split, seed=2, shuffle=True).test
    error = np.ravel(model.predict(part.x, verbose=0)) - np.ravel(part.y)
    weights = np.ravel(part.weights)
    assert run.summary["test"]["mean_absolute_error"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
    assert run.summary["test"]["loss"] == pytest.approx((error**2 * weights).mean(), rel=1e-4)
