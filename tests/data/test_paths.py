"""Paths of data files that are not regular files."""

import os

import pytest

from tests.formats.helpers import refusal


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_pipe_or_folder_is_not_a_file(place):
    (place / "folder.npz").mkdir()
    os.mkfifo(place / "pipe.csv")
    assert (
        refusal(type="npz", path="folder.npz", target="y", features="x")[1]
        == "folder.npz is a folder, not a file."
    )
    assert refusal(type="csv", path="pipe.csv", target="y")[1] == "pipe.csv is not a regular file."
    assert refusal(type="csv", path="*.none", target="y")[1] == "No file matches *.none."
