"""Offsets, lines and columns of a text, counted by hand."""

from pathlib import Path

import pytest

from layercli.source.load import parse_yaml
from layercli.source.nodes import SourceText
from layercli.source.text_index import TextIndex

TEXT = "ab\ncd  \r\n\nef"
"""Its lines start at 0, 3, 9 and 10; it has 12 characters."""


@pytest.mark.parametrize(
    ("line", "column", "offset"),
    [(1, 1, 0), (1, 2, 1), (2, 1, 3), (2, 3, 5), (4, 2, 11), (4, 9, 12), (5, 1, 12), (0, 0, 0), (1, 9, 3)],
)
def test_offset_of_a_line_and_column(line, column, offset):
    assert TextIndex(TEXT).offset_of(line, column) == offset


@pytest.mark.parametrize(
    ("offset", "position"),
    [(0, (1, 1)), (2, (1, 3)), (3, (2, 1)), (9, (3, 1)), (10, (4, 1)), (12, (4, 3))],
)
def test_line_and_column_of_an_offset(offset, position):
    assert TextIndex(TEXT).yaml_position(offset) == position


def test_end_of_a_line_is_before_its_spaces():
    index = TextIndex(TEXT)
    assert [index.line_end(line) for line in range(1, 6)] == [2, 5, 9, 12, 12]


def test_byte_order_mark_is_before_the_first_column():
    index = TextIndex("\ufeffab\ncd")
    assert [index.offset_of(1, 1), index.offset_of(1, 2), index.offset_of(2, 1)] == [1, 2, 4]
    assert [index.yaml_position(offset) for offset in (0, 1, 4)] == [(1, 1), (1, 1), (2, 1)]


@pytest.mark.parametrize(
    ("text", "path", "written"),
    [
        ("a: 1  # why\nb: 2\n", ("a",), "1"),
        ("a: {x: 1, y: [2, 3] }  # why\n", ("a",), "{x: 1, y: [2, 3] }"),
        ("a: {x: 1, y: [2, 3] }\n", ("a", "y"), "[2, 3]"),
        ("a:\n  x: 1\n  y: 2  # why\n\n# end\nb: 3\n", ("a",), "x: 1\n  y: 2"),
        ("a:\n  - x\n  - y: [1]\n# end\n", ("a",), "- x\n  - y: [1]"),
        ("a: 'it''s'\nb: 3\n", ("a",), "'it''s'"),
        ("a:\nb: 3\n", ("a",), ""),
        ("a: &one {x: 1}\nb:\n  c: *one\n", ("a",), "&one {x: 1}"),
    ],
)
def test_span_of_a_node_has_no_comment_after_it(text, path, written):
    tree = parse_yaml(SourceText("c.yaml", text.split("\n"), Path()))
    start, end = TextIndex(text).node_span(tree.find(path))
    assert text[start:end] == written
