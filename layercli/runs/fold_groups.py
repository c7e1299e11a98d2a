"""Folds of a cross-validation: mean, deviation and interval of their results."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from layercli.runs.directory import MANIFEST
from layercli.runs.listing import Run
from layercli.runs.membership import parse_membership
from layercli.runs.seed_groups import MAX_SCORE
from layercli.source.scalars import is_number

CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class FoldGroup:
    """The finished folds of one cross-validation."""

    directory: Path
    runs: Sequence[Run]

    def summarize_results(self, limits: Mapping[str, tuple[float, float]]) -> dict[str, dict[str, Any]]:
        """Return mean, deviation and interval of each result that all folds have; ``limits`` as in ``summarize_folds``.

        Raises:
            ValueError: A manifest does not have the numbers of examples.
        """
        scores = [list_test_scores(run) for run in self.runs]
        names = [name for name in scores[0] if all(name in each for each in scores)]
        sizes = [_count_examples(run) for run in self.runs]
        known_sizes = [size for size in sizes if size is not None]
        if len(known_sizes) < len(sizes):
            raise ValueError(f"{MANIFEST} of a fold has no numbers of examples")
        return summarize_folds({name: [each[name] for each in scores] for name in names}, known_sizes, limits)


def find_fold_groups(runs: Iterable[Run]) -> list[FoldGroup]:
    """Return the finished folds of each cross-validation with at least two of them, in the order of the first runs."""
    groups: dict[Path, list[Run]] = {}
    for run in runs:
        membership = parse_membership(run.manifest)
        if membership is None or membership.kind != "crossval" or run.state != "finished":
            continue
        if _count_examples(run) is not None:
            groups.setdefault(run.path.parent, []).append(run)
    return [FoldGroup(directory, found) for directory, found in groups.items() if len(found) > 1]


def list_test_scores(run: Run) -> dict[str, float]:
    """Return the results of a run on its test set."""
    return {
        name: float(value) for name, value in run.test.items() if is_number(value) and abs(value) <= MAX_SCORE
    }


def _count_examples(run: Run) -> tuple[int, int] | None:
    """Return the numbers of training and test examples of a run; None if its manifest does not have them."""
    data = run.manifest.get("data")
    train, test = (data.get("train"), data.get("test")) if isinstance(data, dict) else (None, None)
    if type(train) is not int or type(test) is not int:
        return None
    return (train, test) if min(train, test) > 0 and max(train, test) < MAX_SCORE else None


def summarize_folds(
    scores: Mapping[str, Sequence[float]],
    sizes: Sequence[tuple[int, int]],
    limits: Mapping[str, tuple[float, float]],
) -> dict[str, dict[str, Any]]:
    """Return mean, standard deviation (n - 1) and confidence interval of each metric over the folds.

    The folds share training examples, so their scores vary less than those of independent data. The interval uses the
    corrected variance of Nadeau and Bengio, Machine Learning 52 (2003): (1/n + test/train) times the variance of the scores,
    and Student's t with n - 1 degrees of freedom.

    Args:
        scores: Metric -> its value for each fold.
        sizes: The numbers of training and test examples of each fold.
        limits: Metric -> its smallest and its largest possible value, at which the interval ends.
    """
    import numpy as np
    from scipy import stats

    mean, std, interval = {}, {}, {}
    ratio = float(np.mean([test / train for train, test in sizes]))
    for name, values in scores.items():
        count = len(values)
        mean[name], std[name] = float(np.mean(values)), float(np.std(values, ddof=1))
        error = std[name] * (1 / count + ratio) ** 0.5 * float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))
        low, high = limits.get(name, (-math.inf, math.inf))
        interval[name] = [max(low, mean[name] - error), min(high, mean[name] + error)]
    return {"mean": mean, "std": std, "interval": interval}
