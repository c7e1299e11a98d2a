"""Distinct values with their counts, in bounded memory."""

from __future__ import annotations

from typing import Final

import numpy as np

from layercli.data.types import Array

MAX_VALUES: Final = 1_000_000
"""Largest number of distinct values that are kept exactly."""
_EXACT_DIGITS: Final = 53
"""Binary digits of a double."""
_ROUNDED_DIGITS: Final = (20, 16, 12, 8, 4)


class ValueCounts:
    """Counts of distinct numbers.

    With more than ``max_values`` distinct floating-point numbers, all are rounded to fewer binary digits, until at most half
    of ``max_values`` are left. ``binary_digits`` is the number of digits that they still have.
    """

    def __init__(self, max_values: int = MAX_VALUES) -> None:
        self._max_values = max_values
        self._pending: list[Array] = []
        self._pending_size = 0
        self._values: Array = np.empty(0)
        self._counts: Array = np.empty(0, np.int64)
        self.binary_digits = _EXACT_DIGITS

    def add(self, values: Array) -> None:
        """Count the values of an array of any shape."""
        flat = self._round_values(values.ravel())
        self._pending.append(flat)
        self._pending_size += flat.size
        if self._pending_size >= self._max_values:
            self._merge_counts()

    @property
    def values(self) -> Array:
        """The distinct values in ascending order: of shape (values,)."""
        self._merge_counts()
        return self._values

    @property
    def counts(self) -> Array:
        """The count of each value: int64 of shape (values,)."""
        self._merge_counts()
        return self._counts

    @property
    def is_exact(self) -> bool:
        """Whether no value was rounded."""
        return self.binary_digits == _EXACT_DIGITS

    def quantile(self, fraction: float) -> float:
        """Return a quantile by linear interpolation between the two nearest values, as ``numpy.quantile`` does."""
        ends = np.cumsum(self.counts)
        position = fraction * (ends[-1] - 1)
        low, high = np.floor(position), np.ceil(position)
        first, last = self.values[np.searchsorted(ends, [low, high], side="right")]
        return float(first + (last - first) * (position - low))

    def _merge_counts(self) -> None:
        if not self._pending:
            return
        dtype = np.result_type(*self._pending)
        values = np.concatenate([self._values.astype(dtype), *self._pending])
        counts = np.concatenate([self._counts, np.ones(self._pending_size, np.int64)])
        self._pending, self._pending_size = [], 0
        self._values, self._counts = _sum_counts(values, counts)
        if len(self._values) <= self._max_values or dtype.kind != "f":
            return
        for digits in _ROUNDED_DIGITS:
            if digits < self.binary_digits and len(self._values) > self._max_values // 2:
                self.binary_digits = digits
                self._values, self._counts = _sum_counts(self._round_values(self._values), self._counts)

    def _round_values(self, values: Array) -> Array:
        if values.dtype.kind != "f" or self.is_exact:
            return values
        mantissa, exponent = np.frexp(values.astype(np.float64))
        scale = 2.0**self.binary_digits
        rounded: Array = np.ldexp(np.round(mantissa * scale) / scale, exponent)
        return rounded


def _sum_counts(values: Array, counts: Array) -> tuple[Array, Array]:
    """Return the distinct values and the sum of the counts of each."""
    distinct, places = np.unique(values, return_inverse=True)
    sums = np.zeros(len(distinct), np.int64)
    np.add.at(sums, places.ravel(), counts)
    return distinct, sums
