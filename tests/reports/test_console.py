import json
import math

from hypothesis import given
from hypothesis import strategies as st

from layercli.reports.console import make_console, print_json, redirect_stdout_for_json, replace_non_finite

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
