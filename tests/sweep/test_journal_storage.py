"""A journal keeps its complete lines whatever was half-written behind them, and knows the trials of its study."""

import os
from threading import Thread

import optuna
import pytest
from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from layercli.sweep.journal_storage import _JournalLock, open_journal
from layercli.sweep.trials import silence_optuna


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"", b""),
        (b"a\n", b"a\n"),
        (b"a\nb\n", b"a\nb\n"),
        (b"a\nb", b"a\n"),
        (b"a", b""),
        (b"a\n" + b"x" * 4094, b"a\n"),
        (b"a\n" + b"x" * 4095, b"a\n"),
        (b"a\n" + b"x" * 4096, b"a\n"),
        (b"a\n" + b"x" * 10_000, b"a\n"),
        (b"x" * 10_000, b""),
        (b"x" * 5_000 + b"\n" + b"y" * 5_000 + b"\nz", b"x" * 5_000 + b"\n" + b"y" * 5_000 + b"\n"),
    ],
)
def test_only_the_half_written_last_line_is_removed(tmp_path, content, kept):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(content)
    lock = _JournalLock(path)
    assert lock.acquire()
    lock.release()
    assert path.read_bytes() == kept


@pytest.fixture
def study(tmp_path):
    with silence_optuna():
        return optuna.create_study(storage=open_journal(tmp_path / "journal.jsonl"), study_name="s")


def start_trial(study):
    return optuna.Trial(study, study._storage.create_new_trial(study._study_id))


def count_lines(path):
    return len((path / "journal.jsonl").read_text().splitlines())


def test_held_records_are_written_together(tmp_path, study):
    trial = start_trial(study)
    before = count_lines(tmp_path)
    with study._storage.hold_records():
        units = trial.suggest_int("units", 1, 1000)
        trial.set_constraint("parameters", 0.5)
        trial.set_user_attr("key", "value")
        assert count_lines(tmp_path) == before
    assert count_lines(tmp_path) == before + 3
    with silence_optuna():
        other = optuna.load_study(storage=open_journal(tmp_path / "journal.jsonl"), study_name="s")
    (known,) = other.get_trials()
    assert known.params == {"units": units} == study.get_trials()[0].params
    assert known.user_attrs == {"key": "value"}
    assert known.constraints == {"parameters": 0.5}


def test_held_records_are_written_after_an_error(study):
    trial = start_trial(study)

    def record_and_fail():
        with study._storage.hold_records():
            trial.set_user_attr("problem", "text")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        record_and_fail()
    assert study.get_trials()[0].user_attrs == {"problem": "text"}
    trial.set_user_attr("later", 1)
    assert study.get_trials()[0].user_attrs == {"problem": "text", "later": 1}


@pytest.mark.parametrize(
    ("exceeded", "waits"), [([{"limit": "flops", "value": 2, "maximum": 1}], 0), ([], 1)]
)
def test_only_trained_trials_wait_for_the_disk(monkeypatch, study, exceeded, waits):
    calls = []
    trial = start_trial(study)
    monkeypatch.setattr(os, "fsync", calls.append)
    trial.set_user_attr("sizes", {"flops": 2, "exceeded": exceeded})
    study._storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.PRUNED)
    assert len(calls) == waits


def test_trial_can_be_finished_by_another_thread_than_its_own(tmp_path, study):
    trial = start_trial(study)
    storage = study._storage
    storage.record_heartbeat(trial._trial_id)
    [lock] = tmp_path.rglob(f"{trial._trial_id}.lock")
    finish = Thread(
        target=storage.set_trial_state_values, args=(trial._trial_id, optuna.trial.TrialState.COMPLETE, [1.0])
    )
    finish.start()
    finish.join()
    assert not lock.exists()
    other = FileLock(lock, timeout=0)
    other.acquire()  # the lock is free
    other.release()


def test_trials_equal_those_of_an_ordinary_journal(tmp_path, study):
    states = optuna.trial.TrialState
    ordinary = JournalStorage(JournalFileBackend(str(tmp_path / "journal.jsonl")))

    def assert_equal_trials():
        for chosen in (
            None,
            (states.RUNNING,),
            (states.WAITING,),
            (states.PRUNED,),
            (states.RUNNING, states.FAIL),
        ):
            own = study._storage.get_all_trials(study._study_id, deepcopy=False, states=chosen)
            assert own == ordinary.get_all_trials(study._study_id, states=chosen), chosen

    assert_equal_trials()
    first, second = start_trial(study), start_trial(study)
    first.suggest_int("units", 1, 9)
    assert_equal_trials()
    second.set_user_attr("key", 1)
    study._storage.set_trial_state_values(first._trial_id, states.PRUNED)
    assert_equal_trials()
    ordinary.set_trial_user_attr(second._trial_id, "key", 2)  # another worker
    study.enqueue_trial({"units": 3})
    ordinary.set_trial_state_values(second._trial_id, states.FAIL)
    assert_equal_trials()
    assert [trial.state.name for trial in study.get_trials()] == ["PRUNED", "FAIL", "WAITING"]
    with pytest.raises(KeyError):
        study._storage.get_all_trials(study._study_id + 1)


def test_changes_to_returned_trials_stay_outside_the_storage(study):
    start_trial(study)
    study.get_trials(deepcopy=True)[0].user_attrs["key"] = 1
    study.get_trials(deepcopy=False).clear()
    assert [trial.user_attrs for trial in study.get_trials()] == [{}]


def test_an_ended_trial_is_read_from_the_journal_once(monkeypatch, study):
    for state in (optuna.trial.TrialState.PRUNED, optuna.trial.TrialState.RUNNING):
        study._storage.set_trial_state_values(start_trial(study)._trial_id, state)
    study.get_trials(deepcopy=False)
    read = []
    get_trial = study._storage._replay_result.get_trial
    monkeypatch.setattr(study._storage._replay_result, "get_trial", lambda x: read.append(x) or get_trial(x))
    assert len(study.get_trials(deepcopy=False)) == 2
    assert read == [1]
