"""Runs that differ only in their seed: mean and deviation of their results, and whether two configs differ beyond seeds."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import mean, stdev
from typing import Any, Final

from layercli.runs.listing import Run
from layercli.source.scalars import is_number

SIGNIFICANCE: Final = 0.05
"""Two configs differ if a difference as large has a smaller probability without one."""
_IGNORED_KEYS: Final = ("seed", "name")
MAX_SCORE: Final = 1e150
"""Results of a damaged run that are larger are left out: the squares of their differences would be infinite."""
_MAX_TESTS: Final = 2_000
"""Most tests of a comparison, each of which takes up to a millisecond."""


@dataclass(frozen=True)
class SeedGroup:
    """The finished runs of one config, by their seeds."""

    runs: Mapping[int, Run]

    @property
    def title(self) -> str:
        """The folder of the runs, or the first run if they are in several folders."""
        first, *others = self.runs.values()
        is_one_folder = others and all(run.path.parent == first.path.parent for run in others)
        return (first.path.parent if is_one_folder else first.path).as_posix()

    @cached_property
    def scores(self) -> dict[str, dict[int, float]]:
        """The results that all runs have: name -> seed -> value."""
        scores = {seed: list_scores(run) for seed, run in self.runs.items()}
        first = next(iter(scores.values()))
        return {
            name: {seed: each[name] for seed, each in scores.items()}
            for name in first
            if all(name in each for each in scores.values())
        }

    def as_json(self) -> dict[str, Any]:
        """Return an item of ``groups`` of ``runs --compare --json``."""
        runs = [run.path.as_posix() for run in self.runs.values()]
        return {"name": self.title, "runs": runs, "seeds": list(self.runs), **self.summarize_results()}

    def summarize_results(self) -> dict[str, dict[str, Any]]:
        """Return mean and standard deviation (n - 1) of each result over the seeds."""
        return summarize_scores({name: list(values.values()) for name, values in self.scores.items()})


@dataclass(frozen=True, slots=True)
class SeedTest:
    """A paired t-test of one result of two configs, by seed."""

    group: int
    """The position of the config that is compared with the first one."""
    metric: str
    seeds: int
    """The number of seeds that both configs have."""
    difference: float | None = None
    """The mean of the second minus the first; None without a common seed."""
    interval: tuple[float, float] | None = None
    t: float | None = None
    """None with fewer than two seeds, or if the difference is the same for each."""
    p: float | None = None

    @property
    def differs(self) -> bool | None:
        """Whether the configs differ beyond seeds; None if there are too few seeds to say."""
        if self.seeds < 2:
            return None
        return self.p is not None and self.p < SIGNIFICANCE

    def as_json(self) -> dict[str, Any]:
        """Return an item of ``tests`` of ``runs --compare --json``."""
        return {
            "group": self.group,
            "metric": self.metric,
            "seeds": self.seeds,
            "difference": self.difference,
            "interval": None if self.interval is None else list(self.interval),
            "t": self.t,
            "p": self.p,
            "differs": self.differs,
        }


def list_scores(run: Run) -> dict[str, float]:
    """Return the results of a run on its test set; without one, on the validation set in the best epoch; or of training."""
    test = {f"test_{name}": value for name, value in run.test.items()}
    best = {name: value for name, value in run.best.items() if name not in ("epoch", "monitor")}
    validation = {name: value for name, value in best.items() if name.startswith("val_")}
    return {
        name: float(value)
        for name, value in (test or validation or best).items()
        if is_number(value) and abs(value) <= MAX_SCORE
    }


def summarize_scores(scores: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Any]]:
    """Return mean and standard deviation (n - 1) of each result; the deviation of one value is None."""
    return {
        "mean": {name: mean(values) for name, values in scores.items()},
        "std": {name: stdev(values) if len(values) > 1 else None for name, values in scores.items()},
    }


def find_seed_groups(runs: Iterable[Run]) -> list[SeedGroup]:
    """Return the finished runs grouped by their configs without `seed` and `name`, in the order of the first runs.

    If several runs have the same config and seed, the first one counts. Without a config that has several seeds, there are
    no groups.
    """
    groups: dict[str, dict[int, Run]] = {}
    for run in runs:
        config = run.config
        seed = config.get("seed")
        if run.state != "finished" or type(seed) is not int:
            continue
        rest = {key: value for key, value in config.items() if key not in _IGNORED_KEYS}
        members = groups.setdefault(json.dumps(rest, sort_keys=True, default=str), {})
        members.setdefault(seed, run)
    has_several_seeds = any(len(members) > 1 for members in groups.values())
    return [SeedGroup(members) for members in groups.values()] if has_several_seeds else []


def compare_groups(groups: Sequence[SeedGroup]) -> list[SeedTest]:
    """Return the tests of each later config against the first one, for each result that both have.

    With more than two configs, the p values of a result are adjusted by Holm's method. Results after the first
    ``_MAX_TESTS`` tests are left out.
    """
    tests: list[SeedTest] = []
    for name, first in (groups[0].scores if groups else {}).items():
        if len(tests) >= _MAX_TESTS:
            break
        found = [
            compare_by_seed(first, scores[name], name, position=position)
            for position, scores in enumerate((group.scores for group in groups[1:]), start=1)
            if name in scores
        ]
        adjusted = iter(adjust_by_holm([test.p for test in found if test.p is not None]))
        tests += [test if test.p is None else replace(test, p=next(adjusted)) for test in found]
    return sorted(tests, key=lambda test: test.group)


def compare_by_seed(
    first: Mapping[int, float], second: Mapping[int, float], metric: str, *, position: int = 1
) -> SeedTest:
    """Return the paired t-test (two-sided) of a result over the seeds that two configs have in common.

    The interval of the mean difference has a confidence of 95%.

    Args:
        first: Seed -> value for the first config.
        second: Seed -> value for the other config.
        metric: The name of the result.
        position: The position of the other config.
    """
    seeds = [seed for seed in first if seed in second]
    differences = [second[seed] - first[seed] for seed in seeds]
    result = SeedTest(position, metric, len(seeds), mean(differences) if differences else None)
    if len(seeds) < 2 or result.difference is None:
        return result
    if not stdev(differences):  # the same difference for each seed
        interval = (result.difference, result.difference)
        return replace(result, interval=interval, p=0.0 if result.difference else 1.0)
    from scipy import stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of differences that are nearly equal
        found = stats.ttest_rel([second[seed] for seed in seeds], [first[seed] for seed in seeds])
    low, high = found.confidence_interval(1 - SIGNIFICANCE)
    return replace(
        result, interval=(float(low), float(high)), t=float(found.statistic), p=float(found.pvalue)
    )


def adjust_by_holm(values: Sequence[float]) -> list[float]:
    """Return the p values of several tests, adjusted by Holm's method: at most 5% of families have a false difference."""
    adjusted = list(values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=lambda index: values[index])):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = largest
    return adjusted
