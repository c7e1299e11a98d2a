"""Runs of one config that several commands train at the same time."""

from contextlib import nullcontext
from dataclasses import dataclass

import pytest

from layercli.errors import LayercliError, Problem
from layercli.io.lock import hold_folder, make_lock
from layercli.reports.group_progress import GroupProgress
from layercli.runs.group_directory import GroupDirectory
from layercli.runs.seed_directory import SeedRun
from layercli.workflows import run_group
from layercli.workflows.run_group import GroupRequest, train_group


@dataclass(frozen=True)
class Group(GroupDirectory):
    """One run, which is finished when its file exists."""

    activity = "group"
    state_file = "group.json"

    def list_members(self):
        yield SeedRun(7)

    def is_finished(self, member):
        return (self.path / f"{member.seed}.done").exists()


class Pool(nullcontext):
    """Workers that train nothing while another process has the lock of the run."""

    started = 0

    def __init__(self, *_, directory, **__):
        super().__init__(self)
        Pool.started += 1
        self._group = Group(directory)

    def supervise(self, _):
        try:
            with make_lock(self._group.lock_path(SeedRun(7)), timeout=0):
                (self._group.path / "7.done").touch()
        except TimeoutError:
            pass
        return False


class Progress(GroupProgress):
    """Ends the other process at the third look."""

    def __init__(self, end_other_process):
        self._end, self._looks = end_other_process, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def show_members(self, _):
        self._looks += 1
        if self._looks == 3:
            self._end()


def make_group(path):
    path.mkdir(exist_ok=True)
    (path / Group.state_file).write_text("{}")
    return Group(path)


@pytest.mark.parametrize(("is_killed", "pools"), [(False, 1), (True, 2)])
def test_command_waits_for_a_run_of_another_process(tmp_path, monkeypatch, is_killed, pools):
    monkeypatch.setattr(run_group, "WorkerPool", Pool)
    monkeypatch.setattr(run_group, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(Pool, "started", 0)
    group = make_group(tmp_path)
    lock = make_lock(group.lock_path(SeedRun(7)))
    lock.acquire()

    def end_other_process():
        if not is_killed:
            (tmp_path / "7.done").touch()
        lock.release()

    train_group(GroupRequest("c.yaml", ()), group, {}, Progress(end_other_process))
    assert group.is_finished(SeedRun(7))
    assert Pool.started == pools


class FailingPool(Pool):
    """Workers that fail before the first run starts."""

    def supervise(self, _):
        raise LayercliError(Problem(code="bad-data", message="The data is invalid."))


@pytest.fixture
def fail_group(monkeypatch):
    """Start a group whose training fails, and return the message."""
    monkeypatch.setattr(run_group, "WorkerPool", FailingPool)
    monkeypatch.setattr(run_group, "_POLL_SECONDS", 0.0)

    def fail_group(group):
        with pytest.raises(LayercliError) as caught:
            train_group(GroupRequest("c.yaml", ()), group, {}, Progress(lambda: None))
        return str(caught.value)

    return fail_group


def test_failed_group_is_removed_unless_another_process_uses_it(tmp_path, fail_group):
    group = make_group(tmp_path / "group")
    with hold_folder(group.path):
        assert fail_group(group) == "The data is invalid."
        assert (group.path / Group.state_file).read_text() == "{}"
    assert fail_group(group) == "The data is invalid."
    assert not group.path.exists()


def test_group_that_another_process_has_removed_is_not_trained(tmp_path, fail_group):
    group = make_group(tmp_path / "group")
    (group.path / Group.state_file).unlink()
    assert "has removed the directory." in fail_group(group)
    group.path.rmdir()
    assert "has removed the directory." in fail_group(group)
