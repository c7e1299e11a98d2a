"""Sizes that only the data determines are unknown axes of static shapes."""

import json
from pathlib import Path

import pytest

from layercli.check import check_document
from layercli.layers.shapes import LearnedShape, LearnedSize, format_shape
from layercli.source.load import parse_yaml
from layercli.source.nodes import SourceText
from tests.running import invoke

HOT = "{type: StringLookup, name: hot, output_mode: one_hot}"


def check(*layers, shape="[1]", dtype="string"):
    text = f"model: {{input: {{shape: {shape}, dtype: {dtype}}}, layers: [{', '.join(layers)}]}}"
    return check_document(parse_yaml(SourceText("c.yaml", text.split("\n"), Path())))


def shapes(*layers, **keys):
    """Return the output of each layer as text, after a check without problems."""
    checked = check(*layers, **keys)
    assert checked.problems == []
    return [format_shape(row.outputs[0].shape) if row.outputs else "?" for row in checked.shapes.rows]


def test_arithmetic_with_a_learned_size_is_learned():
    size = LearnedSize(12)
    results = [
        size + 1,
        1 + size,
        size - 1,
        1 - size,
        size * 2,
        2 * size,
        size // 5,
        25 // size,
        -(-size // 5),
    ]
    assert [int(result) for result in results] == [13, 13, 11, -11, 24, 24, 2, 2, 3]
    assert all(isinstance(result, LearnedSize) for result in results)
    assert f"{size:,}" == str(size) == "?"
    with pytest.raises(TypeError):
        size + "x"


def test_learned_axes_are_unknown_and_shown_as_question_marks():
    shape = LearnedShape((None, 8, LearnedSize(3)))
    assert tuple(shape) == (None, 8, None)
    assert format_shape(shape) == "(None, 8, ?)"


@pytest.mark.parametrize(
    ("layer", "output"),
    [
        ("{type: StringLookup, output_mode: one_hot}", "(None, ?)"),
        ("{type: StringLookup, output_mode: multi_hot}", "(None, ?)"),
        ("{type: StringLookup, output_mode: count, max_tokens: 9}", "(None, ?)"),
        ("{type: StringLookup, output_mode: count, max_tokens: 9, pad_to_max_tokens: true}", "(None, 9)"),
        ("{type: StringLookup, output_mode: one_hot, vocabulary: [a, b]}", "(None, 3)"),
        ("{type: StringLookup}", "(None, 1)"),
        ("{type: TextVectorization, output_mode: tf_idf}", "(None, ?)"),
        ("{type: TextVectorization}", "(None, None)"),
    ],
)
def test_output_of_lookups(layer, output):
    assert shapes(layer) == [output]


def test_integers_learn_their_number_too():
    assert shapes("{type: IntegerLookup, output_mode: multi_hot}", dtype="int64") == ["(None, ?)"]


@pytest.mark.parametrize(
    ("layers", "outputs"),
    [
        (["{type: Dense, units: 4}"], ["(None, 4)"]),
        (["{type: Reshape, target_shape: [-1, 3]}", "Flatten"], ["(None, ?, 3)", "(None, ?)"]),
        (
            ["{type: Reshape, target_shape: [2, 11]}", "{type: Dense, units: 4}"],
            ["(None, 2, 11)", "(None, 2, 4)"],
        ),
        (["{type: RepeatVector, n: 5}", "{type: LSTM, units: 4}"], ["(None, 5, ?)", "(None, 4)"]),
        (["Normalization"], ["(None, ?)"]),
        (["{type: GroupNormalization, groups: 7}"], ["(None, ?)"]),
        (["{type: GroupNormalization, groups: 32}"], ["(None, ?)"]),
        (["BatchNormalization", "{type: Dropout, rate: 0.1}"], ["(None, ?)", "(None, ?)"]),
        (["{type: Concatenate, inputs: [hot, hot]}"], ["(None, ?)"]),
        (
            ["{type: Dense, units: 8, name: d}", "{type: Add, inputs: [hot, d]}"],
            ["(None, 8)", "(None, None)"],
        ),
    ],
)
def test_later_layers_accept_an_unknown_size(layers, outputs):
    assert shapes(HOT, *layers) == ["(None, ?)", *outputs]


def test_error_for_any_size_stays_an_error():
    (problem,) = check(HOT, "{type: Conv2D, filters: 2, kernel_size: 3}").problems
    assert (problem.code, problem.path) == ("shape-mismatch", "model.layers[1]")
    assert "got (None, ?)" in problem.message
    assert "720720" not in problem.message
    (problem,) = check(HOT, "{type: Softmax, axis: 4}").problems
    assert problem.path.startswith("model.layers[1]")


def test_variable_length_still_needs_a_size():
    (problem,) = check("{type: Dense, units: 4}", shape="[null]", dtype="float32").problems
    assert problem.code == "shape-mismatch"


def test_counts_that_depend_on_the_size_are_unknown():
    checked = check(HOT, "{type: Dense, units: 4}", "{type: Dense, units: 2}")
    assert [row.parameters for row in checked.shapes.rows] == [0, None, 10]
    assert [row.flops for row in checked.shapes.rows] == [0, None, 16]
    assert (checked.shapes.trainable, checked.shapes.flops) == (None, None)
    assert checked.shapes.size_learners == ["hot"]


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        f"model: {{input: {{shape: [1], dtype: string}}, layers: [{HOT}, {{type: Dense, units: 4}}]}}\n"
    )
    return path


def test_static_shapes_name_the_layer_that_learns(config):
    result = invoke("inspect-shapes", config, "--static")
    assert result.exit_code == 0
    assert "(None, ?)" in result.stdout
    assert "?: learned from the training data by `hot`." in result.stdout


def test_json_has_null_and_the_names(config):
    document = json.loads(invoke("inspect-shapes", config, "--static", "--explain", "--json").stdout)
    assert document["unknown_sizes"] == ["hot"]
    first, second = document["layers"]
    assert (first["output_shape"], second["trainable"], second["flops"]) == ([None, None], None, None)
    assert "learned from the training data" in first["explanation"]["shape"]
    assert second["explanation"]["parameters"] == "n x 4 + 4"


def test_picture_and_difference_show_unknown_sizes(config):
    result = invoke("diff", config, config, "--json")
    assert result.exit_code == 0
    assert json.loads(invoke("show", config, "--json").stdout)["ok"]


def test_model_without_data_cannot_be_built(config):
    result = invoke("build", config, "--json")
    (problem,) = json.loads(result.stdout)["problems"]
    assert (problem["code"], problem["line"]) == ("unknown-size", 1)
    assert problem["hint"] == "Add the section `data` with examples to learn it from."


def test_model_without_data_has_static_shapes_and_a_warning(config):
    result = invoke("inspect-shapes", config, "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["static"]) == (0, True)
    assert [(problem["code"], problem["severity"]) for problem in document["problems"]] == [
        ("unknown-size", "warning")
    ]
