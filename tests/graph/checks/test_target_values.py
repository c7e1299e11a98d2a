"""Targets whose values or shapes do not fit the loss, as arrays and tables, without TensorFlow."""

import json

import numpy as np
import pytest

from tests.formats.helpers import csv
from tests.running import invoke

SPARSE, CATEGORICAL, BINARY = (
    "sparse_categorical_crossentropy",
    "categorical_crossentropy",
    "binary_crossentropy",
)
X = np.arange(24.0).reshape(12, 2)
IMAGES = np.zeros((12, 4, 4, 2), dtype=np.float32)
LABELS = np.arange(12) % 3
BITS = np.arange(12) % 2
SOFTMAX = "{type: Dense, units: 3, activation: softmax}"
LINEAR = "{type: Dense, units: 1}"
SIGMOID = "{type: Dense, units: 1, activation: sigmoid}"
SEVERAL = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0]] * 4)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def inspect(place, data, layer, loss, shape, train=""):
    (place / "c.yaml").write_text(
        f"data: {json.dumps(data)}\nmodel:\n  input: {list(shape)}\n  layers: [{layer}]\n"
        f"train: {{loss: {loss}{train}}}\n"
    )
    result = invoke("inspect-data", "c.yaml", "--json")
    return json.loads(result.stdout)


def arrays(place, y, x=X, **keys):
    np.savez(place / "d.npz", x=x, y=y)
    return {"type": "npz", "path": "d.npz", "features": "x", "target": "y"} | keys


def problems(document):
    return [(found["code"], found["severity"], found["path"]) for found in document["problems"]]


@pytest.mark.parametrize(
    ("x", "y", "layer", "loss"),
    [
        (IMAGES, np.zeros((12, 4, 4), int) + LABELS[:, None, None], SOFTMAX, SPARSE),
        (IMAGES, np.zeros((12, 4, 4, 1), int) + LABELS[:, None, None, None], SOFTMAX, SPARSE),
        (IMAGES[:, 0], np.zeros((12, 4), int) + LABELS[:, None], SOFTMAX, SPARSE),
        (X, LABELS[:, None], SOFTMAX, SPARSE),
        (X, LABELS.astype(float), SOFTMAX, SPARSE),
        (X, LABELS.astype(float), SOFTMAX, CATEGORICAL),
        (X, BITS.astype(np.float32), SIGMOID, BINARY),
        (X, np.where(BITS, "1.0", "0.0"), SIGMOID, BINARY),
        (X, np.eye(3)[LABELS], SOFTMAX, CATEGORICAL),
        (X, SEVERAL, "{type: Dense, units: 3, activation: sigmoid}", BINARY),
        (IMAGES, np.zeros((12, 4, 4), int) + BITS[:, None, None], SIGMOID, BINARY),
        (X, BITS * 2 - 1, "{type: Dense, units: 1, activation: tanh}", "hinge"),
        (X, np.arange(20, 92, 6), LINEAR, "mse"),
        (X, np.arange(12) * -1000, LINEAR, "mse"),
        (X, np.arange(12) * 10**12, LINEAR, "mse"),
        (X, LABELS + 1, LINEAR, "mse"),
        (X, BITS, SIGMOID, "mse"),
    ],
)
def test_target_that_keras_trains_has_no_problem(place, x, y, layer, loss):
    metric = "mae" if layer == LINEAR else "accuracy"
    assert (
        inspect(place, arrays(place, y, x), layer, loss, x.shape[1:], f", metrics: [{metric}]")["problems"]
        == []
    )


MAPS = "Set `target_type: labels` under `data:`, which maps the labels"


@pytest.mark.parametrize(
    ("y", "layer", "loss", "code", "message", "hint"),
    [
        (
            LABELS + 1,
            SOFTMAX,
            SPARSE,
            "bad-label",
            "Labels must be below 3, because the output has 3 units; got 3 in row 3 (4 rows affected).",
            f"{MAPS} 1, 2, 3 to 0 to 2.",
        ),
        (
            LABELS * 10 + 10,
            SOFTMAX,
            CATEGORICAL,
            "bad-label",
            "Labels must be below 3, because the output has 3 units; got 10 in row 1 (12 rows affected).",
            f"{MAPS} 10, 20, 30 to 0 to 2.",
        ),
        (
            BITS * 2 - 1,
            SIGMOID,
            BINARY,
            "bad-label",
            "Labels must be 0 or 1; got -1 in row 1 (6 rows affected).",
            f"{MAPS} -1, 1 to 0 and 1, or use `loss: hinge` with `activation: tanh`.",
        ),
        (
            BITS + 1.0,
            SIGMOID,
            "hinge",
            "bad-label",
            "Labels must be -1 or 1; got 2 in row 2 (6 rows affected).",
            f"{MAPS} 1, 2 to 0 and 1.",
        ),
        (
            np.eye(3)[LABELS],
            SOFTMAX,
            SPARSE,
            "wrong-loss",
            "sparse_categorical_crossentropy requires one class number for each example, but the target has one-hot vectors "
            "of shape (None, 3).",
            "Use `loss: categorical_crossentropy`.",
        ),
        (
            SEVERAL,
            SOFTMAX,
            SPARSE,
            "wrong-loss",
            "sparse_categorical_crossentropy requires one class number for each example, but the target has several labels "
            "of shape (None, 3).",
            "Use `loss: binary_crossentropy` with `activation: sigmoid`.",
        ),
        (
            X[:, 0] / 7,
            SOFTMAX,
            SPARSE,
            "wrong-loss",
            "sparse_categorical_crossentropy compares classes, but the target is a number.",
            "Use `loss: mean_squared_error` or a different loss for numbers, and remove `activation: softmax`.",
        ),
        (
            X[:, [0, 1, 0]] / 7,
            "{type: Dense, units: 3, activation: tanh}",
            "hinge",
            "wrong-loss",
            "hinge compares classes, but the target is a number.",
            "Use `loss: mean_squared_error` or a different loss for numbers.",
        ),
        (
            np.eye(4)[LABELS],
            SOFTMAX,
            CATEGORICAL,
            "target-mismatch",
            "The model's output has shape (None, 3), but the target has shape (None, 4).",
            "Set `units: 4` on the last layer.",
        ),
        (
            np.arange(12) % 4,
            SOFTMAX,
            SPARSE,
            "wrong-units",
            "The data has 4 classes, but the model's output has 3 units.",
            "Set `units: 4` on the last layer.",
        ),
        (
            np.arange(12) % 4 + 1,
            SIGMOID,
            BINARY,
            "wrong-loss",
            "binary_crossentropy supports two classes, but the data has 4.",
            "Use `loss: sparse_categorical_crossentropy` with 4 units and softmax, and `target_type: labels` under `data:`.",
        ),
    ],
)
def test_target_that_does_not_fit_its_loss_is_explained(place, y, layer, loss, code, message, hint):
    found = inspect(place, arrays(place, y), layer, loss, (2,))["problems"]
    errors = [problem for problem in found if problem["severity"] == "error"]
    assert [(problem["code"], problem["message"], problem["hint"]) for problem in errors] == [
        (code, message, hint)
    ]


@pytest.mark.parametrize("dtype", [int, float, str])
def test_declared_labels_are_mapped_in_ascending_order(place, dtype):
    document = inspect(
        place, arrays(place, (LABELS * 10 - 10).astype(dtype), target_type="labels"), SOFTMAX, SPARSE, (2,)
    )
    assert document["problems"] == []
    names = ["-10", "0", "10"] if dtype is not str else sorted((LABELS * 10 - 10).astype(dtype).tolist()[:3])
    assert [(row["name"], row["train"]) for row in document["classes"]] == [(name, 4) for name in names]
    assert (document["targets"][0]["meaning"], document["targets"][0]["labels"]) == ("labels", names)


def test_declared_labels_of_a_mask_are_mapped(place):
    mask = np.zeros((12, 4, 4), np.uint8) + BITS[:, None, None] * 255
    data = arrays(place, mask, IMAGES)
    [found] = inspect(place, data, SIGMOID, BINARY, (4, 4, 2))["problems"]
    assert found["message"] == "Labels must be 0 or 1; got 255 in row 2 (96 values affected)."
    document = inspect(place, data | {"target_type": "labels"}, SIGMOID, BINARY, (4, 4, 2))
    assert document["problems"] == []
    assert [(row["name"], row["train"]) for row in document["classes"]] == [("0", 96), ("255", 96)]


def test_probabilities_are_targets_of_a_binary_loss(place):
    assert inspect(place, arrays(place, np.linspace(0, 1, 12)), SIGMOID, BINARY, (2,))["problems"] == []


def test_text_declared_as_numbers_is_refused(place):
    data = arrays(place, LABELS.astype(str), target_type="numbers")
    result = invoke("inspect-data", write(place, data, SOFTMAX, SPARSE))
    assert result.exit_code == 1
    assert "`y` must contain numbers, got text." in " ".join(result.output.split())


def write(place, data, layer, loss):
    (place / "c.yaml").write_text(
        f"data: {json.dumps(data)}\nmodel:\n  input: [2]\n  layers: [{layer}]\ntrain: {{loss: {loss}}}\n"
    )
    return "c.yaml"


def test_ignored_label_may_be_outside_the_classes(place):
    labels = np.zeros((12, 4, 4), int) + LABELS[:, None, None]
    labels[0] = 255
    ignoring = "{type: SparseCategoricalCrossentropy, ignore_class: 255}"
    assert inspect(place, arrays(place, labels, IMAGES), SOFTMAX, ignoring, (4, 4, 2))["problems"] == []
    assert problems(inspect(place, arrays(place, labels, IMAGES), SOFTMAX, SPARSE, (4, 4, 2))) == [
        ("bad-label", "error", "data.target")
    ]


@pytest.mark.parametrize(
    ("label", "loss", "hint"),
    [
        (
            255,
            "{type: SparseCategoricalCrossentropy, from_logits: true}",
            "If 255 means that there is no class, set `loss: {type: SparseCategoricalCrossentropy, from_logits: true, "
            "ignore_class: 255}`. Correct the data if it has wrong labels. Otherwise set `target_type: labels`",
        ),
        (
            -1,
            SPARSE,
            "If -1 means that there is no class, set `loss: {type: SparseCategoricalCrossentropy, ignore_class: -1}`. "
            "Correct the data",
        ),
        (5, SPARSE, "If 5 means"),
    ],
)
def test_hint_for_a_label_outside_of_the_classes(place, label, loss, hint):
    labels = np.zeros((12, 4, 4), int) + LABELS[:, None, None]
    labels[0] = label
    layer = "{type: Dense, units: 3}" if "logits" in loss else SOFTMAX
    (found,) = inspect(place, arrays(place, labels, IMAGES), layer, loss, (4, 4, 2))["problems"]
    assert found["hint"].startswith(hint)


@pytest.mark.parametrize(("low", "high"), [(0, 255), (1, 3)])
def test_labels_of_all_classes_are_mapped(place, low, high):
    labels = np.where(LABELS > 1, high, LABELS + low if low else low)
    units = len(set(labels.tolist()))
    layer = f"{{type: Dense, units: {units}, activation: softmax}}"
    (found,) = inspect(place, arrays(place, labels), layer, SPARSE, (2,))["problems"]
    assert found["hint"].startswith("Set `target_type: labels` under `data:`, which maps the labels")


@pytest.mark.parametrize(
    ("count", "step", "message"),
    [
        (120, 1, "The data has 120 classes, but the model's output has 3 units."),
        (
            100,
            2,
            "Labels must be below 3, because the output has 3 units; got 4 in row 3 (98 rows affected).",
        ),
        (101, 2, "sparse_categorical_crossentropy compares classes, but the target is a number."),
    ],
)
def test_more_than_100_integers_are_labels_if_none_is_missing(place, count, step, message):
    data = arrays(place, np.arange(count) * step, np.zeros((count, 2)))
    (found,) = inspect(place, data, SOFTMAX, SPARSE, (2,))["problems"]
    assert found["message"] == message


def test_probabilities_of_classes_are_at_most_one(place):
    y = np.linspace([0, 0, 0], [1, 1, 1.5], 12)
    (found,) = inspect(place, arrays(place, y), SOFTMAX, CATEGORICAL, (2,))["problems"]
    assert found["message"] == (
        "categorical_crossentropy requires a target from 0 to 1, but its values are from 0 to 1.5."
    )


@pytest.mark.parametrize(
    ("y", "layer", "loss", "shape", "reason"),
    [
        (
            SEVERAL,
            "{type: Dense, units: 3, activation: sigmoid}",
            BINARY,
            (2,),
            "an example can have several labels",
        ),
        (X[:, 0] / 7, LINEAR, "mse", (2,), "the target is a number"),
        (
            np.zeros((12, 4, 4), int) + LABELS[:, None, None],
            SOFTMAX,
            SPARSE,
            (4, 4, 2),
            "the target has a class for each of several positions",
        ),
    ],
)
def test_stratify_and_class_weight_require_one_class(place, y, layer, loss, shape, reason):
    x = X if len(shape) == 1 else IMAGES
    data = arrays(place, y, x, split={"test": 0.25, "stratify": True})
    found = inspect(place, data, layer, loss, shape, ", class_weight: balanced")["problems"]
    assert [problem["message"] for problem in found] == [
        f"`stratify` requires one class for each example, but {reason}.",
        f"`class_weight` requires one class for each example, but {reason}.",
    ]


@pytest.mark.parametrize("y", [LABELS[:, None], LABELS.astype(float), np.eye(3)[LABELS]])
def test_stratify_follows_the_classes_of_every_encoding(place, y):
    data = arrays(place, y, split={"test": 0.25, "stratify": True})
    loss = CATEGORICAL if y.shape[-1] == 3 else SPARSE
    document = inspect(place, data, SOFTMAX, loss, (2,))
    assert document["problems"] == []
    assert [(row["name"], row["train"], row["test"]) for row in document["classes"]] == [
        ("0", 3, 1),
        ("1", 3, 1),
        ("2", 3, 1),
    ]


def test_class_without_examples_in_the_data_is_named_once(place):
    found = inspect(place, arrays(place, LABELS + 1), SOFTMAX.replace("3", "4"), SPARSE, (2,))
    assert [(problem["message"], problem["hint"]) for problem in found["problems"]] == [
        (
            "The data has no examples of class `0`.",
            "Set `target_type: labels`, which maps the labels to 0 to 2, and use 3 units in the last layer, "
            "unless there are such examples later.",
        )
    ]


def test_problem_of_the_config_is_shown_once(place):
    layer = "{type: Dense, units: 3, activation: sigmoid}"
    assert problems(inspect(place, arrays(place, LABELS), layer, SPARSE, (2,))) == [
        ("activation-mismatch", "warning", "model.layers[0].activation")
    ]


def test_advice_without_data_does_not_contradict_the_data(place):
    found = inspect(
        place, arrays(place, SEVERAL), "{type: Dense, units: 3, activation: sigmoid}", SPARSE, (2,)
    )
    assert problems(found) == [("wrong-loss", "error", "train.loss")]


@pytest.mark.parametrize(
    ("y", "loss", "message", "hint"),
    [
        (
            np.zeros((12, 4, 4, 5), np.uint8) + BITS[:, None, None, None] * 255,
            SPARSE,
            "The model's output has shape (None, 4, 4, 3), but the target has shape (None, 4, 4, 5). "
            "sparse_categorical_crossentropy requires one label for each position: shape (None, 4, 4).",
            "Save the target as one class number for each position.",
        ),
        (
            np.zeros((12, 4, 4, 3), np.uint8) + np.arange(12)[:, None, None, None] * 20,
            CATEGORICAL,
            "categorical_crossentropy requires a target from 0 to 1, but its values are from 0 to 220.",
            "For numbers, use `loss: mean_squared_error`. For classes or a mask, write 0 and 1.",
        ),
        (
            np.zeros((12, 4, 4, 3), np.uint8) + np.arange(12)[:, None, None, None] * 20,
            BINARY,
            "binary_crossentropy requires a target from 0 to 1, but its values are from 0 to 220.",
            "For numbers, use `loss: mean_squared_error`. For classes or a mask, write 0 and 1.",
        ),
    ],
)
def test_target_of_positions_that_does_not_fit_its_loss_is_explained(place, y, loss, message, hint):
    layer = SOFTMAX if loss != BINARY else SOFTMAX.replace("softmax", "sigmoid")
    found = inspect(place, arrays(place, y, IMAGES), layer, loss, (4, 4, 2))["problems"]
    assert [(problem["message"], problem["hint"]) for problem in found] == [(message, hint)]


def test_numbers_beyond_the_activation_are_a_warning_with_their_range(place):
    found = inspect(place, arrays(place, X[:, 0] * 3), SIGMOID, "mse", (2,))["problems"]
    assert [problem["message"] for problem in found] == [
        "The target has values from 0 to 66, but sigmoid limits the output to values between 0 and 1."
    ]


def test_labels_of_a_table_are_decided_by_the_loss(place):
    text = "a,b,y\n" + "\n".join(f"{row},{row},{label + 1}.0" for row, label in enumerate(LABELS))
    assert problems(inspect(place, csv(place, text), SOFTMAX, SPARSE, (2,))) == [
        ("bad-label", "error", "data.target")
    ]
    assert problems(inspect(place, csv(place, text), LINEAR, "mse", (2,))) == []
    document = inspect(place, csv(place, text, target_type="labels"), SOFTMAX, SPARSE, (2,))
    assert document["targets"][0]["labels"] == ["1", "2", "3"]


def test_target_type_of_folders_is_refused(place):
    (place / "f").mkdir()
    for kind, hint in (("images", "Remove it: the folders are the labels."), ("text", "Remove it.")):
        path = write(place, {"type": kind, "path": "f", "target_type": "labels"}, SOFTMAX, SPARSE)
        [found] = json.loads(invoke("validate", path, "--json").stdout)["problems"]
        assert found["hint"] == hint


@pytest.mark.parametrize(
    ("target", "layers", "expected"),
    [
        ("v", "[Flatten, {type: Dense, units: 24}]", None),
        ("v", "[Flatten, {type: Dense, units: 1}]", "(None, 1), but the target has shape (None, 24)."),
        (
            "[v, w]",
            "[Flatten, {type: Dense, units: 24}]",
            "(None, 24), but the target has shape (None, 24, 2).",
        ),
        ("[v, w]", "[Flatten, {type: Dense, units: 48}, {type: Reshape, target_shape: [24, 2]}]", None),
    ],
)
def test_shape_of_several_steps_is_known_without_the_data(place, target, layers, expected):
    (place / "c.yaml").write_text(
        f"data: {{type: csv, path: t.csv, target: {target}, windows: {{length: 4, steps: 24}}}}\n"
        f"model: {{input: [4, 2], layers: {layers}}}\ntrain: {{loss: mean_squared_error}}\n"
    )
    found = json.loads(invoke("validate", "c.yaml", "--json").stdout)["problems"]
    messages = [problem["message"] for problem in found if problem["code"] == "target-mismatch"]
    assert messages == ([] if expected is None else [f"The model's output has shape {expected}"])
