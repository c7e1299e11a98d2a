"""Nodes have positions, and displayed values are sanitized."""

from pathlib import Path, PurePosixPath

import pytest

from layercli.source.load import parse_yaml
from layercli.source.nodes import (
    Mark,
    SourceText,
    YamlNode,
    describe_position,
    format_path,
    measure_nodes,
    problem_at,
    problem_in,
    quote_value,
    sanitize_text,
)


def read(text):
    return parse_yaml(SourceText("c.yaml", text.split("\n"), Path()))


def place(mark):
    return mark.line, mark.column


CONFIG = """\
name: x
model:
  layers:
    - Flatten
    - {type: Dense, units: 10}
    - type: Dropout
      rate: 0.5
"""


@pytest.mark.parametrize(
    ("path", "at"),
    [
        (("name",), (1, 7)),
        (("model", "layers", 0), (4, 7)),
        (("model", "layers", 1), (5, 7)),
        (("model", "layers", 1, "units"), (5, 28)),
        (("model", "layers", 2), (6, 7)),
        (("model", "layers", 2, "rate"), (7, 13)),
        (("model", "layers", -1, "rate"), (7, 13)),
    ],
)
def test_a_path_is_located_at_its_value(path, at):
    assert place(read(CONFIG).find_mark(path)) == at


@pytest.mark.parametrize(("path", "at"), [(("model",), (2, 1)), (("model", "layers"), (3, 3))])
def test_nested_block_is_located_at_its_key(path, at):
    assert place(read(CONFIG).find_mark(path)) == at


@pytest.mark.parametrize(
    ("path", "at"), [(("model", "layers", 1, "units"), (5, 21)), (("model", "layers", 2, "rate"), (7, 7))]
)
def test_a_key_can_be_located_itself(path, at):
    assert place(read(CONFIG).find_mark(path, key=True)) == at


@pytest.mark.parametrize(
    ("path", "at"),
    [
        (("model", "layers", 1, "activation"), (5, 7)),
        (("model", "layers", 9), (3, 3)),
        (("model", "input"), (2, 1)),
        (("train", "loss"), (1, 1)),
        (("name", "deeper", 3), (1, 7)),
    ],
)
def test_missing_path_is_located_at_its_nearest_parent(path, at):
    assert place(read(CONFIG).find_mark(path)) == at
    assert read(CONFIG).find(path) is None


def test_find_gives_the_node_at_a_path():
    assert read(CONFIG).find(("model", "layers", 1)).to_plain() == {"type": "Dense", "units": 10}


def test_an_excerpt_is_the_line_as_written():
    mark = read(CONFIG).find_mark(("model", "layers", 1, "units"))
    assert mark.excerpt == "    - {type: Dense, units: 10}"
    assert mark.excerpt[mark.column - 1 :] == "10}"


def test_a_mark_outside_the_text_has_no_excerpt():
    assert read("").find_mark(()).excerpt == ""
    assert parse_yaml(SourceText("empty", [], Path())).mark.excerpt is None


def test_columns_count_characters_and_not_bytes():
    mark = read("'ééé😀': {a: 1}").find_mark(("ééé😀", "a"))
    assert place(mark) == (1, 13)
    assert mark.excerpt[mark.column - 1] == "1"


def test_a_tab_counts_as_one_column():
    assert place(read("a:\t1").find_mark(("a",))) == (1, 4)


def test_an_alias_is_located_where_its_value_was_written():
    root = read("base: &b {rate: 7}\nuse: *b")
    assert place(root.find_mark(("use", "rate"))) == (1, 17)
    assert root.to_plain()["use"] == {"rate": 7}


def test_a_merged_key_is_located_where_it_was_written():
    root = read("base: &b\n  rate: 7\n  x: 1\nuse:\n  <<: *b\n  x: 2")
    assert root.to_plain()["use"] == {"rate": 7, "x": 2}
    assert place(root.find_mark(("use", "rate"))) == (2, 9)
    assert place(root.find_mark(("use", "x"), key=True)) == (6, 3)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("model", "layers", 3, "units"), "model.layers[3].units"),
        (("a b", "c"), '["a b"].c'),
        (("a", "x.y"), 'a["x.y"]'),
        (("a", "\x1b[31m"), 'a["\N{REPLACEMENT CHARACTER}[31m"]'),
    ],
)
def test_a_path_is_shown_as_yaml_paths_are(path, text):
    assert format_path(path) == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (3, "3"),
        (0.5, "0.5"),
        (float("nan"), ".nan"),
        (float("inf"), ".inf"),
        (float("-inf"), "-.inf"),
        (999_999_999_999_999, "999999999999999"),
        (10**15, "an integer of 16 digits"),
        (-(10**15), "an integer of 16 digits"),
        ("relu", '"relu"'),
        ("x" * 60, '"' + "x" * 60 + '"'),
        ("x" * 61, '"' + "x" * 59 + '…"'),
        (PurePosixPath("x" * 60), "x" * 60),
        (PurePosixPath("x" * 61), "x" * 59 + "…"),
        ({"a": 1}, "a mapping"),
        ([1, "a", None], '[1, "a", null]'),
        ([1] * 9, "[1, 1, 1, 1, 1, 1, 1, 1, …]"),
        ([[1, 2], []], "[[…], []]"),
    ],
)
def test_quote_value(value, shown):
    assert quote_value(value) == shown


@pytest.mark.parametrize(
    "character",
    [
        *"\x00\x07\x08\x0b\x1b\x7f\x9b\u061c\u200b\u200e\u200f\u2028\u202e\u2060\u2066\u2069\ufeff",
        "\ud800",
        "\U000e0041",
    ],
)
def test_control_characters_are_replaced(character):
    assert sanitize_text(f"a{character}b") == "a\N{REPLACEMENT CHARACTER}b"


def test_other_scripts_emoji_and_brackets_stay():
    assert sanitize_text("[/foo] çığ 日本 😀") == "[/foo] çığ 日本 😀"


def test_line_ends_and_tabs_become_spaces():
    assert sanitize_text("a\nb\tc") == "a b c"


FILE = SourceText("c.yaml", ["a: 1", "b: 2"], Path())
OPTION = SourceText("--set a=1", ["1"], Path(), has_positions=False)


def test_position_names_the_file_only_if_it_is_another():
    other = SourceText("d.yaml", ["a: 1"], Path())
    assert describe_position(Mark(FILE, 2, 4), Mark(FILE, 1, 1)) == "line 2"
    assert describe_position(Mark(FILE, 2, 4), Mark(other, 1, 1)) == "line 2 of c.yaml"
    assert describe_position(Mark(OPTION, 1, 1), Mark(FILE, 1, 1)) == "--set a=1"
    assert describe_position(Mark(OPTION, 1, 1), Mark(OPTION, 1, 1)) == "--set a=1"


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        (Mark(FILE, 2, 4), ("c.yaml", 2, 4, "b: 2")),
        (Mark(FILE, 3, 1), ("c.yaml", 3, 1, None)),
        (Mark(FILE, 0, 1), ("c.yaml", 0, 1, None)),
        (Mark(OPTION, 1, 1), ("--set a=1", None, None, None)),
        (None, (None, None, None, None)),
    ],
)
def test_problem_has_the_position_of_its_mark(mark, expected):
    problem = problem_at(mark, "some-code", "Wrong.", hint="Fix it.", path=("a", 0, "b"), severity="warning")
    assert (problem.file, problem.line, problem.column, problem.excerpt) == expected
    assert (problem.code, problem.message, problem.hint) == ("some-code", "Wrong.", "Fix it.")
    assert (problem.path, problem.severity) == ("a[0].b", "warning")


def test_problem_in_a_document_is_at_the_value_or_the_key():
    root = read("a: 1\nb: {c: 2}")
    found = [problem_in(root, ("b", "c"), "x", "Wrong.", at_key=at_key) for at_key in (False, True)]
    assert [(problem.path, problem.line, problem.column) for problem in found] == [
        ("b.c", 2, 8),
        ("b.c", 2, 5),
    ]
    without = problem_in(None, ("b",), "x", "Wrong.")
    assert (without.path, without.file, without.line, without.severity) == ("b", None, None, "error")


def test_size_counts_the_node_and_depth_the_levels_below_it():
    assert measure_nodes([]) == (1, 1)
    mark = read("a").mark
    pair = YamlNode(["x", "y"], mark, size=3, depth=1)
    assert measure_nodes([pair, YamlNode(1, mark), YamlNode(2, mark)]) == (6, 2)
