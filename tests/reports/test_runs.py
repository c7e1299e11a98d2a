"""Tables of runs at every width: no cell breaks, and what does not fit is named."""

import io
from datetime import datetime
from pathlib import Path

import pytest
from rich.console import Console

from layercli.reports.run_tables import RunColumn, print_columns
from layercli.reports.runs import print_run_comparison, print_runs
from layercli.runs.listing import Run
from layercli.runs.query import find_config_differences


def make_run(folder, number, state="finished", note=None, ended=None):
    path = folder / str(number)
    path.mkdir(parents=True)
    rate = [0.001, 1e-05, 0.25][number % 3]
    text = f"model: {{input: [4]}}\ntrain: {{optimizer: {{type: Adam, learning_rate: {rate}}}, epochs: 20}}\n"
    (path / "config.yaml").write_text(text)
    best = {"monitor": "val_loss", "epoch": number, "val_loss": 1234.5678 / number, "val_accuracy": 0.5}
    date = datetime(2026, 3, 4, 5, 6).astimezone()
    test = {"loss": 0.25, "accuracy": 0.75}
    return Run(path, state, note, 20, best, test, 66.0 * number, 12345.6, 29194, date, ended)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return [make_run(Path("runs/digits"), number) for number in range(1, 21)]


def shown(show, *args, width=80, is_terminal=True):
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=is_terminal,
        color_system=None,
        markup=False,
        highlight=False,
    )
    show(console, *args)
    return console.file.getvalue()


def table_rows(text):
    """The rows of a table by run, without the notes below it."""
    return {
        line.split()[0]: line for line in text.splitlines() if line.startswith("runs/") and " is " not in line
    }


@pytest.mark.parametrize("width", [18, 30, 40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_no_cell_breaks(runs, width):
    text = shown(print_runs, runs, None, width=width)
    rows = table_rows(text)
    assert list(rows) == [run.path.as_posix() for run in runs]
    assert max(len(line) for line in text.splitlines()) <= max(width, len("runs/digits/20"))
    whole = table_rows(shown(print_runs, runs, None, is_terminal=False))
    assert all(set(rows[name].split()) <= set(whole[name].split()) for name in rows)


def test_table_at_80_columns_has_date_results_and_differing_values(runs):
    lines = shown(print_runs, runs[:2], None).splitlines()
    assert lines == [
        "                                                   best      test",
        "run            date              epochs        val_loss  accuracy  learning_rate",
        "─────────────  ────────────────  ──────  ──────────────  ────────  ─────────────",
        "runs/digits/1  2026-03-04 05:06      20  1234.5678 at 1    0.7500          1e-05",
        "runs/digits/2  2026-03-04 05:06      20   617.2839 at 2    0.7500           0.25",
        "Not shown: time, params. `--format csv` has every column.",
    ]


def test_lines_of_other_outputs_than_terminals_are_complete(runs):
    lines = shown(print_runs, runs, None, width=40, is_terminal=False).splitlines()
    assert lines[1].split() == [
        *("run", "date", "epochs", "val_loss", "accuracy", "learning_rate", "time", "params")
    ]
    assert len(lines) == 23
    assert not any(line != line.rstrip() or "Not shown" in line for line in lines)


def test_sort_key_is_a_column(runs):
    text = shown(print_runs, runs[:2], "val_accuracy", width=70)
    assert "val_accuracy" in text.splitlines()[1]


def test_two_runs_are_compared_side_by_side(runs):
    lines = shown(print_run_comparison, runs[:2], find_config_differences(runs[:2])).splitlines()
    assert lines[0].split() == ["runs/digits/1", "runs/digits/2"]
    cells = {line.split("  ")[0]: line.split()[-2:] for line in lines}
    assert cells["val_loss"] == ["1234.5678", "617.2839"]
    assert cells["train.optimizer.learning_rate"] == ["1e-05", "0.25"]


def test_twenty_runs_are_compared_in_rows_at_80_columns(runs):
    text = shown(print_run_comparison, runs, find_config_differences(runs))
    assert max(map(len, text.splitlines())) <= 80
    headers = [line.split() for line in text.splitlines() if line.startswith("run ")]
    assert all(header[0] == "run" for header in headers)
    titles = [title for header in headers for title in header[1:]]
    assert {"state", "date", "val_loss", "test_accuracy", "learning_rate", "parameters"} <= set(titles)
    assert text.count("runs/digits/20") == len(headers)


def write_config(run, text):
    (run.path / "config.yaml").write_text(text)


def test_value_of_a_config_never_has_the_title_of_a_result(runs):
    for index, run in enumerate(runs[:2]):
        write_config(run, f"data: {{split: {{test: 0.{index + 1}}}}}\ntrain: {{loss: l{index}}}\n")
    titles = shown(print_runs, runs[:2], None, is_terminal=False).splitlines()[1].split()
    assert titles[5:7] == ["split.test", "train.loss"]


def test_value_of_a_layer_has_the_name_of_the_layer(runs):
    for index, run in enumerate(runs[:2]):
        write_config(run, f"model: {{layers: [{{type: Dense, name: hidden, units: {index + 1}}}]}}\n")
    assert "hidden.units" in shown(print_runs, runs[:2], None, is_terminal=False)


def test_date_is_shortened_before_it_is_left_out(runs):
    dates = {}
    for width in (50, 54, 57):
        row = table_rows(shown(print_runs, runs[:2], None, width=width))["runs/digits/1"]
        dates[width] = row.split("  ")[1]
    assert dates == {50: "03-04", 54: "2026-03-04", 57: "2026-03-04 05:06"}


def test_lists_are_shown_as_in_a_config(runs):
    for index, run in enumerate(runs[:2]):
        write_config(run, f"train: {{metrics: [accuracy, m{index}], rates: [0.001, {index}]}}\n")
    text = shown(print_run_comparison, runs[:2], find_config_differences(runs[:2]), width=200)
    assert "[accuracy, m1]" in text
    assert "[0.001, 1]" in text
    assert "'" not in text


def test_layer_that_a_run_lacks_is_one_value(runs):
    write_config(runs[0], "model: {layers: [{type: Dense, name: hidden, units: 1, activation: relu}]}\n")
    write_config(runs[1], "model: {layers: [{type: Flatten, name: flat}]}\n")
    text = shown(print_run_comparison, runs[:2], find_config_differences(runs[:2]), width=200)
    assert "model.layers.hidden.type" in text
    assert "units" not in text
    assert "more values differ" in text


def test_the_width_of_a_cell_is_measured_a_fixed_number_of_times(monkeypatch):
    measured = []
    monkeypatch.setattr("rich.cells.cell_len", lambda text: measured.append(text) or len(text))
    cells = [f"cell {number}" for number in range(100)]
    print_columns(Console(file=io.StringIO(), force_terminal=True), [RunColumn("title", cells)])
    assert 0 < measured.count("cell 50") <= 3
