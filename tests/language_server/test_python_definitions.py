"""Classes and functions of a Python file, read as text."""

import pytest

from layercli.language_server.python_definitions import Definition, list_definitions


def test_summary_follows_a_signature_with_annotations(tmp_path):
    file = tmp_path / "losses.py"
    file.write_text(
        'def huber(y_true, y_pred, delta: float = 1.0) -> float:\n    """Square small errors."""\n'
    )
    assert list_definitions(file) == [Definition("huber", False, "Square small errors.", {"delta": "1.0"})]


@pytest.mark.parametrize("text", ["def f" + ":" * 250_000 + "\nx", "class f:\n" + " \n" * 100_000 + "x"])
def test_long_lines_without_a_summary_take_no_quadratic_time(text, tmp_path):
    file = tmp_path / "losses.py"
    file.write_text(text)
    assert [found.summary for found in list_definitions(file)] == [""]


@pytest.mark.parametrize(
    ("signature", "arguments"),
    [
        ("(a=(1, (2)), *, b=')', c={'(': 2})", {"a": "(1, 2)", "b": "')'", "c": "{'(': 2}"}),
        ('(a="\\")", b=1)', {"a": "'\")'", "b": "1"}),
        ("(a,  # the first :)\n      b='''\n)''')", {"a": None, "b": "'\\n)'"}),
        ("(a)(b)!", {"a": None}),
        ("(" + "(a)" * 100, None),
        ("(a=[)]", None),
    ],
)
def test_signature_ends_at_its_own_bracket(tmp_path, signature, arguments):
    file = tmp_path / "losses.py"
    file.write_text(f"def f{signature}: pass\n")
    assert list_definitions(file)[0].arguments == arguments


def test_malformed_signatures_are_parsed_once(tmp_path, monkeypatch):
    parsed = []

    def parse(text):
        parsed.append(text)
        raise SyntaxError

    monkeypatch.setattr("layercli.language_server.python_definitions.ast.parse", parse)
    file = tmp_path / "losses.py"
    file.write_text("".join(f"def f{number}({'(a)' * 60}\n" for number in range(200)))
    assert [found.arguments for found in list_definitions(file)] == [None] * 200
    assert len(parsed) == 200
