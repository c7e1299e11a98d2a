"""Integer arithmetic in ``${...}``, equal to Python's."""

import ast
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layercli.check import check_config, require_valid
from layercli.config.language.arithmetic import ExpressionError, parse_expression

NUMBERS = {"a": 7, "b": -3, "zero": 0, "big": 2**31 - 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", 7),
        ("a+b*2", 1),
        ("(a + b) * 2", 8),
        ("a - b - 1", 9),
        ("a // 2", 3),
        ("b // 2", -2),
        ("a % 4", 3),
        ("b % 4", 1),
        ("2 * a // 4 % 3", 0),
        ("-a + 10", 3),
        ("- -(a)", 7),
        ("a--b", 4),
        (" 12 ", 12),
        ("007", 7),
        ("big", 2147483647),
        ("-big", -2147483647),
    ],
)
def test_value(text, value):
    assert parse_expression(text).evaluate(NUMBERS) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a name, an integer, `-` or `(` at its end"),
        ("a *", "expected a name, an integer, `-` or `(` at its end"),
        ("a ** 2", "expected a name, an integer, `-` or `(` at character 4, got `*`"),
        ("a / 2", "expected an operator at character 3, got `/`"),
        ("a 2", "expected an operator at character 3, got `2`"),
        ("(a", "expected an operator or `)` at its end"),
        ("(a 2)", "expected an operator or `)` at character 4, got `2`"),
        ("a)", "expected an operator at character 2, got `)`"),
        ("+a", "expected a name, an integer, `-` or `(` at character 1, got `+`"),
        ("1.5", "expected an operator at character 2, got `.`"),
        ("a.b", "expected an operator at character 2, got `.`"),
        ("f(a)", "expected an operator at character 2, got `(`"),
        ("\u0661", "expected a name, an integer, `-` or `(` at character 1, got `\u0661`"),
        ("(" * 21 + "a" + ")" * 21, "it has more than 20 parentheses and signs inside each other"),
        ("a+" * 100 + "a", "it has 201 characters, more than 200"),
    ],
)
def test_text_that_is_not_an_expression(text, message):
    with pytest.raises(ExpressionError, match=f"^{re.escape(message)}$"):
        parse_expression(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 + a // zero", "it divides by zero at character 7"),
        ("a % (a - 7)", "it divides by zero at character 3"),
        ("big + 1", "a value in it is not between -2,147,483,647 and 2,147,483,647"),
        ("big * big - big * big", "a value in it is not between -2,147,483,647 and 2,147,483,647"),
        ("9" * 199, "a value in it is not between -2,147,483,647 and 2,147,483,647"),
    ],
)
def test_expression_without_a_value(text, message):
    with pytest.raises(ExpressionError, match=f"^{re.escape(message)}$"):
        parse_expression(text).evaluate(NUMBERS)


def test_limits_are_inclusive():
    assert parse_expression("(" * 20 + "a" + ")" * 20).evaluate(NUMBERS) == 7
    assert parse_expression("a+" * 99 + "a ").evaluate(NUMBERS) == 700
    assert parse_expression("a+b*a").names == ["a", "b", "a"]


@given(st.text(st.sampled_from("ab12+-*/%() ._[]'"), max_size=14))
def test_random_texts_have_the_value_of_python(text):
    try:
        expression = parse_expression(text)
        numbers = {name: len(name) - 3 for name in expression.names}
        value = expression.evaluate(numbers)
    except ExpressionError:
        return
    python = re.sub(r"\b0+(?=[0-9])", "", text.strip())
    assert value == eval(compile(ast.parse(python, mode="eval"), "", "eval"), {}, numbers)


def test_variables_blocks_repeats_and_texts_use_it():
    text = """
name: w${width * 2}
vars: {width: 64, half: "${width // 2}", deep: "${half - 1}"}
blocks:
  pair:
    params: {units}
    layers: [{type: Dense, units: "${units + width}"}]
model:
  input: [4]
  layers:
    - {block: pair, with: {units: "${half * 3}"}, repeat: "${width // 32}"}
    - {type: Dense, units: "${deep}"}
"""
    valid = require_valid(check_config("c.yaml", text=text))
    assert valid.config.name == "w128"
    assert [node.layer.units for node in valid.graph.nodes] == [160, 160, 31]


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("vars.widht=5", "Did you mean `width`?"),
        ("vars.other=5", "Remove it, or write `${other}` for a value of the config."),
    ],
)
def test_override_of_an_unused_variable_is_an_error(override, hint):
    text = 'vars: {width: 8, other: 1}\nmodel: {input: [4], layers: [{type: Dense, units: "${width * 2}"}]}\n'
    [problem] = check_config("c.yaml", [override], text=text).problems
    assert (problem.code, problem.hint) == ("unknown-variable", hint)
    assert check_config("c.yaml", ["vars.width=3"], text=text).ok
