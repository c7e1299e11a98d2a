"""Rows of trials that are built by hand: values, epochs, states and seconds."""

import errno
from datetime import datetime, timedelta
from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState

from layercli.errors import LayercliError
from layercli.sweep import results
from layercli.sweep.plan import read_sweep_plan
from layercli.sweep.results import find_best_row, list_trial_rows, summarize_sweep, write_results

SWEEP = """
base: iris.yaml
space:
  model.layers[0].units: {int: [4, 32]}
  model.layers[1].activation: {choice: [relu, softmax]}
objective: {metric: val_accuracy, direction: %s}
trials: 4
name: swept
"""
START = datetime(2026, 1, 2, 3, 4, 5)


@pytest.fixture
def plan(iris):
    def plan(direction="maximize"):
        file = iris.with_name("s.yaml")
        file.write_text(SWEEP % direction)
        return read_sweep_plan(str(file))[0]

    return plan


def make_trial(state, values=(), *, value=None, seconds=None, number=0, **attributes):
    return optuna.trial.FrozenTrial(
        number=number,
        state=state,
        value=value,
        datetime_start=START,
        datetime_complete=None if seconds is None else START + timedelta(seconds=seconds),
        params={},
        distributions={},
        user_attrs=attributes,
        system_attrs={},
        intermediate_values=dict(enumerate(values, start=1)),
        trial_id=number,
    )


@pytest.mark.parametrize(
    ("direction", "state", "values", "value", "shown"),
    [
        ("maximize", TrialState.PRUNED, [0.5, 0.8, 0.6], 0.6, 0.8),  # its best epoch, not Optuna's last one
        ("minimize", TrialState.PRUNED, [0.5, 0.4, 0.6], 0.6, 0.4),
        ("maximize", TrialState.PRUNED, [], None, None),
        ("maximize", TrialState.RUNNING, [0.5, 0.3], None, 0.5),
        ("minimize", TrialState.RUNNING, [0.5, 0.3], None, 0.3),
        ("minimize", TrialState.FAIL, [0.5], None, 0.5),
        ("maximize", TrialState.WAITING, [], None, None),
        ("maximize", TrialState.COMPLETE, [0.5, 0.9], 0.75, 0.75),
        ("minimize", TrialState.COMPLETE, [0.5, 0.9], 0.75, 0.75),
    ],
)
def test_value_of_a_trial_by_state_and_direction(plan, direction, state, values, value, shown):
    is_ended = state not in (TrialState.RUNNING, TrialState.WAITING)
    trial = make_trial(state, values, value=value, seconds=1.5 if is_ended else None)
    (row,) = list_trial_rows(plan(direction), [trial])
    assert (row["value"], row["epochs"]) == (shown, len(values))
    assert row["seconds"] == (1.5 if is_ended else None)


def test_row_names_state_run_problem_and_best_epoch(plan):
    trials = [
        make_trial(TrialState.PRUNED, number=0, problem="bad shape"),
        make_trial(TrialState.FAIL, number=1, run="swept/1", problem="The loss became nan."),
        make_trial(TrialState.COMPLETE, number=2, value=0.5, run="swept/2", epoch=7, seconds=2.34567),
        make_trial(TrialState.RUNNING, number=3),
        make_trial(TrialState.WAITING, number=4),
        make_trial(TrialState.FAIL, number=5, surplus=True),
    ]
    keys = ("number", "state", "run", "problem", "best_epoch", "seconds")
    assert [tuple(row[key] for key in keys) for row in list_trial_rows(plan(), trials)] == [
        (0, "pruned", None, "bad shape", None, None),
        (1, "failed", "swept/1", "The loss became nan.", None, None),
        (2, "complete", "swept/2", None, 7, 2.346),
        (3, "running", None, None, None, None),
        (4, "waiting", None, None, None, None),
    ]


@pytest.mark.parametrize(("direction", "number"), [("maximize", 1), ("minimize", 2)])
def test_best_row_is_the_best_complete_trial(plan, direction, number):
    trials = [
        make_trial(TrialState.PRUNED, [0.99, 0.01], number=0, value=0.01),
        make_trial(TrialState.COMPLETE, number=1, value=0.8),
        make_trial(TrialState.COMPLETE, number=2, value=0.3),
        make_trial(TrialState.COMPLETE, number=3, value=0.5),
    ]
    found = plan(direction)
    assert find_best_row(found, list_trial_rows(found, trials))["number"] == number
    assert find_best_row(found, list_trial_rows(found, trials[:1])) is None


def test_sweep_without_a_complete_trial_reports_the_last_problem(plan, tmp_path):
    study = optuna.create_study()
    for problem in ("first", "second"):
        study.add_trial(optuna.trial.create_trial(state=TrialState.FAIL, user_attrs={"problem": problem}))
    study.add_trial(optuna.trial.create_trial(state=TrialState.FAIL))
    with pytest.raises(LayercliError) as caught:
        summarize_sweep(plan(), study, tmp_path)
    (problem,) = caught.value.problems
    assert (problem.code, problem.line) == ("no-trial", 3)
    assert problem.message == "None of the 3 trials is complete. The last problem: second"


def complete_trial(plan, **attributes):
    """A study with one complete trial."""
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial({"model.layers[0].units": 8, "model.layers[1].activation": "softmax"})
    trial = study.ask()
    for name, parameter in plan.sweep.parameters.items():
        parameter.suggest_value(trial, name)
    for name, value in attributes.items():
        trial.set_user_attr(name, value)
    study.tell(trial, 0.5)
    return study


@pytest.mark.parametrize("run", ["runs/swept/1", "elsewhere/first"])
def test_run_on_another_machine_has_no_test_scores(plan, tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    opened = plan()
    summary = summarize_sweep(opened, complete_trial(opened, run=run), tmp_path)
    assert summary["best"]["run"] == run


@pytest.mark.parametrize("run", ["private", {"a": 1}, "\0"])
def test_journal_cannot_name_a_run_elsewhere(tmp_path, monkeypatch, run):
    monkeypatch.setattr(results, "is_run", lambda _: True)
    monkeypatch.setattr(results, "read_run", lambda path: SimpleNamespace(test={"run": path.name}))
    sweep = tmp_path / "sweep"
    named = str(tmp_path / run) if isinstance(run, str) else run
    assert results._read_test_scores(named, sweep) == {}
    assert results._read_test_scores(str(sweep / "1"), sweep) == {"run": "1"}


def test_full_disk_at_the_end_of_a_sweep_is_a_problem(plan, tmp_path, monkeypatch):
    def write(path, text):
        raise OSError(errno.ENOSPC, "No space left on device", path, text)

    monkeypatch.setattr(results, "write_text", write)
    opened = plan()
    study = complete_trial(opened)
    with pytest.raises(
        LayercliError, match="The result of the sweep cannot be written: No space left on device"
    ):
        write_results(opened, study, tmp_path, 0)
