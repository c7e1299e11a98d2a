"""Workers share a study: each trial finishes once, and crashes lose none."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from optuna.trial import TrialState, create_trial

from layercli.errors import LayercliError, Problem
from layercli.sweep import study as study_module
from layercli.sweep.plan import read_sweep_plan
from layercli.sweep.results import find_best_row, list_trial_rows
from layercli.sweep.study import JOURNAL_FILE, open_study
from layercli.sweep.trial_loop import run_worker
from layercli.sweep.trials import (
    EXCEEDED,
    PROBLEM_KEY,
    SIZES_KEY,
    SURPLUS_KEY,
    StaleTrials,
    is_surplus,
    list_counted_trials,
    retry_trial,
    tally_trials,
)
from tests.running import HANG_SECONDS, run_python

SWEEP = """
base: iris.yaml
space:
  model.layers[0].units: {int: [4, 32]}
  model.layers[1].activation: {choice: [relu, softmax]}
objective: {metric: val_accuracy, direction: maximize}
sampler: {type: RandomSampler, seed: 1}
pruner: NopPruner
trials: 4
"""


@pytest.fixture
def begin(iris):
    """The plan, its directory, and the study of a sweep file."""

    def begin(text=SWEEP):
        file = iris.with_name("s.yaml")
        file.write_text(text)
        plan = read_sweep_plan(str(file))[0]
        return plan, iris.parent, open_study(plan, iris.parent, None, heartbeat=1)

    return begin


def fake(valid, run, epoch):  # noqa: ARG001 - a training's signature
    """Report epochs as a training would: better with more units and in later epochs."""
    units = valid.config.model.layers[0].layer.units
    for number in (1, 2):
        epoch({"epoch": number, "val_accuracy": units / 100 + number / 1000})


def run(plan, directory, study, train=fake):
    run_worker(plan, study, directory, train, deadline=None, patience=0.5)
    return list_trial_rows(plan, study.get_trials())


def test_wanted_trials_are_rated_by_their_best_epoch(begin):
    plan, directory, study = begin()
    rows = run(plan, directory, study)
    assert [(row["number"], row["state"], row["epochs"], row["best_epoch"]) for row in rows] == [
        (number, "complete", 2, 2) for number in range(4)
    ]
    best = find_best_row(plan, rows)
    assert best["value"] == max(row["params"]["model.layers[0].units"] for row in rows) / 100 + 0.002
    assert run(plan, directory, study) == rows  # nothing remains to do


def test_resumed_sweep_draws_the_same_values_from_its_seed(begin):
    plan, directory, study = begin(SWEEP.replace("trials: 4", "trials: 2"))
    run(plan, directory, study)
    plan, directory, study = begin()
    continued = [row["params"] for row in run(plan, directory, study)]
    (directory / JOURNAL_FILE).unlink()
    at_once = [row["params"] for row in run(*begin())]
    assert continued == at_once
    assert len({json.dumps(params) for params in at_once}) == 4


def test_different_space_under_the_same_name_is_refused(begin):
    begin()
    with pytest.raises(LayercliError, match="a different base config, space, objective or limits"):
        begin(SWEEP.replace("32", "64"))


def test_pruned_training_ends_at_its_epoch(begin):
    plan, directory, study = begin(
        SWEEP.replace("NopPruner", "{type: ThresholdPruner, lower: 0.15}") + "name: pruned\n"
    )
    rows = run(plan, directory, study)
    few = [row for row in rows if row["params"]["model.layers[0].units"] < 15]
    assert few
    assert all((row["state"], row["epochs"]) == ("pruned", 1) for row in few)
    assert {row["state"] for row in rows if row not in few} == {"complete"}


def test_failed_training_is_reported_and_counts(begin):
    def train(valid, run, epoch):
        if valid.config.model.layers[0].layer.units < 15:
            raise LayercliError(Problem(code="loss-not-finite", message="The loss became nan."))
        fake(valid, run, epoch)

    rows = run(*begin(), train)
    failed = [row for row in rows if row["state"] == "failed"]
    assert failed
    assert {row["problem"] for row in failed} == {"The loss became nan. [loss-not-finite]"}
    assert len(rows) == 4


def test_invalid_config_is_pruned_without_loading_tensorflow(iris):
    iris.with_name("s.yaml").write_text(
        "base: iris.yaml\nspace:\n  model.layers[0]: {choice: [{type: LSTM, units: 4}, Conv1D, {type: Dense, units: 4}]}\n"
        "objective: {metric: loss}\nsampler: {type: Grid, seed: 5}\ntrials: 2\n".replace(
            "Conv1D", "{type: Conv1D, filters: 2, kernel_size: 3}"
        )
    )
    code = """
import sys
from pathlib import Path
from layercli.workflows import sweep_worker
from layercli.sweep.plan import read_sweep_plan
from layercli.sweep.study import open_study
from layercli.sweep.trial_loop import run_worker
plan, warnings = read_sweep_plan("s.yaml")
assert len(warnings) == 2
study = open_study(plan, Path("."), None, heartbeat=1)
run_worker(plan, study, Path("."), sweep_worker._make_train_function(trust=False), deadline=None, patience=1)
print([trial.state.name for trial in study.trials], {"keras", "tensorflow"} & set(sys.modules))
print(study.trials[0].user_attrs["problem"])
"""
    states, problem = run_python(code, cwd=iris.parent).splitlines()
    assert states == "['PRUNED', 'PRUNED'] set()"
    assert problem.endswith("[shape-mismatch]")
    assert problem.startswith("s.yaml:3:")


def test_half_written_journal_line_is_removed(begin):
    plan, directory, study = begin()
    run(plan, directory, study)
    with (directory / JOURNAL_FILE).open("ab") as file:
        file.write(b'{"op_code": 4, "trial')
    again = open_study(plan, directory, None, heartbeat=1)
    again.set_user_attr("written", "after")
    assert len(open_study(plan, directory, None, heartbeat=1).trials) == 4
    assert open_study(plan, directory, None, heartbeat=1).user_attrs["written"] == "after"


@pytest.mark.filterwarnings(
    "ignore:Heartbeat of storage:UserWarning"
)  # Optuna expects that its own loop asks
def test_workers_agree_which_trial_is_surplus(begin):
    plan, _, study = begin()
    for _ in range(6):
        study._storage.create_new_trial(study._study_id)
    trials = study.get_trials()
    assert [is_surplus(trial, trials, plan.sweep.trial_count, None) for trial in trials] == [False] * 4 + [
        True
    ] * 2
    assert [is_surplus(trial, trials, 100, 5) for trial in trials] == [False] * 5 + [True]
    retry_trial(study, trials[2])  # a retry has the position of its first try
    trials = study.get_trials()
    assert trials[6].state.name == "WAITING"
    assert not is_surplus(trials[6], trials, plan.sweep.trial_count, None)
    assert 2 not in {trial.number for trial in list_counted_trials(trials)}


def test_tally_leaves_out_retried_surplus_and_refused_trials():
    refused = {"user_attrs": {SIZES_KEY: {EXCEEDED: [{"limit": "parameters"}]}}}
    trials = [
        create_trial(state=TrialState[state], value=0.5 if state == "COMPLETE" else None, **attributes)
        for state, attributes in [
            ("COMPLETE", {}),
            ("PRUNED", {}),
            ("FAIL", {}),  # 4 retries it
            ("FAIL", {}),
            ("WAITING", {"system_attrs": {"retry_history": [2]}}),
            ("RUNNING", {}),
            ("COMPLETE", refused),
            ("RUNNING", {"user_attrs": {SURPLUS_KEY: True}}),
        ]
    ]
    for number, trial in enumerate(trials):
        trial.number = number
    tally = tally_trials(trials)
    assert tally.finished_count == 3  # 0, 1 and 3
    assert tally.started_count == 5  # and 4, 5
    assert tally.has_waiting
    assert tally.refused_in_a_row == 1
    assert (tally.has_room(6, None), tally.has_room(5, None)) == (True, False)
    assert (tally.has_room(6, 7), tally.has_room(6, 6)) == (True, False)  # 6 is a combination, too
    assert (tally.has_surplus(5, 6), tally.has_surplus(4, None), tally.has_surplus(5, 5)) == (
        False,
        True,
        True,
    )
    assert (tally.is_finished(3, None), tally.is_finished(4, None)) == (True, False)
    trials[4].state = trials[5].state = TrialState.FAIL
    assert tally.update(trials).finished_count == 5
    assert (tally.is_finished(6, None), tally.is_finished(6, 6)) == (False, True)
    assert [trial.number for trial in list_counted_trials(trials)] == [0, 1, 3, 4, 5, 6]
    # A refused trial does not count as a run, but as a combination.
    last = create_trial(state=TrialState.COMPLETE, value=0.5)
    last.number = 8
    assert not is_surplus(last, [*trials, last], 6, None)
    assert (is_surplus(last, [*trials, last], 6, 7), is_surplus(last, [*trials, last], 6, 6)) == (False, True)


@pytest.mark.filterwarnings(
    "ignore:Heartbeat of storage:UserWarning"
)  # Optuna expects that its own loop asks
def test_trial_without_an_owner_is_retried_after_a_while(begin):
    _, _, study = begin()
    study.ask()
    overlooked = StaleTrials(0.1)
    overlooked.retry_silent(study, study.get_trials())
    assert [trial.state.name for trial in study.trials] == ["RUNNING"]
    time.sleep(0.15)
    overlooked.retry_silent(study, study.get_trials())
    assert [trial.state.name for trial in study.trials] == ["FAIL", "WAITING"]


WORKER = """
import sys, time
from pathlib import Path
from layercli.sweep.plan import read_sweep_plan
from layercli.sweep.study import open_study
from layercli.sweep.trial_loop import run_worker
plan, _ = read_sweep_plan("s.yaml")
study = open_study(plan, Path("."), None, heartbeat=1)
def train(valid, run, epoch):
    print("training", flush=True)
    time.sleep(600)
run_worker(plan, study, Path("."), train, deadline=None, patience=60)
"""


def test_trial_of_a_killed_worker_is_retried_with_its_values(begin):
    plan, directory, study = begin()
    worker = subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE, cwd=directory)
    assert worker.stdout.readline() == b"training\n"
    others = threading.Thread(
        target=run, args=(plan, directory, open_study(plan, directory, None, heartbeat=1))
    )
    others.start()
    while tally_trials(study.get_trials()).finished_count < 3:
        time.sleep(0.05)
    time.sleep(0.5)  # the others can only wait for it
    assert others.is_alive()
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    others.join(HANG_SECONDS)
    trials = study.get_trials()
    assert [trial.state.name for trial in trials] == ["FAIL", *["COMPLETE"] * 4]
    assert trials[4].params == trials[0].params
    assert PROBLEM_KEY not in trials[0].user_attrs
    assert [row["number"] for row in list_trial_rows(plan, trials)] == [1, 2, 3, 4]


def test_unreachable_database_is_a_problem(begin):
    plan, directory, _ = begin()
    with pytest.raises(LayercliError) as error:
        open_study(plan, directory, "postgresql://nobody@127.0.0.1:1/nothing", heartbeat=1)
    (problem,) = error.value.problems
    assert problem.code == "sweep-storage"
    assert "Connection refused" in problem.message  # the first line of the driver's error
    assert problem.hint == "Check the address, and that the database runs and accepts its user."
    assert "\n" not in problem.message


@pytest.mark.parametrize("storage", ["x", "nothing://host/database"])
def test_wrong_address_of_a_database_has_an_example(begin, storage):
    plan, directory, _ = begin()
    with pytest.raises(LayercliError) as error:
        open_study(plan, directory, storage, heartbeat=1)
    assert error.value.problems[0].hint == "For example `--storage postgresql://user:password@host/database`."


def test_journal_with_broken_values_says_what_to_restore(begin):
    plan, directory, _ = begin()
    journal = directory / "journal.jsonl"
    journal.write_text(
        journal.read_text().replace('"user_attr":{"identity":', '"user_attr":{"identity":'[:-1] + ', "x":')
    )
    with pytest.raises(LayercliError) as error:
        open_study(plan, directory, None, heartbeat=1)
    (problem,) = error.value.problems
    assert problem.message.endswith("journal.jsonl cannot be used: it has a value that no sweep writes.")
    assert problem.hint == "Restore it from a copy, or choose a different `name:` to start a new sweep."


def test_sparse_journal_is_refused_before_it_is_read(begin):
    plan, directory, _ = begin()
    os.truncate(directory / "journal.jsonl", 1 << 40)
    message = r"journal.jsonl cannot be used: it has 1,099,511,627,776 bytes; the maximum is 268,435,456"
    with pytest.raises(LayercliError, match=message):
        open_study(plan, directory, None, heartbeat=1)


GRID = """
base: iris.yaml
space:
  model.layers[0].units: {int: [4, 8], step: 2}
  model.layers[1].activation: {choice: [relu, softmax]}
objective: {metric: val_accuracy, direction: maximize}
sampler: Grid
pruner: NopPruner
trials: 100
"""


@pytest.mark.parametrize("sampler", ["Grid", "{type: BruteForce, seed: 3}"])
@pytest.mark.filterwarnings("ignore:Heartbeat of storage:UserWarning")  # as above
def test_each_combination_runs_once_although_workers_crash(begin, sampler):
    plan, directory, study = begin(GRID.replace("sampler: Grid", f"sampler: {sampler}"))
    early, late = study.ask(), study.ask()
    for name, parameter in plan.sweep.parameters.items():
        parameter.suggest_value(late, name)
    for lost in (early, late):  # one worker crashed before it drew its values, and one after
        retry_trial(study, study.get_trials()[lost.number])
    threads = [threading.Thread(target=run, args=(plan, directory, study)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_SECONDS)
    rows = list_trial_rows(plan, study.get_trials())
    assert [row["state"] for row in rows] == ["complete"] * 6
    assert len({json.dumps(row["params"]) for row in rows}) == 6


def test_journal_of_very_many_running_trials_is_refused(begin, monkeypatch):
    plan, directory, study = begin()
    for _ in range(3):
        study._storage.create_new_trial(study._study_id)
    monkeypatch.setattr(study_module, "_MAX_RUNNING_TRIALS", 3)
    open_study(plan, directory, None, heartbeat=1)
    monkeypatch.setattr(study_module, "_MAX_RUNNING_TRIALS", 2)
    with pytest.raises(
        LayercliError, match=r"journal.jsonl cannot be used: it has 3 running trials; the maximum is 2\."
    ):
        open_study(plan, directory, None, heartbeat=1)
