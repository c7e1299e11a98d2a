import ast

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from layercli.script.python_source import (
    Brackets,
    CallExpression,
    NamedValue,
    UniqueNames,
    quote_string,
    render_inline,
    render_literal,
    render_statement,
)
from tests.script.running import assert_formatted

WORDS = st.from_regex(r"[a-z][a-z_]{0,12}", fullmatch=True).filter(str.isidentifier).map(lambda w: f"{w}_v")
ATOMS = WORDS | st.integers(0, 10**6).map(str) | st.text("ab c", max_size=20).map(quote_string)


def nested(inner):
    arguments = st.lists(inner, max_size=5).map(tuple)
    named = st.builds(lambda name, value: NamedValue(f"{name}=", value), WORDS, inner)
    keyed = st.lists(named, max_size=4, unique_by=lambda each: each.name).map(tuple)
    calls = st.builds(lambda head, bare, keys: CallExpression(head, (*bare, *keys)), WORDS, arguments, keyed)
    return calls | arguments.map(lambda items: Brackets("[", items, "]"))


EXPRESSIONS = st.recursive(ATOMS, nested, max_leaves=25)


@settings(max_examples=4, phases=[Phase.generate])
@given(st.lists(EXPRESSIONS, min_size=20, max_size=20))
def test_statements_match_formatter(values):
    lines = [line for value in values for line in render_statement(value, "", before="x = ")]
    if all(len(line) <= 88 for line in lines):
        assert_formatted("\n".join(lines) + "\n")
    for value in values:
        text = "\n".join(render_statement(value, "", before="x = "))
        assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(f"x = {render_inline(value)}"))


def test_calls_of_layers_match_formatter():
    lines = []
    for length in range(20, 60):
        name = quote_string("n" * length)
        call = CallExpression(
            "layers.Conv2D", ("filters", NamedValue("kernel_size=", "3"), NamedValue("name=", name)), ("x",)
        )
        both = CallExpression(
            "layers.Add", (), (Brackets("[", (f"a{'b' * length}", f"c{'d' * length}"), "]"),)
        )
        lines += [*render_statement(call, "", before="x = "), *render_statement(both, "", before="x = ")]
    assert_formatted("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", '"plain"'),
        ("it's", '"it\'s"'),
        ('say "hi"', "'say \"hi\"'"),
        ("both ' and \"", "'both \\' and \"'"),
        ("a\nb", '"a\\nb"'),
        ("", '""'),
    ],
)
def test_quotes_of_a_string_literal(text, written):
    assert quote_string(text) == written


@given(st.text())
def test_string_literal_round_trip(text):
    assert ast.literal_eval(quote_string(text)) == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=3) | st.tuples(inner),
    )
)
def test_literal_round_trip(value):
    assert ast.literal_eval(render_inline(render_literal(value))) == value


def test_unique_names_are_identifiers():
    names = UniqueNames(["taken"])
    made = [
        names.new(wish) for wish in ("taken", "conv2d", "conv2d", "3x", "class", "a-b.c", "", "layers", "Ä")
    ]
    assert made == [
        "taken_2",
        "conv2d",
        "conv2d_2",
        "layer_3x",
        "layer_class",
        "a_b_c",
        "layer",
        "layers_2",
        "layer_2",
    ]
