"""The share of correct positions, with an interval from the differences between examples."""

from __future__ import annotations

import math

import numpy as np

from layercli.data.types import Array

_Z: float = 1.959963984540054
"""The quantile of the normal distribution for a confidence of 95 %."""


class PositionShares:
    """Sums over examples of correct and of used positions, such as the pixels of a mask.

    The positions of one example resemble each other, so they are not independent observations. Their examples are.
    """

    def __init__(self) -> None:
        self.examples = 0
        self._right = self._used = self._right_squares = self._used_squares = self._products = 0.0

    def add(self, right: Array, used: Array) -> None:
        """Add the numbers of correct and of used positions of examples: both of shape (examples,)."""
        right, used = right.astype(np.float64)[used > 0], used.astype(np.float64)[used > 0]
        self.examples += len(used)
        self._right += float(right.sum())
        self._used += float(used.sum())
        self._right_squares += float(right @ right)
        self._used_squares += float(used @ used)
        self._products += float(right @ used)

    def compute_interval(self) -> tuple[float, float] | None:
        """Return the 95 % confidence interval of the share, by the variance of a ratio (Cochran 1977); None for one example."""
        if self.examples < 2 or not self._used:
            return None
        share, count = self._right / self._used, self.examples
        squares = self._right_squares - 2 * share * self._products + share * share * self._used_squares
        error = math.sqrt(max(0.0, squares) * count / (count - 1)) / self._used
        return max(0.0, share - _Z * error), min(1.0, share + _Z * error)
