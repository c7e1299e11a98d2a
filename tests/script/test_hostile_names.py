"""Names in a config that are not names of Python, in an exported script."""

import ast

import pytest

from layercli.formats.python.script import _write_arguments
from layercli.script.python_source import CallExpression, render_statement, write_module_name


def test_parameters_that_are_not_names_are_quoted():
    parameters = {"rows": 3, "a b": 1, "x=1, **print": [2], "class": "c", "é\"'": None}
    lines = render_statement(CallExpression("make", _write_arguments(parameters)), "")
    call = ast.parse("\n".join(lines)).body[0].value
    named, unpacked = call.keywords
    assert (named.arg, ast.literal_eval(named.value)) == ("rows", 3)
    assert unpacked.arg is None
    assert ast.literal_eval(unpacked.value) == {"a b": 1, "x=1, **print": [2], "class": "c", "é\"'": None}


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("my.data", "my.data"),
        ("os import system; system", "_os_import_system__system"),
        ("a.class", "a._class"),
        ("my-data", "_my_data"),
    ],
)
def test_module_names_cannot_continue_the_statement(name, written):
    assert write_module_name(name) == written
    assert len(ast.parse(f"from {written} import x").body) == 1
