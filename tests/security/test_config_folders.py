"""Folders of configs that are made to hang ``validate``, to crash it, or to lead it elsewhere."""

import inspect
import os
import sys

import pytest

from layercli.errors import LayercliError
from layercli.workflows import config_files
from layercli.workflows.config_files import find_configs

CONFIG = "model: {input: [4], layers: [Flatten]}\n"


def test_folders_nested_deeper_than_the_stack_are_searched(tmp_path):
    config = tmp_path.joinpath(*"a" * 200, "c.yaml")
    config.parent.mkdir(parents=True)
    config.write_text(CONFIG)
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 150)
    try:
        files, skipped, problems = find_configs([str(tmp_path)])
    finally:
        sys.setrecursionlimit(usual)
    assert (files, skipped, problems) == ([str(config)], 0, [])


def test_links_that_leave_the_folder_are_not_read(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "own.yaml").write_text(CONFIG)
    (folder / "same.yaml").symlink_to("own.yaml")
    (tmp_path / "other.yaml").write_text(CONFIG)
    (folder / "other.yaml").symlink_to(tmp_path / "other.yaml")
    (folder / "loop").symlink_to(".")
    (folder / "root").symlink_to("/")
    files, _, _ = find_configs([str(folder)])
    assert files == [str(folder / "own.yaml"), str(folder / "same.yaml")]


def test_pipes_and_folders_named_as_configs_are_skipped(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "folder.yaml" / "c.yml").write_text(CONFIG)
    assert find_configs([str(tmp_path)])[0] == [str(tmp_path / "folder.yaml" / "c.yml")]


def test_too_many_entries_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(config_files, "MAX_ENTRIES", 3)
    for name in ("a", "b", "c"):
        (tmp_path / name).touch()
    assert find_configs([str(tmp_path)])[0] == []
    (tmp_path / "d").touch()
    with pytest.raises(LayercliError, match="contains more than 3 files and folders"):
        find_configs([str(tmp_path)])
