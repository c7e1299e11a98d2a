"""Tables of several seeds and of cross-validations."""

from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from layercli.reports.crossval import print_crossval_summary, print_next_commands
from layercli.reports.seeds import (
    describe_method,
    describe_missing_pairs,
    format_test,
    print_seed_comparison,
    print_seed_summary,
)
from layercli.runs.listing import Run
from layercli.runs.seed_groups import SeedGroup, SeedTest, compare_groups


@pytest.fixture
def console():
    return Console(file=StringIO(), width=120, highlight=False)


def lines_of(console):
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines() if line.strip(" ─")]


def make_group(folder, **accuracies):
    runs = {
        int(seed[1:]): Run(Path(folder) / seed[1:], "finished", test={"accuracy": value})
        for seed, value in accuracies.items()
    }
    return SeedGroup(runs)


def test_summary_has_the_range_of_each_metric(console):
    seeds = [{"metrics": {"accuracy": value}} for value in (0.75, 0.5, 1.0)]
    summary = {"directory": "all", "seeds": seeds, "mean": {"accuracy": 0.75}, "std": {"accuracy": 0.25}}
    print_seed_summary(console, summary)
    assert lines_of(console) == [
        "metric mean deviation lowest highest",
        "accuracy 0.7500 0.2500 0.5000 1.0000",
        "3 runs: all",
        "Next:",
        "layercli report all",
        "layercli runs --compare all OTHER",
    ]


def test_summary_of_one_seed_has_no_deviation(console):
    seeds = [{"metrics": {"loss": 0.5}}]
    print_seed_summary(
        console, {"directory": "all", "seeds": seeds, "mean": {"loss": 0.5}, "std": {"loss": None}}
    )
    assert lines_of(console)[1:3] == ["loss 0.5000 0.5000 0.5000", "1 run: all"]


def test_comparison_of_groups(console):
    groups = [make_group("a", s1=0.5, s2=0.75), make_group("b", s1=0.75, s2=1.0), make_group("c", s1=0.5)]
    print_seed_comparison(console, groups, compare_groups(groups))
    assert lines_of(console) == [
        "test_accuracy seeds mean deviation",
        "a 2 0.6250 0.1768",
        "b 2 0.8750 0.1768",
        "c/1 1 0.5000",
        "b minus a, over 2 seeds that both have:",
        "metric difference 95% interval p beyond seeds",
        "test_accuracy 0.2500 0.2500 to 0.2500 yes: the same for each seed",
        "`c/1` is not compared with `a`: they have only one seed in common, and the test needs two. Train both with the "
        "same seeds: `layercli train CONFIG --seeds 5`.",
        "Paired t-test by seed: configs differ beyond seeds if p < 0.05. Other data can give another answer; "
        "`layercli crossval` tests that. p is adjusted by Holm's method for several configs.",
    ]


@pytest.mark.parametrize(
    ("test", "cells"),
    [
        (
            SeedTest(1, "loss", 2, 0.5, (0.25, 0.75), 3.0, 0.00009),
            ["loss", "0.5000", "0.2500 to 0.7500", "<0.0001", "yes"],
        ),
        (
            SeedTest(1, "loss", 2, 0.5, (0.25, 0.75), 3.0, 0.0001),
            ["loss", "0.5000", "0.2500 to 0.7500", "0.0001", "yes"],
        ),
        (
            SeedTest(1, "loss", 2, 0.5, (-0.25, 1.25), 3.0, 0.05),
            ["loss", "0.5000", "-0.2500 to 1.2500", "0.0500", "not shown"],
        ),
        (
            SeedTest(1, "loss", 2, 0.0, None, None, 1.0),
            ["loss", "0.0000", "0.0000 to 0.0000", "", "no: equal for each seed"],
        ),
    ],
)
def test_result_of_a_test(test, cells):
    assert format_test(test) == cells


def test_pairs_without_common_seeds_are_named():
    groups = [make_group(name, s1=0.5) for name in "abcd"]
    tests = [SeedTest(1, "loss", 0), SeedTest(2, "loss", 0), SeedTest(2, "auc", 0), SeedTest(3, "loss", 2)]
    assert [*describe_missing_pairs(groups, tests)] == [
        "`b/1`, `c/1` are not compared with `a/1`: they have no seed in common, and the test needs two. "
        "Train all with the same seeds: `layercli train CONFIG --seeds 5`."
    ]
    assert describe_method(2) == (
        "Paired t-test by seed: configs differ beyond seeds if p < 0.05. Other data can give another answer; "
        "`layercli crossval` tests that."
    )


def test_summary_of_a_cross_validation(console):
    summary = {
        "confidence": 0.95,
        "mean": {"r2": 0.5},
        "std": {"r2": 0.125},
        "interval": {"r2": [0.25, 0.75]},
        "directory": "cv",
        "folds": [1, 2, 3],
        "predictions": "cv/predictions.csv",
        "examples": 1500,
    }
    print_crossval_summary(console, summary)
    print_next_commands(console, summary)
    assert lines_of(console) == [
        "metric mean deviation 95% interval",
        "r2 0.5000 0.1250 0.2500 to 0.7500",
        "3 runs: cv",
        "Predictions of 1,500 examples: cv/predictions.csv",
        "Next:",
        "layercli report cv",
        "layercli runs cv",
    ]


def test_names_of_members():
    from layercli.reports.crossval import make_fold_progress
    from layercli.reports.seeds import make_seed_progress

    fold = SimpleNamespace(number=2, folds=5, repeat=3)
    for repeats, name in ((1, "fold 2 of 5"), (3, "repeat 3, fold 2 of 5")):
        progress = make_fold_progress(Console(file=StringIO()), is_live=False, total=5, repeats=repeats)
        assert progress._name_member(fold) == name
    progress = make_seed_progress(Console(file=StringIO()), is_live=False, total=5)
    assert progress._name_member(SimpleNamespace(seed=7)) == "seed 7"
