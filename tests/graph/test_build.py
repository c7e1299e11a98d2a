"""Graphs with branches, merges, attention, several inputs and outputs, and reused layers."""

import json

import keras
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from layercli.check import check_config, require_valid
from layercli.cli import make_app
from layercli.engine.assemble import assemble_model

MODEL = """
model:
  inputs: {image: [28, 28, 1], meta: [4], words: {shape: [12], dtype: int32}}
  outputs: [label, score]
  layers:
    - {type: Flatten, inputs: image}
    - {type: Dense, units: 16, name: a}
    - {type: Embedding, input_dim: 50, output_dim: 8, inputs: words, name: emb}
    - {type: MultiHeadAttention, num_heads: 2, key_dim: 4, inputs: {value: emb, query: emb}, name: att}
    - {type: Add, inputs: [emb, previous]}
    - GlobalAveragePooling1D
    - {type: Concatenate, inputs: [a, previous, meta], name: all}
    - {type: Dense, units: 3, activation: softmax, name: label}
    - {type: Dense, units: 1, inputs: all, name: score}
"""


def build_keras_model():
    """Return the same model, written in Keras."""
    image, meta = keras.Input((28, 28, 1)), keras.Input((4,))
    words = keras.Input((12,), dtype="int32")
    a = keras.layers.Dense(16)(keras.layers.Flatten()(image))
    emb = keras.layers.Embedding(50, 8)(words)
    met = keras.layers.Add()([emb, keras.layers.MultiHeadAttention(2, 4)(emb, emb)])
    everything = keras.layers.Concatenate()([a, keras.layers.GlobalAveragePooling1D()(met), meta])
    label = keras.layers.Dense(3, activation="softmax")(everything)
    return keras.Model([image, meta, words], [label, keras.layers.Dense(1)(everything)])


@pytest.fixture
def checked(tmp_path):
    def checked(text):
        path = tmp_path / "c.yaml"
        path.write_text(text)
        return check_config(str(path))

    return checked


def findings(checked):
    return [(found.code, found.line, found.message, found.hint) for found in checked.problems]


def test_model_equals_a_hand_written_keras_model(checked):
    valid = require_valid(checked(MODEL))
    model = assemble_model(valid).model
    theirs = build_keras_model()
    assert [tuple(w.shape) for w in model.weights] == [tuple(w.shape) for w in theirs.weights]
    assert [tuple(x.shape) for x in model.outputs] == [(None, 3), (None, 1)]
    assert (valid.shapes.trainable, valid.shapes.non_trainable) == (theirs.count_params(), 0)


def test_forward_pass_matches_static_shapes(tmp_path):
    (tmp_path / "c.yaml").write_text(MODEL)
    result = CliRunner().invoke(make_app(), ["inspect-shapes", str(tmp_path / "c.yaml"), "--json"])
    document = json.loads(result.stdout)
    assert result.exit_code == 0
    assert [row["agrees"] for row in document["layers"]] == [True] * 9
    assert [row["inputs"] for row in document["layers"]][3:7] == [
        ["emb", "emb"],
        ["emb", "att"],
        ["add"],
        ["a", "global_average_pooling1d", "meta"],
    ]
    assert [entry["name"] for entry in document["inputs"]] == ["image", "meta", "words"]
    assert document["outputs"] == ["label", "score"]


def test_keyed_inputs_use_the_order_of_the_layer(checked):
    text = """
model:
  inputs: {q: [5, 8], v: [7, 8]}
  layers: [{type: MultiHeadAttention, num_heads: 2, key_dim: 4, inputs: {value: v, query: q}}]
"""
    valid = require_valid(checked(text))
    assert valid.graph.nodes[0].inputs == ("q", "v")
    assert valid.shapes.rows[0].outputs[0].shape == (None, 5, 8)


def test_input_refers_to_a_single_named_input(checked):
    text = (
        "model: {inputs: {x: [4]}, layers: [{type: Dense, units: 4}, {type: Add, inputs: [input, previous]}]}"
    )
    assert require_valid(checked(text)).graph.nodes[1].inputs == ("x", "dense")


def test_plain_form_of_a_graph_round_trip(checked):
    valid = require_valid(checked(MODEL))
    again = require_valid(
        checked(yaml.safe_dump({"model": valid.config.to_plain()["model"]}, sort_keys=False))
    )
    assert [(n.name, n.inputs, n.layer.to_plain()) for n in again.graph.nodes] == [
        (n.name, n.inputs, n.layer.to_plain()) for n in valid.graph.nodes
    ]


WRONG = {
    "a misspelt name": (
        "{inputs: {image: [4]}, layers: [{type: Dense, units: 2, inputs: imag}]}",
        ("unknown-name", 'There is no layer or input "imag".', "Did you mean `image`?"),
    ),
    "an unknown name": (
        "{input: [4], layers: [{type: Dense, units: 2, name: a}, {type: Add, inputs: [a, zzz]}]}",
        ("unknown-name", 'There is no layer or input "zzz".', "Known names: input, a."),
    ),
    "a layer below": (
        "{input: [4], layers: [{type: Add, inputs: [input, b]}, {type: Dense, units: 4, name: b}]}",
        (
            "unknown-name",
            "`inputs` must name layers above, but `b` is declared below.",
            "Move `b` above this layer.",
        ),
    ),
    "a layer as its own input": (
        "{input: [4], layers: [{type: Dense, units: 4}, {type: Add, inputs: [dense, add]}]}",
        (
            "unknown-name",
            "`inputs` must name layers above, but `add` is this layer.",
            "Remove it, or name a layer above.",
        ),
    ),
    "a first layer without inputs": (
        "{inputs: {a: [4], b: [4]}, layers: [Flatten]}",
        (
            "missing-key",
            "The first layer requires `inputs` because the model has several inputs.",
            "Put {type: Concatenate, inputs: [a, b]} before it, or add `inputs:` with one of `a`, `b`.",
        ),
    ),
    "an unused input": (
        "{inputs: {a: [4], b: [4]}, layers: [{type: Dense, units: 2, inputs: a}]}",
        (
            "unused-input",
            "The input `b` feeds no output of the model.",
            "Connect it to a layer, or remove it.",
        ),
    ),
    "an unused input of layers that nothing uses": (
        "{inputs: {a: [4], b: [4]}, layers: [{type: Dense, units: 2, inputs: b}, ReLU, {type: Dense, units: 2, inputs: a}]}",
        (
            "unused-input",
            "The input `b` feeds no output of the model.",
            "Name `re_lu` in the `inputs` of a layer or in `model.outputs`, or remove the input and its layers.",
        ),
    ),
    "an unused layer": (
        "{input: [4], layers: [{type: Dense, units: 2}, {type: Dense, units: 2, inputs: input}]}",
        (
            "unused-layer",
            "`dense` feeds no output of the model, so the model excludes it.",
            "Name it in the `inputs` of a layer or in `model.outputs`, or remove it.",
        ),
    ),
    "an unknown output": (
        "{input: [4], outputs: [dnse], layers: [{type: Dense, units: 2}]}",
        ("unknown-name", 'There is no layer or input "dnse".', "Did you mean `dense`?"),
    ),
    "an input and a layer with the same name": (
        "{inputs: {a: [4]}, layers: [{type: Dense, units: 2, name: a}]}",
        (
            "duplicate-name",
            "An input and a layer are named `a`: this one and the one at line 1.",
            "Rename one of them.",
        ),
    ),
    "an unknown input of an attention layer": (
        "{inputs: {a: [4, 4]}, layers: [{type: Attention, inputs: {qery: a, value: a}}]}",
        ("unknown-key", 'Attention has no input "qery".', "Did you mean `query`?"),
    ),
    "inputs of the wrong type": (
        "{input: [4], layers: [{type: Dense, units: 2, inputs: 7}]}",
        (
            "wrong-type",
            "`inputs` must be a layer name or a list of layer names, got 7.",
            "For example `inputs: stem`, or `inputs: [left, right]`.",
        ),
    ),
    "input and inputs": (
        "{input: [4], inputs: {a: [4]}, layers: [Flatten]}",
        (
            "bad-argument",
            "`model` must have `input` or `inputs`, not both.",
            "Put all inputs under `inputs`.",
        ),
    ),
    "inputs that are a list": (
        "{inputs: [4], layers: [Flatten]}",
        (
            "wrong-type",
            "`inputs` must be a mapping of names to shapes, got [4].",
            "For example `inputs: {image: [28, 28, 1], meta: {shape: [4]}}`. For one input, write `input: "
            "[4]`.",
        ),
    ),
    "an invalid shape": (
        "{inputs: {a: 4}, layers: [Flatten]}",
        ("wrong-type", "Expected a list of sizes, got 4.", "Write `[4]`."),
    ),
}


@pytest.mark.parametrize(("model", "found"), WRONG.values(), ids=WRONG)
def test_invalid_wiring_has_one_problem(checked, model, found):
    code, message, hint = found
    assert findings(checked(f"model: {model}\n")) == [(code, 1, message, hint)]


@pytest.mark.parametrize(
    ("inputs", "own", "name"),
    [("", "[dense, sum]", "sum` is this layer"), (", inputs: b", "dense", "b` is this block")],
)
def test_part_of_a_block_cannot_be_its_own_input(checked, inputs, own, name):
    layers = f"[{{type: Dense, units: 4}}, {{type: Add, name: sum, inputs: {own}}}]"
    found = checked(
        f"model: {{input: [4], layers: [{{block: b{inputs}}}]}}\nblocks: {{b: {{layers: {layers}}}}}\n"
    )
    hint = "Remove it, or name a layer above."
    assert ("unknown-name", 2, f"`inputs` must name layers above, but `{name}.", hint) in findings(found)


def test_unknown_input_is_located_at_its_name(checked):
    lines = [
        "{type: Add, inputs: [input, nope]}",
        "{type: Dense, units: 1, inputs: nope}",
        "{type: Dense, units: 1, inputs: [nope]}",
        "{type: Attention, inputs: {query: input, value: nope}}",
    ]
    found = checked("\n".join(["model:", "  input: [4]", "  layers:", *(f"  - {line}" for line in lines)]))
    places = [(one.line, one.column) for one in found.problems if one.code == "unknown-name"]
    columns = [5 + line.index("nope") for line in lines]
    columns[2] = 5 + lines[2].index("[")  # a list of one name is the same as that name
    assert places == [(4 + number, column) for number, column in enumerate(columns)]


def test_merge_with_different_shapes(checked):
    text = """
model:
  input: [8]
  layers:
    - {type: Dense, units: 4, name: a}
    - {type: Dense, units: 5, name: b, inputs: input}
    - {type: Add, inputs: [a, b]}
"""
    ((code, line, message, _),) = findings(checked(text))
    assert (code, line) == ("shape-mismatch", 7)
    assert "(None, 4)" in message
    assert "(None, 5)" in message
    assert message.endswith("`a` (line 5) and `b` (line 6).")


def test_single_input_data_with_a_multi_input_model(checked):
    text = """
data: {type: sklearn, dataset: iris}
model:
  inputs: {x: [4], z: [4]}
  outputs: [a, b]
  layers: [{type: Dense, units: 3, inputs: x, name: a}, {type: Dense, units: 3, inputs: z, name: b}]
train: {loss: sparse_categorical_crossentropy}
"""
    assert [code for code, *_ in findings(checked(text))] == ["input-mismatch"]
    one = text.replace("{x: [4], z: [4]}", "{x: [4]}").replace("inputs: z", "inputs: x")
    assert findings(checked(one)) == [
        (
            "target-mismatch",
            5,
            "The model has 2 outputs, but the data has one target.",
            "Set `model.outputs` to one output.",
        )
    ]
    assert [code for code, *_ in findings(checked(one.replace("{x: [4]}", "{x: [5]}")))] == ["input-mismatch"]


SHARED = """
blocks:
  tower:
    layers:
      - {type: Dense, name: hidden, units: 5, activation: relu}
      - {type: Dropout, rate: 0.5}
      - {type: Dense, name: code, units: 3}
model:
  inputs: {left: [4], right: [4], words: [6, 4]}
  outputs: [same, "states:1", states:0]
  layers:
    - {block: tower, name: encoder, inputs: left}
    - {reuse: encoder, name: twin, inputs: right}
    - {type: LSTM, name: states, units: 3, return_state: true, inputs: words}
    - {type: Multiply, inputs: [encoder, twin, "states:2"]}
    - {type: Dense, units: 1, activation: sigmoid, name: same}
"""


def test_reused_layers_and_output_indices_match_keras(checked):
    valid = require_valid(checked(SHARED))
    left, right, words = keras.Input((4,)), keras.Input((4,)), keras.Input((6, 4))
    hidden, drop, code = (
        keras.layers.Dense(5, activation="relu"),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(3),
    )
    sequence, state, carry = keras.layers.LSTM(3, return_state=True)(words)
    met = keras.layers.Multiply()([code(drop(hidden(left))), code(drop(hidden(right))), carry])
    theirs = keras.Model(
        [left, right, words], [keras.layers.Dense(1, activation="sigmoid")(met), state, sequence]
    )
    model = assemble_model(valid).model
    theirs.set_weights(model.get_weights())
    examples = [np.random.default_rng(0).standard_normal((2, *shape)) for shape in ((4,), (4,), (6, 4))]
    for ours, other in zip(
        model.predict(examples, verbose=0), theirs.predict(examples, verbose=0), strict=True
    ):
        np.testing.assert_array_equal(ours, other)
    assert valid.shapes.trainable == sum(weight.shape.num_elements() for weight in theirs.trainable_weights)


def test_shared_weights_count_once(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(SHARED)
    document = json.loads(CliRunner().invoke(make_app(), ["inspect-shapes", "--json", str(path)]).stdout)
    assert document["ok"], document
    assert {row["name"]: row["trainable"] for row in document["layers"] if row["trainable"] is not None} == {
        "encoder.hidden": 25,
        "encoder.dropout": 0,
        "encoder.code": 18,
        "twin.hidden": 0,
        "twin.dropout": 0,
        "twin.code": 0,
        "states": 96,
        "multiply": 0,
        "same": 4,
    }
    assert document["outputs"] == ["same", "states:1", "states:0"]
    assert document["layers"][7]["inputs"] == ["encoder.code", "twin.code", "states:2"]
    assert document["layers"][0]["flops"] == document["layers"][3]["flops"] == 40


def test_plain_form_of_shared_layers_round_trip(checked):
    valid = require_valid(checked(SHARED))
    again = require_valid(checked(yaml.safe_dump(valid.config.to_plain())))
    assert again.config.model.layers == valid.config.model.layers
    assert again.graph == valid.graph


def test_saved_model_with_shared_layers(checked, tmp_path):
    model = assemble_model(require_valid(checked(SHARED))).model
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert [weight.shape for weight in loaded.weights] == [weight.shape for weight in model.weights]


def test_keyed_inputs_of_a_reused_layer(checked):
    text = """
model:
  inputs: {a: [3, 4], b: [5, 4]}
  layers:
    - {type: MultiHeadAttention, name: att, num_heads: 1, key_dim: 2, inputs: {value: a, query: b}}
    - {reuse: att, inputs: {value: b, query: a}}
    - {reuse: att, inputs: {valu: b, query: att}}
"""
    found = checked(text)
    assert findings(found)[0] == (
        "unknown-key",
        7,
        'MultiHeadAttention has no input "valu".',
        "Did you mean `value`?",
    )
    rest = "    - {type: Concatenate, axis: 1, inputs: [att, att_1, att_2]}\n"
    valid = require_valid(checked(text.replace("valu:", "value:") + rest))
    assert [node.inputs for node in valid.graph.nodes][:3] == [("b", "a"), ("a", "b"), ("att", "b")]
