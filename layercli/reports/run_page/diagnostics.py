"""The statistics of each layer over a training, if it recorded them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from layercli.page.charts import Chart, Series, draw_lines
from layercli.page.html import Column, Markup, join_markup, make_element, make_table
from layercli.reports.run_page.content import RunContent
from layercli.source.nodes import sanitize_text
from layercli.source.scalars import is_number

_MAX_LINES: Final = 8
"""Layers that have a line in a chart."""
_MAX_ROWS: Final = 300
_STATISTICS: Final = {
    "std": "deviation of the outputs",
    "dead": "share of dead units",
    "saturated": "share of saturated units",
    "gradient_norm": "norm of the gradient",
    "update_ratio": "size of an update, relative to the weights",
}
"""Key of a record of a layer -> what it is."""
_LOGARITHMIC: Final = ("std", "gradient_norm", "update_ratio")


def make_diagnostics(content: RunContent) -> Markup:
    """Return charts of the layers' statistics, and a table of the last epoch; nothing if the run has none."""
    lines = _collect_lines(content.diagnostics)
    if not lines:
        return Markup()
    charts = [_draw_statistic(key, layers) for key, layers in lines.items()]
    layers = list(dict.fromkeys(name for by_layer in lines.values() for name in by_layer))
    parts = [make_element("div", *charts, class_="charts")]
    if len(layers) > _MAX_LINES:
        text = f"Each chart shows the {_MAX_LINES} layers with the most extreme values; the table has all of them."
        parts.append(make_element("p", text, class_="muted"))
    return join_markup([*parts, make_element("h4", "In the last epoch"), _make_layer_table(lines, layers)])


def _collect_lines(
    records: Sequence[Mapping[str, Any]],
) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Return the points of each layer by statistic: the epoch and the value; other parts of the records are ignored."""
    lines: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for record in records:
        epoch = record.get("epoch")
        if not is_number(epoch):
            continue
        for layer, entry in _iterate_layers(record):
            for key in _STATISTICS:
                value = entry.get(key)
                if is_number(value) and math.isfinite(value):
                    lines.setdefault(key, {}).setdefault(layer, []).append((float(epoch), float(value)))
    return {key: lines[key] for key in _STATISTICS if key in lines}


def _iterate_layers(record: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    layers = record.get("layers")
    for entry in layers if isinstance(layers, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("layer"), str):
            yield entry["layer"], entry


def _draw_statistic(key: str, layers: Mapping[str, Sequence[tuple[float, float]]]) -> Markup:
    """Return the chart of a statistic over the epochs, for at most a few layers: those with the most extreme last values."""
    names = list(layers)
    if len(names) > _MAX_LINES:
        by_value = sorted(names, key=lambda name: layers[name][-1][1])
        half = _MAX_LINES // 2
        extreme = {
            *by_value[-half:],
            *(by_value[:half] if key in _LOGARITHMIC else by_value[-_MAX_LINES:-half]),
        }
        names = [name for name in names if name in extreme]
    series = [
        Series(
            sanitize_text(name, limit=40),
            [x for x, _ in layers[name]],
            [y if y > 0 or key not in _LOGARITHMIC else None for _, y in layers[name]],
            index,
        )
        for index, name in enumerate(names)
    ]
    values = [y for each in series for y in each.y if y is not None]
    has_log_scale = key in _LOGARITHMIC and bool(values)
    title = _STATISTICS[key]
    return draw_lines(
        Chart(
            title,
            f"The {title} of each layer over the epochs.",
            "epoch",
            "logarithmic" if has_log_scale else "share",
            series,
            y_range=None if has_log_scale else (0, 1.02),
            has_log_scale=has_log_scale,
            has_integer_x=True,
        )
    )


def _make_layer_table(
    lines: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]], layers: Sequence[str]
) -> Markup:
    columns = [Column("layer"), *(Column(_STATISTICS[key], is_number=True) for key in lines)]
    rows = [
        [
            sanitize_text(name, limit=60),
            *(f"{by_layer[name][-1][1]:.3g}" if name in by_layer else "" for by_layer in lines.values()),
        ]
        for name in layers[:_MAX_ROWS]
    ]
    return make_table(columns, rows, label="Statistics of the layers in the last epoch")
