"""Edits of a config's text change the named lines and no others."""

from pathlib import Path

import pytest

from layercli.source.load import parse_yaml
from layercli.source.nodes import SourceText
from layercli.source.text_edits import find_entry_lines, insert_entry, remove_key, replace_entries, set_key
from layercli.source.text_index import TextIndex


def edit_text(function, text, *arguments):
    lines = text.replace("\r\n", "\n").split("\n")
    return function(TextIndex(text), parse_yaml(SourceText("c.yaml", lines, Path())), *arguments)


@pytest.mark.parametrize(
    ("text", "path", "key", "expected"),
    [
        ("a: {x: 1}\n", ("a",), "x", "a: {x: 9}\n"),
        ("a: {x: 1}\n", ("a",), "y", "a: {x: 1, y: 9}\n"),
        ("a: &one {x: 1}\n", ("a",), "y", "a: &one {x: 1, y: 9}\n"),
        ("a: {x: 1, }\n", ("a",), "y", "a: {x: 1, y: 9, }\n"),
        ("a: {x: 1  # why\n  }\n", ("a",), "y", "a: {x: 1, y: 9  # why\n  }\n"),
        ("a:\n  x: 1  # why\nb: 2\n", ("a",), "x", "a:\n  x: 9  # why\nb: 2\n"),
        ("a:\n  x: 1  # why\nb: 2\n", ("a",), "y", "a:\n  x: 1  # why\n  y: 9\nb: 2\n"),
        ("a:\r\n  x: 1\r\nb: 2\r\n", ("a",), "y", "a:\r\n  x: 1\r\n  y: 9\r\nb: 2\r\n"),
        ("a:\n  x:\n    z: 1\nb: 2\n", ("a",), "x", "a:\n  x: 9\nb: 2\n"),
        ("a:\n  x:\n  y: 2\n", ("a",), "x", "a:\n  x: 9\n  y: 2\n"),
        ("a: Adam  # why\n", ("a",), "x", "a: {type: Adam, x: 9}  # why\n"),
        ("a: 1\n", (), "b", "a: 1\nb: 9\n"),
        ("a: {}\n", ("a",), "x", None),
        ("a: [1]\n", ("a",), "x", None),
        ("a: 1\n", ("b",), "x", None),
    ],
)
def test_key_is_set(text, path, key, expected):
    assert edit_text(set_key, text, path, key, "9") == expected


@pytest.mark.parametrize(
    ("text", "path", "key", "expected"),
    [
        ("a: {x: 1, y: 2}\n", ("a",), "x", "a: {y: 2}\n"),
        ("a: {x: 1, y: 2}\n", ("a",), "y", "a: {x: 1}\n"),
        ("a: {x: 1}\n", ("a",), "x", "a: {}\n"),
        ("a:\n  x: 1\n  y: 2\n", ("a",), "x", "a:\n  y: 2\n"),
        ("a:\n  x:\n    - 1\n    - 2\n  y: 2\n", ("a",), "x", "a:\n  y: 2\n"),
        ("a:\n  x:\n  y: 2\n", ("a",), "x", "a:\n  y: 2\n"),
        ("a:\n  - x: 1\n    y: 2\n", ("a", 0), "x", None),  # it has the dash
        ("a:\n  - x: 1\n    y: 2\n", ("a", 0), "y", "a:\n  - x: 1\n"),
        ("a: {x: 1}\n", ("a",), "z", None),
        ("a: 1\n", ("b",), "x", None),
    ],
)
def test_key_is_removed(text, path, key, expected):
    assert edit_text(remove_key, text, path, key) == expected


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("a:\n  - x\n  - y\n", ("a", 1), "a:\n  - x\n  - new\n  - y\n"),
        ("a:\r\n- x\r\n", ("a", 0), "a:\r\n- new\r\n- x\r\n"),
        ("a: [x, y]\n", ("a", 1), "a: [x, new, y]\n"),
        ("a: [x]\n", ("a", 1), None),
    ],
)
def test_entry_is_inserted(text, path, expected):
    assert edit_text(insert_entry, text, path, "new") == expected


BLOCK = "a:\n  - x  # one\n  - {y: 1}\n  - z: 1\n    w: 2\nb: 3\n"


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (0, 0, "a:\n  - p\n  - q\n  - {y: 1}\n  - z: 1\n    w: 2\nb: 3\n"),
        (1, 2, "a:\n  - x  # one\n  - p\n  - q\nb: 3\n"),
        (0, 2, "a:\n  - p\n  - q\nb: 3\n"),
        (2, 3, None),
    ],
)
def test_entries_are_replaced(first, last, expected):
    assert edit_text(replace_entries, BLOCK, ("a",), first, last, ["p", "q"]) == expected


def test_lines_of_entries():
    assert edit_text(find_entry_lines, BLOCK, ("a",), 1, 2) == (16, 44, "  ")
    assert edit_text(find_entry_lines, "a: [x, y]\n", ("a",), 0, 1) is None
