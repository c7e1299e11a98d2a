"""Curves and thresholds: the expected values are those of scikit-learn on the same scores."""

import numpy as np
import pytest

from layercli.data.evaluation.curves import _reduce_points, compute_score_curves, compute_threshold_rows
from layercli.data.evaluation.value_counts import ValueCounts

TRUE = np.array([0, 0, 1, 1, 0, 1, 1, 0])
SCORES = np.array([0.1, 0.4, 0.35, 0.8, 0.4, 0.9, 0.4, 0.05])


def counts(true=TRUE, scores=SCORES):
    pair = ValueCounts(), ValueCounts()
    for index, each in enumerate(pair):
        each.add(scores[true == index])
    return pair


def test_curves_equal_scikit_learn():
    curves = compute_score_curves(*counts())
    # sklearn.metrics.roc_curve(TRUE, SCORES), roc_auc_score, precision_recall_curve, average_precision_score
    assert curves.false_positive_rate == pytest.approx([0, 0, 0, 0.5, 0.5, 1])
    assert curves.true_positive_rate == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1])
    assert curves.roc_auc == pytest.approx(0.8125)
    assert curves.recall == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1, 1])
    assert curves.precision == pytest.approx([1, 1, 1, 0.6, 4 / 6, 4 / 7, 0.5])
    assert curves.pr_auc == pytest.approx(0.8166666666666667)
    assert curves.share == 0.5


def test_one_class_has_no_curves():
    assert compute_score_curves(*counts(np.zeros(3, int), np.array([0.1, 0.2, 0.3]))) is None


def test_long_curves_are_thinned_between_their_ends():
    generator = np.random.default_rng(0)
    true = generator.integers(0, 2, 5_000)
    curves = compute_score_curves(*counts(true, generator.random(5_000) + 0.2 * true))
    assert 100 < len(curves.recall) <= 202
    assert (curves.false_positive_rate[0], curves.true_positive_rate[-1]) == (0, 1)
    assert (curves.recall[0], curves.recall[-1]) == (0, 1)
    assert np.all(np.diff(curves.false_positive_rate) >= 0)


def test_thinned_points_have_equal_distances():
    ramp = np.arange(598)  # 200 points, 199 steps of 3
    assert _reduce_points(np.stack([ramp, 0 * ramp])).tolist() == [list(range(0, 598, 3)), [0] * 200]
    corner = np.stack([np.minimum(ramp, 299), np.maximum(ramp - 299, 0)])
    assert _reduce_points(corner)[:, [0, -1]].tolist() == [[0, 299], [0, 298]]
    few = corner[:, :200]
    assert _reduce_points(few) is few


def test_thresholds_count_scores_above_them():
    rows = {row.threshold: row for row in compute_threshold_rows(*counts(), best_threshold=0.35)}
    assert list(rows) == [0.1, 0.2, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    half = rows[0.5]  # 0.8 and 0.9, both of the second class
    assert (half.precision, half.recall, half.f1, half.accuracy, half.positives) == (1, 0.5, 2 / 3, 0.75, 2)
    assert rows[0.4].positives == 2  # 0.4 is not above 0.4
    best = rows[0.35]  # the best threshold includes its own score
    assert (best.positives, best.recall) == (6, 1)
    assert best.precision == pytest.approx(4 / 6)
    assert best.f1 == pytest.approx(0.8)
    assert rows[0.9].precision == rows[0.9].f1 == 0  # no score is above it


def test_thresholds_of_one_class():
    row = compute_threshold_rows(*counts(np.ones(2, int), np.array([0.3, 0.7])))[4]
    assert (row.threshold, row.precision, row.recall, row.accuracy) == (0.5, 1, 0.5, 0.5)
