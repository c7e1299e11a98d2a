"""Declared inputs compared with the shapes of the data."""

from pathlib import Path

import pytest

from layercli.check import check_document
from layercli.config.data.section import DataFacts
from layercli.graph.inputs import resolve_model_inputs
from layercli.layers.shapes import Tensor
from layercli.source.load import parse_yaml
from layercli.source.nodes import SourceText

DATA = "{type: csv, path: t.csv, target: y}"


def resolve(model, facts=None, data=DATA):
    inputs, findings = find(model, facts, data)
    return inputs, [(found.code, found.path, found.message, found.hint) for found in findings]


def find(model, facts=None, data=DATA):
    text = f"data: {data}\nmodel: {{{model}, layers: [{{type: Dense, units: 1, inputs: %s}}]}}"
    first = "a" if "inputs" in model else "input"
    text = (text % first).replace(", inputs: input}", "}")
    config = check_document(parse_yaml(SourceText("c.yaml", text.split("\n"), Path()))).config
    return resolve_model_inputs(config, facts)


def single(*shape):
    return DataFacts(10, shape, None)


def several(**shapes):
    return DataFacts(10, (), None, inputs=shapes)


def test_declared_input_of_the_same_shape_is_used():
    assert resolve("input: [4]", single(4)) == ({"input": Tensor((None, 4), "float32")}, [])
    assert resolve("input: [null, 3]", single(7, 3)) == ({"input": Tensor((None, None, 3), "float32")}, [])
    assert resolve("input: [4]")[1] == []


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ("{type: Dense, units: 3}", "4"),
        ("{type: LSTM, units: 3}", "10, 4"),
        ("{type: Conv2D, filters: 3, kernel_size: 3}", "28, 28, 1"),
        ("{type: Conv3D, filters: 3, kernel_size: 3}", "10, 28, 28, 1"),
        ("Flatten", "28, 28, 1"),
    ],
)
def test_missing_input_suggests_a_shape_that_the_first_layer_accepts(layer, shape):
    data = "{type: npz, path: a.npz, features: x, target: y}"
    text = f"data: {data}\nmodel:\n  layers:\n    - {layer}"
    (problem,) = check_document(parse_yaml(SourceText("c.yaml", text.split("\n"), Path()))).problems
    assert problem.hint == (
        f"Add the shape of the examples without their first axis, for example `input: [{shape}]` for examples of "
        f"shape (n, {shape})."
    )


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        ("{type: images, path: p, size: [8, 6], channels: 1}", "Add `input: [8, 6, 1]`."),
        ("{type: text, path: p}", "Add `input: {shape: [1], dtype: string}`."),
        (
            "{type: images, path: p, size: [8, 6]}",
            "Add `input: [8, 6, C]`, where C is the number of channels: 1, 3 or 4.",
        ),
    ],
)
def test_missing_input_suggests_the_shape_that_the_data_declares(data, hint):
    text = f"data: {data}\nmodel:\n  layers: [Flatten]"
    (problem,) = check_document(parse_yaml(SourceText("c.yaml", text.split("\n"), Path()))).problems
    assert problem.hint == hint


IMAGES = "{type: images, path: p, size: [8, 8], channels: 3}"


@pytest.mark.parametrize(
    ("declared", "x"),
    [
        ("[3, 8, 8]", Tensor((None, 8, 8, 3))),
        ("{shape: [8, 8, 1], dtype: uint8}", Tensor((None, 8, 8, 3), "uint8")),
    ],
)
def test_input_that_contradicts_the_size_of_images_is_a_mismatch(declared, x):
    inputs, findings = resolve(f"input: {declared}", data=IMAGES)
    assert inputs == {"input": x}
    assert [(code, hint) for code, _, _, hint in findings] == [("input-mismatch", "Set `input: [8, 8, 3]`.")]


def test_input_with_free_axes_fits_the_size_of_images():
    assert resolve("input: [null, null, 3]", data=IMAGES) == ({"input": Tensor((None, None, None, 3))}, [])


@pytest.mark.parametrize("shape", [(5,), (4, 1), (2, 2), ()])
def test_declared_input_of_another_shape_is_a_mismatch(shape):
    shown = {(5,): "(5,)", (4, 1): "(4, 1)", (2, 2): "(2, 2)", (): "()"}[shape]
    message = f"`model.input` declares shape (4,), but an example of the data has shape {shown}."
    hint = f"Set `input: {list(shape)}`."
    _, findings = resolve("input: [4]", single(*shape))
    assert findings == [("input-mismatch", ("model", "input"), message, hint)]


def test_images_for_the_rows_of_a_table_are_reshaped():
    _, findings = resolve("input: [28, 28, 1]", single(784))
    assert [found[3] for found in findings] == [
        "Set `input: [784]`, and put {type: Reshape, target_shape: [28, 28, 1]} before the first layer."
    ]


def test_several_inputs_are_compared_by_name():
    model = "inputs: {a: [4], b: [2]}"
    tensors = {"a": Tensor((None, 4), "float32"), "b": Tensor((None, 2), "float32")}
    assert resolve(model, several(a=(4,), b=(2,))) == (tensors, [])
    _, findings = resolve(model, several(a=(4,), b=(3,)))
    assert [found[:2] for found in findings] == [("input-mismatch", ("model", "inputs", "b"))]
    assert findings[0][2] == (
        "`model.inputs.b` declares shape (2,), but an example of the data has shape (3,)."
    )


def test_hint_names_the_input_with_another_shape():
    _, ((_, _, _, hint),) = resolve("inputs: {a: [4], b: [2, 3]}", several(a=(4,), b=(6,)))
    assert hint == (
        "Set `b: [6]`, and put {type: Reshape, target_shape: [2, 3]} before the layers that receive `b`."
    )
    _, ((_, _, _, hint),) = resolve("inputs: {a: [4], b: [2]}", several(a=(4,), b=(3,)))
    assert hint == "Set `b: [3]`."


def test_inputs_that_only_one_side_has_are_reported():
    _, raw = find("inputs: {a: [4], words: [2]}", several(a=(4,), word=(2,)))
    assert all(found.at_key for found in raw)
    _, findings = resolve("inputs: {a: [4], words: [2]}", several(a=(4,), word=(2,)))
    assert findings == [
        (
            "input-mismatch",
            ("data", "inputs", "word"),
            "The data has an input `word`, which is not an input of the model.",
            "Did you mean `words`?",
        ),
        (
            "input-mismatch",
            ("model", "inputs", "words"),
            "The data has no examples for the model's input `words`.",
            "The data's inputs: `a`, `word`.",
        ),
    ]


def test_input_without_examples_is_located_at_its_name():
    lines = [
        f"data: {DATA}",
        "model:",
        "  inputs: {a: [4], words: [2]}",
        "  layers: [{type: Concatenate, inputs: [a, words]}]",
    ]
    document = parse_yaml(SourceText("c.yaml", lines, Path()))
    _, [finding] = resolve_model_inputs(check_document(document).config, several(a=(4,)))
    mark = document.find_mark(finding.path, key=finding.at_key)
    assert (mark.line, mark.column) == (3, 20)


def test_several_inputs_need_data_with_several_inputs():
    _, findings = resolve("inputs: {a: [4], b: [2]}", single(4))
    assert [found[:2] for found in findings] == [("input-mismatch", ("model", "inputs"))]
    assert findings[0][2].startswith("The model has 2 inputs, but ")
    _, findings = resolve("inputs: {a: [4]}", single(5))
    assert [found[:2] for found in findings] == [("input-mismatch", ("model", "inputs", "a"))]


def problems_of(text):
    found = check_document(parse_yaml(SourceText("c.yaml", text.split("\n"), Path())))
    return [(problem.code, problem.message) for problem in found.problems]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("[1, 1, 1, 1, 1, 1, 1, 1]", None),
        (
            "[1, 1, 1, 1, 1, 1, 1, 1, 1]",
            "Expected at most 8 axes, the limit of TensorFlow's layers, got 9.",
        ),
        ("[2147483647]", None),
        ("[2147483648]", "expected a positive integer of at most 2,147,483,647 or null, got 2147483648."),
        ("[0]", "expected a positive integer or null, got 0."),
        ("[-1]", "expected a positive integer or null, got -1."),
        ("[1]", None),
    ],
)
def test_limits_of_an_input_shape(shape, message):
    found = problems_of(f"model: {{input: {shape}, layers: [Flatten]}}")
    if message is None:
        assert found == []
    else:
        assert [code for code, _ in found] == ["out-of-range"]
        assert message in found[0][1]


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ("", "Add `input: [N]`, where N is the number of input columns."),
        (
            ", windows: {length: 6, horizon: 1}",
            "Add `input: [6, N]`, where N is the number of input columns.",
        ),
        (", inputs: {input: [a, b, c]}", "Add `input: [3]`."),  # `model.inputs` refuses the name `input`
        (", inputs: {numbers: [a, b]}", "Add `inputs: {numbers: [2]}`."),
        (", inputs: {a: [u], b: [v, w]}", "Add `inputs: {a: [1], b: [2]}`."),
    ],
)
def test_hint_for_a_missing_input_of_a_table_is_valid(options, hint):
    text = f"data: {DATA[:-1]}{options}}}\nmodel: {{layers: [{{type: Dense, units: 1}}]}}"

    def check(text):
        result = check_document(parse_yaml(SourceText("c.yaml", text.split("\n"), Path())))
        return [(problem.code, problem.hint) for problem in result.problems]

    assert check(text) == [("missing-key", hint)]
    if "N" not in hint:
        fixed = check(text.replace("layers:", hint.split("`")[1] + ", layers:"))
        assert ("missing-key", hint) not in fixed
        assert "bad-name" not in dict(fixed)
