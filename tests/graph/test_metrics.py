"""Metrics, adapted to the target and the output that they measure, and the errors for those that cannot be."""

import pytest

from layercli.check import check_config
from layercli.config.training.metric_inputs import MetricInputs, MetricMismatchError
from layercli.config.training.registry import METRICS, parse_metric
from layercli.graph.metrics import adapt_metric, adopt_completed_metrics, complete_metrics

SOFTMAX = {"units": 3, "activation": "softmax", "has_one_class": True}
INPUTS = {
    "labels": MetricInputs(form="labels", **SOFTMAX),
    "one-hot": MetricInputs(form="one-hot", **SOFTMAX),
    "soft": MetricInputs(form="probabilities", **SOFTMAX),
    "tags": MetricInputs(form="multi-label", units=3, activation="sigmoid"),
    "binary": MetricInputs(form="binary", units=1, activation="sigmoid"),
    "margin": MetricInputs(form="signs", units=1, activation="tanh", logits="sigmoid"),
    "number": MetricInputs(form="numbers", units=1, activation="linear"),
    "numbers": MetricInputs(form="numbers", units=3, activation="linear"),
    "logits": MetricInputs(form="labels", units=3, activation="linear", has_one_class=True, logits="softmax"),
    "logit": MetricInputs(form="binary", units=1, activation="linear", logits="sigmoid"),
    "tag logits": MetricInputs(form="multi-label", units=3, activation="linear", logits="sigmoid"),
    "pixels": MetricInputs(form="labels", position_axes=2, **SOFTMAX),
    "void": MetricInputs(form="labels", position_axes=2, ignore_class=255, **SOFTMAX),
    "fraction": MetricInputs(form="numbers", units=1, activation="sigmoid", are_fractions=True),
    "fractions": MetricInputs(form="numbers", units=3, activation="sigmoid", are_fractions=True),
    "mask": MetricInputs(form="binary", units=1, position_axes=2, activation="sigmoid"),
}
REQUIRED = {
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "IoU": {"num_classes": 3, "target_class_ids": [0]},
    "MeanIoU": {"num_classes": 3},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [0]},
    "OneHotMeanIoU": {"num_classes": 3},
    "TopKCategoricalAccuracy": {"k": 2},
    "SparseTopKCategoricalAccuracy": {"k": 2},
}
FORMS = ["labels", "one-hot", "soft", "tags", "binary", "margin", "number", "numbers"]
SUITABLE = """
    accuracy                       labels one-hot soft tags binary margin number numbers
    Accuracy                       labels one-hot soft tags binary margin number numbers
    BinaryAccuracy                 tags binary margin
    CategoricalAccuracy            one-hot soft
    SparseCategoricalAccuracy      labels
    TopKCategoricalAccuracy        one-hot soft
    SparseTopKCategoricalAccuracy  labels
    Precision                      labels one-hot tags binary margin
    Recall                         labels one-hot tags binary margin
    AUC                            labels one-hot tags binary margin
    TruePositives                  labels one-hot tags binary margin
    TrueNegatives                  labels one-hot tags binary margin
    FalsePositives                 labels one-hot tags binary margin
    FalseNegatives                 labels one-hot tags binary margin
    PrecisionAtRecall              labels one-hot tags binary margin
    RecallAtPrecision              labels one-hot tags binary margin
    SensitivityAtSpecificity       labels one-hot tags binary margin
    SpecificityAtSensitivity       labels one-hot tags binary margin
    F1Score                        labels one-hot tags binary margin
    FBetaScore                     labels one-hot tags binary margin
    IoU                            labels one-hot
    MeanIoU                        labels one-hot
    OneHotIoU                      labels one-hot
    OneHotMeanIoU                  labels one-hot
    BinaryIoU                      tags binary margin
    BinaryCrossentropy             one-hot soft tags binary margin number numbers
    CategoricalCrossentropy        one-hot soft
    SparseCategoricalCrossentropy  labels
    KLDivergence                   labels one-hot soft number numbers
    Hinge                          tags binary margin
    SquaredHinge                   tags binary margin
    CategoricalHinge               labels one-hot
    Poisson                        one-hot soft tags binary margin number numbers
    MeanSquaredError               one-hot soft tags binary margin number numbers
    RootMeanSquaredError           one-hot soft tags binary margin number numbers
    MeanAbsoluteError              one-hot soft tags binary margin number numbers
    MeanAbsolutePercentageError    one-hot soft tags binary margin number numbers
    MeanSquaredLogarithmicError    one-hot soft tags binary margin number numbers
    LogCoshError                   one-hot soft tags binary margin number numbers
    R2Score                        one-hot soft tags binary margin number numbers
    CosineSimilarity               one-hot soft tags numbers
    PearsonCorrelation             one-hot soft tags numbers
    ConcordanceCorrelation         one-hot soft tags numbers
"""
"""Each metric, and the targets that it can measure."""
TABLE = {
    name: suitable.split()
    for name, suitable in (line.split(maxsplit=1) for line in SUITABLE.strip().split("\n"))
}


def declare(name):
    return name if name == "accuracy" else {"type": name, **REQUIRED.get(name, {})}


def adapt(declared, inputs):
    """Return the arguments that training would add or change; a name that stays a name has none."""
    before = parse_metric(declared)
    after = adapt_metric(before, INPUTS[inputs] if isinstance(inputs, str) else inputs)
    if isinstance(after, str):
        return {}
    plain = after.to_plain()
    defaults = type(after).model_validate(REQUIRED.get(after.type_name(), {})).to_plain()
    known = defaults | {"type": None} if isinstance(before, str) else defaults | before.to_plain()
    return {key: value for key, value in plain.items() if value != known.get(key)}


def reject(declared, inputs):
    """Return message, hint and argument of the error for a metric."""
    with pytest.raises(MetricMismatchError) as caught:
        adapt_metric(parse_metric(declared), INPUTS[inputs] if isinstance(inputs, str) else inputs)
    return str(caught.value), caught.value.hint, caught.value.argument


def test_table_has_every_metric():
    assert sorted(TABLE) == sorted([*METRICS.names, "accuracy"])


@pytest.mark.parametrize("name", TABLE)
def test_metric_measures_exactly_its_targets(name):
    measured = []
    for inputs in FORMS:
        try:
            adapt(declare(name), inputs)
            measured.append(inputs)
        except MetricMismatchError:
            pass
    assert measured == [form for form in FORMS if form in TABLE[name]]


@pytest.mark.parametrize("name", TABLE)
def test_adapted_metric_needs_no_more_changes(name):
    for inputs in INPUTS.values():
        try:
            adapted = adapt_metric(parse_metric(declare(name)), inputs)
        except MetricMismatchError:
            continue
        assert adapt_metric(adapted, inputs) == adapted
        if not isinstance(adapted, str):
            written = adapted.to_plain()
            assert adapt_metric(parse_metric(written), inputs).to_plain() == written


@pytest.mark.parametrize("name", TABLE)
def test_suggested_metric_can_measure_the_target(name):
    for inputs in INPUTS.values():
        try:
            adapt_metric(parse_metric(declare(name)), inputs)
        except MetricMismatchError as error:
            if error.hint.startswith("Set `targets: round`"):
                declared = declare(name)
                declared = {"type": declared} if isinstance(declared, str) else declared
                adapt_metric(parse_metric(declared | {"targets": "round"}), inputs)
                continue
            suggested = (
                error.hint.removeprefix("Use ").split(", or")[0].split(" or ")[0].rstrip(".").strip("`")
            )
            adapt_metric(parse_metric(_read(suggested)), inputs)


def _read(text):
    if not text.startswith("{"):
        return text
    pairs = [pair.split(": ") for pair in text.strip("{}").split(", ")]
    return {key: int(value) if value.isdecimal() else value for key, value in pairs}


@pytest.mark.parametrize(
    ("declared", "inputs", "changes"),
    [
        ("accuracy", "labels", {}),
        ("accuracy", "logits", {}),
        ("accuracy", "binary", {}),
        ("accuracy", "logit", {"type": "BinaryAccuracy", "name": "accuracy", "threshold": 0.0}),
        ("acc", "tags", {"type": "BinaryAccuracy", "name": "acc"}),
        ("acc", "tag logits", {"type": "BinaryAccuracy", "name": "acc", "threshold": 0.0}),
        (
            "accuracy",
            "margin",
            {"type": "BinaryAccuracy", "name": "accuracy", "threshold": 0.0, "targets": "binary"},
        ),
        ({"type": "accuracy", "name": "hits"}, "labels", {"type": "SparseCategoricalAccuracy"}),
        ({"type": "acc", "name": "hits"}, "one-hot", {"type": "CategoricalAccuracy"}),
        ({"type": "accuracy", "dtype": "float64"}, "soft", {"type": "CategoricalAccuracy"}),
        ({"type": "Accuracy", "name": "hits"}, "binary", {"type": "BinaryAccuracy"}),
        ({"type": "accuracy"}, "tags", {"type": "BinaryAccuracy"}),
        ({"type": "accuracy"}, "logit", {"type": "BinaryAccuracy", "threshold": 0.0}),
        ({"type": "accuracy"}, "void", {"type": "SparseCategoricalAccuracy", "ignore_class": 255}),
        ({"type": "accuracy"}, "number", {}),
        ("accuracy", "fraction", {"type": "BinaryAccuracy", "name": "accuracy", "targets": "round"}),
        ({"type": "accuracy"}, "fractions", {"type": "BinaryAccuracy", "targets": "round"}),
        ("binary_accuracy", "fraction", {"targets": "round"}),
        ("mean_squared_error", "fraction", {}),
        ("binary_accuracy", "logit", {"threshold": 0.0}),
        ({"type": "BinaryAccuracy", "threshold": 0.7}, "logit", {"activation": "sigmoid"}),
        ({"type": "BinaryAccuracy", "threshold": -0.3}, "logit", {}),
        ("Precision", "labels", {"targets": "one_hot"}),
        ("Precision", "pixels", {"targets": "one_hot"}),
        ("Precision", "one-hot", {}),
        ("Precision", "binary", {}),
        ("Precision", "logit", {"thresholds": 0.0}),
        ("Precision", "logits", {"targets": "one_hot", "activation": "softmax"}),
        ({"type": "Precision", "top_k": 1}, "logits", {"targets": "one_hot"}),
        ({"type": "Recall", "thresholds": [0.3, 0.6]}, "logit", {"activation": "sigmoid"}),
        (
            "Recall",
            MetricInputs(form="labels", **SOFTMAX | {"units": 2}),
            {"targets": "one_hot", "class_id": 1},
        ),
        (
            "Precision",
            MetricInputs(form="one-hot", **SOFTMAX | {"units": 2}),
            {"class_id": 1},
        ),
        ("Recall", MetricInputs(form="one-hot", units=2, activation="sigmoid"), {}),
        ("AUC", MetricInputs(form="one-hot", **SOFTMAX | {"units": 2}), {"multi_label": True}),
        ("AUC", "logit", {"from_logits": True}),
        ("AUC", "logits", {"targets": "one_hot", "activation": "softmax"}),
        ("AUC", "margin", {"targets": "binary", "from_logits": True}),
        (
            "AUC",
            MetricInputs(form="labels", **SOFTMAX | {"units": 2}),
            {"targets": "one_hot", "multi_label": True},
        ),
        ("F1Score", "labels", {"targets": "one_hot"}),
        ("F1Score", "logits", {"targets": "one_hot"}),
        ("F1Score", "binary", {"targets": "binary", "threshold": 0.5, "average": "micro"}),
        ("F1Score", "tags", {"threshold": 0.5}),
        ("F1Score", "tag logits", {"threshold": 0.5, "activation": "sigmoid"}),
        ({"type": "MeanIoU", "num_classes": 3}, "pixels", {"sparse_y_pred": False}),
        ({"type": "MeanIoU", "num_classes": 3}, "one-hot", {"sparse_y_pred": False, "sparse_y_true": False}),
        ({"type": "OneHotMeanIoU", "num_classes": 3}, "pixels", {"targets": "one_hot"}),
        ("BinaryIoU", "mask", {}),
        ({"type": "MeanIoU", "num_classes": 3}, "void", {"sparse_y_pred": False, "ignore_class": 255}),
        ("sparse_categorical_crossentropy", "void", {"ignore_class": 255}),
        (
            "accuracy",
            "void",
            {"type": "SparseCategoricalAccuracy", "name": "accuracy", "ignore_class": 255},
        ),
        ({"type": "SparseTopKCategoricalAccuracy", "k": 2}, "void", {"ignore_class": 255}),
        ({"type": "SparseCategoricalAccuracy", "ignore_class": 0}, "void", {}),
        ("F1Score", "void", {"targets": "one_hot", "ignore_class": 255}),
        ({"type": "SparseCategoricalAccuracy", "ignore_class": 0}, "labels", {}),
        ("sparse_categorical_crossentropy", "logits", {"from_logits": True}),
        ("binary_crossentropy", "logit", {"from_logits": True, "targets": "output_shape"}),
        ("binary_crossentropy", "binary", {"targets": "output_shape"}),
        ("poisson", "number", {"targets": "output_shape"}),
        ("hinge", "margin", {"targets": "output_shape"}),
        ("mean_squared_error", "number", {}),
        ("mean_squared_error", "logit", {"activation": "sigmoid"}),
        ({"type": "MeanSquaredError", "targets": "one_hot"}, "labels", {}),
    ],
    ids=str,
)
def test_metric_is_completed(declared, inputs, changes):
    assert adapt(declared, inputs) == changes


@pytest.mark.parametrize(
    ("declared", "inputs", "message", "hint", "argument"),
    [
        (
            "binary_accuracy",
            "one-hot",
            "BinaryAccuracy compares each unit with a threshold, but the units are the probabilities of one class among "
            "several.",
            "Use `accuracy`.",
            None,
        ),
        (
            "categorical_accuracy",
            "binary",
            "CategoricalAccuracy requires one-hot targets or a probability for each class, but it receives targets of 0 "
            "and 1.",
            "Use binary_accuracy.",
            None,
        ),
        (
            {"type": "MeanIoU", "num_classes": 2},
            "mask",
            "MeanIoU requires labels or one-hot targets, but it receives targets of 0 and 1.",
            "Use {type: BinaryIoU}.",
            None,
        ),
        (
            {"type": "MeanIoU", "num_classes": 2},
            "pixels",
            "`num_classes` must be at least 3, the number of units of the output, got 2.",
            "Set `num_classes: 3`.",
            "num_classes",
        ),
        (
            "top_k_categorical_accuracy",
            "one-hot",
            "`k` is 5, but the output has 3 units, so every prediction is a hit.",
            "Use {type: TopKCategoricalAccuracy, k: 2}.",
            "k",
        ),
        (
            {"type": "Precision", "class_id": 3},
            "labels",
            "`class_id` must be below 3, the number of units of the output, got 3.",
            "Set `class_id` to a class from 0 to 2.",
            "class_id",
        ),
        (
            {"type": "Precision", "class_id": 0},
            "binary",
            "`class_id` selects a unit of the output, but the output has 1 unit, which is class 1.",
            "Remove `class_id` from the metric.",
            "class_id",
        ),
        (
            {"type": "Recall", "top_k": 4},
            "labels",
            "`top_k` must be at most 3, the number of units of the output, got 4.",
            "Set `top_k` to at most 3.",
            "top_k",
        ),
        (
            {"type": "AUC", "multi_label": True, "num_labels": 4},
            "tags",
            "`num_labels` must be 3, the number of units of the output, got 4.",
            "Set `num_labels: 3`.",
            "num_labels",
        ),
        (
            {"type": "AUC", "label_weights": [1, 2]},
            "tags",
            "`label_weights` must have 3 items, one for each unit, got 2.",
            "Set 3 weights.",
            "label_weights",
        ),
        (
            {"type": "AUC", "multi_label": True, "thresholds": [0.5] * 3_333_334},
            "tags",
            "`thresholds` of 3 labels must have at most 3,333,333 values, got 3,333,334.",
            "Decrease it, or remove `multi_label`.",
            "thresholds",
        ),
        (
            {"type": "AUC", "from_logits": True},
            "binary",
            "AUC converts logits to probabilities, but the last layer already applies sigmoid.",
            "Remove `from_logits` from the metric.",
            "from_logits",
        ),
        (
            {"type": "Precision", "activation": "softmax"},
            "labels",
            "Precision converts logits to probabilities, but the last layer already applies softmax.",
            "Remove `activation` from the metric.",
            "activation",
        ),
        (
            {"type": "Precision", "targets": "one_hot"},
            "one-hot",
            "`targets: one_hot` converts class numbers, but the metric receives one-hot targets.",
            "Remove `targets` from the metric.",
            "targets",
        ),
        (
            {"type": "Precision", "targets": "binary"},
            "labels",
            "`targets: binary` converts classes of each unit, but the metric receives labels.",
            "Use `targets: one_hot`.",
            "targets",
        ),
        (
            "mean_absolute_error",
            "labels",
            "MeanAbsoluteError compares each unit with its own target, but the target is one class number for 3 units.",
            "Use `accuracy`, or {type: MeanAbsoluteError, targets: one_hot} to compare the probability of each class.",
            None,
        ),
        (
            "cosine_similarity",
            "number",
            "CosineSimilarity compares the values of each example along `axis: -1`, but the output has 1 unit.",
            "Use mean_absolute_error or R2Score.",
            "axis",
        ),
        (
            {"type": "BinaryAccuracy", "targets": "round"},
            "number",
            "`targets: round` converts probabilities of a loss for them, but the metric receives numbers.",
            "Remove `targets` from the metric.",
            "targets",
        ),
        (
            "AUC",
            "number",
            "AUC requires one-hot targets, several labels for each example or targets of 0 and 1, but it receives numbers.",
            "Use mean_absolute_error or R2Score.",
            None,
        ),
        (
            "R2Score",
            MetricInputs(form="numbers", units=2, position_axes=1, activation="linear"),
            "R2Score requires an output of shape (batch, units), but this output has a value for each position.",
            "Use mean_absolute_error.",
            None,
        ),
        (
            {"type": "OneHotMeanIoU", "num_classes": 3, "ignore_class": 0},
            "pixels",
            "OneHotMeanIoU cannot ignore a class of labels, because it requires one-hot targets.",
            "Use {type: MeanIoU, num_classes: 3, ignore_class: 0}.",
            "ignore_class",
        ),
        (
            {"type": "OneHotMeanIoU", "num_classes": 3},
            "void",
            "OneHotMeanIoU cannot ignore a class of labels, because it requires one-hot targets.",
            "Use {type: MeanIoU, num_classes: 3, ignore_class: 255}.",
            None,
        ),
        (
            {"type": "Precision", "ignore_class": 0},
            "tags",
            "`ignore_class` ignores a class number, but the metric receives several labels for each example.",
            "Remove `ignore_class` from the metric.",
            "ignore_class",
        ),
    ],
    ids=str,
)
def test_metric_is_rejected(declared, inputs, message, hint, argument):
    assert reject(declared, inputs) == (message, hint, argument)


CONFIG = """
data: {{type: sklearn, dataset: {data}, split: {{validation: 0.2}}}}
model:
  layers:
    - {{type: Dense, units: {units}, activation: {activation}}}
train:
  loss: {loss}
  metrics: {metrics}
  weighted_metrics: {weighted}
  callbacks: [{callback}]
"""


@pytest.fixture
def check(tmp_path):
    def check(metrics, **settings):
        """Return the result of checking a config."""
        defaults = {
            "data": "iris",
            "units": 3,
            "activation": "softmax",
            "loss": "sparse_categorical_crossentropy",
            "weighted": "[]",
            "callback": "",
        }
        path = tmp_path / "c.yaml"
        path.write_text(CONFIG.format(metrics=metrics, **defaults | settings))
        return check_config(str(path))

    return check


def completed(result):
    train = complete_metrics(result.config, result.shapes, result.config.data.facts()).train
    return [
        each if isinstance(each, str) else each.to_plain()
        for each in (*train.metrics, *train.weighted_metrics)
    ]


def test_each_wrong_metric_is_reported_at_its_place(check):
    result = check("[accuracy, {type: Recall, class_id: 3}, binary_accuracy]", weighted="[mae]")
    assert [(each.code, each.line, each.column) for each in result.problems] == [
        ("wrong-metric", 8, 48),
        ("wrong-metric", 8, 52),
        ("wrong-metric", 9, 22),
    ]


def test_accuracy_with_arguments_keeps_them(check):
    result = check("[{type: accuracy, name: hits}]", weighted="[{type: acc, name: share, dtype: float64}]")
    assert result.problems == []
    hits, share = completed(result)
    assert (hits["type"], hits["name"]) == ("SparseCategoricalAccuracy", "hits")
    assert (share["type"], share["name"], share["dtype"]) == (hits["type"], "share", "float64")
    completed_config = complete_metrics(result.config, result.shapes, result.config.data.facts())
    assert adopt_completed_metrics(completed_config, result.config) == completed_config


@pytest.mark.parametrize("metric", ["categorical_accuracy", "sparse_categorical_accuracy"])
def test_unknown_target_decides_the_loss(metric):
    output = "{input: [4], layers: [{type: Dense, units: 3, activation: softmax}]}"
    text = f"model: {output}\ntrain: {{loss: crossentropy, metrics: [{metric}]}}\n"
    result = check_config("c.yaml", text=text)
    assert result.problems == []


def test_metrics_of_iris_are_completed(check):
    result = check("[accuracy, Precision]", weighted="[{type: MeanIoU, num_classes: 3}]")
    assert result.problems == []
    name, precision, iou = completed(result)
    assert name == "accuracy"
    assert (precision["name"], precision["targets"]) == ("Precision", "one_hot")
    assert (iou["sparse_y_pred"], iou["dtype"]) == (False, "float32")


@pytest.mark.parametrize("loss", ["binary_crossentropy", "{type: BinaryCrossentropy, from_logits: true}"])
def test_accuracy_of_logits_has_threshold_0(check, loss):
    activation = "sigmoid" if loss == "binary_crossentropy" else "null"
    result = check("[accuracy]", data="breast_cancer", units=1, activation=activation, loss=loss)
    assert result.problems == []
    (metric,) = completed(result)
    assert metric == "accuracy" if activation == "sigmoid" else metric["threshold"] == 0


@pytest.mark.parametrize(
    ("metric", "name", "hint"),
    [
        ("F1Score", "F1Score", "average: macro"),
        ("{type: FBetaScore, beta: 2.0}", "fbeta_score", "average: macro"),
        ("{type: Recall, thresholds: [0.4, 0.6]}", "recall", "thresholds: 0.5"),
    ],
)
def test_monitored_vector_is_an_error(check, metric, name, hint):
    callback = f"{{type: EarlyStopping, monitor: val_{name}}}"
    (problem,) = check(f"[{metric}]", callback=callback).problems
    assert (problem.code, problem.line) == ("vector-monitor", 10)
    assert problem.message == f"EarlyStopping monitors `val_{name}`, which is a vector: no epoch is the best."
    example = problem.hint.partition("for example ")[2].rstrip(".")
    assert hint in example
    assert check(f"[{example}]", callback=callback).problems == []


def test_f1_score_of_one_unit_is_not_a_vector(check):
    callback = "{type: EarlyStopping, monitor: val_f1_score}"
    settings = {"data": "breast_cancer", "units": 1, "activation": "sigmoid", "loss": "binary_crossentropy"}
    assert check("[f1_score]", callback=callback, **settings).problems == []


def test_accuracy_of_several_labels_after_softmax_names_sigmoid():
    with pytest.raises(MetricMismatchError) as mismatch:
        adapt_metric("accuracy", MetricInputs(form="multi-label", **SOFTMAX))
    assert mismatch.value.hint == (
        "The target has several labels of an example: use `activation: sigmoid` in the last layer, and the loss "
        "binary_crossentropy."
    )


@pytest.mark.parametrize(
    ("shape", "axis", "is_completed"),
    [("[4]", 1, True), ("[4]", -1, True), ("[4, 2]", 2, True), ("[4, 2]", 1, False)],
)
def test_metrics_of_classes_on_the_last_axis_are_completed(tmp_path, shape, axis, is_completed):
    path = tmp_path / "c.yaml"
    path.write_text(
        f"model: {{input: {shape}, layers: [{{type: Dense, units: 3}}]}}\n"
        f"train: {{loss: {{type: CategoricalCrossentropy, axis: {axis}, from_logits: true}}, metrics: [AUC]}}\n"
    )
    result = check_config(str(path))
    (auc,) = complete_metrics(result.config, result.shapes, None).train.metrics
    assert auc.from_logits is False
    assert auc.activation == ("softmax" if is_completed else None)
