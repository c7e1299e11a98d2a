"""Rows that are kept in a temporary file."""

import os
from collections import namedtuple
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from layercli.data import spool
from layercli.data.spool import SpooledArray
from layercli.data.types import DataError

ROWS = np.arange(30, dtype=np.int32).reshape(5, 2, 3)


class Source:
    """An array that records which rows are read, and cannot read row 4."""

    def __init__(self):
        self.reads = []

    def __len__(self):
        return len(ROWS)

    def __getitem__(self, rows):
        if 4 in rows:
            raise DataError()
        self.reads.append(rows.tolist())
        return ROWS[rows]


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Source()


def count_open_files(folder):
    """Return the number of open files in a folder; earlier tests may leave others, which close at any time."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            count += descriptor.readlink().is_relative_to(folder.resolve())
    return count


def make(source):
    return SpooledArray(source, (2, 3), np.dtype(np.int32))


def test_each_row_is_made_once(source, tmp_path):
    array = make(source)
    for rows in ([2, 0], [0, 1, 2], [], [1, 1, 2]):
        indices = np.array(rows, dtype=np.int64)
        assert np.array_equal(array[indices], ROWS[indices])
    assert source.reads == [[2, 0], [1]]
    assert (len(array), array[np.arange(0)].shape) == (5, (0, 2, 3))
    assert list((tmp_path / "cache" / "layercli").iterdir()) == []


def test_rows_that_fail_are_not_kept(source):
    array = make(source)
    for _ in range(2):
        with pytest.raises(DataError):
            array[np.array([3, 4])]
    assert array[np.array([3])].tolist() == [ROWS[3].tolist()]


def test_file_is_closed_with_the_array(source, tmp_path):
    array = make(source)
    assert count_open_files(tmp_path) == 1
    del array
    assert count_open_files(tmp_path) == 0


@pytest.mark.parametrize(("free", "is_kept"), [(4 * 120, True), (4 * 120 - 1, False)])
def test_nothing_is_kept_without_enough_disk_space(source, monkeypatch, free, is_kept):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(spool.shutil, "disk_usage", lambda _: usage(free))
    array = make(source)
    for _ in range(2):
        assert np.array_equal(array[np.array([1])], ROWS[[1]])
    assert source.reads == [[1]] * (1 if is_kept else 2)


def test_nothing_is_kept_on_a_system_without_preadv(source, monkeypatch, tmp_path):
    monkeypatch.delattr(os, "preadv")
    array = make(source)
    assert count_open_files(tmp_path) == 0
    for _ in range(2):
        assert np.array_equal(array[np.array([1])], ROWS[[1]])
    assert source.reads == [[1], [1]]


def test_a_full_disk_is_ignored(source, monkeypatch):
    def fail(*_):
        raise OSError("full")

    array = make(source)
    monkeypatch.setattr(os, "pwrite", fail)
    for _ in range(2):
        assert np.array_equal(array[np.array([1])], ROWS[[1]])
    assert source.reads == [[1], [1]]


def test_a_folder_that_cannot_be_written_is_ignored(source, tmp_path):
    (tmp_path / "cache").write_text("")
    array = make(source)
    assert np.array_equal(array[np.array([1, 0])], ROWS[[1, 0]])
