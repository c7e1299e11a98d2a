"""Offsets of a text as positions of the protocol, in lines and UTF-16 units."""

import pytest

from layercli.language_server.positions import ProtocolIndex, count_units

TEXT = "a: é\r\nb: 🎉x\nc\r\r\n"
"""Lines end as in the protocol: with both characters, one of them, or none."""


@pytest.mark.parametrize(
    ("offset", "line", "character"),
    [
        (0, 0, 0),
        (4, 0, 4),
        (5, 0, 5),
        (6, 1, 0),
        (9, 1, 3),
        (10, 1, 5),  # a surrogate pair
        (11, 1, 6),
        (12, 2, 0),
        (13, 2, 1),
        (14, 3, 0),
        (16, 4, 0),
    ],
)
def test_position_of_an_offset(offset, line, character):
    assert ProtocolIndex(TEXT).position_at(offset) == {"line": line, "character": character}


@pytest.mark.parametrize(
    ("line", "character", "offset"),
    [
        (0, 0, 0),
        (0, 4, 4),
        (0, 99, 4),
        (0, -1, 0),
        (1, 3, 9),
        (1, 4, 10),  # within the pair
        (1, 5, 10),
        (1, 6, 11),
        (1, 7, 11),
        (2, 9, 13),
        (3, 1, 14),
        (4, 0, 16),
        (5, 0, 16),
        (-1, 0, 0),
        (None, 0, 0),
        (1, "3", 0),
    ],
)
def test_offset_of_a_position(line, character, offset):
    assert ProtocolIndex(TEXT).offset_at({"line": line, "character": character}) == offset


def test_plain_text_is_counted_in_characters():
    index = ProtocolIndex("ab\ncd")
    assert [index.offset_at({"line": 1, "character": character}) for character in (-1, 0, 1, 2, 3)] == [
        3,
        3,
        4,
        5,
        5,
    ]
    assert index.range_of(4, 1) == {"start": {"line": 1, "character": 1}, "end": {"line": 1, "character": 1}}
    assert count_units("aé\uffff🎉") == 5


@pytest.mark.parametrize(
    ("old", "new", "start", "end", "inserted"),
    [
        ("abc", "abxc", 2, 2, "x"),
        ("abc", "ac", 1, 2, ""),
        ("aa", "aaa", 2, 2, "a"),
        ("aaa", "aa", 2, 3, ""),
        ("abc", "abc", 3, 3, ""),
        ("", "ab", 0, 0, "ab"),
        ("abc", "xyz", 0, 3, "xyz"),
        ("abcd", "abXd", 2, 3, "X"),
    ],
)
def test_smallest_edit_to_another_text(old, new, start, end, inserted):
    assert ProtocolIndex(old).edit_to(new) == {
        "range": {"start": {"line": 0, "character": start}, "end": {"line": 0, "character": end}},
        "newText": inserted,
    }


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"text": "x"}, "x"),
        ({"text": 3}, "ab\ncd"),
        (
            {
                "range": {"start": {"line": 0, "character": 1}, "end": {"line": 1, "character": 1}},
                "text": "-",
            },
            "a-d",
        ),
        (
            {
                "range": {"start": {"line": 1, "character": 1}, "end": {"line": 0, "character": 1}},
                "text": "-",
            },
            "a-d",
        ),
        ({"range": {"start": 3, "end": {"line": 0, "character": 1}}, "text": ""}, "b\ncd"),
        ({"range": [], "text": "x"}, "x"),
    ],
)
def test_change_of_a_text(change, text):
    assert ProtocolIndex("ab\ncd").apply_change(change) == text
