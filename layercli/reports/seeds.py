"""Show the results of several seeds, and whether configs differ beyond seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import TYPE_CHECKING, Any

from layercli.reports.console import make_table
from layercli.reports.formatting import format_number, format_numbers
from layercli.reports.group_progress import GroupProgress
from layercli.reports.metric_table import print_metrics
from layercli.runs.seed_groups import SIGNIFICANCE, SeedGroup, SeedTest, list_scores
from layercli.schema.suggestions import list_names
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console

    from layercli.runs.seed_directory import SeedRun


def make_seed_progress(console: Console, *, is_live: bool, total: int) -> GroupProgress:
    """Return the display of the trainings of several seeds."""

    def name_seed(run: SeedRun) -> str:
        return f"seed {run.seed}"

    return GroupProgress(
        console,
        is_live=is_live,
        total=total,
        plural="seeds",
        name_member=name_seed,
        read_results=list_scores,
    )


def print_seed_summary(console: Console, summary: Mapping[str, Any]) -> None:
    """Print mean and standard deviation of each metric, the directory, and the commands that are useful next."""
    values = {name: [each["metrics"][name] for each in summary["seeds"]] for name in summary["mean"]}
    titles = ["mean", "deviation", "lowest", "highest"]
    rows = {}
    for name, mean in summary["mean"].items():
        deviation = summary["std"][name]
        shown = format_numbers([mean, deviation or 0.0, min(values[name]), max(values[name])])
        shown[1] = shown[1] if deviation is not None else ""
        rows[sanitize_text(name)] = dict(zip(titles, shown, strict=True))
    print_metrics(console, titles, rows)
    directory = sanitize_text(summary["directory"])
    quoted = quote(directory)
    count = len(summary["seeds"])
    console.print(f"{count} {'run' if count == 1 else 'runs'}: {directory}", soft_wrap=True)
    commands = (f"layercli report {quoted}", f"layercli runs --compare {quoted} OTHER")
    console.print("Next:", *(f"  {command}" for command in commands), sep="\n", soft_wrap=True)


def print_seed_comparison(console: Console, groups: Sequence[SeedGroup], tests: Sequence[SeedTest]) -> None:
    """Print the results of each config over its seeds, and the tests against the first config."""
    for title, rows in list_group_rows(groups).items():
        table = make_table(title, numbers=("seeds", "mean", "deviation"))
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for position, group in enumerate(groups[1:], start=1):
        own = [test for test in tests if test.group == position and test.seeds > 1]
        if own:
            print_seed_tests(console, groups[0], group, own)
    for sentence in describe_missing_pairs(groups, tests):
        console.print(sentence, soft_wrap=not console.is_terminal)
    if any(test.p is not None for test in tests):
        console.print(describe_method(len(groups)), soft_wrap=not console.is_terminal)


def print_seed_tests(
    console: Console, first: SeedGroup, second: SeedGroup, tests: Sequence[SeedTest]
) -> None:
    """Print the differences of two configs."""
    seeds = max(test.seeds for test in tests)
    names = f"{sanitize_text(second.title)} minus {sanitize_text(first.title)}"
    console.print(f"{names}, over {seeds} seeds that both have:", soft_wrap=True)
    table = make_table("metric", numbers=("difference", "95% interval", "p"))
    table.add_column("beyond seeds")
    for test in tests:
        table.add_row(*format_test(test))
    console.print(table)


def list_group_rows(groups: Sequence[SeedGroup]) -> dict[str, list[list[str]]]:
    """Return for each result a row for each config: name, seeds, mean and deviation."""
    documents = [group.as_json() for group in groups]
    names = dict.fromkeys(name for document in documents for name in document["mean"])
    return {
        sanitize_text(name): [
            [
                sanitize_text(document["name"]),
                str(len(document["seeds"])),
                format_number(document["mean"][name]),
                format_deviation(document["std"][name]),
            ]
            for document in documents
            if name in document["mean"]
        ]
        for name in names
    }


def format_test(test: SeedTest) -> list[str]:
    """Return metric, difference, interval, p and the conclusion."""
    assert test.difference is not None
    low, high = test.interval or (test.difference, test.difference)
    if test.t is None:
        p, conclusion = "", "yes: the same for each seed" if test.differs else "no: equal for each seed"
    else:
        p = "<0.0001" if (test.p or 0) < 0.0001 else f"{test.p:.4f}"
        conclusion = "yes" if test.differs else "not shown"
    interval = f"{format_number(low)} to {format_number(high)}"
    return [sanitize_text(test.metric), format_number(test.difference), interval, p, conclusion]


def format_deviation(deviation: float | None) -> str:
    """Return a standard deviation; nothing for that of one value."""
    return "" if deviation is None else format_number(deviation)


def describe_missing_pairs(groups: Sequence[SeedGroup], tests: Sequence[SeedTest]) -> Iterator[str]:
    """Yield sentences on the configs that have too few seeds in common with the first one to be compared with it."""
    for seeds, have in ((0, "no seed"), (1, "only one seed")):
        positions = dict.fromkeys(test.group for test in tests if test.seeds == seeds)
        names = list_names(groups[position].title for position in positions)
        if positions:
            verb, both = ("is", "both") if len(positions) == 1 else ("are", "all")
            yield (
                f"{names} {verb} not compared with {list_names([groups[0].title])}: they have {have} in common, and the test "
                f"needs two. Train {both} with the same seeds: `layercli train CONFIG --seeds 5`."
            )


def describe_method(groups: int) -> str:
    """Return which test decides."""
    adjusted = " p is adjusted by Holm's method for several configs." if groups > 2 else ""
    return (
        f"Paired t-test by seed: configs differ beyond seeds if p < {SIGNIFICANCE}. Other data can give another answer; "
        f"`layercli crossval` tests that.{adjusted}"
    )
