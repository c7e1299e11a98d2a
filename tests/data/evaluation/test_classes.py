"""Results for classes, compared with scikit-learn on all examples at once."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import (
    classification_report,
    confusion_matrix,
    f1_score,
    jaccard_score,
    precision_recall_fscore_support,
)

from layercli.data.evaluation.classes import ClassResult, LabelResult

RANDOM = np.random.default_rng(5)
TRUE = RANDOM.choice(4, 300, p=[0.6, 0.3, 0.1, 0.0])
PREDICTED = np.where(RANDOM.random(300) < 0.7, TRUE, RANDOM.choice(4, 300))
NAMES = ("ant", "bee", "cow", "dog")


def class_results(true, predicted, names=NAMES, **arguments):
    result = ClassResult(names, **arguments)
    for first in range(0, len(true), 37):
        result.add(true[first : first + 37], predicted[first : first + 37])
    return result.to_json()


def test_results_equal_those_of_scikit_learn():
    document = class_results(TRUE, PREDICTED)
    assert document["classes"] == list(NAMES)
    assert document["confusion"] == confusion_matrix(TRUE, PREDICTED, labels=range(4)).tolist()
    report = classification_report(
        TRUE, PREDICTED, labels=range(4), target_names=NAMES, output_dict=True, zero_division=0
    )
    for row in document["per_class"]:
        expected = report[row["class"]]
        assert row["precision"] == pytest.approx(expected["precision"])
        assert row["recall"] == pytest.approx(expected["recall"])
        assert row["f1"] == pytest.approx(expected["f1-score"])
        assert row["support"] == expected["support"]
    for average in ("macro", "weighted"):
        expected = report[f"{average} avg"]
        assert document[average] == pytest.approx(
            {"precision": expected["precision"], "recall": expected["recall"], "f1": expected["f1-score"]}
        )


def test_baseline_is_the_most_frequent_class():
    document = class_results(np.array([0, 1, 1, 2]), np.array([0, 0, 0, 0]))
    assert document["baseline"] == {"targets": "evaluated", "class": "bee", "accuracy": 0.5}


def test_majority_of_training_is_the_guess():
    result = ClassResult(("ant", "bee"), majority=0)
    result.add(np.array([0, 1, 1, 1]), np.array([1, 1, 1, 1]))
    assert result.to_json()["baseline"] == {"targets": "training", "class": "ant", "accuracy": 0.25}


def test_most_confused_pairs_come_first():
    true = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    predicted = np.array([1, 1, 0, 0, 1, 3, 3, 3, 2])
    assert class_results(true, predicted)["most_confused"] == [
        {"class": "cow", "predicted": "dog", "count": 3},
        {"class": "ant", "predicted": "bee", "count": 2},
        {"class": "bee", "predicted": "ant", "count": 1},
    ]


def test_overlap_of_positions_equals_that_of_scikit_learn():
    document = class_results(TRUE, PREDICTED, has_positions=True)
    expected = jaccard_score(TRUE, PREDICTED, labels=range(4), average=None)
    assert [row["iou"] for row in document["per_class"]] == pytest.approx(expected)
    assert document["mean_iou"] == pytest.approx(expected.mean())


def test_class_without_examples_has_no_overlap():
    document = class_results(np.array([0, 1]), np.array([0, 0]), has_positions=True)
    assert [row["iou"] for row in document["per_class"]] == [0.5, 0.0, None, None]
    assert document["mean_iou"] == 0.25


@pytest.mark.parametrize(("size", "has_matrix"), [(1000, True), (1001, False)])
def test_matrix_of_many_classes_is_left_out(size, has_matrix):
    names = tuple(map(str, range(size)))
    document = class_results(np.array([3, size - 1]), np.array([3, 5]), names)
    assert ("confusion" in document) == has_matrix
    assert document["most_confused"] == [{"class": str(size - 1), "predicted": "5", "count": 1}]


def test_nothing_counted_is_empty():
    classes, labels = ClassResult(NAMES), LabelResult(("a", "b"))
    assert (classes.is_empty, labels.is_empty) == (True, True)
    classes.add(np.array([1]), np.array([1]))
    labels.add(np.array([[False, False]]), np.array([[False, False]]))
    assert (classes.is_empty, labels.is_empty) == (False, False)


def test_several_labels_equal_those_of_scikit_learn():
    true, predicted = RANDOM.random((2, 50, 3)) < [[[0.5]], [[0.4]]]
    result = LabelResult(("a", "b", "c"))
    result.add(true[:20], predicted[:20])
    result.add(true[20:], predicted[20:])
    document = result.to_json()
    precision, recall, f1, support = precision_recall_fscore_support(true, predicted, average=None)
    assert [row["precision"] for row in document["per_class"]] == pytest.approx(precision)
    assert [row["recall"] for row in document["per_class"]] == pytest.approx(recall)
    assert [row["f1"] for row in document["per_class"]] == pytest.approx(f1)
    assert [row["support"] for row in document["per_class"]] == support.tolist()
    for average in ("macro", "weighted"):
        expected = precision_recall_fscore_support(true, predicted, average=average)[:3]
        assert list(document[average].values()) == pytest.approx(expected)


@pytest.mark.parametrize("knows_training", [True, False])
def test_guess_of_several_labels_equals_a_dummy_classifier(knows_training):
    training, true = RANDOM.random((2, 40, 3)) < [[[0.8, 0.3, 0.6]], [[0.7, 0.6, 0.2]]]
    dummy = DummyClassifier(strategy="most_frequent").fit(true, training if knows_training else true)
    guess = dummy.predict(true)
    result = LabelResult(("a", "b", "c"), majority=guess[0] if knows_training else None)
    result.add(true[:30], ~true[:30])
    result.add(true[30:], ~true[30:])
    baseline = result.to_json()["baseline"]
    assert baseline["targets"] == ("training" if knows_training else "evaluated")
    assert baseline["labels"] == [name for name, is_one in zip("abc", guess[0], strict=True) if is_one]
    assert baseline["accuracy"] == pytest.approx((guess == true).mean())
    assert baseline["f1"] == pytest.approx(f1_score(true, guess, average="macro", zero_division=0))


def test_guess_of_labels_that_half_of_the_examples_have():
    true = np.array([[True, False], [False, True]])
    guess = DummyClassifier(strategy="most_frequent").fit(true, true).predict(true)
    assert not guess.any()
    result = LabelResult(("a", "b"))
    result.add(true, true)
    assert result.to_json()["baseline"] == {
        "targets": "evaluated",
        "labels": [],
        "accuracy": 0.5,
        "f1": 0.0,
    }


def test_label_that_never_occurs_is_zero():
    result = LabelResult(("a", "b"))
    result.add(np.array([[True, False]]), np.array([[True, False]]))
    assert result.to_json()["per_class"][1] == {
        "class": "b",
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
        "support": 0,
    }
