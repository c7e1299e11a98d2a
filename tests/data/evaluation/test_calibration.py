import numpy as np
import pytest

from layercli.data.evaluation.calibration import CalibrationResult


def test_bins_equal_scikit_learn():
    probabilities = np.array([0.0, 0.1, 0.15, 0.2, 0.55, 0.6, 0.95, 1.0])
    true = np.array([False, True, False, False, True, False, True, True])
    result = CalibrationResult()
    result.add(probabilities[:5], true[:5])
    result.add(probabilities[5:], true[5:])
    rows = result.list_rows()
    # sklearn.calibration.calibration_curve(true, probabilities, n_bins=10)
    assert [row.observed for row in rows] == pytest.approx([0.5, 0, 0.5, 1])
    assert [row.predicted for row in rows] == pytest.approx([0.05, 0.175, 0.575, 0.975])
    assert [row.count for row in rows] == [2, 2, 2, 2]
    assert [row.low for row in rows] == pytest.approx([0, 0.1, 0.5, 0.9])
    assert [row.high for row in rows] == pytest.approx([0.1, 0.2, 0.6, 1])
    # (2 * 0.45 + 2 * 0.175 + 2 * 0.075 + 2 * 0.025) / 8
    assert result.compute_error() == pytest.approx(0.18125)


def test_no_predictions_have_no_error():
    assert CalibrationResult().compute_error() is None
    assert CalibrationResult().list_rows() == []
