import json
from contextlib import nullcontext

from layercli.workflows import build
from tests.running import CONFIGS, invoke, line_of, problems, write_config

CNN = CONFIGS / "digits_cnn.yaml"
KEYS = ["ok", "model", "static", "inputs", "layers", "outputs", "totals", "training_memory", "problems"]
HEAD = {"type": "Dense", "units": 3, "activation": "softmax"}


def test_json_lists_layers_and_forward_pass():
    result = invoke("inspect-shapes", CNN, "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 0
    assert list(document) == KEYS
    assert (document["ok"], document["model"], document["static"]) == (True, "digits-cnn", False)
    assert document["inputs"] == [{"name": "input", "shape": [None, 8, 8, 1], "dtype": "float32"}]
    assert document["outputs"] == ["digit"]
    assert document["problems"] == []
    assert document["layers"][1] == {
        "name": "conv2d",
        "type": "Conv2D",
        "inputs": ["rescaling"],
        "input_shapes": [[None, 8, 8, 1]],
        "output_shape": [None, 8, 8, 32],
        "dtype": "float32",
        "trainable": 3 * 3 * 32 + 32,
        "non_trainable": 0,
        "flops": 2 * 8 * 8 * 3 * 3 * 32,
        "line": line_of(CNN, "filters: 32"),
        "forward_shape": [2, 8, 8, 32],
        "agrees": True,
    }
    assert [row["name"] for row in document["layers"]] == [
        "rescaling",
        "conv2d",
        "batch_normalization",
        "conv2d_1",
        "max_pooling2d",
        "flatten",
        "dropout",
        "digit",
    ]
    batch_normalization = document["layers"][2]
    assert (batch_normalization["trainable"], batch_normalization["non_trainable"]) == (64, 64)
    assert all(row["agrees"] is True for row in document["layers"])
    assert document["totals"] == {
        "trainable": 320 + 64 + 3 * 3 * 32 * 64 + 64 + 1024 * 10 + 10,
        "non_trainable": 64,
        "flops": 2 * (8 * 8 * 9 * 32 + 8 * 8 * 9 * 32 * 64 + 1024 * 10),
    }


def test_static_json_has_rows_without_forward_pass():
    ran = json.loads(invoke("inspect-shapes", CNN, "--json").stdout)
    static = json.loads(invoke("inspect-shapes", CNN, "--json", "--static").stdout)
    assert static["static"] is True
    assert static["layers"] == [row | {"forward_shape": None, "agrees": None} for row in ran["layers"]]
    assert static["totals"] == ran["totals"]


def test_table_has_one_row_per_layer_and_result():
    result = invoke("inspect-shapes", CONFIGS / "digits_dense.yaml")
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = [" ".join(line.split()) for line in result.stdout.splitlines() if line.strip()]
    assert lines[0] == "layer output forward params FLOPs"
    assert lines[2:6] == [
        "rescaling (None, 64) ✓ (2, 64) 0 0",
        "Rescaling",
        "dense (None, 64) ✓ (2, 64) 4,160 8.19 k",
        "Dense",
    ]
    assert [next(line for line in lines if line.startswith("Parameters")), lines[-1]] == [
        "Parameters: 4,810 (4,810 trainable, 0 not); FLOPs for one example: 9,472.",
        "Forward pass: every shape as declared, every value finite.",
    ]


def test_static_table_has_no_forward_column_or_result():
    result = invoke("inspect-shapes", CONFIGS / "digits_dense.yaml", "--static")
    assert "forward" not in result.stdout.lower()


MODEL = "model: {input: [10, 64], layers: [{type: LSTM, units: 32, name: reader}, {type: Dense, units: 3}]}"


def test_explain_json_has_the_arithmetic_of_each_layer():
    rows = json.loads(invoke("inspect-shapes", "-", "--json", "--static", "--explain", stdin=MODEL).stdout)[
        "layers"
    ]
    assert rows[0]["explanation"] == {
        "layer": "Long short-term memory: reads a sequence step by step, and gates decide what its states keep.",
        "shape": "axis 1: 32 (units)",
        "parameters": "4 x ((64 + 32) x 32 + 32) = 12,416",
        "weights": "kernel (64, 128), recurrent_kernel (32, 128), bias (128,)",
    }
    assert rows[1]["explanation"]["parameters"] == "32 x 3 + 3 = 99"


def test_explain_prints_the_arithmetic_of_each_layer():
    lines = invoke("inspect-shapes", "-", "--static", "--explain", stdin=MODEL).stdout.splitlines()
    start = lines.index("reader  LSTM")
    assert [line.rstrip() for line in lines[start : start + 7]] == [
        "reader  LSTM",
        "  Long short-term memory: reads a sequence step by step, and gates decide what",
        "  its states keep.",
        "  shape       (None, 10, 64) becomes (None, 32)",
        "              axis 1: 32 (units)",
        "  parameters  4 x ((64 + 32) x 32 + 32) = 12,416",
        "              kernel (64, 128), recurrent_kernel (32, 128), bias (128,)",
    ]


def test_explain_follows_the_names_of_inputs():
    text = """
model:
  inputs: {long: [9, 4], short: [7, 4], mask: {shape: [9, 7], dtype: bool}}
  layers:
    - type: MultiHeadAttention
      inputs: {query: long, value: short, attention_mask: mask}
      num_heads: 2
      key_dim: 3
"""
    (row,) = json.loads(invoke("inspect-shapes", "-", "--json", "--static", "--explain", stdin=text).stdout)[
        "layers"
    ]
    assert row["explanation"]["shape"] == "axis 1: 9 (axis 1 of long); axis 2: 4 (axis 2 of long)"
    assert row["explanation"]["parameters"] == ("4 x 2 x 3 + 3 x 2 x 3 + 2 x 4 x 2 x 3 + 2 x 3 x 4 + 4 = 118")


def test_explain_counts_reused_weights_where_they_are_declared():
    layers = (
        "[{type: Dense, units: 4, name: first}, {reuse: first}, {type: Flatten, name: flat}, {reuse: flat}]"
    )
    text = f"model: {{input: [4], layers: {layers}}}"
    rows = json.loads(invoke("inspect-shapes", "-", "--json", "--static", "--explain", stdin=text).stdout)[
        "layers"
    ]
    assert [row["explanation"]["parameters"] for row in rows] == [
        "4 x 4 + 4 = 20",
        "0, since the weights are those of first",
        "0",
        "0",
    ]


def test_explain_knows_a_custom_layer_after_it_is_built():
    config = CONFIGS / "custom_layer.yaml"
    static = json.loads(invoke("inspect-shapes", config, "--json", "--static", "--explain").stdout)["layers"][
        1
    ]
    built = json.loads(invoke("inspect-shapes", config, "--json", "--trust", "--explain").stdout)["layers"][1]
    assert static["explanation"] == {
        "layer": "A custom layer: only its code knows how it computes its output.",
        "shape": "axis 1: 32 (output_shape)",
        "parameters": "unknown before the layer is built",
        "weights": "",
    }
    assert built["explanation"] == static["explanation"] | {
        "parameters": "64 x 32 + 32 = 2,080",
        "weights": "kernel (64, 32), bias (32,)",
    }


def test_config_from_standard_input():
    text = "model: {input: [4], layers: [{type: Dense, units: 3}]}"
    document = json.loads(invoke("inspect-shapes", "-", "--json", stdin=text).stdout)
    assert (document["model"], document["totals"]["trainable"]) == ("model", 15)


def test_layer_with_several_outputs_lists_shapes():
    text = "model: {input: [5, 2], layers: [{type: LSTM, units: 3, return_state: true}]}"
    (row,) = json.loads(invoke("inspect-shapes", "-", "--json", stdin=text).stdout)["layers"]
    assert row["output_shape"] == [[None, 3], [None, 3], [None, 3]]
    assert row["forward_shape"] == [[2, 3], [2, 3], [2, 3]]
    assert row["agrees"] is True


def test_integer_and_string_inputs_run():
    words = "{type: TextVectorization, vocabulary: [a, word], output_sequence_length: 4}"
    layers = f"[{words}, {{type: Embedding, input_dim: 4, output_dim: 2}}]"
    text = f"model: {{input: {{shape: [1], dtype: string}}, layers: {layers}}}"
    document = json.loads(invoke("inspect-shapes", "-", "--json", stdin=text).stdout)
    assert [row["forward_shape"] for row in document["layers"]] == [[2, 4], [2, 4, 2]]


def test_unknown_axis_matches_any_length():
    text = "model: {input: [null, 2], layers: [{type: LSTM, units: 3, return_sequences: true}]}"
    (row,) = json.loads(invoke("inspect-shapes", "-", "--json", stdin=text).stdout)["layers"]
    assert row["output_shape"] == [None, None, 3]
    assert row["agrees"] is True


def test_invalid_config_exits_with_1_and_problems():
    result = invoke("inspect-shapes", "-", "--json", stdin="model: {input: [4], layers: [{type: Dense}]}")
    assert problems(result) == [("missing-key", 1)]
    assert list(json.loads(result.stdout)) == ["ok", "problems"]


def test_wrong_declared_shape_differs_from_forward_pass(tmp_path, layer_file):
    mine = layer_file("def call(self, inputs):\n    return inputs[:, :2]")
    config = write_config(
        tmp_path, [{"type": "Dense", "units": 4}, {"type": mine, "output_shape": [3]}, "Flatten", HEAD]
    )
    result = invoke("inspect-shapes", config, "--json", "--trust")
    assert ("shape-disagrees", line_of(config, mine)) in problems(result)
    document = json.loads(result.stdout)
    assert list(document) == KEYS
    row = document["layers"][1]
    assert (row["output_shape"], row["forward_shape"], row["agrees"]) == ([None, 3], [2, 2], False)

    shown = invoke("inspect-shapes", config, "--trust")
    assert shown.exit_code == 1
    assert "✗ (2, 2)" in shown.stdout
    assert "must have output shape (None, 3), got (2, 2)." in shown.stderr
    assert "every shape as declared" not in shown.stdout


def test_nan_output_is_reported_at_its_line(tmp_path, layer_file):
    mine = layer_file("def call(self, inputs):\n    return keras.ops.log(inputs - inputs - 1)")
    config = write_config(tmp_path, ["Flatten", {"type": mine}, HEAD])
    found = problems(invoke("inspect-shapes", config, "--json", "--trust"))
    assert found[0] == ("not-finite", line_of(config, mine))


def test_undeclared_shape_is_unknown_until_forward_pass():
    arguments = (CONFIGS / "custom_layer.yaml", "--json", "--set", "model.layers.1.output_shape=null")
    static = json.loads(invoke("inspect-shapes", *arguments, "--static").stdout)
    assert static["layers"][1]["output_shape"] is None
    assert static["layers"][1]["trainable"] is None
    assert static["layers"][2]["output_shape"] is None
    assert static["totals"]["trainable"] is None

    ran = json.loads(invoke("inspect-shapes", *arguments, "--trust").stdout)
    assert [row["output_shape"] for row in ran["layers"]] == [[None, 64], [None, 32], [None, 10]]
    assert [row["forward_shape"] for row in ran["layers"]] == [[2, 64], [2, 32], [2, 10]]
    assert ran["totals"] == {"trainable": 64 * 32 + 32 + 330, "non_trainable": 0, "flops": None}


def test_custom_code_requires_trust(tmp_path, layer_file):
    mine = layer_file("raise SystemError('must not run')")
    config = write_config(tmp_path, [{"type": mine, "output_shape": [4]}, HEAD])
    result = invoke("inspect-shapes", config, "--json")
    assert problems(result) == [("trust-required", line_of(config, mine))]
    (problem,) = json.loads(result.stdout)["problems"]
    file = tmp_path / mine.split(":")[0]
    assert problem["message"] == f"`{mine}` would load and run {file}."
    assert problem["hint"] == "Review the code, then pass `--trust`."
    assert invoke("inspect-shapes", config, "--static").exit_code == 0


def test_output_of_custom_code_is_not_in_json(tmp_path, layer_file):
    mine = layer_file("def call(self, inputs):\n    print('hello from call')\n    return inputs")
    config = write_config(tmp_path, [{"type": mine}, HEAD])
    result = invoke("inspect-shapes", config, "--json", "--trust")
    assert json.loads(result.stdout)["ok"] is True
    assert "hello from call" in result.stderr


def test_model_that_exceeds_a_limit_has_static_shapes_and_a_warning(monkeypatch):
    monkeypatch.setattr(build, "run_in_child", lambda limit: nullcontext(f"it needs more than {limit} bytes"))
    result = invoke("inspect-shapes", CNN, "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["ok"], document["static"]) == (0, True, True)
    (problem,) = document["problems"]
    weights = 4 * (document["totals"]["trainable"] + document["totals"]["non_trainable"])
    limit = 3 * 1024**3 + 2 * weights
    assert problem["code"] == "not-compared"
    assert problem["message"] == (
        f"The shapes were not compared with a forward pass: it needs more than {limit} bytes."
    )
