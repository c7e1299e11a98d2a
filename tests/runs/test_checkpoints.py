"""Checkpoint files: a complete checkpoint exists, even if a write or removal is interrupted."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

from layercli.runs import checkpoints as module
from layercli.runs.checkpoints import CheckpointDirectory


class Killed(BaseException):
    pass


class Disk:
    """Count every file operation; after ``last`` operations, the simulated process is dead."""

    def __init__(self, monkeypatch, last):
        self.done = 0
        self.last = last
        for owner, name in (
            (tempfile, "mkdtemp"),
            (shutil, "rmtree"),
            (np, "savez"),
            (Path, "rename"),
            (Path, "write_text"),
            (Path, "chmod"),
            (Path, "mkdir"),
            (module, "sync_to_disk"),
        ):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, operation):
        def counted(*args, **kwargs):
            if self.done >= self.last:
                raise Killed
            self.done += 1
            return operation(*args, **kwargs)

        return counted


def save(kept, epoch):
    return kept.save(epoch, 0, {"model/0": np.full(1000, epoch)}, {"epoch": epoch})


def newest(run):
    found, damaged = CheckpointDirectory(run).read_latest()
    assert damaged == []
    assert found is not None
    assert found.epoch == found.state["epoch"]
    np.testing.assert_array_equal(found.arrays["model/0"], np.full(1000, found.epoch))
    return found.epoch


def test_state_above_the_limit_is_damaged(tmp_path, monkeypatch):
    kept = CheckpointDirectory(tmp_path)
    kept.save(1, 0, {"model/0": np.zeros(1)}, {"epoch": 1, "text": "x" * 2000})
    [state] = tmp_path.rglob("state.json")
    monkeypatch.setattr(module, "_MAX_STATE_BYTES", state.stat().st_size)
    assert kept.read_latest()[0].state["text"] == "x" * 2000
    monkeypatch.setattr(module, "_MAX_STATE_BYTES", state.stat().st_size - 1)
    found, [damaged] = kept.read_latest()
    assert found is None
    assert "the maximum is" in str(damaged)


def test_kill_during_write_leaves_complete_checkpoint(tmp_path, monkeypatch):
    kills = 0
    for last in range(100):
        run = tmp_path / str(last)
        run.mkdir()
        kept = CheckpointDirectory(run, keep=2)
        for epoch in (1, 2):
            save(kept, epoch)
        with monkeypatch.context() as patch:
            Disk(patch, last)
            try:
                save(kept, 3)
            except Killed:
                kills += 1
            else:
                break
        assert newest(run) in (2, 3)
        CheckpointDirectory(run).remove_partial()
        assert not [path for path in (run / "checkpoints").iterdir() if path.name.startswith(".")]
        save(kept, 3)
        assert newest(run) == 3
    assert kills > 10
    assert newest(run) == 3


def test_damaged_checkpoint_is_overwritten(tmp_path):
    kept = CheckpointDirectory(tmp_path, keep=3)
    save(kept, 1)
    (save(kept, 2) / "state.json").write_text("{}")
    assert kept.read_latest()[0].epoch == 1
    save(kept, 2)
    assert newest(tmp_path) == 2


@pytest.mark.parametrize("name", ["arrays.npz", "state.json", "hashes.json"])
@pytest.mark.parametrize("harm", ["cut", "flipped", "gone"])
def test_any_damage_is_detected(tmp_path, name, harm):
    kept = CheckpointDirectory(tmp_path, keep=3)
    save(kept, 1)
    file = save(kept, 2) / name
    content = file.read_bytes()
    if harm == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif harm == "flipped":
        file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    else:
        file.unlink()
    found, damaged = kept.read_latest()
    assert found.epoch == 1
    assert len(damaged) == 1
    assert damaged[0].startswith("000002-000000000 is damaged (")


def test_newest_checkpoints_are_kept(tmp_path):
    kept = CheckpointDirectory(tmp_path, keep=2)
    for epoch, step in ((0, 5), (0, 10), (1, 0), (1_000_000, 0), (1_000_000, 1)):
        kept.save(epoch, step, {"model/0": np.zeros(3)}, {})
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["1000000-000000000", "1000000-000000001"]
    assert kept.read_latest()[0].step == 1


def test_run_without_checkpoints(tmp_path):
    assert CheckpointDirectory(tmp_path).read_latest() == (None, [])


def test_removal_of_partial_checkpoints_keeps_all_others(tmp_path):
    kept = CheckpointDirectory(tmp_path, keep=2)
    kept.remove_partial()  # there is no folder yet
    save(kept, 1)
    save(kept, 2)
    folder = tmp_path / "checkpoints"
    (folder / ".partial-ab12cd_9").mkdir()
    (folder / ".partial-ab12cd_9" / "arrays.npz").touch()
    (folder / ".partial-other").mkdir()
    (folder / ".lock").touch()
    (folder / "notes").mkdir()
    kept.remove_partial()
    names = sorted(path.name for path in folder.iterdir())
    assert names == [".lock", ".partial-other", "000001-000000000", "000002-000000000", "notes"]
    assert newest(tmp_path) == 2


def test_one_checkpoint_is_kept_by_default(tmp_path):
    kept = CheckpointDirectory(tmp_path)
    for step in (1, 2):
        kept.save(3, step, {"model/0": np.zeros(1)}, {"value": step})
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["000003-000000002"]
    found, _ = kept.read_latest()
    assert (found.epoch, found.step, found.state) == (3, 2, {"value": 2})


def test_damage_is_described_by_the_changed_files(tmp_path):
    kept = CheckpointDirectory(tmp_path)
    path = save(kept, 1)
    (path / "state.json").write_text("{}")
    name = "000001-000000000 is damaged"
    assert kept.read_latest() == (None, [f"{name} (state.json changed since)"])
    (path / "arrays.npz").write_text("")
    assert kept.read_latest() == (None, [f"{name} (arrays.npz and state.json changed since)"])
    (path / "hashes.json").write_text("{}")
    assert kept.read_latest() == (None, [f"{name} (arrays.npz and state.json changed since)"])
    (path / "hashes.json").write_text("[]")
    assert kept.read_latest() == (
        None,
        [f"{name} (hashes.json does not contain the hashes of its files)"],
    )
    (path / "hashes.json").unlink()
    assert kept.read_latest() == (None, [f"{name} (hashes.json: No such file or directory)"])
