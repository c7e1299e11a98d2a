import logging

import pytest
from matplotlib.figure import Figure

from layercli.errors import LayercliError
from layercli.page import charts
from layercli.page.charts import (
    Bars,
    Chart,
    Series,
    draw_bars,
    draw_lines,
    draw_points,
    draw_sparkline,
    draw_svg_file,
)
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


def axes_of(drawn):
    """The axes of a chart without its series, to read with Matplotlib's own functions."""
    axes = Figure().add_subplot()
    charts._add_marks(axes, drawn)
    return axes


def test_lines_that_mark_values():
    [diagonal] = axes_of(chart(has_diagonal=True)).lines
    assert (diagonal.get_xy1(), diagonal.get_slope()) == ((0, 0), 1)
    [first, second, third] = axes_of(chart(marked_x=2, borders=[3, 4])).lines
    assert [line.get_xdata() for line in (first, second, third)] == [[2, 2], [3, 3], [4, 4]]
    [level] = axes_of(chart(marked_y=5)).lines
    assert level.get_ydata() == [5, 5]
    assert not axes_of(chart()).lines


def test_marked_values_have_dashes():
    plain = draw_lines(chart(Series("a", [1, 2], [1, 2])))
    assert "stroke-dasharray" not in plain
    # Matplotlib multiplies the lengths by the width of the line: 0.9 x 1.5, 1 x 5 and 2, 0.8 x 1.5.
    assert "stroke-dasharray: 1.35,1.35" in draw_lines(chart(Series("a", [1, 2], [1, 2]), marked_y=1))
    assert "stroke-dasharray: 1.35,1.35" in draw_lines(chart(Series("a", [1, 2], [1, 2]), has_diagonal=True))
    assert "stroke-dasharray: 5,2;" in draw_lines(chart(Series("a", [1, 2], [1, 2]), marked_x=1))
    assert "stroke-dasharray: 1.2,1.2" in draw_lines(chart(Series("a", [1, 2], [1, 2]), borders=[1]))


def test_series_have_dashes_and_a_legend():
    series = [Series("abcd"[dash], [1, 2], [1, 2], dash, dash) for dash in range(4)]
    figure = draw_lines(chart(*series, marked_x=1, marked_name="best"))
    # 1.5 x the lengths of each pattern, in the chart; the lengths in the legend.
    for dashes in ("7.5,3;", "2.25,2.25;", "9,3,2.25,3;"):
        assert f"stroke-dasharray: {dashes}" in figure
    lines = page_of(figure).find("line", x1="0")
    assert [line.get("stroke-dasharray") for line in lines] == [None, "5 2", "1.5 1.5", "6 2 1.5 2", "5 2"]
    assert {(line["x2"], line["y1"], line["y2"]) for line in lines} == {("24", "5", "5")}
    assert [line["style"].partition(";")[0] for line in lines] == [
        "stroke: var(--c1)",
        "stroke: var(--c2)",
        "stroke: var(--c3)",
        "stroke: var(--c4)",
        "stroke: var(--muted)",
    ]
    ninth = draw_lines(chart(Series("a", [1, 2], [1, 2], 8, 4), Series("b", [1, 2], [1, 2])))
    [line, _] = page_of(ninth).find("line", x1="0")
    assert (line["style"], line.get("stroke-dasharray")) == ("stroke: var(--c1); stroke-width: 2", None)


def test_series_without_a_line_have_points_in_the_legend():
    series = [Series("a", [1, 2], [1, 2], marker="o", has_line=False), Series("b", [1, 2], [2, 1])]
    dots = [line.get("stroke-dasharray") for line in page_of(draw_lines(chart(*series))).find("line", x1="0")]
    assert dots == ["3 40", None]
    points = page_of(draw_points(chart(*series))).find("line", x1="0")
    assert [line.get("stroke-dasharray") for line in points] == ["3 40", "3 40"]


def test_chart_of_one_series_has_no_legend():
    assert not page_of(draw_lines(chart(Series("a", [1, 2], [1, 2])))).find("ul")
    marked = page_of(draw_lines(chart(Series("a", [1, 2], [1, 2]), marked_x=1, marked_name="best")))
    assert len(marked.find("li")) == 2


@pytest.mark.parametrize(("count", "points"), [(1, 1), (2, 0)])
def test_line_of_one_point_is_a_point(count, points):
    figure = draw_lines(chart(Series("a", [1] * count, [2] * count)))
    axes = draw_lines(chart(Series("a", [1, 1], [2, 2])))
    assert figure.count("<use") - axes.count("<use") == points


def test_names_of_values_are_below_the_chart():
    axes = axes_of(chart(x_names=["a" * 15] * 3))
    assert axes.get_xticks().tolist() == [0, 1, 2]
    assert axes.get_xlim() == (-0.5, 2.5)
    label = axes.get_xticklabels()[0]
    assert (label.get_text(), label.get_rotation(), label.get_ha()) == ("a" * 15, 0, "center")
    label = axes_of(chart(x_names=["a" * 15, "b" * 15, "c" * 16])).get_xticklabels()[0]
    assert (label.get_rotation(), label.get_ha()) == (25, "right")
    [long] = axes_of(chart(x_names=["a" * 35])).get_xticklabels()
    assert long.get_text() == "a" * 33 + "…"


def test_ranges_and_integers_of_axes():
    axes = axes_of(chart(x_range=(2, 4), y_range=(-1, 1), has_integer_x=True))
    assert (axes.get_xlim(), axes.get_ylim()) == ((2, 4), (-1, 1))
    assert axes.get_xticks().tolist() == [2, 3, 4]
    assert 2.5 in axes_of(chart(x_range=(2, 4))).get_xticks()
    both = axes_of(chart(has_log_scale=True, has_log_x=True))
    assert (both.get_xscale(), both.get_yscale()) == ("log", "log")
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "linear")
    titles = axes_of(Chart("t", "d", "x" * 61, "y" * 41))
    assert (titles.get_xlabel(), titles.get_ylabel()) == ("x" * 59 + "…", "y" * 39 + "…")


def test_many_points_are_smaller_and_paler():
    for counts, opacity in (((75, 75), "0.8"), ((75, 76), "0.45")):
        figure = draw_points(chart(*(Series("a", [*range(count)], [*range(count)]) for count in counts)))
        assert f"opacity: {opacity}" in figure
        assert ("opacity: 0.45" in figure) is (opacity == "0.45")


def cells_of(page):
    """The texts of the table below a chart."""
    return [text for text in page.texts[page.texts.index("Numbers") + 1 :] if text.strip()]


def test_picture_of_bars_grows_with_their_number():
    # 4.4 inches wide; 0.75 inches and 0.23 for each bar high; 72 units of SVG each
    for count, height in ((1, "70.56"), (3, "103.68")):
        figure = page_of(draw_bars(Bars("t", "d", "x", ["a"] * count, [1.0] * count)))
        assert figure.find("svg")[0]["viewbox"] == f"0 0 316.8 {height}"


def test_bars_start_at_zero_with_the_first_on_top(monkeypatch):
    drawn = []
    monkeypatch.setattr(charts, "_to_svg", lambda figure, *_: drawn.append(figure) or charts.Markup())
    draw_bars(Bars("t", "d", "loss", ["a" * 35, "b"], [-1.0, 2.0]))
    [axes] = drawn[0].axes
    assert axes.lines[-1].get_xdata() == [0, 0]
    assert [bar.get_width() for bar in axes.patches] == [-1, 2]
    assert axes.get_yticks().tolist() == [0, 1]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a" * 33 + "…", "b"]
    assert axes.yaxis_inverted()
    assert axes.get_xlabel() == "loss"


def test_table_of_bars_has_their_deviations():
    page = page_of(draw_bars(Bars("t", "d", "x", ["a", "b"], [1.25, 2], [0.5, 0.125])))
    cells = cells_of(page)
    assert cells == ["name", "x", "deviation", "a", "1.25", "0.5", "b", "2", "0.125"]
    assert [cell.get("class") for cell in page.find("th", scope="col")] == [None, "number", "number"]
    assert len(page.find("th", scope="col")) == 3
    without = page_of(draw_bars(Bars("t", "d", "x", ["a"], [1.25])))
    assert len(without.find("th", scope="col")) == 2


def test_table_of_numbers():
    equal = page_of(draw_lines(chart(Series("a", [2, 1], [0.5, 0.75]), Series("", [1, 2], [0.25, None]))))
    cells = cells_of(equal)
    assert cells == ["epoch", "a", "value", "1", "0.75", "0.25", "2", "0.5"]
    assert [cell.get("class") for cell in equal.find("th", scope="col")] == [None, "number", "number"]
    other = page_of(draw_lines(chart(Series("a", [1, 2], [3, 4]), Series("b", [5], [float("nan")]))))
    cells = cells_of(other)
    assert cells == ["series", "epoch", "value", "a", "1", "3", "a", "2", "4", "b", "5"]
    assert [cell.get("class") for cell in other.find("th", scope="col")] == [None, "number", "number"]


def test_long_tables_are_thinned_evenly():
    assert charts._reduce_rows(range(40)) == range(40)
    assert charts._reduce_rows(range(79)) == [*range(0, 79, 2)]
    thinned = charts._reduce_rows(range(41))
    assert (len(thinned), thinned[0], thinned[-1], len(set(thinned))) == (40, 0, 40, 40)


def test_numbers_that_cannot_be_drawn_are_left_out():
    drawn = charts._to_floats([1, None, 1e100, -1e100, 9e99, float("inf")])
    assert [value == value for value in drawn] == [True, False, False, False, True, False]
    assert charts._format_cell(0.123456) == "0.1235"


def test_sparkline_of_one_value_and_of_none():
    page = page_of(draw_sparkline([("a", [4]), ("b", []), ("c", [1, 2, 3])], "d"))
    lines = [line["points"] for line in page.find("polyline")]
    assert lines == ["0.0,38.0", "", "0.0,38.0 50.0,20.0 100.0,2.0"]
    assert [key["style"] for key in page.find("span", **{"class": "key"})] == [
        "background: var(--c1)",
        "background: var(--c2)",
        "background: var(--c3)",
    ]


def test_svg_file_has_the_colors_of_the_page():
    svg = draw_svg_file(chart(Series("a", [1, 2], [1, 2])))
    assert svg.startswith("<svg ")
    assert svg.count('xmlns="http://www.w3.org/2000/svg"') == 1
    assert svg.partition(">")[0].endswith('xmlns="http://www.w3.org/2000/svg"')
    assert svg.partition(">")[2].startswith("<style>")
    assert svg.endswith("</svg>\n")


def test_missing_matplotlib_is_a_problem(monkeypatch):
    charts.require_charts()
    monkeypatch.setattr(charts, "find_spec", lambda _: None)
    with pytest.raises(LayercliError) as error:
        charts.require_charts()
    assert error.value.problems[0].hint == "Install it: `pip install 'layercli[report]'`."
