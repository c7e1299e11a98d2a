"""Patterns of data files visit a bounded number of entries and follow no links."""

import pytest

from layercli.data import paths
from layercli.data.types import DataError

KEY = ("data", "path")


def test_links_to_folders_are_not_searched(tmp_path):
    (tmp_path / "a.csv").write_text("x\n")
    for name in ("one", "two"):
        (tmp_path / name).symlink_to(tmp_path)
    with pytest.raises(DataError, match="No file matches"):
        paths.expand_paths([f"{tmp_path}/*/*/*/*.csv"], KEY)
    assert paths.expand_paths([f"{tmp_path}/*.csv"], KEY) == [tmp_path / "a.csv"]


def test_message_about_a_long_pattern_is_short():
    for name in ("a*" * 10_000, "b" * 20_000):
        with pytest.raises(DataError) as caught:
            paths.expand_paths([name], KEY)
        assert len(caught.value.findings[0].message) < 600


def test_two_stars_that_match_nothing_have_their_own_hint(tmp_path):
    (tmp_path / "a.csv").write_text("x\n")
    with pytest.raises(DataError) as caught:
        paths.expand_paths([f"{tmp_path}/**/*.csv"], KEY)
    assert caught.value.findings[0].hint == "Write one `*` for each level of folders; `**` matches only one."


def test_too_many_entries_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "_MAX_VISITS", 3)
    for number in range(4):
        (tmp_path / f"{number}.csv").write_text("x\n")
    with pytest.raises(DataError, match="visits more than 3 files"):
        paths.expand_paths([f"{tmp_path}/*.csv"], KEY)
