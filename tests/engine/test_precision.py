"""``model.dtype``: mixed precision, in static dtypes, in Keras and in training."""

import keras
import pytest

from layercli import api
from layercli.check import check_config
from layercli.engine.assemble import assemble_model
from layercli.engine.training.compile import compile_model
from tests.running import CONFIGS, train

# custom_layer.yaml runs code; orders_features.yaml learns sizes from data
LEFT_OUT = ("custom_layer.yaml", "orders_features.yaml")
SHIPPED = [path.name for path in sorted(CONFIGS.glob("*.yaml")) if path.name not in LEFT_OUT]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", SHIPPED)
def test_static_dtypes_are_those_of_keras(name, policy):
    valid = api.load(CONFIGS / name, overrides=[f"model.dtype={policy}"])
    assembled = assemble_model(valid)
    for row in valid.shapes.rows:
        tensors = assembled.tensors[row.node.name]
        listed = tensors if isinstance(tensors, (list, tuple)) else [tensors]
        assert [tensor.dtype for tensor in row.outputs] == [tensor.dtype for tensor in listed], row.node.name
    assert assembled.model.dtype_policy.name == policy
    assert keras.config.dtype_policy().name == "float32"


def test_layer_dtype_overrides_model_dtype(iris):
    valid = api.load(iris, overrides=["model.dtype=mixed_float16", "model.layers.dense_1.dtype=float32"])
    assert [row.outputs[0].dtype for row in valid.shapes.rows] == ["float16", "float32"]
    before = api.load(iris)
    assert valid.shapes.weight_bytes == before.shapes.weight_bytes
    assert valid.shapes.activation_bytes(32) < before.shapes.activation_bytes(32)


def test_training_in_float16_scales_the_loss(iris, tmp_path):
    run = train(iris, tmp_path / "run", "--set", "model.dtype=mixed_float16", "--set", "train.epochs=3")
    assert run.result.exit_code == 0, run.result.output
    history = run.summary["history"]["loss"]
    assert history[-1] < history[0]
    valid = api.load(run.path / "config.yaml")
    assert valid.config.model.dtype == "mixed_float16"
    model = assemble_model(valid).model
    compile_model(model, valid.config.train, valid)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    model = keras.models.load_model(run.path / "model.keras", compile=False)
    assert model.get_layer("dense").dtype_policy.name == "mixed_float16"


def test_unknown_policy_is_reported(iris):
    (problem,) = check_config(str(iris), ["model.dtype=float15"]).problems
    assert (problem.code, problem.path) == ("unknown-value", "model.dtype")
