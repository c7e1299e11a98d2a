"""Results of a model over examples, compared with scikit-learn on its predictions."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    mean_absolute_error,
    r2_score,
    recall_score,
    roc_auc_score,
)

from layercli.check import check_config, require_valid
from layercli.data.examples import Examples
from layercli.data.reader_state import ReaderState
from layercli.data.statistics import compute_statistics
from layercli.data.target_values import add_target_values
from layercli.engine.assemble import assemble_model
from layercli.engine.results import collect_results
from layercli.formats.npz.config import Npz
from layercli.graph.target_meaning import resolve_target_meanings

RANDOM = np.random.default_rng(4)


@pytest.fixture
def results(tmp_path):
    """Return a function that returns the model of a config and its results over arrays."""

    def results(config, x, y, reader_state=None, **arguments):
        path = tmp_path / "c.yaml"
        path.write_text(f"seed: 3\n{config}")
        valid = require_valid(check_config(str(path)))
        examples = Examples(x, y, **arguments)
        values = compute_statistics(examples).target_values
        facts = add_target_values(
            examples.facts(), values, Npz.model_validate({"path": "a.npz", "features": "x", "target": "y"})
        )
        model = assemble_model(valid).model
        meanings = resolve_target_meanings(valid.config, valid.shapes, facts)
        return model, collect_results(
            model, valid, valid.config.train, examples, meanings, reader_state=reader_state
        )

    return results


def dense(units, loss, shape="[4]", activation="linear"):
    layer = f"{{type: Dense, units: {units}, activation: {activation}, kernel_initializer: random_normal}}"
    return f"model: {{input: {shape}, layers: [{layer}]}}\ntrain: {{loss: {loss}, batch_size: 16}}\n"


def test_labels_are_compared_with_the_largest_output(results):
    x, y = RANDOM.normal(size=(50, 4)).astype("float32"), RANDOM.integers(0, 3, 50)
    loss = "{type: SparseCategoricalCrossentropy, from_logits: true}"
    model, document = results(dense(3, loss), x, y, class_names=("ant", "bee", "cow"))
    predicted = model.predict(x, verbose=0).argmax(1)
    assert document["confusion"] == confusion_matrix(y, predicted, labels=range(3)).tolist()
    assert document["classes"] == ["ant", "bee", "cow"]


def test_one_hot_targets_are_classes(results):
    x, y = RANDOM.normal(size=(40, 4)).astype("float32"), RANDOM.integers(0, 3, 40)
    model, document = results(dense(3, "categorical_crossentropy", activation="softmax"), x, np.eye(3)[y])
    predicted = model.predict(x, verbose=0).argmax(1)
    assert document["confusion"] == confusion_matrix(y, predicted, labels=range(3)).tolist()


@pytest.mark.parametrize("shape", [(40,), (40, 1)])
def test_logit_of_two_classes_is_a_probability(results, shape):
    x, y = RANDOM.normal(size=(40, 4)).astype("float32"), RANDOM.integers(0, 2, 40)
    loss = "{type: BinaryCrossentropy, from_logits: true}"
    model, document = results(dense(1, loss), x, y.reshape(shape))
    logits = model.predict(x, verbose=0)[:, 0]
    assert document["confusion"] == confusion_matrix(y, logits > 0).tolist()
    assert document["scores"]["roc_auc"] == pytest.approx(roc_auc_score(y, logits))
    expected = np.mean((1 / (1 + np.exp(-logits)) - y) ** 2)
    assert document["scores"]["brier"] == pytest.approx(expected, rel=1e-5)


def test_signs_are_two_classes(results):
    x, y = RANDOM.normal(size=(40, 4)).astype("float32"), RANDOM.choice([-1, 1], 40)
    model, document = results(dense(1, "hinge"), x, y)
    assert document["classes"] == ["-1", "1"]
    predicted = np.where(model.predict(x, verbose=0)[:, 0] > 0, 1, -1)
    assert document["confusion"] == confusion_matrix(y, predicted).tolist()
    assert "brier" not in document["scores"]


@pytest.mark.parametrize(
    ("loss", "activation", "threshold"),
    [
        ("binary_crossentropy", "sigmoid", 0.5),
        ("{type: BinaryCrossentropy, from_logits: true}", "linear", 0.0),
    ],
)
def test_several_labels_are_counted_separately(results, loss, activation, threshold):
    x = RANDOM.normal(size=(40, 4)).astype("float32")
    y = (RANDOM.random((40, 3)) < 0.5).astype("float32")
    config = dense(3, loss, activation=activation)
    model, document = results(config, x, y)
    predicted = model.predict(x, verbose=0) > threshold
    hits = [int((predicted[:, index] & (y[:, index] == 1)).sum()) for index in range(3)]
    rows = document["per_class"]
    assert [row["support"] for row in rows] == y.sum(0).tolist()
    assert [row["recall"] * row["support"] for row in rows] == pytest.approx(hits)


def test_bits_of_a_hinge_loss_are_named_as_in_the_data(results):
    x, y = RANDOM.normal(size=(40, 4)).astype("float32"), RANDOM.integers(0, 2, 40)
    model, document = results(dense(1, "hinge"), x, y)
    assert document["classes"] == ["0", "1"]
    margins = model.predict(x, verbose=0)[:, 0]
    assert document["confusion"] == confusion_matrix(y, margins > 0).tolist()
    assert document["scores"]["roc_auc"] == pytest.approx(roc_auc_score(y, margins))


@pytest.mark.parametrize("low", [0, -1])
def test_several_labels_of_a_hinge_loss(results, low):
    x, y = RANDOM.normal(size=(40, 4)).astype("float32"), RANDOM.choice([low, 1], (40, 3))
    model, document = results(dense(3, "squared_hinge"), x, y)
    expected = recall_score(y == 1, model.predict(x, verbose=0) > 0, average=None)
    assert [row["recall"] for row in document["per_class"]] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("loss", "activation"), [("categorical_hinge", "linear"), ("mse", "softmax"), ("mse", "linear")]
)
def test_one_hot_targets_of_other_losses_are_classes(results, loss, activation):
    x, y = RANDOM.normal(size=(40, 4)).astype("float32"), RANDOM.integers(0, 3, 40)
    model, document = results(dense(3, loss, activation=activation), x, np.eye(3, dtype="float32")[y])
    predicted = model.predict(x, verbose=0).argmax(1)
    assert document["confusion"] == confusion_matrix(y, predicted, labels=range(3)).tolist()


def test_probabilities_as_targets_are_their_largest_class(results):
    x, y = RANDOM.normal(size=(40, 4)).astype("float32"), RANDOM.dirichlet([1, 1, 1], 40).astype("float32")
    loss = "{type: CategoricalCrossentropy, from_logits: true}"
    model, document = results(dense(3, loss), x, y)
    predicted = model.predict(x, verbose=0).argmax(1)
    assert document["confusion"] == confusion_matrix(y.argmax(1), predicted, labels=range(3)).tolist()


def test_labels_of_a_loss_for_embeddings_have_no_results(results):
    x, y = RANDOM.normal(size=(40, 4)).astype("float32"), RANDOM.integers(0, 3, 40)
    assert results(dense(5, "circle"), x, y)[1] == {}


def test_scores_are_those_that_predict_writes(results):
    x, y = RANDOM.normal(size=(300, 4)).astype("float32"), RANDOM.integers(0, 2, 300)
    x[::2] *= 30  # many probabilities of exactly 0 and 1
    loss = "{type: BinaryCrossentropy, from_logits: true}"
    model, document = results(dense(1, loss), x, y)
    scores = tf.sigmoid(model.predict(x, verbose=0)[:, 0]).numpy()
    assert document["scores"]["roc_auc"] == roc_auc_score(y, scores)
    assert document["scores"]["pr_auc"] == average_precision_score(y, scores)


@pytest.mark.parametrize(("loss", "units"), [("mse", 1), ("sparse_categorical_crossentropy", 3)])
def test_invalid_predictions_are_left_out_and_counted(results, loss, units):
    x, y = RANDOM.normal(size=(40, 4)).astype("float32"), RANDOM.integers(0, 3, 40)
    x[3], x[20] = np.inf, np.nan
    config = dense(units, loss, activation="linear" if units == 1 else "softmax")
    model, document = results(config, x, y * 1.5 if units == 1 else y)
    assert document["invalid_predictions"] == 2
    kept = np.isfinite(x).all(1)
    predicted = model.predict(x[kept], verbose=0)
    if units == 1:
        expected = mean_absolute_error(y[kept] * 1.5, predicted[:, 0])
        assert document["errors"]["mae"] == pytest.approx(expected, rel=1e-6)
    else:
        expected = confusion_matrix(y[kept], predicted.argmax(1), labels=range(3))
        assert document["confusion"] == expected.tolist()


def test_last_value_is_a_forecast(results):
    x = RANDOM.normal(size=(40, 4)).astype("float32")
    y, last = RANDOM.normal(size=(40, 3)), RANDOM.normal(size=40)
    last[7] = np.nan  # it is missing in the data
    _, document = results(dense(3, "mse"), x, y, last_targets=last)
    kept = np.isfinite(last)
    repeated = np.repeat(last[:, None], 3, axis=1)
    naive = document["naive_forecast"]
    assert naive["mae"] == pytest.approx(mean_absolute_error(y[kept], repeated[kept]))
    assert naive["r2"] == pytest.approx(r2_score(y[kept], repeated[kept]))
    for step, row in enumerate(document["per_target"]):
        expected = mean_absolute_error(y[kept, step], last[kept])
        assert row["naive_forecast"]["mae"] == pytest.approx(expected)


def test_last_class_is_a_forecast(results):
    x = RANDOM.normal(size=(40, 4)).astype("float32")
    y, last = RANDOM.integers(0, 3, 40), RANDOM.integers(0, 3, 40)
    softmax = {"shape": "[4]", "activation": "softmax"}
    sparse = dense(3, "sparse_categorical_crossentropy", **softmax)
    _, document = results(sparse, x, y, last_targets=last)
    accuracy = accuracy_score(y, last)
    assert document["naive_forecast"] == {"accuracy": pytest.approx(accuracy)}
    assert accuracy not in (0.0, 1.0, document["weighted"]["recall"], document["baseline"]["accuracy"])
    one_hot = dense(3, "categorical_crossentropy", **softmax)
    _, document = results(one_hot, x, np.eye(3)[y], last_targets=np.eye(3)[last])
    assert document["naive_forecast"] == {"accuracy": pytest.approx(accuracy)}
    _, document = results(sparse, x, y)
    assert "naive_forecast" not in document


def test_last_known_one_of_two_classes_is_a_forecast_of_each_step(results):
    x = RANDOM.normal(size=(40, 3, 4)).astype("float32")
    y, last = RANDOM.integers(0, 2, (40, 3)), RANDOM.integers(0, 2, 40).astype("float32")
    last[7] = np.nan  # it is missing in the data
    config = dense(1, "binary_crossentropy", "[3, 4]", "sigmoid")
    _, document = results(config, x, y[..., None], last_targets=last)
    kept = np.isfinite(last)
    expected = accuracy_score(y[kept].ravel(), np.repeat(last[kept], 3))
    assert document["naive_forecast"] == {"accuracy": pytest.approx(expected)}


@pytest.mark.parametrize(("count", "has_results"), [(1, False), (2, True), (50, True), (51, False)])
def test_each_of_a_few_numbers_has_results(results, count, has_results):
    x, y = RANDOM.normal(size=(20, 4)).astype("float32"), RANDOM.normal(size=(20, count))
    model, document = results(dense(count, "mse"), x, y)
    assert ("per_target" in document) == has_results
    if has_results:
        assert [row["target"] for row in document["per_target"]] == [str(index) for index in range(count)]
        expected = np.abs(y - model.predict(x, verbose=0)).mean(0)
        assert [row["mae"] for row in document["per_target"]] == pytest.approx(expected, rel=1e-6)


def test_steps_and_columns_name_the_numbers(results, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "1,2\n" * 20)
    windows = "{length: 2, steps: 2, horizon: 3}"
    layers = "[{type: Dense, units: 4}, {type: Reshape, target_shape: [2, 2]}]"
    config = (
        f"data: {{type: csv, path: t.csv, target: [a, b], windows: {windows}}}\n"
        f"model: {{input: [4], layers: {layers}}}\ntrain: {{loss: mse}}\n"
    )
    state = ReaderState({}, target_columns={None: ("a", "b")}, target_kinds={None: "numbers"})
    x, y = RANDOM.normal(size=(20, 4)).astype("float32"), RANDOM.normal(size=(20, 2, 2))
    _, document = results(config, x, y, reader_state=state)
    names = [row["target"] for row in document["per_target"]]
    assert names == ["a, step 3", "b, step 3", "a, step 4", "b, step 4"]


def test_masked_positions_of_numbers_are_left_out(results):
    ids = np.where(np.arange(5) < RANDOM.integers(1, 6, (30, 1)), RANDOM.integers(1, 9, (30, 5)), 0)
    y = RANDOM.normal(size=(30, 5, 2)).astype("float32")
    layers = "[{type: Embedding, input_dim: 9, output_dim: 4, mask_zero: true}, {type: Dense, units: 2}]"
    config = f"model: {{input: {{shape: [5], dtype: int32}}, layers: {layers}}}\ntrain: {{loss: mse}}\n"
    model, document = results(config, ids, y)
    predicted = model.predict(ids, verbose=0)[ids != 0]
    assert document["errors"]["mae"] == pytest.approx(mean_absolute_error(y[ids != 0], predicted), rel=1e-6)
    assert document["errors"]["r2"] == pytest.approx(r2_score(y[ids != 0], predicted), rel=1e-5)
    assert [row["target"] for row in document["per_target"]] == ["0", "1"]


def test_numbers_have_errors(results):
    x, y = RANDOM.normal(size=(40, 4)).astype("float32"), RANDOM.normal(size=40)
    model, document = results(dense(1, "mse"), x, y)
    expected = mean_absolute_error(y, model.predict(x, verbose=0)[:, 0])
    assert document["errors"]["mae"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("loss", ["poisson", "mse"])
def test_counts_have_errors(results, loss):
    x, y = RANDOM.normal(size=(40, 4)).astype("float32"), RANDOM.integers(0, 3, 40)
    model, document = results(dense(1, loss, activation="exponential"), x, y)
    expected = mean_absolute_error(y, model.predict(x, verbose=0)[:, 0])
    assert document["errors"]["mae"] == pytest.approx(expected, rel=1e-6)


def test_positions_without_the_ignored_class(results):
    x = RANDOM.normal(size=(20, 5, 4)).astype("float32")
    y = RANDOM.choice([0, 1, 255], (20, 5))
    loss = "{type: SparseCategoricalCrossentropy, from_logits: true, ignore_class: 255}"
    model, document = results(dense(2, loss, "[5, 4]"), x, y)
    used, predicted = y != 255, model.predict(x, verbose=0).argmax(-1)
    assert document["confusion"] == confusion_matrix(y[used], predicted[used]).tolist()
    assert "mean_iou" in document


def test_no_position_has_a_class(results):
    x = RANDOM.normal(size=(20, 5, 4)).astype("float32")
    loss = "{type: SparseCategoricalCrossentropy, from_logits: true, ignore_class: 255}"
    assert results(dense(2, loss, "[5, 4]"), x, np.full((20, 5), 255))[1] == {}


def test_masked_timesteps_are_left_out(results):
    x = RANDOM.integers(0, 3, (20, 6))
    y = RANDOM.integers(0, 2, (20, 6))
    config = (
        "model:\n  input: {shape: [6], dtype: int32}\n  layers:\n"
        "    - {type: Embedding, input_dim: 3, output_dim: 4, mask_zero: true}\n"
        "    - {type: LSTM, units: 4, return_sequences: true}\n    - {type: Dense, units: 2, activation: softmax}\n"
        "train: {loss: sparse_categorical_crossentropy, batch_size: 16}\n"
    )
    model, document = results(config, x, y)
    predicted = model.predict(x, verbose=0).argmax(-1)
    assert document["confusion"] == confusion_matrix(y[x > 0], predicted[x > 0]).tolist()


def test_several_outputs_have_their_own_results(results):
    x, y = RANDOM.normal(size=(40, 4)).astype("float32"), RANDOM.integers(0, 3, 40)
    config = (
        "model:\n  input: [4]\n  layers:\n    - {type: Dense, units: 3, activation: softmax, name: kind}\n"
        "    - {type: Dense, units: 1, name: size, inputs: input}\n  outputs: [kind, size]\n"
        "train: {loss: {kind: sparse_categorical_crossentropy, size: mae}, batch_size: 16}\n"
    )
    model, document = results(config, x, {"kind": y, "size": y * 2.0})
    kinds, sizes = model.predict(x, verbose=0)
    outputs = document["outputs"]
    assert outputs["kind"]["confusion"] == confusion_matrix(y, kinds.argmax(1), labels=range(3)).tolist()
    assert outputs["size"]["errors"]["mae"] == pytest.approx(
        mean_absolute_error(y * 2.0, sizes[:, 0]), rel=1e-6
    )
