"""Results for the score of one of two classes, compared with scikit-learn."""

from functools import partial

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, roc_auc_score

from layercli.data.evaluation import scores as scores_module
from layercli.data.evaluation.scores import ScoreResult
from layercli.data.evaluation.value_counts import ValueCounts

RANDOM = np.random.default_rng(8)
TRUE = RANDOM.random(400) < 0.3
SCORES = np.clip(TRUE * 0.3 + RANDOM.random(400) * 0.7, 0, 1).astype(np.float32).round(2)


def score_results(true, scores, *, is_probability=True):
    result = ScoreResult(is_probability=is_probability)
    result.add(true[:150], scores[:150])
    result.add(true[150:], scores[150:])
    return result.to_json()


def test_results_equal_those_of_scikit_learn():
    document = score_results(TRUE, SCORES)
    assert document["roc_auc"] == pytest.approx(roc_auc_score(TRUE, SCORES))
    assert document["pr_auc"] == pytest.approx(average_precision_score(TRUE, SCORES))
    assert document["brier"] == pytest.approx(brier_score_loss(TRUE, SCORES), abs=1e-7)
    thresholds = np.unique(SCORES)
    values = [f1_score(TRUE, threshold <= SCORES) for threshold in thresholds]
    assert document["best_threshold"] == pytest.approx(
        {"threshold": thresholds[np.argmax(values)], "f1": max(values)}
    )
    assert "rounded_to_binary_digits" not in document


def test_scores_without_bounds_have_no_brier_score():
    document = score_results(TRUE, SCORES * 8 - 4, is_probability=False)
    assert "brier" not in document
    assert document["roc_auc"] == pytest.approx(roc_auc_score(TRUE, SCORES))


@pytest.mark.parametrize("value", [True, False])
def test_one_class_has_no_curves(value):
    document = score_results(np.full(200, value), np.full(200, 0.25))
    assert document == {"roc_auc": None, "pr_auc": None, "brier": pytest.approx(0.5625 if value else 0.0625)}


def test_highest_score_can_be_the_best_threshold():
    document = score_results(np.array([False, False, True]), np.array([0.1, 0.25, 0.75]))
    assert document["best_threshold"] == {"threshold": 0.75, "f1": 1.0}
    assert document["brier"] == pytest.approx((0.1**2 + 0.25**2 + 0.25**2) / 3)


def test_coarsest_rounding_of_both_classes_is_reported(monkeypatch):
    monkeypatch.setattr(scores_module, "ValueCounts", partial(ValueCounts, 4))
    true = np.arange(12) < 2
    document = ScoreResult(is_probability=True)
    document.add(true, np.arange(12) / 16 + 0.03)
    assert document.to_json()["rounded_to_binary_digits"] == 4
