"""Files and JSON of untrusted directories."""

import os

import pytest

from layercli.io import regular
from layercli.io.regular import parse_json


def test_integers_that_no_float_can_hold_are_refused():
    longest = "9" * 300
    assert parse_json(b"[%s, 1]" % longest.encode()) == [int(longest), 1]
    assert float(longest) == 1e300
    with pytest.raises(ValueError, match="a number of 301 digits"):
        parse_json(b"[%s9]" % longest.encode())


def test_removed_file_is_not_irregular(tmp_path):
    (tmp_path / "file").touch()
    with os.scandir(tmp_path) as entries:
        [entry] = entries
    (tmp_path / "file").unlink()
    assert regular._describe_irregular_entry("file", entry) is None


def test_folder_that_is_removed_during_the_scan_is_left_out(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    names = []
    for name, _ in regular.scan_entries(tmp_path):
        names.append(name)
        if len(names) == 2:
            (tmp_path / "first").rmdir()
    assert sorted(names) == ["first", "second"]
    with pytest.raises(FileNotFoundError):
        list(regular.scan_entries(tmp_path / "absent"))


def test_values_of_a_json_text_are_counted_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(regular, "_MAX_JSON_VALUES", 3)
    regular.require_few_values(b'[1,{"a":2}]')  # a comma, a bracket and a brace
    for text in (b'[1,{"a":[]}]', b"[1,2,3,4]", b"[[[[", b"{{{{"):
        with pytest.raises(ValueError, match="it has too many values"):
            regular.require_few_values(text)
