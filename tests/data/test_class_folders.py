"""Folders without classes."""

import pytest

from tests.formats.helpers import refusal


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", ["images", "text"])
def test_folder_without_classes(place, kind):
    assert refusal(type=kind, path="none")[1] == "none is not a folder."
    (place / "empty" / "a").mkdir(parents=True)
    assert refusal(type=kind, path="empty")[1].startswith("empty contains no folders with files that end in ")
