"""Texts that are not YAML: each sentence of the parser in plain words, and hints that make the text valid."""

from pathlib import Path

import pytest
from yaml import MarkedYAMLError
from yaml.error import Mark

from layercli.errors import LayercliError
from layercli.source.load import load_yaml
from layercli.source.nodes import SourceText
from layercli.source.syntax import make_syntax_problem

LIBYAML = """
block sequence entries are not allowed in this context
could not find expected ':'
could not find expected directive name
did not find URI escaped octet
did not find expected '!'; while scanning a tag
did not find expected ',' or ']'
did not find expected ',' or '}'
did not find expected '-' indicator
did not find expected <document start>
did not find expected alphabetic or numeric character
did not find expected comment or line break
did not find expected digit or '.' character; while scanning a %YAML directive
did not find expected hexdecimal number
did not find expected key
did not find expected node content
did not find expected tag URI
did not find expected version number; while scanning a %YAML directive
did not find expected whitespace; while scanning a %TAG directive
did not find expected whitespace or line break
did not find the expected '>'; while scanning a tag
found a tab character that violates indentation
found a tab character where an indentation space is expected
found an indentation indicator equal to 0
found character that cannot start any token
found duplicate %TAG directive
found duplicate %YAML directive
found extremely long version number; while scanning a %YAML directive
found incompatible YAML document
found invalid Unicode character escape code
found undefined tag handle
found unexpected ':'
found unexpected document indicator
found unexpected end of stream
found unexpected non-alphabetical character; while scanning a directive
found unknown directive name
found unknown escape character
mapping keys are not allowed in this context
mapping values are not allowed in this context
""".strip().split("\n")
"""The sentences of libyaml 0.2.5 about texts: those of its scanner and parser, without those about bytes and memory.

After a semicolon is the context, if the sentence occurs in no other one."""
JARGON = ("did not find", "found ", "could not", "context", "token", "indicator", "stream", "octet", "<")

CASES = [
    # a text, its fixed form, the place, a part of the message, the hint
    (
        "a: [1, 2\nb: 3",
        "a: [1, 2]\nb: 3",
        (2, 2),
        "the list that opens at line 1, column 4 has no comma or `]`",
        "Close the bracket that opens at line 1, column 4, or add a comma.",
    ),
    (
        "a: {b: 1\nc: 3",
        "a: {b: 1}\nc: 3",
        (2, 2),
        "the mapping that opens at line 1, column 4 has no comma or `}`",
        "Close the bracket that opens at line 1, column 4, or add a comma.",
    ),
    (
        "a: 1\nb: [1, 2",
        "a: 1\nb: [1, 2]",
        (2, 9),
        "the list that opens",
        "Close the bracket that opens at line 2, column 4, or add a comma.",
    ),
    ("a: [1}\nb: 1", "a: [1]\nb: 1", (1, 6), "the list that opens", "Write `]` in place of `}`."),
    ("a: {b: 1]\nc: 1", "a: {b: 1}\nc: 1", (1, 9), "the mapping that opens", "Write `}` in place of `]`."),
    (
        "a: {b: ${w * 2}, c: 3}",
        'a: {b: "${w * 2}", c: 3}',
        (1, 9),
        "the mapping that opens",
        'Put quotes around the reference: "${w * 2}".',
    ),
    (
        '{\n  // x\n  "a": 1\n}',
        '{\n  # x\n  "a": 1\n}',
        (3, 6),
        "the mapping that opens",
        "Start comments with `#`: `//` is not a comment of YAML.",
    ),
    (
        'a: [Dense(3, "relu")]',
        "a: [{type: Dense, units: 3, activation: relu}]",
        (1, 20),
        "the list that opens",
        "Write a call of Python as a mapping: {type: Dense, units: 64, activation: relu}.",
    ),
    (
        "a:\n  b: 1\n c: 2",
        "a:\n  b: 1\n  c: 2",
        (3, 2),
        "no key above starts in column 2, as this line does",
        "Start this line in column 3, like `b` in line 2, or in column 1, like `a` in line 1.",
    ),
    (
        "a:\n  - b: 1\n   c: 2",
        "a:\n  - b: 1\n    c: 2",
        (3, 4),
        "no key above starts in column 4",
        "Start this line in column 5, like `b` in line 2, or in column 1, like `a` in line 1.",
    ),
    (
        "a:\n  - b: 1\n  c: 2",
        "a:\n  - b: 1\n    c: 2",
        (3, 3),
        "no key above starts in column 3",
        "Start this line in column 5, like `b` in line 2, or in column 1, like `a` in line 1.",
    ),
    (
        "a:\n    - b\n  - c",
        "a:\n    - b\n    - c",
        (3, 3),
        "no dash above starts in column 3",
        "Start this line in column 5, like the dash in line 2.",
    ),
    (
        "a:\n  - {b: 1}\n    - {c: 1}",
        "a:\n  - {b: 1}\n  - {c: 1}",
        (3, 5),
        "no dash above starts in column 5",
        "Start this line in column 3, like the dash in line 2.",
    ),
    (
        "a: 1\n  b: 2",
        "a: 1\nb: 2",
        (2, 4),
        "no key above starts in column 3",
        "Start this line in column 1, like `a` in line 1.",
    ),
    ("a: [1]]", "a: [1]", (1, 7), "this `]` closes nothing", "Delete this `]`."),
    ("a:\n  - {b: 1}}", "a:\n  - {b: 1}", (2, 11), "this `}` closes nothing", "Delete this `}`."),
    (
        'a: "b" c',
        'a: "b c"',
        (1, 8),
        "text follows a value that is complete",
        "Delete the text from here on, or put quotes around all of it. A comment starts with a space and `#`.",
    ),
    (
        "a: b: c",
        'a: "b: c"',
        (1, 5),
        "the value contains a colon and a space",
        'Put quotes around the value: "b: c".',
    ),
    (
        'a: b"x: c',
        "a: 'b\"x: c'",
        (1, 7),
        "the value contains a colon",
        "Put quotes around the value: 'b\"x: c'.",
    ),
    (
        "a: b:\n  - 1",
        "a:\n  b:\n  - 1",
        (1, 5),
        "a second key follows",
        "Write `b:` on the next line, indented by two more spaces.",
    ),
    (
        "a:\n  b:3\n  c: 1",
        "a:\n  b: 3\n  c: 1",
        (3, 4),
        "line 2 has no space after its colon",
        "Write `b: 3` in line 2.",
    ),
    (
        "a:\n  b [3]\n  c: 1",
        "a:\n  b: [3]\n  c: 1",
        (3, 4),
        "line 2 has no colon",
        "Write `b: [3]` in line 2, or delete it.",
    ),
    ("b\na: 1", "b:\na: 1", (2, 2), "line 1 has no colon", "Write `b:` in line 1, or delete it."),
    (
        "a: 1\nb c",
        "a: 1\nb c: 2",
        (2, 1),
        "this line has no colon after its key",
        "Write `b c: ` and a value, or delete the line.",
    ),
    (
        "a:\n\tb: 1\n\tc: 1",
        "a:\n  b: 1\n  c: 1",
        (2, 1),
        "a tab indents this line",
        "Indent with spaces: this line starts with a tab, and so does 1 other line.",
    ),
    (
        "a:\n  -\tb: 1\n    c: 1",
        "a:\n  - b: 1\n    c: 1",
        (2, 4),
        "a tab separates this value",
        "Write a space in place of the tab.",
    ),
    (
        "a: |\n\tb",
        "a: |\n  b",
        (2, 1),
        "a tab indents this line",
        "Indent with spaces: this line starts with a tab.",
    ),
    (
        "a: {b:{c: 1}}",
        "a: {b: {c: 1}}",
        (1, 6),
        "this colon has no space after it",
        "Write a space after the colon.",
    ),
    (
        'b: "abc\nc: 3',
        'b: "abc"\nc: 3',
        (1, 4),
        "the quote that opens here is not closed",
        "Close the quote that opens here.",
    ),
    ('b: "abc\n---\nc: 3', 'b: "abc"\nc: 3', (2, 1), "a line with `---`", "Close the quote above this line."),
    (
        "a: *.csv",
        'a: "*.csv"',
        (1, 5),
        "an alias or anchor",
        "Put quotes around a value that starts with `*`, `&` or `!`, which are YAML syntax.",
    ),
    (
        "a: @x",
        'a: "@x"',
        (1, 4),
        "a value cannot start with `@`",
        "Put quotes around a value that starts with `@`, `%` or a backtick.",
    ),
    (
        "a: `x`",
        'a: "`x`"',
        (1, 4),
        "a value cannot start with a backtick",
        "Put quotes around a value that starts with `@`, `%` or a backtick.",
    ),
    (
        "```yaml\na: 1\n```",
        "a: 1",
        (1, 1),
        "this line belongs to Markdown",
        "Delete the lines that start with ```.",
    ),
    ("a: !x!y z", 'a: "!x!y z"', (1, 4), "a tag of YAML", "Put quotes around a value that starts with `!`."),
    (
        "%x y\na: 1",
        "a: 1",
        (1, 3),
        "an instruction to YAML",
        "Delete this line, which a config does not need, or put quotes around a value that starts with `%`.",
    ),
    (
        "%YAML 1.2\na: 1",
        "a: 1",
        (2, 1),
        "needs a line `---` below it",
        "Delete the line that starts with `%`.",
    ),
    (
        'a: "C:\\data"',
        "a: 'C:\\data'",
        (1, 7),
        "an escape that YAML does not know",
        'Use single quotes: in double quotes a backslash starts an escape such as "\\n".',
    ),
    (
        "a: >= 3",
        'a: ">= 3"',
        (1, 5),
        "only the end of the line can follow",
        "Put quotes around a value that starts with `|` or `>`; or start the text on the next line, indented.",
    ),
    (
        "a: [- b, - c]",
        "a: [b, c]",
        (1, 5),
        "a list in brackets has no dashes",
        "Remove the dashes and separate the items by commas, as in `[Flatten, ReLU]`; or remove the brackets.",
    ),
    (
        "a: [b,, c]",
        "a: [b, c]",
        (1, 7),
        "a value is missing before this comma",
        "Write a value, or delete the comma.",
    ),
    (
        "a: - b",
        "a:\n  - b",
        (1, 4),
        "a list with dashes cannot start in the line of its key",
        "Write its first dash on the next line, indented; or write the list as `[first, second]`.",
    ),
    (
        "a: ? b",
        'a: "? b"',
        (1, 4),
        "a value cannot start with `?`",
        "Put quotes around a value that starts with `?` and a space.",
    ),
    (
        "[a]\nb = 1",
        "a:\n  b: 1",
        (2, 1),
        "it looks like TOML",
        "Write a section as a key with a colon, `a:`, and its keys below it, indented, such as `input: [4]`.",
    ),
    (
        "{a: 1}\nb: 2",
        "a: 1\nb: 2",
        (2, 1),
        "text follows the end of the config",
        "Delete the text from here on, or the closing bracket or `...` before it.",
    ),
]


@pytest.fixture
def read(tmp_path):
    return lambda text: load_yaml(str(tmp_path / "c.yaml"), text)


@pytest.mark.parametrize(
    ("text", "fixed", "at", "message", "hint"), CASES, ids=[case[0][:20] for case in CASES]
)
def test_plain_message_has_a_hint_that_works(read, text, fixed, at, message, hint):
    with pytest.raises(LayercliError) as caught:
        read(text)
    (problem,) = caught.value.problems
    assert problem.code == "yaml-syntax"
    assert problem.message.startswith("This is not valid YAML: ")
    assert message in problem.message
    assert (problem.line, problem.column, problem.hint) == (*at, hint)
    assert not any(word in problem.message for word in JARGON)
    read(fixed)


@pytest.mark.parametrize("reason", LIBYAML)
def test_every_sentence_of_the_parser_is_explained(reason):
    source = SourceText("c.yaml", ["a: 1", "b: 2"], Path())
    mark = Mark("c.yaml", 0, 1, 1, None, None)
    sentence, _, context = reason.partition("; ")
    problem = make_syntax_problem(source, MarkedYAMLError(context or None, mark, sentence, mark))
    assert "it cannot be read" not in problem.message
    assert not any(word in problem.message for word in JARGON)
