import pytest

from layercli.reports.chart import draw_chart


def dots(chart):
    """Return the positions (column, row) of the dots of a chart, from the top left."""
    bits = {
        0x01: (0, 0),
        0x02: (0, 1),
        0x04: (0, 2),
        0x40: (0, 3),
        0x08: (1, 0),
        0x10: (1, 1),
        0x20: (1, 2),
        0x80: (1, 3),
    }
    return {
        (2 * column + bits[bit][0], 4 * row + bits[bit][1])
        for row, cells in enumerate(chart.rows)
        for column, (character, _) in enumerate(cells)
        for bit in bits
        if character != " " and (ord(character) - 0x2800) & bit
    }


def test_chart_line_from_corner_to_corner():
    assert dots(draw_chart([[(1, 7.0), (8, 0.0)]], width=4, height=2)) == {(n, n) for n in range(8)}


def test_chart_joins_points_and_scales_to_values():
    chart = draw_chart([[(1, 2.0), (2, 2.0), (3, 4.0)]], width=4, height=1)
    assert (chart.low, chart.high) == (2.0, 4.0)
    assert {(0, 3), (4, 3), (7, 0)} <= dots(chart)
    assert {x for x, _ in dots(chart)} == set(range(8))


def test_wide_positive_range_is_logarithmic():
    assert (2, 3) in dots(draw_chart([[(0, 100.0), (1, 1.0), (2, 0.01)]], width=2, height=2))
    assert (2, 3) not in dots(draw_chart([[(0, 100.0), (1, 1.0), (2, -0.01)]], width=2, height=2))


def test_chart_cells_have_owners_and_skip_non_finite_points():
    chart = draw_chart(
        [[(1, 0.0), (2, 0.0)], [(1, float("nan")), (2, 1.0), (3, float("inf"))]], width=3, height=2
    )
    assert {owner for row in chart.rows for _, owner in row} == {0, 1, None}
    assert draw_chart([[(1, float("nan"))], []], width=3, height=2) is None


@pytest.mark.parametrize("values", [[5.0], [5.0, 5.0], [0.0, 0.0, 0.0], [-1e300, 1e300], [1e-320, 1.0]])
def test_chart_of_few_equal_or_extreme_values(values):
    assert dots(draw_chart([list(enumerate(values))], width=5, height=3))
