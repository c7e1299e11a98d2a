"""Layers that learn from data before training: what their examples tell, not how well they do."""

from typing import Final

from layercli.graph.build import GraphNode
from layercli.schema.component import Component

ADAPTABLE_LAYERS: Final = {
    "Normalization": "mean",
    "Discretization": "bin_boundaries",
    "StringLookup": "vocabulary",
    "IntegerLookup": "vocabulary",
    "TextVectorization": "vocabulary",
}
"""Layers that learn from data before training, and the argument that tells them what they would learn."""


def should_adapt(node: GraphNode) -> bool:
    """Whether the layer, or one inside it, must be adapted to data before it can be used."""
    return node.reuse_of is None and is_adaptable(node.layer)


def is_adaptable(layer: Component) -> bool:
    """Whether a layer, or one inside it, learns from data before training."""
    state_argument = ADAPTABLE_LAYERS.get(layer.type_name())
    return (state_argument is not None and getattr(layer, state_argument) is None) or any(
        map(is_adaptable, inner_layers(layer))
    )


def inner_layers(layer: Component) -> list[Component]:
    """The layers inside one that gives them what it takes itself, or steps of it."""
    if layer.type_name() == "TimeDistributed":
        return [layer.layer]  # type: ignore[attr-defined]
    return list(layer.layers) if layer.type_name() == "Pipeline" else []  # type: ignore[attr-defined]
