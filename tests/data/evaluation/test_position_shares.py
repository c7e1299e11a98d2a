import numpy as np
import pytest

from layercli.data.evaluation.position_shares import PositionShares


def interval_of(right, used, size=3):
    shares = PositionShares()
    for start in range(0, len(right), size):
        shares.add(np.array(right[start : start + size]), np.array(used[start : start + size]))
    return shares.compute_interval()


def test_interval_of_equal_examples_is_that_of_their_means():
    shares = np.random.default_rng(1).uniform(0.6, 0.9, 20)
    low, high = interval_of(shares * 400, np.full(20, 400))
    error = 1.959964 * shares.std(ddof=1) / np.sqrt(20)
    assert (low, high) == pytest.approx((shares.mean() - error, shares.mean() + error), rel=1e-6)


def test_interval_of_different_sizes_is_that_of_a_ratio():
    # share 16/24 = 2/3; residuals 2 - 2, 2 - 4, 12 - 10: squares 0, 4, 4; error sqrt(8 * 3/2) / 24
    low, high = interval_of([2, 2, 12], [3, 6, 15])
    assert high - low == pytest.approx(2 * 1.959964 * np.sqrt(12) / 24, rel=1e-6)
    assert (low + high) / 2 == pytest.approx(2 / 3)


def test_examples_without_positions_do_not_count():
    assert interval_of([1, 0, 2], [2, 0, 2], size=1) == interval_of([1, 2], [2, 2])
    assert interval_of([1], [2]) is None
    assert interval_of([2, 2], [2, 2]) == (1.0, 1.0)
