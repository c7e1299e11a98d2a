"""Results for numbers: errors, their quantiles, and R2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from layercli.data.evaluation.value_counts import MAX_VALUES, ValueCounts
from layercli.data.types import Array

QUANTILES: Final = (50, 90, 99)
MAX_TARGETS: Final = 50
"""Largest number of targets that have separate results."""


class ErrorResult:
    """Sums over the errors of each number of an output.

    With ``names``, at most ``MAX_TARGETS``, each number is a target with separate results.

    ``constant`` has the numbers that a guess predicts, the mean of the training targets; None takes the mean of the added
    targets.
    """

    def __init__(self, names: Sequence[str] = (), *, constant: Array | None = None) -> None:
        self._names = names
        self._constant = constant
        self._count = 0
        self._mean: Array = np.zeros(1)
        self._squares: Array = np.zeros(1)
        """Sum of the squared distances of the targets from their mean."""
        self._squared_errors: Array = np.zeros(1)
        self._absolute_sums: Array = np.zeros(1)
        self._absolute_errors = ValueCounts()
        max_values = MAX_VALUES // max(1, len(self._names))
        self._targets = [ValueCounts(max_values) for _ in self._names or "x"]
        self._errors_by_target = [ValueCounts(max_values) for _ in self._names]

    @property
    def is_empty(self) -> bool:
        """Whether no number was added, for example because every position is masked."""
        return not self._count

    def add(self, true: Array, predicted: Array) -> None:
        """Add two arrays of the same shape (samples, ...)."""
        if not len(true):
            return
        true = true.reshape(len(true), -1).astype(np.float64)
        errors = np.abs(predicted.reshape(len(true), -1).astype(np.float64) - true)
        self._absolute_errors.add(errors)
        if len(self._targets) == true.shape[1]:
            for counts, column in zip(self._targets, true.T, strict=True):
                counts.add(column)
        for counts, column in zip(self._errors_by_target, errors.T, strict=False):
            counts.add(column)
        self._absolute_sums = self._absolute_sums + errors.sum(0)
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
        mae, rmse = self._absolute_sums / self._count, np.sqrt(self._squared_errors / self._count)
        r2 = self._compute_r2(self._squared_errors)
        guess = self._find_guess()
        mean_errors = self._compute_mean_errors(guess)
        guess_squares = self._squares + self._count * np.square(self._mean - guess)
        mean_rmse = np.sqrt(guess_squares / self._count)
        errors: dict[str, Any] = {
            "mae": float(mae.mean()),
            "rmse": float(rmse.mean()),
            "r2": None if r2 is None else float(r2.mean()),
            "quantiles": _compute_quantiles(self._absolute_errors),
        }
        guess_r2 = self._compute_r2(guess_squares)
        if not self._absolute_errors.is_exact:
            errors["rounded_to_binary_digits"] = self._absolute_errors.binary_digits
        baseline: dict[str, Any] = {
            "targets": "evaluated" if guess is self._mean else "training",
            "rmse": float(mean_rmse.mean()),
            "r2": None if guess_r2 is None else float(guess_r2.mean()),
        }
        if mean_errors is not None:
            baseline["mae"] = float(mean_errors.mean())
        document: dict[str, Any] = {"errors": errors, "baseline": baseline}
        if self._names:
            assert mean_errors is not None
            document["per_target"] = [
                {
                    "target": name,
                    "mae": float(mae[index]),
                    "rmse": float(rmse[index]),
                    "r2": None if r2 is None else float(r2[index]),
                    "quantiles": _compute_quantiles(self._errors_by_target[index]),
                    "baseline": {"rmse": float(mean_rmse[index]), "mae": float(mean_errors[index])},
                }
                for index, name in enumerate(self._names)
            ]
        return document

    def _find_guess(self) -> Array:
        """Return what a guess predicts for each number."""
        constant = self._constant
        if constant is None or constant.size % len(self._mean):
            return self._mean
        guess: Array = np.asarray(constant, np.float64).reshape(-1, len(self._mean)).mean(0)
        return guess

    def _compute_mean_errors(self, guess: Array) -> Array | None:
        """Return the mean absolute distance of each target from a guess; None if there are too many targets."""
        if len(self._targets) != len(self._mean):
            return None
        return np.array(
            [
                np.abs(counts.values - value) @ counts.counts / self._count
                for counts, value in zip(self._targets, guess, strict=True)
            ]
        )

    def _compute_r2(self, squared_errors: Array) -> Array | None:
        """Return R2 of each number, from the sums of squared errors; None if there is only one sample."""
        if self._count < 2:
            return None
        is_constant = self._squares == 0
        shares = np.divide(squared_errors, self._squares, out=np.ones_like(self._squares), where=~is_constant)
        shares[is_constant & (squared_errors == 0)] = 0
        r2: Array = 1 - shares
        return r2


def _compute_quantiles(absolute_errors: ValueCounts) -> dict[str, float]:
    return {str(percent): absolute_errors.quantile(percent / 100) for percent in QUANTILES}
