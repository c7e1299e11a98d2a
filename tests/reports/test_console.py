import io
import json
import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layercli.errors import Problem
from layercli.reports.console import (
    make_console,
    make_table,
    print_json,
    print_text,
    redirect_stdout_for_json,
    replace_non_finite,
)
from layercli.reports.problems import github_annotation, print_problems
from layercli.reports.training_progress import QuietProgress

documents = st.dictionaries(
    st.text(),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    ),
)


@given(documents)
def test_printed_json_round_trip(document):
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        print_json(document)
    assert json.loads(printed.getvalue()) == document


def test_lists_of_scalars_on_one_line(capsys):
    print_json({"shape": [None, 8, 8], "layers": [{"inputs": ["a, b", "c"]}], "none": []})
    assert capsys.readouterr().out == (
        '{\n  "shape": [null, 8, 8],\n  "layers": [\n    {\n      "inputs": ["a, b", "c"]\n    }\n  ],\n'
        '  "none": []\n}\n'
    )


def test_non_finite_numbers_become_null():
    assert replace_non_finite({"a": [math.nan, 1.5, -math.inf], "b": {"c": (math.inf,)}}) == {
        "a": [None, 1.5, None],
        "b": {"c": [None]},
    }


def test_console_prints_markup_unchanged(capsys):
    make_console().print("[red]x[/red] :smile: [None, 3]")
    assert capsys.readouterr().out == "[red]x[/red] :smile: [None, 3]\n"


def test_stdout_redirected_only_with_json(capsys):
    with redirect_stdout_for_json(True):
        print("aside")
    with redirect_stdout_for_json(False):
        print("shown")
    assert capsys.readouterr() == ("shown\n", "aside\n")


HOSTILE = "a\x1b]0;title\x1bb\x9b31mc\u202etxt.exe\u2066\u200ed"
SAFE = "a\ufffd]0;title\ufffdb\ufffd31mc\ufffdtxt.exe\ufffd\ufffdd"


def test_console_replaces_control_characters(capsys):
    console = make_console()
    table = make_table(HOSTILE)
    table.add_row(HOSTILE)
    console.print(f"{HOSTILE}\n\tnext", soft_wrap=True)
    console.print(table, soft_wrap=True)
    shown = capsys.readouterr().out
    assert shown.startswith(f"{SAFE}\n")
    assert not set(shown) & set("\x1b\x9b\u202e\u2066\u200e")


def test_file_name_of_a_problem_is_one_line_without_controls(capsys):
    problem = Problem(code="bad-data", message="Bad.", file=f"{HOSTILE}\nerror: fake", line=3)
    print_problems(make_console(), [problem])
    QuietProgress(make_console()).print_warning(problem)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.strip()] == [
        f"{SAFE} error: fake:3: error: Bad. [bad-data]",
        f"{SAFE} error: fake:3: warning: Bad. [bad-data]",
    ]
    assert "\x1b" not in github_annotation(problem)


def test_printed_json_escapes_changes_of_text_direction(capsys):
    print_json({"name": HOSTILE})
    text = capsys.readouterr().out
    assert text.isascii()
    assert json.loads(text) == {"name": HOSTILE}


def test_output_has_only_characters_of_its_encoding(monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr("sys.stdout", output)
    make_console().print("\u2500 \u00e9 \u2713")
    print_json({"name": "\u2713"})
    output.flush()
    assert output.buffer.getvalue() == b'- \xe9 ?\n{\n  "name": "\\u2713"\n}\n'


@pytest.mark.parametrize(
    ("encoding", "expected"), [("ascii", "Größe 漢\n"), ("latin-1", "Größe 漢\n"), ("utf-16-le", "G\0r\0")]
)
def test_text_for_programs_is_utf_8_if_the_encoding_lacks_a_character(monkeypatch, encoding, expected):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding=encoding))
    print_text("Größe 漢\n")
    sys.stdout.flush()
    assert written.getvalue().startswith(expected.encode())


def test_text_for_programs_has_the_encoding_of_the_output(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="latin-1"))
    print_text("Größe")
    sys.stdout.flush()
    assert written.getvalue() == b"Gr\xf6\xdfe"
