"""Locks between processes."""

import fcntl
import subprocess
import sys
import threading
import time

import filelock  # noqa: F401 - before `fcntl` is hidden, which it imports
import pytest

from layercli.io.lock import hold_folder, is_locked, make_lock

HOLDER = """
import sys, time
from pathlib import Path
from layercli.io.lock import make_lock
lock = make_lock(Path(sys.argv[1]))
lock.acquire()
print("locked", flush=True)
time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock on ``file``."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "file")], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"locked\n"
    yield process
    process.kill()
    process.communicate()


def test_second_process_times_out(holder, tmp_path):  # noqa: ARG001 - it holds the lock
    path = tmp_path / "file"
    assert is_locked(path)
    with pytest.raises(TimeoutError), make_lock(path, timeout=0.05):
        pass


def test_lock_of_a_killed_process_does_not_block(holder, tmp_path):
    holder.kill()
    holder.wait()
    assert not is_locked(tmp_path / "file")
    with make_lock(tmp_path / "file", timeout=0):
        assert is_locked(tmp_path / "file")


def test_lock_is_the_flock_of_the_system(tmp_path):
    with make_lock(tmp_path / "file"), (tmp_path / "file").open("r") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / "file").open("r") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert is_locked(tmp_path / "file")


def test_absent_or_impossible_file_is_not_locked(tmp_path):
    assert not is_locked(tmp_path / "absent")
    assert not is_locked(tmp_path / "a\0b")
    assert list(tmp_path.iterdir()) == []


def test_threads_exclude_each_other(tmp_path):
    lock, running = make_lock(tmp_path / "file"), []

    def work():
        with lock:
            running.append(1)
            most.append(len(running))
            time.sleep(0.01)
            running.pop()

    most = []
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


def test_other_thread_may_release_a_shared_lock(tmp_path):
    lock = make_lock(tmp_path / "file", is_shared_by_threads=True)
    lock.acquire()
    thread = threading.Thread(target=lock.release)
    thread.start()
    thread.join()
    assert not is_locked(tmp_path / "file")


def test_lock_without_fcntl(tmp_path, monkeypatch):
    """Windows has no such module."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    path = tmp_path / "file"
    assert not is_locked(path)
    assert list(tmp_path.iterdir()) == []
    with make_lock(path):
        assert is_locked(path)
    path.touch()
    assert not is_locked(path)
    with hold_folder(tmp_path) as become_only_user:
        assert become_only_user() is False
