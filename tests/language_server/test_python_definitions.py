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
