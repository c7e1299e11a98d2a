"""Metrics, adapted to their inputs, have scikit-learn's values on the same predictions."""

import keras
import numpy as np
import pytest
from keras.src.trainers.compile_utils import get_metric
from sklearn import metrics as sk

from layercli.config.training.metric_inputs import MetricInputs
from layercli.config.training.registry import METRICS, parse_metric
from layercli.engine.training.metric_conversion import build_metric
from layercli.graph.metrics import adapt_metric
from tests.config.against_keras import required

CLASSES = np.array([0, 2, 1, 1, 0, 2, 0, 1])
LOGITS = np.array(
    [
        [2.0, 0.5, -1.0],
        [0.2, -0.3, 1.9],
        [0.4, 1.2, 0.3],
        [1.5, 0.1, -0.2],
        [1.8, -1.0, 0.6],
        [-0.5, 0.9, 0.7],
        [0.3, 2.2, -0.4],
        [-1.1, 1.4, 0.2],
    ],
    dtype="float32",
)
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
ONE_HOT = np.eye(3)[CLASSES]
BEST = LOGITS.argmax(axis=1)
LIKELY = PROBABILITIES > 0.5

YES = np.array([0, 1, 1, 0, 1, 0, 0, 1])
SCORES = np.array([-1.5, 0.3, 2.0, 0.4, -0.2, -0.7, 0.1, 1.1], dtype="float32")[:, None]
SURE = 1 / (1 + np.exp(-SCORES))
IS_YES = SCORES[:, 0] > 0

LABELS = np.array([[0, 1, 1], [1, 0, 1], [0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 1]])
TAGS = LOGITS > 0
TAG_SURE = 1 / (1 + np.exp(-LOGITS))


SOFTMAX = {"activation": "softmax", "has_one_class": True, "units": 3}
SIGMOID = {"activation": "sigmoid", "units": 1}
TAG = {"activation": "sigmoid", "units": 3}
CLASS_LOGITS = {"activation": "linear", "has_one_class": True, "units": 3, "logits": "softmax"}
LOGIT = {"activation": "linear", "units": 1, "logits": "sigmoid"}
TAG_LOGITS = {"activation": "linear", "units": 3, "logits": "sigmoid"}


def measure(declared, form, output, y_true, y_pred, weights=None):
    """Return the value of a metric that training would use, after two batches."""
    adapted = adapt_metric(parse_metric(declared), MetricInputs(form=form, **output))
    metric = get_metric(adapted, y_true, y_pred) if isinstance(adapted, str) else build_metric(adapted)
    for rows in (slice(3), slice(3, None)):
        metric.update_state(y_true[rows], y_pred[rows], None if weights is None else weights[rows])
    return np.asarray(metric.result())


def macro(score, **arguments):
    return score(CLASSES, BEST, average="macro", **arguments)


def iou(true, predicted):
    return sk.jaccard_score(true, predicted, average="macro")


BRIER = np.mean((PROBABILITIES - ONE_HOT) ** 2)
CLASS_CASES = [
    ("accuracy", sk.accuracy_score(CLASSES, BEST)),
    ("Precision", sk.precision_score(ONE_HOT, LIKELY, average="micro")),
    ({"type": "Precision", "class_id": 1}, sk.precision_score(CLASSES == 1, LIKELY[:, 1])),
    ({"type": "Precision", "top_k": 1}, sk.precision_score(CLASSES, BEST, average="micro")),
    ("Recall", sk.recall_score(ONE_HOT, LIKELY, average="micro")),
    ({"type": "Recall", "class_id": 0}, sk.recall_score(CLASSES == 0, LIKELY[:, 0])),
    (
        {"type": "Recall", "class_id": 2, "thresholds": 0.3},
        sk.recall_score(CLASSES == 2, PROBABILITIES[:, 2] > 0.3),
    ),
    ("TruePositives", (LIKELY & (ONE_HOT == 1)).sum()),
    ("FalsePositives", (LIKELY & (ONE_HOT == 0)).sum()),
    ("TrueNegatives", (~LIKELY & (ONE_HOT == 0)).sum()),
    ("FalseNegatives", (~LIKELY & (ONE_HOT == 1)).sum()),
    ({"type": "F1Score", "average": "macro"}, macro(sk.f1_score)),
    ("F1Score", sk.f1_score(CLASSES, BEST, average=None)),
    (
        {"type": "F1Score", "average": "macro", "threshold": 0.5},
        sk.f1_score(ONE_HOT, LIKELY, average="macro"),
    ),
    (
        {"type": "FBetaScore", "average": "weighted", "beta": 2.0},
        sk.fbeta_score(CLASSES, BEST, beta=2, average="weighted"),
    ),
    ({"type": "AUC", "num_thresholds": 20000}, sk.roc_auc_score(ONE_HOT, PROBABILITIES, average="micro")),
    (
        {"type": "AUC", "num_thresholds": 20000, "multi_label": True},
        sk.roc_auc_score(CLASSES, PROBABILITIES, multi_class="ovr"),
    ),
    ({"type": "MeanIoU", "num_classes": 3}, iou(CLASSES, BEST)),
    ({"type": "IoU", "num_classes": 3, "target_class_ids": [1]}, sk.jaccard_score(CLASSES == 1, BEST == 1)),
    ({"type": "OneHotMeanIoU", "num_classes": 3}, iou(CLASSES, BEST)),
    (
        {"type": "OneHotIoU", "num_classes": 3, "target_class_ids": [2]},
        sk.jaccard_score(CLASSES == 2, BEST == 2),
    ),
    ({"type": "MeanSquaredError", "targets": "one_hot"}, BRIER),
    ("kl_divergence", sk.log_loss(CLASSES, PROBABILITIES)),
]
LABEL_CASES = [
    ("sparse_categorical_accuracy", sk.accuracy_score(CLASSES, BEST)),
    ({"type": "SparseTopKCategoricalAccuracy", "k": 2}, sk.top_k_accuracy_score(CLASSES, PROBABILITIES, k=2)),
    ("sparse_categorical_crossentropy", sk.log_loss(CLASSES, PROBABILITIES)),
]
ONE_HOT_CASES = [
    ("categorical_accuracy", sk.accuracy_score(CLASSES, BEST)),
    ({"type": "TopKCategoricalAccuracy", "k": 2}, sk.top_k_accuracy_score(CLASSES, PROBABILITIES, k=2)),
    ("categorical_crossentropy", sk.log_loss(CLASSES, PROBABILITIES)),
    ("mean_squared_error", BRIER),
    ("root_mean_squared_error", np.sqrt(BRIER)),
    ("mean_absolute_error", np.mean(abs(PROBABILITIES - ONE_HOT))),
    ("R2Score", sk.r2_score(ONE_HOT, PROBABILITIES)),
    ("cosine_similarity", np.mean(PROBABILITIES[range(8), CLASSES] / np.linalg.norm(PROBABILITIES, axis=1))),
]


@pytest.mark.parametrize("declared", ["accuracy", {"type": "accuracy", "name": "hits"}, "binary_accuracy"])
def test_accuracy_of_probabilities_as_targets(declared):
    targets = np.array([0.1, 0.9, 0.7, 0.2, 0.8, 0.5, 0.4, 1.0])[:, None]
    fractions = SIGMOID | {"are_fractions": True}
    value = measure(declared, "numbers", fractions, targets, SURE)
    assert value == sk.accuracy_score(targets[:, 0] > 0.5, IS_YES) == 0.625


@pytest.mark.parametrize("name", ["hits", None])
def test_accuracy_with_arguments_is_the_one_of_its_target(name):
    declared = {"type": "accuracy", "name": name}
    assert measure(declared, "labels", SOFTMAX, CLASSES, PROBABILITIES) == sk.accuracy_score(CLASSES, BEST)
    assert measure(declared, "one-hot", SOFTMAX, ONE_HOT, PROBABILITIES) == sk.accuracy_score(CLASSES, BEST)
    assert measure(declared, "binary", LOGIT, YES, SCORES) == sk.accuracy_score(YES, IS_YES)
    assert measure(declared, "multi-label", TAG, LABELS, TAG_SURE) == pytest.approx((LABELS == TAGS).mean())


def without_conversion(declared):
    return {"type": declared["type"]} if isinstance(declared, dict) and "targets" in declared else declared


@pytest.mark.parametrize(("declared", "expected"), [*CLASS_CASES, *LABEL_CASES], ids=str)
def test_metrics_of_class_numbers(declared, expected):
    value = measure(declared, "labels", SOFTMAX, CLASSES, PROBABILITIES)
    np.testing.assert_allclose(value, expected, rtol=1e-3)


@pytest.mark.parametrize(("declared", "expected"), [*CLASS_CASES, *ONE_HOT_CASES], ids=str)
def test_metrics_of_one_hot_targets(declared, expected):
    value = measure(without_conversion(declared), "one-hot", SOFTMAX, ONE_HOT, PROBABILITIES)
    np.testing.assert_allclose(value, expected, rtol=1e-3)


@pytest.mark.parametrize(("declared", "expected"), [*CLASS_CASES, *LABEL_CASES], ids=str)
def test_metrics_of_class_numbers_and_logits(declared, expected):
    value = measure(declared, "labels", CLASS_LOGITS, CLASSES[:, None], LOGITS)
    np.testing.assert_allclose(value, expected, rtol=1e-3)


@pytest.mark.parametrize(("declared", "expected"), [*CLASS_CASES, *ONE_HOT_CASES], ids=str)
def test_metrics_of_one_hot_targets_and_logits(declared, expected):
    value = measure(without_conversion(declared), "one-hot", CLASS_LOGITS, ONE_HOT, LOGITS)
    np.testing.assert_allclose(value, expected, rtol=1e-3)


BINARY_CASES = [
    ("accuracy", sk.accuracy_score(YES, IS_YES)),
    ("binary_accuracy", sk.accuracy_score(YES, IS_YES)),
    ({"type": "BinaryAccuracy", "threshold": 0.6}, sk.accuracy_score(YES, SURE[:, 0] > 0.6)),
    ("Precision", sk.precision_score(YES, IS_YES)),
    ("Recall", sk.recall_score(YES, IS_YES)),
    ({"type": "Recall", "thresholds": 0.6}, sk.recall_score(YES, SURE[:, 0] > 0.6)),
    (
        {"type": "Recall", "thresholds": [0.4, 0.6]},
        [sk.recall_score(YES, SURE[:, 0] > each) for each in (0.4, 0.6)],
    ),
    ("TruePositives", (IS_YES & (YES == 1)).sum()),
    ("TrueNegatives", (~IS_YES & (YES == 0)).sum()),
    ("F1Score", sk.f1_score(YES, IS_YES)),
    ({"type": "F1Score", "threshold": 0.6}, sk.f1_score(YES, SURE[:, 0] > 0.6)),
    ({"type": "FBetaScore", "beta": 0.5}, sk.fbeta_score(YES, IS_YES, beta=0.5)),
    ({"type": "AUC", "num_thresholds": 20000}, sk.roc_auc_score(YES, SCORES)),
    ("BinaryIoU", iou(YES, IS_YES)),
    ({"type": "BinaryIoU", "target_class_ids": [1]}, sk.jaccard_score(YES, IS_YES)),
    ("binary_crossentropy", sk.log_loss(YES, SURE[:, 0])),
]
PROBABILITY_CASES = [
    ("mean_squared_error", sk.brier_score_loss(YES, SURE[:, 0])),
    ("mean_absolute_error", np.mean(abs(SURE[:, 0] - YES))),
    ("R2Score", sk.r2_score(YES, SURE[:, 0])),
]


@pytest.mark.parametrize("target", [YES, YES[:, None], YES.astype("float32")], ids=["n", "n-1", "float"])
@pytest.mark.parametrize(("declared", "expected"), [*BINARY_CASES, *PROBABILITY_CASES], ids=str)
def test_metrics_of_one_sigmoid_unit(declared, expected, target):
    np.testing.assert_allclose(measure(declared, "binary", SIGMOID, target, SURE), expected, rtol=1e-3)


@pytest.mark.parametrize(("declared", "expected"), [*BINARY_CASES, *PROBABILITY_CASES], ids=str)
def test_metrics_of_one_unit_with_logits(declared, expected):
    np.testing.assert_allclose(measure(declared, "binary", LOGIT, YES, SCORES), expected, rtol=1e-3)


@pytest.mark.parametrize("target", [YES, 2 * YES - 1], ids=["0-1", "signs"])
@pytest.mark.parametrize(
    ("declared", "expected"), [*BINARY_CASES, ("hinge", sk.hinge_loss(YES, SCORES[:, 0]))], ids=str
)
def test_metrics_of_margins(declared, expected, target):
    np.testing.assert_allclose(measure(declared, "signs", LOGIT, target, SCORES), expected, rtol=1e-3)


TAG_CASES = [
    ("accuracy", np.mean(TAGS == LABELS)),
    ("binary_accuracy", np.mean(TAGS == LABELS)),
    ("Precision", sk.precision_score(LABELS, TAGS, average="micro")),
    ({"type": "Recall", "class_id": 2}, sk.recall_score(LABELS[:, 2], TAGS[:, 2])),
    ({"type": "F1Score", "average": "macro"}, sk.f1_score(LABELS, TAGS, average="macro")),
    ("F1Score", sk.f1_score(LABELS, TAGS, average=None)),
    ({"type": "AUC", "num_thresholds": 20000, "multi_label": True}, sk.roc_auc_score(LABELS, LOGITS)),
    ({"type": "AUC", "num_thresholds": 20000}, sk.roc_auc_score(LABELS, LOGITS, average="micro")),
    ("BinaryIoU", iou(LABELS.ravel(), TAGS.ravel())),
    ("binary_crossentropy", sk.log_loss(LABELS.ravel(), TAG_SURE.ravel())),
]


@pytest.mark.parametrize(("declared", "expected"), TAG_CASES, ids=str)
def test_metrics_of_several_labels(declared, expected):
    np.testing.assert_allclose(measure(declared, "multi-label", TAG, LABELS, TAG_SURE), expected, rtol=1e-3)
    np.testing.assert_allclose(
        measure(declared, "multi-label", TAG_LOGITS, LABELS, LOGITS), expected, rtol=1e-3
    )


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("Precision", sk.precision_score(YES, IS_YES)),
        ("Recall", sk.recall_score(YES, IS_YES)),
        ({"type": "Recall", "class_id": 0}, sk.recall_score(YES, IS_YES, pos_label=0)),
        ({"type": "F1Score", "average": "macro"}, sk.f1_score(YES, IS_YES, average="macro")),
        ({"type": "AUC", "num_thresholds": 20000}, sk.roc_auc_score(YES, SCORES)),
    ],
    ids=str,
)
def test_class_1_of_two_softmax_units_is_the_positive_one(declared, expected):
    output = SOFTMAX | {"units": 2}
    value = measure(declared, "labels", output, YES, np.hstack([1 - SURE, SURE]))
    np.testing.assert_allclose(value, expected, rtol=1e-3)


POSITION_CASES = [
    case for case in CLASS_CASES if case[0] != {"type": "MeanSquaredError", "targets": "one_hot"}
]


@pytest.mark.parametrize(("declared", "expected"), POSITION_CASES, ids=str)
@pytest.mark.parametrize("shape", [(4, 2), (4, 2, 1)])
def test_metrics_of_positions(declared, expected, shape):
    output = SOFTMAX | {"position_axes": 1}
    value = measure(declared, "labels", output, CLASSES.reshape(shape), PROBABILITIES.reshape(4, 2, 3))
    np.testing.assert_allclose(value, expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("form", "target", "score"),
    [
        (
            "one-hot",
            ONE_HOT,
            lambda weights: sk.f1_score(CLASSES, BEST, average="macro", sample_weight=weights),
        ),
        (
            "labels",
            CLASSES,
            lambda weights: sk.f1_score(CLASSES, BEST, average="macro", sample_weight=weights),
        ),
    ],
)
def test_weights_apply_to_each_position_of_an_example(form, target, score):
    weights = np.array([1.0, 0.5, 3.0, 2.0])
    output = SOFTMAX | {"position_axes": 1, "is_weighted": True}
    y = target.reshape(4, 2, *target.shape[1:])
    value = measure(
        {"type": "F1Score", "average": "macro"}, form, output, y, PROBABILITIES.reshape(4, 2, 3), weights
    )
    np.testing.assert_allclose(value, score(np.repeat(weights, 2)), rtol=1e-3)


def test_weights_of_intersection_over_union_keep_their_fractions():
    weights = np.array([0.5, 1.5, 0.25, 1, 2.5, 0.75, 1, 0.5])
    value = measure(
        {"type": "MeanIoU", "num_classes": 3},
        "labels",
        SOFTMAX | {"is_weighted": True},
        CLASSES,
        PROBABILITIES,
        weights,
    )
    expected = sk.jaccard_score(CLASSES, BEST, average="macro", sample_weight=weights)
    np.testing.assert_allclose(value, expected, rtol=1e-3)


IS_KEPT = np.array([True, False, True, True, False, True, True, True])
KEPT = {"true": CLASSES[IS_KEPT], "best": BEST[IS_KEPT], "likely": PROBABILITIES[IS_KEPT]}


@pytest.mark.parametrize("ignored", [255, -1])
@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("accuracy", sk.accuracy_score(KEPT["true"], KEPT["best"])),
        (
            {"type": "SparseTopKCategoricalAccuracy", "k": 2},
            sk.top_k_accuracy_score(KEPT["true"], KEPT["likely"], k=2),
        ),
        ("sparse_categorical_crossentropy", sk.log_loss(KEPT["true"], KEPT["likely"])),
        ("Precision", sk.precision_score(ONE_HOT[IS_KEPT], LIKELY[IS_KEPT], average="micro")),
        ({"type": "F1Score", "average": "macro"}, sk.f1_score(KEPT["true"], KEPT["best"], average="macro")),
        (
            {"type": "AUC", "num_thresholds": 20000},
            sk.roc_auc_score(ONE_HOT[IS_KEPT], KEPT["likely"], average="micro"),
        ),
        ({"type": "MeanIoU", "num_classes": 3}, iou(KEPT["true"], KEPT["best"])),
    ],
    ids=str,
)
def test_label_that_the_loss_ignores_does_not_count(declared, expected, ignored):
    output = SOFTMAX | {"position_axes": 1, "ignore_class": ignored}
    labels = np.where(IS_KEPT, CLASSES, ignored).reshape(4, 2)
    value = measure(declared, "labels", output, labels, PROBABILITIES.reshape(4, 2, 3))
    np.testing.assert_allclose(value, expected, rtol=1e-3)


def test_weights_count_for_labels_that_are_not_ignored():
    weights = np.array([1.0, 0.5, 3.0, 2.0])
    output = SOFTMAX | {"position_axes": 1, "ignore_class": 255, "is_weighted": True}
    labels = np.where(IS_KEPT, CLASSES, 255).reshape(4, 2)
    step_weights = np.repeat(weights[:, None], 2, axis=1)
    value = measure("accuracy", "labels", output, labels, PROBABILITIES.reshape(4, 2, 3), step_weights)
    expected = sk.accuracy_score(KEPT["true"], KEPT["best"], sample_weight=step_weights.ravel()[IS_KEPT])
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("declared", ["mean_absolute_error", "R2Score", "mean_squared_error"])
def test_metrics_of_numbers(declared):
    numbers, predictions = np.array([1.0, 3.5, -2.0, 7.0]), np.array([[1.5], [3.0], [-1.0], [6.0]])
    value = measure(declared, "numbers", {"units": 1, "activation": "linear"}, numbers, predictions)
    score = {"R2Score": sk.r2_score}.get(declared) or getattr(sk, declared)
    np.testing.assert_allclose(value, score(numbers, predictions), rtol=1e-5)


@pytest.mark.parametrize("name", METRICS.names)
def test_converted_metric_has_the_variables_of_the_plain_one(name):
    component = parse_metric({"type": name, **required(METRICS.load(name))})
    plain, converted = build_metric(component), build_metric(component.with_arguments(activation="sigmoid"))
    assert type(converted) is type(plain)
    assert [variable.shape for variable in converted.variables] == [
        variable.shape for variable in plain.variables
    ]


def test_conversion_keeps_the_mask_of_timesteps():
    adapted = adapt_metric(
        parse_metric({"type": "BinaryAccuracy", "threshold": 0.6}),
        MetricInputs(form="binary", position_axes=1, **LOGIT),
    )
    inputs = keras.Input((4,), dtype="int32")
    model = keras.Model(inputs, keras.layers.Embedding(3, 1, mask_zero=True)(inputs))
    model.layers[1].set_weights([np.array([[9.0], [1.0], [-1.0]])])
    model.compile(loss="mse", metrics=[build_metric(adapted)])
    tokens, target = np.array([[1, 2, 0, 0], [2, 2, 1, 0]]), np.array([[1, 1, 0, 0], [0, 0, 0, 0]])
    values = model.evaluate(tokens, target[..., None], verbose=0, return_dict=True)
    assert values["binary_accuracy"] == pytest.approx(3 / 5)
