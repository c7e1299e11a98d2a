"""The commands after the training of a group work for every name of its folder."""

import io

import pytest
from rich.console import Console

from layercli.reports.crossval import print_next_commands
from layercli.reports.seeds import print_seed_summary

FOLDER = "my runs"


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


def read_commands(console):
    return [line.strip() for line in console.file.getvalue().splitlines() if line.startswith("  ")]


def test_commands_after_seeds_quote_the_folder(console):
    print_seed_summary(console, {"directory": FOLDER, "seeds": [], "mean": {}, "std": {}})
    assert read_commands(console)[-2:] == [
        "layercli report 'my runs'",
        "layercli runs --compare 'my runs' OTHER",
    ]


def test_commands_after_crossval_quote_the_folder(console):
    print_next_commands(console, {"directory": FOLDER, "ensemble": f"{FOLDER}/ensemble", "folds": [1, 2]})
    assert read_commands(console) == [
        "layercli report 'my runs'",
        "layercli runs 'my runs'",
        "layercli predict 'my runs/ensemble' --part train --output predictions.csv",
        "layercli report 'my runs/ensemble'",
        "layercli export 'my runs/ensemble' --format keras",
    ]
