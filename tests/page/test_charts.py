import logging

import pytest

from layercli.page.charts import Bars, Chart, Series, draw_bars, draw_lines, draw_points, draw_sparkline
from layercli.page.html import make_document
from tests.page.test_html import HOSTILE
from tests.pages import check_page


def page_of(*figures):
    return check_page(make_document("t", *figures))


def chart(*series, **options):
    return Chart("accuracy", "It rises.", "epoch", "value", series, **options)


def test_chart_has_a_text_alternative_and_its_numbers():
    figure = draw_lines(chart(Series("a", [1, 2], [0.5, 0.75]), Series("b", [1, 2], [0.25, None], 1)))
    page = page_of(figure)
    assert page.find("svg")[0]["aria-label"] == "accuracy. It rises."
    assert {"0.5", "0.75", "0.25"} <= set(page.texts)
    assert {"a", "b"} <= set(page.texts)


def test_colors_follow_the_page():
    figure = draw_lines(chart(Series("a", [1, 2], [0.5, 0.75], 2)))
    assert "stroke: var(--c3)" in figure
    assert "var(--muted)" in figure
    assert "#0" not in figure.replace("&#0", "")  # no color of Matplotlib is left


@pytest.mark.parametrize("draw", [draw_lines, draw_points])
def test_hostile_names_stay_text(draw):
    series = [Series(HOSTILE, [1, 2], [1, 2]), Series("$\\frac{1}{$", [1, 2], [2, 1])]
    figure = draw(
        Chart(HOSTILE, HOSTILE, HOSTILE, "$\\alpha$", series, note=HOSTILE, marked_x=1, marked_name=HOSTILE)
    )
    page = page_of(figure)
    assert "$\\alpha$" in page.texts
    assert not page.find("script")


def test_hostile_names_of_bars_stay_text():
    page = page_of(
        draw_bars(Bars("t", "d", "x", [HOSTILE, "_a", "日本語", "$$"], [1, -2, 3, 0], [0.1, 0.2, 0, 0]))
    )
    assert {"_a", "日本語", "$$"} <= set(page.texts)


def test_long_numbers_below_bars_do_not_touch_each_other():
    texts = page_of(draw_bars(Bars("t", "d", "x", ["a"], [140_000.0]))).texts
    assert [text for text in texts if text.isdigit()][:3] == ["0", "50000", "100000"]


def test_axis_of_powers_has_plain_numbers():
    page = page_of(draw_lines(chart(Series("a", [1, 2, 3], [1e-3, 1, 100]), has_log_scale=True)))
    assert {"0.001", "100"} <= set(page.texts)
    assert not [text for text in page.texts if "mathdefault" in text]


def test_long_series_have_a_short_table():
    page = page_of(draw_lines(chart(Series("a", list(range(5000)), [float(x) for x in range(5000)]))))
    assert len(page.find("tr")) == 41
    assert {"0", "4999"} <= set(page.texts)


def test_series_with_different_points_have_a_row_for_each():
    page = page_of(draw_lines(chart(Series("a", [1, 2], [1, 2]), Series("b", [3], [3]))))
    assert len(page.find("tr")) == 4


def test_charts_on_one_page_share_no_identifiers():
    first, second = (draw_points(chart(Series("a", [1, 2], [1, 2]))) for _ in range(2))
    page_of(first, second)


def test_sparkline_scales_each_line_and_skips_nan():
    nan = float("nan")
    page = page_of(draw_sparkline([("a", [0, nan, 5]), ("b", [7, 7, 7])], "two lines"))
    assert [line["points"] for line in page.find("polyline")] == [
        "0.0,38.0 100.0,2.0",
        "0.0,38.0 50.0,38.0 100.0,38.0",
    ]
    assert page.find("svg")[0]["aria-label"] == "two lines"


def test_settings_of_matplotlib_stay_as_they_were():
    import matplotlib

    matplotlib.rcParams["font.size"] = 33
    level = logging.getLogger("matplotlib").level
    figure = draw_lines(chart(Series("a", [1, 2], [1, 2])))
    assert "33px" not in figure
    assert matplotlib.rcParams["font.size"] == 33
    assert logging.getLogger("matplotlib").level == level
    matplotlib.rcdefaults()
