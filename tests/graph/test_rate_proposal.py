"""The rule of the range test, against values of fastai's ``valley`` and by hand."""

import math

import pytest

from layercli.graph.rate_proposal import (
    LossSmoother,
    NoRateError,
    RateCurve,
    find_longest_fall,
    is_diverged,
    list_rates,
    measure_noise,
    propose_rate,
)

RATES = list_rates(1e-7, 10.0, 100)


def make_curve(losses, planned=100):
    return RateCurve(RATES[: len(losses)], losses, losses, planned)


def test_rates_rise_by_the_same_factor():
    assert list_rates(0.001, 1.0, 4) == pytest.approx([0.001, 0.01, 0.1, 1.0])


def test_first_smoothed_loss_is_the_loss():
    smoother = LossSmoother()
    assert smoother.add(2.0) == pytest.approx(2.0)
    # (0.98 * 0.02 * 2 + 0.02 * 1) / (1 - 0.98^2) = 0.0592 / 0.0396
    assert smoother.add(1.0) == pytest.approx(1.494949494949)


def test_proposal_equals_fastai():
    losses = [
        2.3 - 1.8 / (1 + math.exp((60 - k) / 6)) + 0.02 * math.sin(1.7 * k) + 0.15 * max(0, k - 85)
        for k in range(100)
    ]
    # fastai: valley(lrs[10:-5], losses[10:-5], 100) is 0.004862601580065354, at index 48
    assert propose_rate(make_curve(losses)) == 0.0049


def test_longest_fall_leaves_out_values_that_rise():
    assert find_longest_fall([5, 4, 4.5, 3, 6, 2, 1, 3]) == (6, 5)
    assert find_longest_fall([1, 2, 3]) == (0, 1)


@pytest.mark.parametrize(
    ("losses", "reason"),
    [
        ([1.0] * 100, "the smoothed loss did not fall by 2%: it was 1 at the rate"),
        ([1.0 - 1e-4 * k for k in range(100)], "did not fall"),
        ([1.0 + k for k in range(40)], "did not fall"),
        ([1.0, 3.0, 9.0], "the loss diverged after 3 steps, at the rate 1.5e-07"),
        ([math.nan], "NaN or infinite after 0 steps, at the rate 1e-07"),
        (
            [3.0 - 0.1 * k for k in range(9)] + [math.inf],
            "NaN or infinite after 9 steps, at the rate 5.3e-07",
        ),
    ],
)
def test_no_proposal(losses, reason):
    with pytest.raises(NoRateError, match=reason):
        propose_rate(make_curve(losses))


def test_noise_is_not_a_fall():
    losses = [1.5 if (k * k // 3) % 2 else 0.5 for k in range(60)]
    smoother = LossSmoother()
    smoothed = [smoother.add(loss) for loss in losses]
    assert max(smoothed[5:]) - min(smoothed[5:]) > 0.1
    with pytest.raises(NoRateError, match="less than 2 times its noise"):
        propose_rate(RateCurve(RATES[:60], losses, smoothed, 60))


def test_early_end_means_divergence():
    assert not make_curve([1.0] * 100).has_diverged
    assert make_curve([1.0] * 99).has_diverged


def test_noise_is_measured_around_the_trend():
    assert measure_noise([1.0, 2.0, 1.0, 2.0]) == pytest.approx(0.5**0.5)
    assert measure_noise([3.0]) == 0


def test_losses_after_a_nan_do_not_count():
    falling = [3.0 - 0.05 * k for k in range(40)]
    # of 30 kept steps (10 to 34 after 5 are left out): 25 long, the middle is 24 - 25 + 8 + 4 = 11
    assert propose_rate(make_curve([*falling, math.nan])) == float(f"{RATES[10 + 11]:.1e}")


@pytest.mark.parametrize(
    ("smoothed", "lowest", "diverged"),
    [(4.0, 1.0, False), (4.01, 1.0, True), (-0.9, -1.0, False), (2.01, -1.0, True), (math.nan, 1.0, True)],
)
def test_divergence_is_four_times_the_lowest_loss(smoothed, lowest, diverged):
    assert is_diverged(smoothed, lowest) is diverged
