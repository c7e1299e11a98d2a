"""The meaning of the values of an output, for predictions."""

import pytest

from layercli.check import check_config
from layercli.graph.output_kind import OutputKind, infer_output_kind, name_classes
from tests.running import write_config

SPARSE_LOGITS = {"type": "SparseCategoricalCrossentropy", "from_logits": True}
BINARY_LOGITS = {"type": "BinaryCrossentropy", "from_logits": True}
SIGN = OutputKind("sign", has_probabilities=False, threshold=0.0)
SIGNED_LABELS = OutputKind("labels", has_probabilities=False, threshold=0.0)


@pytest.mark.parametrize(
    ("loss", "shape", "target", "activation", "expected"),
    [
        ("sparse_categorical_crossentropy", (None, 3), "labels", None, OutputKind("classes")),
        ("sparse_categorical_crossentropy", (None, 6, 3), "labels", None, OutputKind("classes")),
        (SPARSE_LOGITS, (None, 4, 4, 3), None, None, OutputKind("classes", "softmax")),
        ("categorical_crossentropy", (None, 3), "probabilities", None, OutputKind("classes")),
        ("categorical_crossentropy", (None, 1), None, None, OutputKind("numbers")),
        ("categorical_hinge", (None, 3), "one-hot", None, OutputKind("classes", has_probabilities=False)),
        ("categorical_hinge", (None, 3), "one-hot", "softmax", OutputKind("classes")),
        ("categorical_crossentropy", (None, 3), "multi-label", "softmax", OutputKind("labels")),
        ("binary_crossentropy", (None, 1), None, "sigmoid", OutputKind("two")),
        ("binary_crossentropy", (None, 1), "binary", "sigmoid", OutputKind("two")),
        (BINARY_LOGITS, (None, 1), "binary", None, OutputKind("two", "sigmoid")),
        ("binary_crossentropy", (None, 1), "numbers", "sigmoid", OutputKind("numbers")),
        ("binary_crossentropy", (None, 6, 1), "binary", "sigmoid", OutputKind("two")),
        (BINARY_LOGITS, (None, 6, 1), None, None, OutputKind("numbers", "sigmoid")),
        ("binary_crossentropy", (None, 3), "multi-label", "sigmoid", OutputKind("labels")),
        (BINARY_LOGITS, (None, 3), "multi-label", "linear", OutputKind("labels", "sigmoid")),
        ("binary_crossentropy", (None, 3), "one-hot", "softmax", OutputKind("classes")),
        ("binary_crossentropy", (None, 3), "one-hot", "sigmoid", OutputKind("classes")),
        (BINARY_LOGITS, (None, 3), "one-hot", "linear", OutputKind("classes", "sigmoid")),
        ("binary_crossentropy", (None, 1), "labels", "sigmoid", OutputKind("two")),
        ("circle", (None, 3), "labels", None, OutputKind("numbers")),
        ("ctc", (None, 6, 3), "labels", "softmax", OutputKind("numbers")),
        ("binary_crossentropy", (None, 784), "numbers", "sigmoid", OutputKind("numbers")),
        ("binary_crossentropy", (None, 784), None, "sigmoid", OutputKind("numbers")),
        ("dice", (None, 4, 4, 3), "one-hot", None, OutputKind("classes")),
        ("dice", (None, 4, 4, 1), "binary", None, OutputKind("two")),
        ("hinge", (None, 1), "signs", "tanh", SIGN),
        ("hinge", (None, 1), "binary", "tanh", SIGN),
        ("hinge", (None, 1), "labels", "tanh", SIGN),
        ("squared_hinge", (None, 1), None, "tanh", SIGN),
        ("hinge", (None, 6, 1), "signs", "tanh", SIGN),
        ("hinge", (None, 6, 1), None, "tanh", OutputKind("numbers")),
        ("hinge", (None, 3), "multi-label", "tanh", SIGNED_LABELS),
        ("hinge", (None, 3), "signs", "tanh", SIGNED_LABELS),
        ("hinge", (None, 3), None, "tanh", OutputKind("numbers")),
        ("mse", (None, 3), "one-hot", "softmax", OutputKind("classes")),
        ("mse", (None, 3), "one-hot", "linear", OutputKind("classes", has_probabilities=False)),
        ("mse", (None, 3), "multi-label", "sigmoid", OutputKind("labels")),
        ("mse", (None, 1), "binary", "linear", OutputKind("two", has_probabilities=False)),
        ("mse", (None, 1), "binary", "sigmoid", OutputKind("two")),
        ("mse", (None, 1), "labels", "linear", OutputKind("numbers")),
        ("mse", (None, 1), None, "linear", OutputKind("numbers")),
        ("kl_divergence", (None, 3), "numbers", "softmax", OutputKind("numbers")),
        ("mse", (None,), "numbers", None, OutputKind("numbers")),
        ({"type": "BinaryCrossentropy", "axis": 1}, (None, 3, 4), "multi-label", None, OutputKind("numbers")),
        ({"type": "BinaryCrossentropy", "axis": 1}, (None, 3), "multi-label", None, OutputKind("labels")),
        ("crossentropy", (None, 1), "binary", "sigmoid", OutputKind("two")),
        ("crossentropy", (None, 3), "labels", "softmax", OutputKind("classes")),
    ],
)
def test_kind_follows_from_loss_target_and_shape(tmp_path, loss, shape, target, activation, expected):
    path = str(write_config(tmp_path, [{"type": "Dense", "units": 3}], train={"loss": loss}))
    config = check_config(path).config
    found = infer_output_kind(config, "dense", shape, target_kind=target, activation=activation)
    assert found == expected


@pytest.mark.parametrize(
    ("kind", "size", "names", "target", "expected"),
    [
        (SIGN, 2, None, "signs", ("-1", "1")),
        (SIGN, 2, None, None, ("-1", "1")),
        (SIGN, 2, None, "binary", ("0", "1")),
        (SIGN, 2, ("no", "yes"), "binary", ("no", "yes")),
        (SIGN, 2, ("a", "b", "c"), "signs", ("-1", "1")),
        (OutputKind("two"), 2, None, "binary", ("0", "1")),
        (OutputKind("classes"), 3, None, "labels", ("0", "1", "2")),
        (OutputKind("classes"), 2, ("ant", "bee"), "labels", ("ant", "bee")),
    ],
)
def test_names_of_classes(kind, size, names, target, expected):
    assert name_classes(kind, size, names, target) == expected


@pytest.mark.parametrize("target", ["labels", "binary", "one-hot"])
def test_values_without_a_loss_are_numbers(target):
    text = "model: {input: [4], layers: [{type: Dense, units: 1}]}\n"
    config = check_config("c.yaml", text=text).config
    assert infer_output_kind(config, "dense", (None, 1), target_kind=target) == OutputKind("numbers")
