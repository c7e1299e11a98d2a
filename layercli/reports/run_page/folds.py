"""Runs that are folds of a cross-validation: mean, deviation and interval of their results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from layercli.config.training.log_names import collect_limits
from layercli.page.html import Column, Markup, join_markup, make_element, make_table, make_text
from layercli.reports.formatting import format_number
from layercli.reports.run_page.content import RunContent
from layercli.runs.fold_groups import CONFIDENCE, FoldGroup, find_fold_groups
from layercli.source.nodes import sanitize_text


def make_folds(contents: Sequence[RunContent]) -> Markup:
    """Return the results of each cross-validation over its folds; empty without folds."""
    by_path = {content.run.path: content for content in contents}
    groups = find_fold_groups(content.run for content in contents)
    tables = [_make_table(group, by_path) for group in groups]
    return join_markup([make_element("h2", "Cross-validation", id="folds"), *tables]) if tables else Markup()


def _make_table(group: FoldGroup, by_path: dict[Path, RunContent]) -> Markup:
    valid = by_path[group.runs[0].path].valid
    train = valid.config.train if valid is not None else None
    limits = collect_limits(train, valid.graph.output_references) if valid is not None and train else {}
    summary = group.summarize_results(limits)
    rows = [
        [
            sanitize_text(name, limit=60),
            format_number(mean),
            format_number(summary["std"][name]),
            " to ".join(map(format_number, summary["interval"][name])),
        ]
        for name, mean in summary["mean"].items()
    ]
    titles = ("mean", "deviation", f"{CONFIDENCE:.0%} interval")
    columns = [Column("metric"), *(Column(title, is_number=True) for title in titles)]
    text = (
        f"{sanitize_text(group.directory.as_posix())}: each result is over the examples that the model of the fold has not "
        f"seen, for {len(group.runs)} folds. The interval takes into account that folds share training examples."
    )
    return join_markup([make_element("p", make_text(text)), make_table(columns, rows, label="Folds")])
