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
    shorten_label,
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


LONG = RunColumn("run", [f"runs/{'abcdefghij' * 4}/{number}" for number in (1, 20)], is_text=True)


@pytest.mark.parametrize(
    ("width", "cells"),
    [
        (60, ["runs/abcdefghi…ijabcdefghij/1", "runs/abcdefghi…jabcdefghij/20"]),
        (40, ["runs/abcdef…bcdefghij/1", "runs/abcdef…cdefghij/20"]),
        (58, LONG.cells),
    ],
)
def test_long_label_is_cut_in_the_middle_if_columns_do_not_fit(width, cells):
    columns = [COUNTS] if width == 58 else [COUNTS, RunColumn("time", ["1" * 20])]
    label = shorten_label(terminal(width), LONG, columns)
    assert label.cells == cells
    assert shorten_label(Console(file=StringIO(), width=width), LONG, columns) is LONG


def test_labels_that_differ_only_in_the_middle_are_not_cut():
    label = RunColumn("run", [f"{'a' * 30}{number}{'b' * 30}" for number in (1, 2)])
    assert shorten_label(terminal(60), label, [COUNTS]) is label


def test_column_that_is_wider_than_the_room_next_to_the_label_is_cut():
    wide = RunColumn("name", ["0123456789" * 2, "日本" * 8])
    [[_, column]] = split_columns(terminal(24), NAMES, [wide])
    assert column.cells == ["012345…456789", "日本日…本日本"]
    [[_, whole]] = split_columns(terminal(20), NAMES, [wide])
    assert whole is wide
