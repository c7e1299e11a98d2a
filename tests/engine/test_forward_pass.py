import json

import numpy as np
import pytest

from layercli import api
from layercli.engine.assemble import assemble_model
from layercli.engine.comparison_inputs import find_index_limit, find_probe_length, random_array
from layercli.engine.forward_pass import run_forward_pass
from layercli.errors import LayercliError
from layercli.layers.shapes import Tensor
from tests.running import invoke, problems


def forward(tmp_path, text):
    path = tmp_path / "model.yaml"
    path.write_text(text)
    valid = api.load(path)
    return run_forward_pass(assemble_model(valid), valid)


@pytest.mark.parametrize(
    ("shape", "dtype", "given"),
    [
        ((None, 3), "float32", (2, 3)),
        ((None, None, 3), "float16", (2, 8, 3)),
        ((None, 4), "int64", (2, 4)),
        ((None, 4), "uint8", (2, 4)),
        ((None,), "bool", (2,)),
        ((None, 1), "string", (2, 1)),
    ],
)
def test_random_array_has_declared_shape_and_dtype(shape, dtype, given):
    tensor = random_array(Tensor(shape, dtype), np.random.default_rng(0), batch_size=2)
    assert tuple(tensor.shape) == given
    assert tensor.dtype.name == ("object" if dtype == "string" else dtype)


def test_random_indices_stay_below_vocabulary_size(tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text("model: {input: [50], layers: [{type: Embedding, input_dim: 3, output_dim: 2}]}")
    valid = api.load(path)
    assert find_index_limit(valid) == 3
    values = random_array(
        Tensor((None, 50), "float32"), np.random.default_rng(0), batch_size=2, index_limit=3
    )
    assert set(values.ravel()) == {0.0, 1.0, 2.0}


def test_forward_shapes_equal_static_shapes(tmp_path):
    layers = "[{type: Conv2D, filters: 2, kernel_size: 3}, Flatten, {type: Dense, units: 4}]"
    text = f"model: {{input: [8, 8, 1], layers: {layers}}}"
    assert forward(tmp_path, text) == (
        {"conv2d": ((2, 6, 6, 2),), "flatten": ((2, 72),), "dense": ((2, 4),)},
        [],
    )


def test_infinite_output_is_reported_at_its_layer(tmp_path):
    text = """
model:
  input: [4]
  layers:
    - {type: Rescaling, scale: 1e38}
    - {type: Rescaling, scale: 1e38, name: overflows}
"""
    _, problems = forward(tmp_path, text)
    assert [(problem.code, problem.line) for problem in problems] == [("not-finite", 6)]
    assert problems[0].message == "`overflows` returns NaN or infinity for ordinary numbers."
    _, problems = forward(tmp_path, "model: {input: {shape: [4], dtype: int32}, layers: [Flatten]}")
    assert problems == []


def test_wrong_shape_is_reported_once(tmp_path, layer_file):
    mine = layer_file("def call(self, x):\n    return x[:, :2]")
    text = f"model: {{input: [4], layers: [{{type: '{mine}', output_shape: [3]}}, ReLU, Flatten]}}"
    actual, problems = forward(tmp_path, text)
    assert actual == {"mine": ((2, 2),), "re_lu": ((2, 2),), "flatten": ((2, 2),)}
    assert [problem.message for problem in problems] == [
        "`mine` must have output shape (None, 3), got (2, 2)."
    ]
    assert problems[0].hint == "Correct `output_shape` or remove it."


def test_wrong_shape_of_a_custom_layer_without_declared_shape_is_an_error(tmp_path, layer_file):
    code = "def call(self, x):\n    return x[:, :2]\ndef compute_output_shape(self, shape):\n    return (shape[0], 3)"
    path = tmp_path / "last.yaml"
    path.write_text(f"model:\n  input: [4]\n  layers:\n    - ReLU\n    - {{type: '{layer_file(code)}'}}\n")
    result = invoke("inspect-shapes", path, "--json", "--trust")
    assert problems(result) == [("shape-disagrees", 5)]
    assert json.loads(result.stdout)["layers"][1]["agrees"] is False
    assert json.loads(result.stdout)["problems"][0]["hint"].startswith("Correct `compute_output_shape`")


@pytest.mark.parametrize("command", ["inspect-shapes", "build"])
def test_wrong_shape_is_reported_at_its_layer_not_at_the_next(tmp_path, layer_file, command):
    code = "def call(self, x):\n    return x[:, :2]\ndef compute_output_shape(self, shape):\n    return (shape[0], 3)"
    path = tmp_path / "first.yaml"
    path.write_text(
        f"model:\n  input: [4]\n  layers:\n    - {{type: '{layer_file(code)}', name: mine}}\n    - {{type: Dense, units: 2}}\n"
    )
    result = invoke(command, path, "--json", "--trust")
    assert problems(result) == [("shape-disagrees", 4)]
    (found,) = json.loads(result.stdout)["problems"]
    assert found["message"].startswith("`mine` must have output shape (None, 3), got (")


def test_right_shape_of_a_custom_layer_is_accepted(tmp_path, layer_file):
    code = "def call(self, x):\n    return x[:, :2]\ndef compute_output_shape(self, shape):\n    return (shape[0], 2)"
    path = tmp_path / "right.yaml"
    path.write_text(f"model:\n  input: [4]\n  layers:\n    - {{type: '{layer_file(code)}'}}\n    - Flatten\n")
    assert invoke("build", path, "--json", "--trust").exit_code == 0


@pytest.mark.parametrize(("dtype", "limit"), [("int32", 2), ("float32", 2**31)])
def test_integers_for_a_custom_layer_are_0_or_1(tmp_path, layer_file, dtype, limit):
    path = tmp_path / "table.yaml"
    layer = layer_file("def call(self, x):\n    return x")
    path.write_text(f"model: {{input: {{shape: [4], dtype: {dtype}}}, layers: [{{type: '{layer}'}}]}}")
    assert find_index_limit(api.load(path), dtype) == limit


@pytest.mark.parametrize(("window", "length"), [(3, 8), (9, 16), (200, 256), (5000, 5120)])
def test_unknown_axes_are_long_enough_for_every_window(tmp_path, window, length):
    path = tmp_path / "window.yaml"
    path.write_text(f"model: {{input: [null, 1], layers: [{{type: MaxPooling1D, pool_size: {window}}}]}}")
    valid = api.load(path)
    assert find_probe_length(valid) == length
    assert run_forward_pass(assemble_model(valid), valid)[1] == []


def test_custom_layer_that_drops_a_mask_is_a_warning_at_its_line(tmp_path, layer_file):
    path = tmp_path / "mask.yaml"
    embedding = "{type: Embedding, input_dim: 9, output_dim: 3, mask_zero: true}"
    path.write_text(
        "model:\n  input: {shape: [5], dtype: int32}\n  layers:\n"
        f"    - {embedding}\n    - {{type: '{layer_file('def call(self, x): return x * 2')}'}}\n"
    )
    result = invoke("inspect-shapes", path, "--json", "--trust")
    assert result.exit_code == 0
    (problem,) = json.loads(result.stdout)["problems"]
    assert (problem["code"], problem["line"], problem["severity"]) == ("dropped-mask", 5, "warning")


def test_layer_that_cannot_adapt_to_its_input_is_an_error_at_its_line(tmp_path):
    text = "model: {input: [4], layers: [{type: Normalization, dtype: mixed_float16, autocast: false}]}"
    with pytest.raises(LayercliError) as caught:
        forward(tmp_path, text)
    [problem] = caught.value.problems
    assert (problem.code, problem.path, problem.line) == ("layer-refused", "model.layers[0]", 1)
    assert problem.message.startswith("`normalization` cannot adapt to its input: ")
