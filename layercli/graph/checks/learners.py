"""Check that layers that learn from data are where they can: in the list of layers, not in other layers."""

from __future__ import annotations

from collections.abc import Iterator

from layercli.graph.adaptable import ADAPTABLE_LAYERS, inner_layers
from layercli.graph.build import Graph
from layercli.graph.finding import Finding
from layercli.schema.component import CONTAINERS, Component
from layercli.source.nodes import KeyPath


def check_learners(graph: Graph) -> Iterator[Finding]:
    """Yield a finding for each layer, such as Normalization, that is an argument of a layer that does not adapt it."""
    for node in graph.nodes:
        for component, path in _find_hidden_learners(node.layer, node.path):
            argument = ADAPTABLE_LAYERS[component.type_name()]
            state = "`mean` and `variance`" if argument == "mean" else f"`{argument}`"
            yield Finding(
                code="bad-argument",
                message=f"{component.type_name()} learns from the data, which it cannot as an argument of `{node.name}`.",
                path=path,
                hint=f"Put it before `{node.name}` in `layers`, or write {state} here.",
            )


def _find_hidden_learners(layer: Component, path: KeyPath) -> Iterator[tuple[Component, KeyPath]]:
    """Yield the layers that learn from data and are nested in a layer that does not pass its input on to them."""
    if inner_layers(layer):
        nested = layer.arguments().get("layers")
        for index, inner in enumerate(inner_layers(layer)):
            yield from _find_hidden_learners(
                inner, (*path, "layer") if nested is None else (*path, "layers", index)
            )
    else:
        yield from _find_learners(layer.arguments(), path)


def _find_learners(value: object, path: KeyPath) -> Iterator[tuple[Component, KeyPath]]:
    if isinstance(value, Component):
        argument = ADAPTABLE_LAYERS.get(value.type_name())
        if argument is not None and getattr(value, argument) is None:
            yield value, path
        value = value.arguments()
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if isinstance(item, CONTAINERS):
            yield from _find_learners(item, (*path, key))
