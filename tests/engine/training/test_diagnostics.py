"""Statistics of layers: equal to numbers of NumPy and of calculations by hand, without an effect on the model."""

import numpy as np
import pytest

from layercli import api
from layercli.data.examples import Examples
from layercli.engine.assemble import assemble_model
from layercli.engine.training.compile import compile_model
from layercli.engine.training.diagnostics import LayerProbe
from tests.running import write_config

ROWS = np.array([[1.0], [2.0], [-3.0]], "float32")


def make_probe(tmp_path, layers, optimizer, weights, x=ROWS, y=None):
    """Return a probe of a compiled model with these weights, and the model."""
    y = np.zeros((len(x), 1), "float32") if y is None else y
    section = {"loss": "mse", "optimizer": optimizer}
    path = write_config(tmp_path, layers, data=None, train=section)
    path.write_text(path.read_text().replace("model:\n", f"model:\n  input: [{x.shape[1]}]\n"))
    valid = api.load(path)
    assembled = assemble_model(valid)
    model = assembled.model
    compile_model(model, valid.config.train, valid)
    model.optimizer.build(model.trainable_variables)
    if weights is not None:
        model.set_weights([np.array(each, "float32") for each in weights])
    return LayerProbe(assembled, valid, Examples(x, y)), model


def by_layer(record):
    return {layer["layer"]: layer for layer in record["layers"]}


def test_statistics_equal_a_calculation_by_hand(tmp_path):
    layers = [
        {"type": "Dense", "units": 2, "activation": "relu", "name": "hidden"},
        {"type": "Dense", "units": 1, "name": "head"},
    ]
    optimizer = {"type": "SGD", "learning_rate": 0.1}
    probe, _ = make_probe(tmp_path, layers, optimizer, [[[1.0, -1.0]], [0.0, -5.0], [[3.0], [4.0]], [0.0]])
    record = probe.measure()
    # The hidden layer returns (1, 0), (2, 0), (0, 0), the head 3, 6 and 0: the mean of squares is 15.
    assert record["loss"] == pytest.approx(15.0)
    assert record["examples"] == 3
    assert record["first_non_finite"] is None
    assert record["inputs"] == [{"input": "input", "mean": 0.0, "std": pytest.approx(np.std(ROWS), rel=1e-5)}]
    found = by_layer(record)
    assert found["hidden"]["mean"] == pytest.approx(0.5)
    assert found["hidden"]["std"] == pytest.approx(np.std([1, 0, 2, 0, 0, 0]), rel=1e-5)
    assert found["hidden"]["dead"] == 0.5
    assert found["hidden"]["saturated"] is None
    assert found["head"]["dead"] is None
    # The gradient of the head: 2/3 * (1*3 + 2*6) = 10 for its kernel, 2/3 * (3 + 6) = 6 for its bias.
    assert found["head"]["gradient_norm"] == pytest.approx(np.hypot(10, 6), rel=1e-5)
    assert found["head"]["weight_norm"] == pytest.approx(5.0)
    assert found["head"]["update_ratio"] == pytest.approx(0.1 * 10 / 5, rel=1e-4)
    # The hidden layer: 3 * 10 for its kernel and 3 * 6 for its bias; the dead unit has none.
    assert found["hidden"]["gradient_norm"] == pytest.approx(np.hypot(30, 18), rel=1e-5)


def test_saturated_units_are_near_a_limit_for_nearly_all_examples(tmp_path):
    layers = [
        {"type": "Dense", "units": 3, "activation": "tanh", "name": "squash"},
        {"type": "Dense", "units": 1},
    ]
    weights = [[[100.0, 0.1, 0.0]], [0.0, 0.0, 9.0], np.ones((3, 1)), [0.0]]
    probe, _ = make_probe(tmp_path, layers, "sgd", weights)
    assert by_layer(probe.measure())["squash"]["saturated"] == pytest.approx(2 / 3, rel=1e-5)


def test_first_layer_with_nan_is_named(tmp_path):
    layers = [{"type": "Dense", "units": 1, "name": name} for name in ("one", "two")]
    probe, _ = make_probe(tmp_path, layers, "sgd", [[[1.0]], [0.0], [[np.nan]], [0.0]])
    record = probe.measure()
    assert record["first_non_finite"] == "two"
    assert by_layer(record)["two"]["mean"] is None


def test_measuring_changes_no_variable_and_repeats_itself(tmp_path):
    layers = [
        {"type": "Dense", "units": 4, "activation": "relu", "kernel_regularizer": {"type": "L2", "l2": 0.1}},
        {"type": "Dropout", "rate": 0.5},
        {"type": "ActivityRegularization", "l1": 0.1},
        "BatchNormalization",
        {"type": "Dense", "units": 1},
    ]
    x = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
    optimizer = {"type": "Adam", "use_ema": True, "gradient_accumulation_steps": 2}
    probe, model = make_probe(tmp_path, layers, optimizer, None, x)
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    before = [np.array(each) for each in variables]
    records = [probe.measure(), probe.measure()]
    assert records[0] == records[1]
    assert all(np.array_equal(old, np.array(new)) for old, new in zip(before, variables, strict=True))


def test_regularization_is_part_of_loss_and_gradient(tmp_path):
    layer = {"type": "Dense", "units": 1, "name": "head", "kernel_regularizer": {"type": "L2", "l2": 0.5}}
    probe, _ = make_probe(tmp_path, [layer], "sgd", [[[2.0]], [0.0]])
    record = probe.measure()
    # The mean of the squares of 2, 4 and -6 is 56/3; the gradient of the kernel is 2 * 2 * 14/3, that of the bias 0.
    assert record["loss"] == pytest.approx(56 / 3 + 0.5 * 4, rel=1e-5)
    assert by_layer(record)["head"]["gradient_norm"] == pytest.approx(56 / 3 + 2, rel=1e-5)
