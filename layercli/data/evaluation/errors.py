"""Results for numbers: errors, their quantiles, and R2."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from layercli.data.evaluation.value_counts import ValueCounts
from layercli.data.types import Array

QUANTILES: Final = (50, 90, 99)


class ErrorResult:
    """Sums over the errors of each number of an output."""

    def __init__(self) -> None:
        self._count = 0
        self._mean: Array = np.zeros(1)
        self._squares: Array = np.zeros(1)
        """Sum of the squared distances of the targets from their mean."""
        self._squared_errors: Array = np.zeros(1)
        self._absolute_sum = 0.0
        self._absolute_errors = ValueCounts()
        self._targets = ValueCounts()

    def add(self, true: Array, predicted: Array) -> None:
        """Add two arrays of the same shape (samples, ...)."""
        true = true.reshape(len(true), -1).astype(np.float64)
        errors = np.abs(predicted.reshape(len(true), -1).astype(np.float64) - true)
        self._absolute_errors.add(errors)
        if true.shape[1] == 1:
            self._targets.add(true)
        self._absolute_sum += float(errors.sum())
        self._squared_errors = self._squared_errors + np.square(errors).sum(0)
        # Chan, Golub and LeVeque 1979: the sum of squares of two parts from their means
        mean = true.mean(0)
        count = self._count + len(true)
        step = mean - self._mean
        squares = np.square(true - mean).sum(0) + np.square(step) * self._count * len(true) / count
        self._squares = self._squares + squares
        self._mean = self._mean + step * len(true) / count
        self._count = count

    def to_json(self) -> dict[str, Any]:
        """Return the results; those of several numbers are averages, as in ``sklearn.metrics``."""
        values = len(self._squared_errors) * self._count
        errors: dict[str, Any] = {
            "mae": self._absolute_sum / values,
            "rmse": float(np.sqrt(self._squared_errors / self._count).mean()),
            "r2": self._compute_r2(),
            "quantiles": {
                str(percent): self._absolute_errors.quantile(percent / 100) for percent in QUANTILES
            },
        }
        if not self._absolute_errors.is_exact:
            errors["rounded_to_binary_digits"] = self._absolute_errors.binary_digits
        baseline: dict[str, Any] = {"rmse": float(np.sqrt(self._squares / self._count).mean())}
        if len(self._targets.values):
            distances = np.abs(self._targets.values - self._mean)
            baseline["mae"] = float(distances @ self._targets.counts) / self._count
        return {"errors": errors, "baseline": baseline}

    def _compute_r2(self) -> float | None:
        if self._count < 2:
            return None
        is_constant = self._squares == 0
        shares = np.divide(
            self._squared_errors, self._squares, out=np.ones_like(self._squares), where=~is_constant
        )
        shares[is_constant & (self._squared_errors == 0)] = 0
        return float((1 - shares).mean())
