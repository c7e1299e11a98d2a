"""Calibration: how often the predicted class occurs, for each predicted probability, in bins of equal width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from layercli.data.types import Array

BINS: Final = 10


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """The predictions in a bin."""

    low: float
    high: float
    predicted: float
    """Mean of the predicted probabilities."""
    observed: float
    """The observed frequency of the predicted class."""
    count: int


class CalibrationResult:
    """Counts of predictions and of correct ones, in bins as ``sklearn.calibration.calibration_curve`` has them."""

    def __init__(self) -> None:
        self._edges = np.linspace(0, 1, BINS + 1)
        self._counts = np.zeros(BINS, np.int64)
        self._hits = np.zeros(BINS, np.int64)
        self._sums = np.zeros(BINS)

    def add(self, probabilities: Array, is_true: Array) -> None:
        """Add predicted probabilities and booleans of the same shape."""
        values = probabilities.ravel().astype(np.float64)
        bins = np.searchsorted(self._edges[1:-1], values)
        self._counts += np.bincount(bins, minlength=BINS)
        self._hits += np.bincount(bins, is_true.ravel(), BINS).astype(np.int64)
        self._sums += np.bincount(bins, values, BINS)

    def list_rows(self) -> list[CalibrationRow]:
        """Return the bins that contain predictions."""
        return [
            CalibrationRow(
                float(self._edges[index]),
                float(self._edges[index + 1]),
                float(self._sums[index] / self._counts[index]),
                float(self._hits[index] / self._counts[index]),
                int(self._counts[index]),
            )
            for index in np.flatnonzero(self._counts).tolist()
        ]

    def compute_error(self) -> float | None:
        """Return the expected calibration error: the mean distance of predicted and observed, weighted by the counts."""
        total = int(self._counts.sum())
        return float(np.abs(self._sums - self._hits).sum() / total) if total else None
