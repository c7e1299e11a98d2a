"""The work of computing nested layers, bounded before their shapes are inferred: a small text can call them often."""

from __future__ import annotations

from typing import Final

from layercli.graph.build import Graph
from layercli.graph.finding import Finding
from layercli.layers.base import Layer
from layercli.schema.component import CONTAINERS, Component

_MAX_NESTED_LAYERS: Final = 20_000
"""Largest number of nested layers in all calls."""
_LAYER_WORK: Final = 50
"""The work of a nested layer, in values of a list."""


def find_excess_calls(graph: Graph) -> Finding | None:
    """Return a finding for the first call with which the calls have too many nested layers and values of lists."""
    work_of_layers: dict[str, int] = {}
    total = 0
    for node in graph.nodes:
        declared = node.reuse_of or node.name
        if declared not in work_of_layers:
            work_of_layers[declared] = _measure_layer(node.layer)
        total += work_of_layers[declared]
        if total > _MAX_NESTED_LAYERS * _LAYER_WORK:
            message = (
                f"`layers` must have at most {_MAX_NESTED_LAYERS:,} nested layers, or "
                f"{_MAX_NESTED_LAYERS * _LAYER_WORK:,} values in lists; the layers of a pretrained model are nested, and "
                "`reuse` counts them again."
            )
            hint = "Use fewer layers with nested layers or long lists, here or above."
            return Finding(code="out-of-range", message=message, path=node.path, hint=hint)
    return None


def _measure_layer(layer: Layer) -> int:
    return layer.traced_layer_count * _LAYER_WORK + _measure_values(layer.arguments())


def _measure_values(value: object) -> int:
    if isinstance(value, Component):
        own = _LAYER_WORK if isinstance(value, Layer) else 0
        return own + _measure_values(value.arguments())
    if isinstance(value, dict):
        return sum(_measure_values(item) for item in value.values() if isinstance(item, CONTAINERS))
    if isinstance(value, list):
        return len(value) + sum(_measure_values(item) for item in value if isinstance(item, CONTAINERS))
    return 0
