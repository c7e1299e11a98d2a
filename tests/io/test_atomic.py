"""Atomic writing: files appear complete, or not at all."""

import errno
import fcntl
import math
import os
import tempfile

import pytest

from layercli.errors import LayercliError
from layercli.io.atomic import (
    make_system_error,
    remove_partial_files,
    report_write_errors,
    stage_file,
    write_json,
    write_text,
)


def test_staged_file_appears_complete_with_default_permissions(tmp_path):
    target = tmp_path / "model.keras"
    with stage_file(target) as staging:
        staging.write_text("all")
        assert not target.exists()
        assert (staging.parent, staging.suffix) == (tmp_path, ".keras")
    plain = tmp_path / "plain"
    plain.touch()
    assert target.read_text() == "all"
    assert target.stat().st_mode == plain.stat().st_mode


def test_file_is_on_disk_before_its_renaming_and_its_folder_after(tmp_path, monkeypatch):
    synced = []

    def note(handle):
        synced.append(
            (os.fstat(handle).st_ino, {path.name: path.stat().st_ino for path in tmp_path.iterdir()})
        )

    monkeypatch.setattr(os, "fsync", note)
    write_text(tmp_path / "a.txt", "all")
    (file, before), (folder, after) = synced
    assert list(before.values()) == list(after.values()) == [file]
    assert list(before) != list(after) == ["a.txt"]
    assert folder == tmp_path.stat().st_ino


def stop_after(_, error):
    raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failed_staging_keeps_the_older_file(tmp_path, error):
    target = tmp_path / "summary.json"
    target.write_text("older")
    with pytest.raises(error), stage_file(target) as staging:
        stop_after(staging.write_text("half"), error)
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]
    assert target.read_text() == "older"


def test_json_is_indented_text_in_utf_8(tmp_path):
    write_json(tmp_path / "summary.json", {"a": {"é": [1]}})
    expected = '{\n  "a": {\n    "é": [\n      1\n    ]\n  }\n}\n'
    assert (tmp_path / "summary.json").read_bytes() == expected.encode()


def test_nan_is_refused_and_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "summary.json", {"loss": math.nan})
    assert list(tmp_path.iterdir()) == []


def test_unwritable_file_is_a_problem(tmp_path):
    target = tmp_path / "absent" / "picture.svg"
    with pytest.raises(LayercliError) as error, report_write_errors("The picture", target):
        write_text(target, "")
    (problem,) = error.value.problems
    assert (problem.code, problem.file) == ("cannot-write", str(target))
    assert problem.message == "The picture cannot be written: No such file or directory."


def test_only_files_that_no_process_writes_are_removed(tmp_path):
    abandoned = tmp_path / ".partial-abcd_123.csv"
    abandoned.write_text("half")
    with stage_file(tmp_path / "all.csv") as staging:
        staging.write_text("all")
        remove_partial_files(tmp_path)
        assert not abandoned.exists()
    assert (tmp_path / "all.csv").read_text() == "all"


def test_partial_file_on_nfs_is_removed(tmp_path, monkeypatch):
    def lock(handle, operation):
        """Lock as NFS does, which refuses an exclusive lock on a file that is not open for writing."""
        is_writable = fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
        if operation & fcntl.LOCK_EX and not is_writable:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(handle, operation)

    flock = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", lock)
    (tmp_path / ".partial-abcd_123.csv").write_text("half")
    remove_partial_files(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_file_that_is_removed_before_it_is_locked_is_created_again(tmp_path, monkeypatch):
    created = []

    def create(**options):
        handle, name = mkstemp(**options)
        created.append(name)
        if len(created) == 1:
            remove_partial_files(tmp_path)
        return handle, name

    mkstemp = tempfile.mkstemp
    monkeypatch.setattr(tempfile, "mkstemp", create)
    write_text(tmp_path / "all.csv", "all")
    assert len(created) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["all.csv"]
    assert (tmp_path / "all.csv").read_text() == "all"


def test_errors_of_the_operating_system_are_problems():
    full = make_system_error(OSError(errno.ENOSPC, "No space left on device", "/data/a")).problems[0]
    assert (full.code, full.file) == ("cannot-write", "/data/a")
    assert full.message == "The operating system reports: No space left on device."
    closed = make_system_error(OSError(errno.EACCES, "Permission denied")).problems[0]
    assert (closed.code, closed.file) == ("unreadable-file", None)
    assert make_system_error(OSError()).problems[0].message == "The operating system reports: OSError."
