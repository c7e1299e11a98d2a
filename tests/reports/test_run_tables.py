"""Columns that fit a terminal, and tables for other programs."""

from io import StringIO

import pytest
from rich.console import Console

from layercli.reports.run_tables import (
    RunColumn,
    fits_terminal,
    format_csv,
    format_markdown,
    print_columns,
    split_columns,
)

NAMES = RunColumn("run", ["a", "long name"], is_text=True)
COUNTS = RunColumn("best loss", ["0.5", "1"], 1)
WIDE = RunColumn("x", ["日本", "1"], 2)


def terminal(width):
    return Console(file=StringIO(), width=width, force_terminal=True, color_system=None)


def lines_of(console):
    return console.file.getvalue().splitlines()


def test_numbers_are_on_the_right_and_texts_on_the_left():
    console = Console(file=StringIO(), width=10)
    assert print_columns(console, [NAMES, COUNTS, WIDE]) == []
    assert lines_of(console) == [
        "           best",
        "run        loss     x",
        "─────────  ────  ────",
        "a           0.5  日本",
        "long name     1     1",
    ]


def test_titles_of_one_word_have_one_line():
    console = Console(file=StringIO(), width=80)
    print_columns(console, [NAMES])
    assert lines_of(console) == ["run", "─────────", "a", "long name"]


@pytest.mark.parametrize(("width", "left_out"), [(21, []), (20, [WIDE]), (15, [WIDE]), (14, [COUNTS, WIDE])])
def test_columns_of_a_higher_rank_are_left_out_first(width, left_out):
    console = terminal(width)
    assert print_columns(console, [NAMES, COUNTS, WIDE]) == left_out
    assert fits_terminal(console, [NAMES, COUNTS, WIDE]) is (not left_out)
    assert fits_terminal(Console(file=StringIO(), width=1), [NAMES, COUNTS, WIDE])


def test_single_column_is_cut():
    console = terminal(5)
    assert print_columns(console, [NAMES]) == []
    assert lines_of(console)[-1] == "long…"


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (21, [["run", "best loss", "x"]]),
        (20, [["run", "best loss"], ["run", "x"]]),
        (1, [["run", "best loss"], ["run", "x"]]),
    ],
)
def test_columns_that_do_not_fit_follow_in_another_table(width, titles):
    groups = [*split_columns(terminal(width), NAMES, [COUNTS, WIDE])]
    assert [[column.title for column in group] for group in groups] == titles
    assert [*split_columns(terminal(width), NAMES, [])] == []
    [whole] = split_columns(Console(file=StringIO(), width=1), NAMES, [COUNTS, WIDE])
    assert whole == [NAMES, COUNTS, WIDE]


def test_tables_for_other_programs():
    columns = [RunColumn("run", ["=a|b", "x,y"], is_text=True), RunColumn("loss", ["-1", "2"])]
    assert format_csv(columns) == 'run,loss\n\'=a|b,-1\n"x,y",2\n'
    assert format_markdown(columns) == "| run | loss |\n| --- | ---: |\n| =a\\|b | -1 |\n| x,y | 2 |\n"
