"""The learning rate that a range test proposes: rates that rise with each step, and the loss of each step.

The test is that of Smith, "Cyclical Learning Rates for Training Neural Networks" (2015). Its settings and the rule "valley"
are those of fastai (``fastai/callback/schedule.py``): rates from 1e-7 to 10 in 100 steps, a loss that is smoothed with 0.98,
an end at 4 times the lowest loss, and the middle of the longest fall of the loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

SMOOTHING: Final = 0.98
DIVERGENCE_FACTOR: Final = 4
_SKIPPED_END: Final = 5
"""Steps at the end, which are after the divergence."""
_MIN_FALL: Final = 0.02
"""The smallest fall of the loss, as a part of its value, from which a rate is proposed."""
_NOISE_FACTOR: Final = 2
"""The smallest fall, in standard deviations of the smoothed loss where the fall begins."""
_MIN_STEPS: Final = 10


@dataclass(frozen=True, slots=True)
class RateCurve:
    """A range test: the rate, the loss and the smoothed loss of each step; a loss can be NaN or infinite."""

    rates: Sequence[float]
    losses: Sequence[float]
    smoothed: Sequence[float]
    planned_steps: int

    @property
    def has_diverged(self) -> bool:
        """Whether the test ended before its last rate."""
        return len(self.rates) < self.planned_steps


class LossSmoother:
    """An exponential average of losses without the bias of its start."""

    def __init__(self) -> None:
        self._average = 0.0
        self._count = 0

    def add(self, loss: float) -> float:
        """Add the loss of a step; return the average."""
        self._count += 1
        self._average = SMOOTHING * self._average + (1 - SMOOTHING) * loss
        return self._average / (1 - SMOOTHING**self._count)


class NoRateError(ValueError):
    """A range test from which no rate can be proposed; the message says why."""


def list_rates(lowest: float, highest: float, steps: int) -> list[float]:
    """Return rates from the lowest to the highest, each larger than the one before by the same factor."""
    return [lowest * (highest / lowest) ** (step / (steps - 1)) for step in range(steps)]


def is_diverged(smoothed: float, lowest: float) -> bool:
    """Return whether a smoothed loss is so far above the lowest one that higher rates need no test."""
    return not math.isfinite(smoothed) or smoothed > lowest + (DIVERGENCE_FACTOR - 1) * abs(lowest)


def propose_rate(curve: RateCurve) -> float:
    """Return the rate in the middle of the longest fall of the smoothed loss, with two digits.

    Raises:
        NoRateError: The loss was NaN or infinite too early, or did not fall.
    """
    finite = next(
        (index for index, loss in enumerate(curve.smoothed) if not math.isfinite(loss)), len(curve.smoothed)
    )
    if finite < _MIN_STEPS:
        event = "diverged" if finite == len(curve.smoothed) else "became NaN or infinite"
        last = curve.rates[min(finite, len(curve.rates) - 1)]
        raise NoRateError(f"the loss {event} after {finite} steps, at the rate {last:.2g}")
    skipped = min(curve.planned_steps // 10, finite // 2)
    kept = slice(skipped, max(skipped + 1, finite - _SKIPPED_END))
    rates, losses = curve.rates[kept], curve.smoothed[kept]
    end, length = find_longest_fall(losses)
    start = max(0, end - length)
    fall = losses[start] - losses[end]
    if fall <= _MIN_FALL * abs(losses[start]):
        raise NoRateError(
            f"the smoothed loss did not fall by {_MIN_FALL:.0%}: it was {losses[0]:.4g} at the rate {rates[0]:.2g} "
            f"and at best {min(losses):.4g}"
        )
    noise = measure_noise(curve.losses[: skipped + end + 1]) / math.sqrt(skipped + start + 1)
    if fall <= _NOISE_FACTOR * noise:
        raise NoRateError(
            f"the smoothed loss fell by {fall:.2g}, less than {_NOISE_FACTOR} times its noise ({noise:.2g})"
        )
    middle = max(0, end - length + length // 3 + length // 6)
    return float(f"{rates[middle]:.1e}")


def measure_noise(losses: Sequence[float]) -> float:
    """Return the standard deviation of losses around their trend, from the differences of neighbors."""
    differences = [after - before for before, after in pairwise(losses)]
    return math.sqrt(sum(value * value for value in differences) / (2 * max(1, len(differences))))


def find_longest_fall(values: Sequence[float]) -> tuple[int, int]:
    """Return the last position and the length of the longest falling subsequence, which may leave out values that rise."""
    lengths = [1] * len(values)
    for position, value in enumerate(values):
        for earlier in range(position):
            if value < values[earlier]:
                lengths[position] = max(lengths[position], lengths[earlier] + 1)
    end = max(range(len(values)), key=lengths.__getitem__)
    return end, lengths[end]
