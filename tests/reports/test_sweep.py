"""The lines and tables of a sweep."""

from io import StringIO

import pytest
from rich.console import Console

from layercli.reports.sweep import SweepProgress, make_trials_table, print_sweep_summary


def row(
    number, state="complete", *, values=(0.5,), epochs=2, seconds=1.25, refused=(), problem=None, **params
):
    limits = [{"limit": limit} for limit in refused]
    return {
        "number": number,
        "state": state,
        "values": list(values),
        "loss": values[0] if values else None,
        "parameters": 10,
        "epochs": epochs,
        "seconds": seconds,
        "refused": limits,
        "problem": problem,
        "params": params,
    }


def make_progress(width=100, height=20, metrics=("val_loss",), maximize=(False,)):
    console = Console(file=StringIO(), width=width, height=height, highlight=False)
    return SweepProgress(console, is_live=False, metrics=metrics, maximize=maximize, trial_count=9)


def lines_of(console):
    return console.file.getvalue().splitlines()


def cells_of(table, width=200):
    console = Console(file=StringIO(), width=width, highlight=False)
    console.print(table)
    return [" ".join(line.split()) for line in lines_of(console) if line.strip(" ─")]


def test_line_of_a_trial():
    progress = make_progress(metrics=("val_loss", "parameters"))
    params = {
        "train.optimizer.learning_rate": 0.00123456,
        "model.layers.a.units": 16,
        "model.layers.b.units": 32,
    }
    line = progress.format_trial(row(3, values=(0.5, 1234.0), **params))
    assert line == (
        "trial 3  complete  val_loss 0.5000  parameters 1,234  2 epochs  1.2 s  "
        "learning_rate=0.001235  a.units=16  b.units=32"
    )
    assert progress.format_trial(
        row(4, "failed", values=(None, 3), epochs=1, seconds=None, problem="It failed.")
    ) == ("trial 4  failed  parameters 3  1 epoch\n  It failed.")
    assert progress.format_trial(row(5, "pruned", values=(), epochs=0)) == "trial 5  pruned  1.2 s"


def test_trials_of_an_earlier_start_and_running_ones_have_no_line():
    progress = make_progress()
    progress.show_trials([row(0), row(1, "running")])
    assert lines_of(progress._console) == []
    progress.show_trials([row(0), row(1, "waiting"), row(2)])
    progress.show_trials([row(0), row(1), row(2)])
    assert [line.split("  ")[0] for line in lines_of(progress._console)] == ["trial 2", "trial 1"]


def test_refused_trials_in_a_row_have_one_line():
    progress = make_progress()
    progress.show_trials([])
    progress.show_trials(
        [
            row(0, "refused", refused=("parameters",)),
            row(1, "refused", refused=("parameters", "flops")),
            row(2),
            row(3, "refused", values=(), epochs=0, seconds=None, refused=("flops",)),
        ]
    )
    first, _, last = lines_of(progress._console)
    assert (first, last) == ("trials 0 to 1  refused  parameters 2, flops 1", "trial 3  refused")


def test_live_table_has_running_and_best_trials():
    progress = make_progress(height=14, maximize=(True,))
    running = [row(number, "running", values=(None,)) for number in range(5)]
    best = [row(number, values=(number / 10,)) for number in range(5, 9)]
    found = cells_of(progress._progress_table([*running, *best, row(9, "refused", refused=("flops",))]))
    assert found[0].startswith("4 of 9 trials")
    assert found[0].endswith("; refused: flops 1")
    # The console has 14 lines: 6 rows, of which at most half are running trials.
    assert [line.split()[0] for line in found[2:]] == ["0", "1", "2", "8", "7", "6"]
    small = cells_of(make_progress(height=5)._progress_table([*running, *best]))
    assert [line.split()[0] for line in small[2:]] == ["0", "5", "6"]
    assert ";" not in small[0]


def test_parameters_that_fit_the_width_are_columns():
    rows = [row(1, a=16, b="x" * 30), row(2, values=(None,), epochs=0, a=32)]
    metrics = ["val_loss"]

    def table(width):
        return cells_of(
            make_trials_table(rows, metrics, Console(file=StringIO(), width=width, force_terminal=True))
        )

    # 32 columns for the rest, 10 for the metric, 4 for a, 30 for b, whose values are cut to 28 characters.
    assert table(76)[0] == "trial val_loss epochs state a b"
    assert table(76)[1:] == [f"1 0.5000 2 complete 16 {'x' * 27}…", "2 complete 32"]
    assert table(75)[0] == "trial val_loss epochs state a"
    assert table(1)[0] == "trial val_loss epochs state a"


def summary(trials, **changes):
    document = {
        "trials": trials,
        "refused": 0,
        "objectives": [{"metric": "val_loss", "direction": "minimize"}],
        "metric": "val_loss",
        "best": {"number": 1, "value": 0.25, "best_epoch": 3, "run": None},
        "pareto": [],
        "importances": {},
        "config": "best.yaml",
        "report": "plots.html",
    }
    return document | changes


def show_summary(*arguments, **changes):
    console = Console(file=StringIO(), width=100, highlight=False)
    print_sweep_summary(console, summary(*arguments, **changes))
    return [" ".join(line.split()) for line in lines_of(console) if line.strip(" ─")]


def test_summary_outside_of_a_terminal_has_all_parameters():
    rows = [row(1, **{f"parameter_{index}": "x" * 20 for index in range(8)})]
    assert show_summary(rows)[1].count("parameter_") == 8


def test_summary_on_a_terminal_names_the_parameters_that_do_not_fit():
    rows = [row(1, **{f"parameter_{index}": "x" * 20 for index in range(8)})]
    console = Console(file=StringIO(), width=100, highlight=False, force_terminal=True)
    print_sweep_summary(console, summary(rows))
    [note] = [line for line in lines_of(console) if "Not shown" in line]
    assert "parameter_2, parameter_3" in note


def test_summary_has_the_five_best_trials():
    trials = [row(number, values=(number / 10,)) for number in range(7)] + [row(7, "failed", values=())]
    found = show_summary(trials)
    assert found[0] == "8 trials: 7 complete, 1 failed."
    assert [line.split()[0] for line in found[2:7]] == ["0", "1", "2", "3", "4"]
    assert found[7:] == [
        "Best: trial 1, val_loss 0.2500 in epoch 3",
        "Config: best.yaml",
        "Plots: plots.html",
    ]
    assert show_summary(trials[:1])[0] == "1 trial: 1 complete."


@pytest.mark.parametrize(
    ("count", "shown", "end"), [(6, 6, "4, 5"), (20, 20, "18, 19"), (21, 20, "18, 19 and 1 more")]
)
def test_summary_has_the_pareto_set(count, shown, end):
    trials = [row(number, values=(number / 10,)) for number in range(25)]
    trials.append(row(25, "refused", values=(), refused=("flops", "parameters")))
    best = {"number": 1, "value": 0.25, "best_epoch": 3, "run": "runs/1"}
    found = show_summary(
        trials, pareto=[*range(count)], best=best, refused=1, importances={"units": 0.756, "rate": 0.244}
    )
    assert found[1] == "Refused by limit: flops 1, parameters 1."
    pareto = next(line for line in found if line.startswith("Pareto"))
    assert pareto.startswith("Pareto set: trials 0, 1, ")
    assert pareto.endswith(end)
    assert found.index(pareto) == 3 + shown
    assert "Importance: units 76% rate 24%" in found
    assert "Run: runs/1" in found
