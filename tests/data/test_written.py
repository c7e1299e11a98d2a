"""What is written for a spreadsheet is never run by it."""

import pytest

from layercli.data.cell_text import escape_formula


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+SUM(A1)", "-a", "@x", "\t=1", "\r=1"])
def test_a_text_that_a_spreadsheet_would_run_gets_a_quote_before_it(text):
    assert escape_formula(text) == f"'{text}"


@pytest.mark.parametrize("value", ["plain", "a=b", "-1.5", "+3", "", -2.5, 7, None])
def test_all_else_is_written_as_it_is(value):
    assert escape_formula(value) is value
