"""Charts as SVG in the colors of the page, each with a description and a table of its numbers.

Matplotlib draws them: it is the only one of the kept libraries whose picture is a static file of a few kilobytes with texts
that stay texts. Its colors are replaced by the variables of the page's style, so that a chart follows light and dark.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count, cycle
from math import isfinite, nan
from typing import Any, Final
from xml.etree import ElementTree

from layercli.errors import LayercliError, Problem
from layercli.page.html import Column, Markup, join_markup, make_details, make_element, make_table
from layercli.page.style import COLOR_STYLE, SERIES_COLORS
from layercli.runtime import import_outside_folder
from layercli.source.nodes import sanitize_text

_INK, _MUTED, _LINE = "#010101", "#020202", "#030303"
_SERIES: Final = tuple(f"#04040{digit}" for digit in range(1, 9))
_STYLE_COLORS: Final = {
    _INK: "var(--ink)",
    _MUTED: "var(--muted)",
    _LINE: "var(--line)",
    **dict(zip(_SERIES, SERIES_COLORS, strict=True)),
}
"""Colors that Matplotlib draws with -> the color of the page."""
_DASHES: Final = ("solid", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
_SVG_DASHES: Final = ("", "5 2", "1.5 1.5", "6 2 1.5 2")
_SIZE: Final = (4.4, 2.75)
"""Inches, of 72 units of the SVG each: readable on a phone, where the chart is as wide as the screen."""
_MAX_TABLE_ROWS: Final = 40
_SVG: Final = "http://www.w3.org/2000/svg"
_LINK: Final = "{http://www.w3.org/1999/xlink}href"
_MAX_LABEL_LENGTH: Final = 34
_MAX_LEVEL_LENGTH: Final = 45
"""Characters of names that fit side by side below a chart."""
_DENSE_POINTS: Final = 150
_MAX_NUMBER: Final = 1e100
"""Matplotlib fails with numbers whose differences overflow."""
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Series:
    """A named line, or a named set of points or bars."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    color: int = 0
    """Index of its color."""
    dash: int = 0
    """Index of its pattern: 0 is a solid line."""
    marker: str | None = None
    """Marker of each point, such as "o"."""
    has_line: bool = True
    """Whether the points are connected."""


@dataclass(frozen=True, slots=True)
class Chart:
    """The content of a chart."""

    title: str
    description: str
    """What the picture shows, for readers who do not see it."""
    x_title: str
    y_title: str
    series: Sequence[Series] = ()
    note: str | None = None
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    has_diagonal: bool = False
    """Whether the line y = x is drawn."""
    marked_x: float | None = None
    """Where a vertical line is drawn."""
    marked_name: str = ""
    borders: Sequence[float] = ()
    """Where thin vertical lines divide the x axis."""
    marked_y: float | None = None
    """Where a horizontal line is drawn."""
    has_log_scale: bool = False
    has_integer_x: bool = False
    has_log_x: bool = False
    x_names: Sequence[str] = ()
    """Names of the values 0, 1, ... of x."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Horizontal bars, the first on top."""

    title: str
    description: str
    x_title: str
    names: Sequence[str]
    values: Sequence[float]
    errors: Sequence[float] = field(default_factory=tuple)
    """Deviation of each value, drawn to both sides; empty for none."""
    note: str | None = None


def require_charts() -> None:
    """Check that the package that draws charts is installed, without importing it.

    Raises:
        LayercliError: It is not installed.
    """
    if find_spec("matplotlib") is None:
        message = "matplotlib must be installed for the charts of the page."
        hint = "Install it: `pip install 'layercli[report]'`."
        raise LayercliError(Problem(code="missing-package", message=message, hint=hint))


def draw_lines(chart: Chart) -> Markup:
    """Return a figure with a line for each series."""
    with _open_figure() as (figure, axes):
        for series in chart.series:
            axes.plot(
                _to_floats(series.x),
                _to_floats(series.y),
                color=_SERIES[series.color % len(_SERIES)],
                linestyle=_DASHES[series.dash % len(_DASHES)] if series.has_line else "none",
                linewidth=1.5,
                marker=series.marker or ("o" if len(series.x) == 1 else None),
                markersize=3.5,
            )
        _add_marks(axes, chart)
        svg = _to_svg(figure, chart.title, chart.description)
    return _make_figure(chart, svg, has_lines=True)


def draw_svg_file(chart: Chart) -> str:
    """Return a chart with lines as the content of an SVG file, in the colors of the page."""
    picture = re.search(r"<svg.*?</svg>", draw_lines(chart), re.DOTALL)
    assert picture is not None
    head, _, body = picture[0].partition(">")
    return f'{head} xmlns="{_SVG}"><style>{COLOR_STYLE} text {{ font-family: sans-serif }}</style>{body}\n'


def draw_points(chart: Chart) -> Markup:
    """Return a figure with a point for each value of each series."""
    is_dense = sum(len(series.x) for series in chart.series) > _DENSE_POINTS
    with _open_figure() as (figure, axes):
        for series in chart.series:
            axes.plot(
                _to_floats(series.x),
                _to_floats(series.y),
                "o",
                color=_SERIES[series.color % len(_SERIES)],
                markersize=2.6 if is_dense else 4.5,
                alpha=0.45 if is_dense else 0.8,
                mew=0,
            )
        _add_marks(axes, chart)
        svg = _to_svg(figure, chart.title, chart.description)
    return _make_figure(chart, svg, has_lines=False)


def draw_bars(bars: Bars) -> Markup:
    """Return a figure with horizontal bars."""
    height = 0.75 + 0.23 * len(bars.names)
    with _open_figure((_SIZE[0], height)) as (figure, axes):
        positions = list(range(len(bars.names)))
        axes.barh(
            positions,
            _to_floats(bars.values),
            xerr=_to_floats(bars.errors) or None,
            color=_SERIES[0],
            height=0.62,
            error_kw={"ecolor": _INK, "elinewidth": 1.1, "capsize": 2},
        )
        axes.set_yticks(positions, [sanitize_text(name, limit=_MAX_LABEL_LENGTH) for name in bars.names])
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.axvline(0, color=_MUTED, linewidth=0.8)
        axes.invert_yaxis()
        axes.set_xlabel(bars.x_title)
        axes.locator_params(axis="x", nbins=5)  # more labels of long numbers touch each other
        svg = _to_svg(figure, bars.title, bars.description)
    columns = [Column("name"), Column(bars.x_title, is_number=True)]
    rows = [[name, _format_cell(value)] for name, value in zip(bars.names, bars.values, strict=True)]
    if bars.errors:
        columns.append(Column("deviation", is_number=True))
        rows = [[*row, _format_cell(error)] for row, error in zip(rows, bars.errors, strict=True)]
    return _wrap_figure(bars.title, bars.note, svg, make_table(columns, rows, label=bars.title))


def draw_sparkline(lines: Sequence[tuple[str, Sequence[float]]], description: str) -> Markup:
    """Return small lines without axes, each over its own range, and below them their names."""
    drawn, keys = [], []
    for (name, values), color in zip(lines, cycle(SERIES_COLORS), strict=False):
        known = [value for value in values if isfinite(value)]
        low, high = (min(known), max(known)) if known else (0.0, 0.0)
        scale = (high - low) or 1.0
        points = " ".join(
            f"{100 * place / max(1, len(values) - 1):.1f},{38 - 36 * (value - low) / scale:.1f}"
            for place, value in enumerate(values)
            if isfinite(value)
        )
        drawn.append(make_element("polyline", points=points, style=f"stroke: {color}"))
        key = make_element("span", class_="key", style=f"background: {color}")
        keys.append(make_element("span", key, sanitize_text(name, limit=_MAX_LABEL_LENGTH)))
    picture = make_element(
        "svg",
        *drawn,
        class_="sparkline",
        viewBox="0 0 100 40",
        preserveAspectRatio="none",
        role="img",
        aria_label=description,
    )
    return join_markup([picture, make_element("div", *keys, class_="keys")])


@contextmanager
def _open_figure(size: tuple[float, float] = _SIZE) -> Iterator[tuple[Any, Any]]:
    """Yield an empty figure, with Matplotlib's settings independent of the user's, and without its messages."""
    import_outside_folder("matplotlib")
    import matplotlib
    from matplotlib.figure import Figure

    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it reports fonts that are not installed
    try:
        with warnings.catch_warnings(), matplotlib.rc_context():
            warnings.simplefilter("ignore")  # characters that its own font lacks; the browser has others
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_SETTINGS)
            figure = Figure(figsize=size, layout="constrained")
            yield figure, figure.add_subplot()
    finally:
        logger.setLevel(level)


_SETTINGS: Final[Any] = {
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.fonttype": "none",
    "svg.hashsalt": "layercli",
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
}


def _add_marks(axes: Any, chart: Chart) -> None:
    if chart.has_diagonal:
        axes.axline((0, 0), slope=1, color=_MUTED, linewidth=0.9, linestyle=_DASHES[2])
    if chart.marked_x is not None:
        axes.axvline(chart.marked_x, color=_MUTED, linewidth=1, linestyle=_DASHES[1])
    for x in chart.borders:
        axes.axvline(x, color=_MUTED, linewidth=0.8, linestyle=_DASHES[2])
    if chart.marked_y is not None:
        axes.axhline(chart.marked_y, color=_MUTED, linewidth=0.9, linestyle=_DASHES[2])
    if chart.has_log_scale:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")  # the default one is a formula
        axes.yaxis.set_minor_formatter("")
    if chart.has_log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
    if chart.x_names:
        names = [sanitize_text(name, limit=_MAX_LABEL_LENGTH) for name in chart.x_names]
        is_long = sum(map(len, names)) > _MAX_LEVEL_LENGTH
        axes.set_xticks(
            range(len(names)), names, rotation=25 if is_long else 0, ha="right" if is_long else "center"
        )
        axes.set_xlim(-0.5, len(names) - 0.5)
    if chart.has_integer_x:
        axes.xaxis.get_major_locator().set_params(integer=True)
    if chart.x_range is not None:
        axes.set_xlim(*chart.x_range)
    if chart.y_range is not None:
        axes.set_ylim(*chart.y_range)
    axes.set_xlabel(sanitize_text(chart.x_title, limit=60))
    axes.set_ylabel(sanitize_text(chart.y_title, limit=40))


def _to_svg(figure: Any, title: str, description: str) -> Markup:
    """Return a figure as an SVG element without identifiers, styles or colors that other elements could meet."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    canvas: Any = FigureCanvasSVG(figure)
    canvas.print_svg(buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ElementTree.fromstring(buffer.getvalue())  # noqa: S314 - Matplotlib wrote it
    prefix = f"c{next(_numbers)}-"
    _strip_tree(root, _find_references(root), prefix)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", sanitize_text(f"{title}. {description}"))
    ElementTree.register_namespace("", _SVG)
    text = ElementTree.tostring(root, encoding="unicode")
    return Markup(text.replace(f' xmlns="{_SVG}"', "", 1).replace("\n", ""))


def _find_references(root: ElementTree.Element) -> set[str]:
    """Return the identifiers that other elements use."""
    found = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            if name in ("href", _LINK):
                found.add(value.removeprefix("#"))
            elif "url(#" in value:
                found.add(value.partition("url(#")[2].partition(")")[0])
    return found


def _strip_tree(element: ElementTree.Element, references: set[str], prefix: str) -> None:
    for child in list(element):
        if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
            element.remove(child)
        else:
            _strip_tree(child, references, prefix)
    attributes = element.attrib
    if "id" in attributes:
        own = attributes.pop("id")
        if own in references:
            attributes["id"] = prefix + own
    if _LINK in attributes:
        attributes["href"] = f"#{prefix}{attributes.pop(_LINK).removeprefix('#')}"
    for name, value in attributes.items():
        if "url(#" in value:
            attributes[name] = value.replace("url(#", f"url(#{prefix}")
        elif name in ("style", "fill", "stroke"):
            for drawn, shown in _STYLE_COLORS.items():
                value = value.replace(drawn, shown)
            attributes[name] = value
    element.tail = None


def _make_figure(chart: Chart, svg: Markup, *, has_lines: bool) -> Markup:
    legend = (
        _make_legend(chart, has_lines=has_lines) if len(chart.series) > 1 or chart.marked_name else Markup()
    )
    return _wrap_figure(chart.title, chart.note, join_markup([svg, legend]), _make_number_table(chart))


def _wrap_figure(title: str, note: str | None, picture: Markup, table: Markup) -> Markup:
    shown_note = make_element("span", note, class_="note") if note else Markup()
    return make_element(
        "figure",
        make_element("figcaption", title, shown_note),
        picture,
        make_details("Numbers", table),
        class_="chart",
    )


def _make_legend(chart: Chart, *, has_lines: bool) -> Markup:
    items = []
    for series in chart.series:
        style = f"stroke: {SERIES_COLORS[series.color % len(SERIES_COLORS)]}; stroke-width: 2"
        dash = _SVG_DASHES[series.dash % len(_SVG_DASHES)]
        is_line = has_lines and series.has_line
        items.append(_make_legend_item(series.name, style, dash if is_line else "3 40"))
    if chart.marked_name:
        items.append(_make_legend_item(chart.marked_name, "stroke: var(--muted)", _SVG_DASHES[1]))
    return make_element("ul", *items, class_="legend")


def _make_legend_item(name: str, style: str, dash: str) -> Markup:
    line = make_element("line", x1=0, y1=5, x2=24, y2=5, style=style, stroke_dasharray=dash or None)
    icon = make_element("svg", line, viewBox="0 0 24 10", aria_hidden="true")
    return make_element("li", icon, sanitize_text(name, limit=60))


def _make_number_table(chart: Chart) -> Markup:
    """Return the numbers of a chart; of a long series only evenly spaced ones."""
    xs = sorted({float(x) for series in chart.series for x in series.x})
    if chart.series and all(len(series.x) == len(xs) for series in chart.series):
        by_x = [dict(zip(map(float, series.x), series.y, strict=True)) for series in chart.series]
        columns = [
            Column(chart.x_title),
            *(Column(series.name or chart.y_title, is_number=True) for series in chart.series),
        ]
        rows = [
            [_format_cell(x), *(_format_cell(values.get(x)) for values in by_x)] for x in _reduce_rows(xs)
        ]
        return make_table(columns, rows, label=chart.title)
    columns = [Column("series"), Column(chart.x_title, is_number=True), Column(chart.y_title, is_number=True)]
    rows = [
        [series.name, _format_cell(x), _format_cell(y)]
        for series in chart.series
        for x, y in _reduce_rows(list(zip(series.x, series.y, strict=True)))
    ]
    return make_table(columns, rows, label=chart.title)


def _reduce_rows(values: Sequence[Any]) -> Sequence[Any]:
    """Return evenly spaced values, with the first and the last, so that a table has few rows."""
    if len(values) <= _MAX_TABLE_ROWS:
        return values
    step = (len(values) - 1) / (_MAX_TABLE_ROWS - 1)
    return [values[round(index * step)] for index in range(_MAX_TABLE_ROWS)]


def _to_floats(values: Sequence[float | None]) -> list[float]:
    """Return numbers that can be drawn; NaN in place of others."""
    return [nan if value is None or not abs(value) < _MAX_NUMBER else float(value) for value in values]


def _format_cell(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.4g}"
