"""Limits and several objectives in sweeps whose trainings are a function of the config."""

import math
import threading

import pytest

from layercli.errors import LayercliError
from layercli.sweep import trials
from layercli.sweep.plan import read_sweep_plan
from layercli.sweep.results import find_best_row, find_end_warning, list_trial_rows, summarize_sweep
from layercli.sweep.study import open_study
from layercli.sweep.trial_loop import run_worker
from tests.running import HANG_SECONDS

SWEEP = """
base: iris.yaml
space:
  model.layers[0].units: {int: [1, 1000]}
  train.optimizer.learning_rate: {float: [1e-4, 1e-1], log: true}
objective: {metric: val_accuracy, direction: maximize}
limits: {parameters: 803}
sampler: {type: SAMPLER, seed: 1}
pruner: NopPruner
trials: 6
"""
# n units have 8 n + 3 parameters: the limit allows 100 units


@pytest.fixture
def begin(iris):
    def begin(text, name="s"):
        file = iris.with_name(f"{name}.yaml")
        file.write_text(text)
        directory = iris.parent / f"{name}-sweep"
        directory.mkdir(exist_ok=True)
        plan = read_sweep_plan(str(file))[0]
        return plan, directory, open_study(plan, directory, None, heartbeat=1)

    return begin


def read_values(valid):
    optimizer = valid.config.train.optimizer
    return valid.config.model.layers[0].layer.units, optimizer.learning_rate


def train(valid, run, epoch):  # noqa: ARG001 - a training's signature
    """Report a narrow maximum at 90 units and a learning rate of 0.01."""
    units, rate = read_values(valid)
    value = 1 / (1 + ((units - 90) / 20) ** 2 + (math.log10(rate) + 2) ** 2)
    epoch({"epoch": 1, "val_accuracy": value, "val_loss": 1 - value})


def run(plan, directory, study):
    run_worker(plan, study, directory, train, deadline=None, patience=5)
    return list_trial_rows(plan, study.get_trials(deepcopy=False))


@pytest.mark.parametrize("sampler", ["RandomSampler", "TPESampler", "NSGAIISampler"])
def test_refused_trials_are_recorded_and_do_not_count(begin, sampler):
    plan, directory, study = begin(SWEEP.replace("SAMPLER", sampler))
    rows = run(plan, directory, study)
    refused = [trial for trial in study.get_trials() if trials.is_refused(trial)]
    # The genetic algorithm learns from complete trials; the worst value of a maximum is minus infinity.
    worst = [-math.inf] if sampler == "NSGAIISampler" else None
    assert all(trial.values == worst for trial in refused)
    by_state = {state: [row for row in rows if row["state"] == state] for state in ("complete", "refused")}
    assert len(by_state["complete"]) == 6
    assert by_state["refused"]
    assert len(rows) == 6 + len(by_state["refused"])
    for row in rows:
        units = row["params"]["model.layers[0].units"]
        assert row["parameters"] == 8 * units + 3
        assert (row["state"] == "refused") == (units > 100)
    row = by_state["refused"][0]
    size = row["parameters"]
    assert row["refused"] == [{"limit": "parameters", "value": size, "maximum": 803}]
    assert row["problem"] == f"{size:,} parameters exceed the limit of 803."
    assert (row["value"], row["run"], row["epochs"]) == (None, None, 0)


def test_grid_tries_each_combination_once_and_refuses_the_large_ones(begin):
    text = SWEEP.replace("{type: SAMPLER, seed: 1}", "Grid").replace(
        "int: [1, 1000]", "choice: [50, 90, 200]"
    )
    text = text.replace("{float: [1e-4, 1e-1], log: true}", "{choice: [0.001, 0.01]}")
    rows = run(*begin(text.replace("trials: 6", "trials: 100")))
    states = sorted((row["params"]["model.layers[0].units"], row["state"]) for row in rows)
    assert states == [(50, "complete")] * 2 + [(90, "complete")] * 2 + [(200, "refused")] * 2


def test_workers_try_each_combination_of_a_grid_once_under_limits(begin):
    text = SWEEP.replace("{type: SAMPLER, seed: 1}", "GridSampler").replace("trials: 6", "trials: 100")
    text = text.replace("{int: [1, 1000]}", "{choice: [50, 90, 100, 101, 200, 900]}")
    text = text.replace("{float: [1e-4, 1e-1], log: true}", "{choice: [0.01, 0.1]}")
    plan, directory, study = begin(text)
    threads = [threading.Thread(target=run, args=(plan, directory, study)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_SECONDS)
    rows = list_trial_rows(plan, study.get_trials(deepcopy=False))
    states = {row["state"]: sum(one["state"] == row["state"] for one in rows) for row in rows}
    assert states == {"complete": 6, "refused": 6}  # each of 6 sizes with 2 rates
    assert len({str(row["params"]) for row in rows}) == 12


def test_tpe_finds_a_narrow_optimum_under_limits(begin):
    text = SWEEP.replace("SAMPLER", "TPESampler").replace("trials: 6", "trials: 25")
    plan, directory, study = begin(text)
    limited = run(plan, directory, study)
    assert find_best_row(plan, limited)["value"] > 0.9
    refused = [row["number"] for row in limited if row["state"] == "refused"]
    assert (
        sum(number >= len(limited) // 2 for number in refused) < len(refused) / 2
    )  # it has learned the limit


def test_limits_that_no_trial_meets_are_an_error(begin, monkeypatch):
    monkeypatch.setattr(trials, "MAX_REFUSED_IN_A_ROW", 12)
    plan, directory, study = begin(SWEEP.replace("SAMPLER", "RandomSampler").replace("803", "10"))
    assert len(run(plan, directory, study)) == 12
    assert len(run(plan, directory, study)) == 12  # the same command again does not try more
    with pytest.raises(LayercliError) as caught:
        summarize_sweep(plan, study, directory)
    (problem,) = caught.value.problems
    assert (problem.code, problem.line) == ("no-trial", 7)
    smallest = min(trial.params["model.layers[0].units"] for trial in study.trials) * 8 + 3
    assert problem.message == (
        f"None of the 12 trials meets the limits: the smallest had {smallest:,} parameters of at most 10."
    )


def test_sweep_that_its_limits_end_early_has_a_warning(begin, monkeypatch):
    text = SWEEP.replace("SAMPLER", "RandomSampler").replace("trials: 6", "trials: 1")
    plan, directory, study = begin(text)
    run(plan, directory, study)
    assert find_end_warning(plan, study) is None
    monkeypatch.setattr(trials, "MAX_REFUSED_IN_A_ROW", 0)
    monkeypatch.setattr("layercli.sweep.results.MAX_REFUSED_IN_A_ROW", 0)
    warning = find_end_warning(plan, study)
    assert (warning.code, warning.severity, warning.line) == ("few-trials", "warning", 7)


def test_changed_limits_are_a_different_sweep(begin):
    text = SWEEP.replace("SAMPLER", "RandomSampler")
    begin(text)
    with pytest.raises(LayercliError, match="space, objective or limits"):
        begin(text.replace("803", "804"))


TWO_OBJECTIVES = """
base: iris.yaml
space:
  model.layers[0].units: {choice: [10, 20, 30, 40]}
  train.optimizer.learning_rate: {choice: [0.001, 0.01]}
objectives:
  - {metric: val_accuracy}
  - {metric: parameters}
sampler: Grid
trials: 8
"""


def test_pareto_set_of_a_grid(begin, monkeypatch):
    pages = []
    monkeypatch.setattr("layercli.sweep.results.compute_importances", lambda _: {})  # loads scikit-learn
    monkeypatch.setattr(
        "layercli.sweep.results.render_report_page", lambda *given, **_: pages.append(given) or ""
    )
    accuracies = {10: 0.7, 20: 0.9, 30: 0.8, 40: 0.95}  # with a rate of 0.01; 0.1 less with 0.001

    def train_two_epochs(valid, run, epoch):  # noqa: ARG001
        units, rate = read_values(valid)
        best = accuracies[units] - (0.1 if rate < 0.01 else 0)
        epoch({"epoch": 1, "val_accuracy": best, "val_loss": 0.5})
        epoch({"epoch": 2, "val_accuracy": best - 0.2, "val_loss": 0.4})

    plan, directory, study = begin(TWO_OBJECTIVES)
    run_worker(plan, study, directory, train_two_epochs, deadline=None, patience=5)
    summary = summarize_sweep(plan, study, directory)
    front = [row for row in summary["trials"] if row["number"] in summary["pareto"]]
    assert sorted(row["values"] for row in front) == [[0.7, 83], [0.9, 163], [0.95, 323]]
    assert summary["best"]["values"] == [0.95, 323]
    assert (summary["best"]["best_epoch"], summary["best"]["epochs"], summary["best"]["loss"]) == (1, 2, 0.5)
    assert summary["objectives"] == [
        {"metric": "val_accuracy", "direction": "maximize"},
        {"metric": "parameters", "direction": "minimize"},
    ]
    assert len(pages) == 1


def test_sweep_with_two_objectives_resumes_exactly(begin):
    text = TWO_OBJECTIVES.replace("Grid", "{type: TPESampler, seed: 2, n_startup_trials: 3}")
    text = text.replace("choice: [10, 20, 30, 40]", "int: [10, 40]")
    begun = begin(text.replace("trials: 8", "trials: 4"), "two")
    run(*begun)
    resumed = [(row["params"], row["values"]) for row in run(*begin(text, "two"))]
    at_once = [(row["params"], row["values"]) for row in run(*begin(text, "once"))]
    assert len(resumed) == 8
    assert resumed == at_once
