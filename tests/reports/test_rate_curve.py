"""The chart of a range test in a terminal."""

import io
import math

from rich.console import Console

from layercli.graph.rate_proposal import RateCurve
from layercli.reports.rate_curve import count_shown_steps, print_rate_curve


def make_curve(*smoothed):
    return RateCurve([10.0 ** (step - 5) for step in range(len(smoothed))], smoothed, smoothed, len(smoothed))


def test_rise_at_the_end_is_left_out():
    # 2 + 0.5 x (2 - 1) = 2.5
    assert count_shown_steps(make_curve(2.0, 1.0, 2.5, 2.6, 9.0, math.nan)) == 3
    assert count_shown_steps(make_curve(math.nan, math.inf)) == 2


def test_chart_has_its_lowest_and_highest_loss_and_rates():
    file = io.StringIO()
    print_rate_curve(Console(file=file, width=40), make_curve(2.0, 1.5, 1.0, 50.0))
    lines = file.getvalue().splitlines()
    assert lines[0].startswith("    2.0000 ")
    assert lines[9].startswith("    1.0000 ")
    assert lines[10].split() == ["rate", "1e-05", "0.001"]
    assert max(map(len, lines)) <= 40


def test_nothing_is_drawn_without_a_finite_loss():
    file = io.StringIO()
    print_rate_curve(Console(file=file), make_curve(math.nan))
    assert file.getvalue() == ""
