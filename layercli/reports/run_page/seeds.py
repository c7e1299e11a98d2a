"""Runs that differ only in their seed: mean and deviation, and whether two configs differ beyond seeds."""

from __future__ import annotations

from collections.abc import Sequence

from layercli.page.html import Column, Markup, join_markup, make_element, make_table, make_text
from layercli.reports.run_page.content import RunContent
from layercli.reports.seeds import describe_method, describe_missing_pairs, format_test, list_group_rows
from layercli.runs.seed_groups import SeedGroup, SeedTest, compare_groups, find_seed_groups
from layercli.source.nodes import sanitize_text


def make_seeds(contents: Sequence[RunContent]) -> Markup:
    """Return the results of each config over its seeds, and the tests against the first one; empty without seeds."""
    groups = find_seed_groups(content.run for content in contents)
    if not groups:
        return Markup()
    tests = compare_groups(groups)
    rows = [[row[0], name, *row[1:]] for name, rows in list_group_rows(groups).items() for row in rows]
    columns = [
        Column("config"),
        Column("result"),
        *(Column(title, is_number=True) for title in ("seeds", "mean", "deviation")),
    ]
    parts = [make_element("h2", "Seeds", id="seeds"), make_table(columns, rows, label="Seeds")]
    parts += [
        _make_tests(groups[0], group, [test for test in tests if test.group == position and test.seeds > 1])
        for position, group in enumerate(groups[1:], start=1)
    ]
    parts += [make_element("p", make_text(sentence)) for sentence in describe_missing_pairs(groups, tests)]
    if any(test.p is not None for test in tests):
        parts.append(make_element("p", make_text(describe_method(len(groups))), class_="muted"))
    return join_markup(parts)


def _make_tests(first: SeedGroup, second: SeedGroup, tests: Sequence[SeedTest]) -> Markup:
    if not tests:
        return Markup()
    names = f"{sanitize_text(second.title)} minus {sanitize_text(first.title)}"
    columns = [
        Column("result"),
        *(Column(title, is_number=True) for title in ("difference", "95% interval", "p")),
        Column("beyond seeds"),
    ]
    caption = make_element("p", f"{names}, over {tests[0].seeds} seeds that both have:")
    return join_markup([caption, make_table(columns, map(format_test, tests), label="Tests")])
