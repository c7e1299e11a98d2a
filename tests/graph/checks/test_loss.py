"""Losses against the last activation, size and target of an output."""

from pathlib import Path

import pytest

from layercli.check import check_document
from layercli.source.load import parse_yaml
from layercli.source.nodes import SourceText


def problems(dataset, layers, loss):
    text = (
        f"data: {{type: sklearn, dataset: {dataset}}}\nmodel: {{layers: [{layers}]}}\ntrain: {{loss: {loss}}}"
    )
    found = check_document(parse_yaml(SourceText("c.yaml", text.split("\n"), Path())))
    return [(problem.code, problem.severity, problem.path) for problem in found.problems]


def messages(dataset, layers, loss):
    text = (
        f"data: {{type: sklearn, dataset: {dataset}}}\nmodel: {{layers: [{layers}]}}\ntrain: {{loss: {loss}}}"
    )
    found = check_document(parse_yaml(SourceText("c.yaml", text.split("\n"), Path())))
    return [problem.message for problem in found.problems]


@pytest.mark.parametrize("activation", ["sigmoid", "softmax", "tanh"])
def test_number_of_any_size_needs_an_output_without_bounds(activation):
    layer = f"{{type: Dense, units: 1, activation: {activation}}}"
    expected = ("squashed-output", "warning", "model.layers[0].activation")
    assert expected in problems("diabetes", layer, "mean_squared_error")


@pytest.mark.parametrize("activation", ["linear", "relu", "softplus", "null"])
def test_number_with_an_unbounded_output_has_no_problem(activation):
    layer = f"{{type: Dense, units: 1, activation: {activation}}}"
    assert problems("diabetes", layer, "mean_squared_error") == []


def test_activation_before_a_flatten_is_not_the_last_one():
    layers = "{type: Dense, units: 1, activation: sigmoid}, Flatten"
    assert problems("diabetes", layers, "mean_squared_error") == []


@pytest.mark.parametrize(
    ("units", "loss", "code"),
    [
        (3, "sparse_categorical_crossentropy", None),
        (3, "categorical_crossentropy", None),
        (4, "sparse_categorical_crossentropy", "wrong-units"),
        (2, "categorical_crossentropy", "wrong-units"),
    ],
)
def test_units_of_a_classifier_are_its_classes(units, loss, code):
    layer = f"{{type: Dense, units: {units}, activation: softmax}}"
    found = problems("iris", layer, loss)
    assert [problem[0] for problem in found] == ([code] if code else [])


@pytest.mark.parametrize(("units", "has_problem"), [(1, True), (2, False)])
def test_softmax_of_one_unit_is_always_one(units, has_problem):
    layers = f"{{type: Dense, units: {units}, activation: softmax}}, {{type: Dense, units: 1}}"
    expected = ("softmax-of-one", "warning", "model.layers[0].activation")
    found = problems("diabetes", layers, "mean_squared_error")
    assert ([problem[0] for problem in found] == ["softmax-of-one"]) == has_problem
    assert (expected in found or ("softmax-of-one", "error", expected[2]) in found) == has_problem


@pytest.mark.parametrize(("units", "shown"), [(1, "1 unit"), (2, "2 units"), (12, "12 units")])
def test_wrong_units_are_counted(units, shown):
    layer = f"{{type: Dense, units: {units}, activation: sigmoid}}"
    expected = f"The data has 3 classes, but the model's output has {shown}."
    assert expected in messages("iris", layer, "sparse_categorical_crossentropy")


def test_output_for_each_position_has_too_many_axes():
    layers = "{type: Reshape, target_shape: [8, 8]}, {type: Dense, units: 10, activation: softmax}"
    found = problems("digits", layers, "sparse_categorical_crossentropy")
    assert [(code, severity) for code, severity, _ in found] == [("dense-on-positions", "error")]


@pytest.mark.parametrize("activation", ["linear", "softmax"])
def test_several_target_columns_are_not_one_class(activation):
    text = (
        "data: {type: csv, path: t.csv, target: [a, b]}\n"
        f"model: {{input: [2], layers: [{{type: Dense, units: 2, activation: {activation}}}]}}\n"
        "train: {loss: sparse_categorical_crossentropy}\n"
    )
    (problem,) = check_document(parse_yaml(SourceText("c.yaml", text.split("\n"), Path()))).problems
    assert problem.message == (
        "sparse_categorical_crossentropy requires one class number for each example, but the target has values of "
        "shape (None, 2)."
    )
    assert (
        problem.hint
        == "Use `loss: mean_squared_error` for numbers, or `loss: binary_crossentropy` for labels."
    )


def found_without_data(layer, loss, shape="[4]"):
    text = f"model: {{input: {shape}, layers: [{layer}]}}\ntrain: {{loss: {loss}}}"
    found = check_document(parse_yaml(SourceText("c.yaml", text.split("\n"), Path())))
    return [(problem.code, problem.severity, problem.hint) for problem in found.problems]


@pytest.mark.parametrize(
    ("loss", "activation", "is_found"),
    [
        ("hinge", "sigmoid", True),  # Keras: the loss of a target of -1 is at least 1
        ("squared_hinge", "relu", True),
        ("hinge", "tanh", False),
        ("hinge", "linear", False),
        ("kl_divergence", "linear", True),
        ("kl_divergence", "softmax", False),
        ("categorical_hinge", "softmax", False),
    ],
)
def test_loss_warns_of_an_activation_with_other_values(loss, activation, is_found):
    layer = f"{{type: Dense, units: 3, activation: {activation}}}"
    found = found_without_data(layer, loss)
    assert [problem[:2] for problem in found] == [("activation-mismatch", "warning")] * is_found
    for _, _, hint in found:
        fixed = "tanh" if "tanh" in hint else "softmax"
        assert found_without_data(f"{{type: Dense, units: 3, activation: {fixed}}}", loss) == []


def test_direction_of_a_single_unit_is_refused():
    code, severity, hint = found_without_data("{type: Dense, units: 1}", "cosine_similarity")[0]
    assert (code, severity, hint) == ("wrong-loss", "error", "For one number, use mean_squared_error.")
    assert found_without_data("{type: Dense, units: 2}", "cosine_similarity") == []
    over_time = "{type: CosineSimilarity, axis: 1}"
    assert found_without_data("{type: Dense, units: 1}", over_time, "[6, 4]") == []


def test_channels_first_layer_on_an_image_with_the_channels_last():
    layer = "{type: Conv2D, filters: 4, kernel_size: 3, data_format: channels_first}"
    ((code, _, hint),) = found_without_data(layer, "mse", "[28, 28, 1]")
    assert (code, hint) == (
        "shape-mismatch",
        "Remove `data_format: channels_first`: the channels are the last axis.",
    )
    ((_, _, hint),) = found_without_data(layer, "mse", "[3, 2, 2]")
    assert hint == "Use a smaller `kernel_size`, `padding: same`, or fewer shrinking layers before it."


@pytest.mark.parametrize(
    ("data", "units", "loss", "expected"),
    [
        ("csv, path: t.csv, target: y", 32, "mean_squared_error", ("wrong-units", "model.layers[0].units")),
        ("csv, path: t.csv, target: y", 4, "huber", ("wrong-units", "model.layers[0].units")),
        ("csv, path: t.csv, target: [y]", 2, "mean_absolute_error", ("wrong-units", "model.layers[0].units")),
        ("csv, path: t.csv, target: y", 3, "binary_crossentropy", ("wrong-loss", "train.loss")),
        (
            "csv, path: t.csv, target: y, target_type: labels",
            3,
            "mean_squared_error",
            ("wrong-loss", "train.loss"),
        ),
        ("images, path: d, size: [2, 2]", 3, "mean_squared_error", ("wrong-loss", "train.loss")),
        ("text, path: d", 3, "mean_squared_error", ("wrong-loss", "train.loss")),
        (
            "text, path: t.csv, column: x, target: y",
            3,
            "mean_squared_error",
            ("wrong-units", "model.layers[1].units"),
        ),
        ("csv, path: t.csv, target: y", 1, "mean_squared_error", None),
        ("csv, path: t.csv, target: y", 3, "sparse_categorical_crossentropy", None),
        ("csv, path: t.csv, target: y", 3, "categorical_crossentropy", None),
        ("csv, path: t.csv, target: y", 3, "cosine_similarity", ("wrong-units", "model.layers[0].units")),
        ("images, path: d, size: [2, 2], masks: {path: m}", 3, "mean_squared_error", None),
        ("npz, path: d.npz, features: x, target: y", 32, "mean_squared_error", None),
    ],
)
def test_one_value_for_each_example_needs_one_unit(data, units, loss, expected):
    shape, first = "[4]", ""
    if data.startswith("text"):
        shape, first = (
            "{shape: [1], dtype: string}",
            "{type: TextVectorization, max_tokens: 9, output_mode: count}, ",
        )
    text = (
        f"data: {{type: {data}}}\n"
        f"model: {{input: {shape}, layers: [{first}{{type: Dense, units: {units}}}]}}\n"
        f"train: {{loss: {loss}}}\n"
    )
    found = check_document(parse_yaml(SourceText("c.yaml", text.split("\n"), Path()))).problems
    ignored = ("model.input", "model.layers[0]")  # the size of images, and logits
    errors = [
        (each.code, each.path) for each in found if each.severity == "error" and each.path not in ignored
    ]
    assert errors == ([expected] if expected else [])


def test_declared_number_has_the_message_of_the_training():
    text = (
        "data: {type: csv, path: t.csv, target: y, target_type: numbers}\n"
        "model: {input: [4], layers: [{type: Dense, units: 32}]}\n"
        "train: {loss: mean_squared_error}\n"
    )
    (problem,) = check_document(parse_yaml(SourceText("c.yaml", text.split("\n"), Path()))).problems
    assert problem.message == "The target is one number, but the model's output has 32 units."
    assert problem.hint == "Set `units: 1` on the last layer."
