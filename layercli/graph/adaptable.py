"""Layers that learn from data before training: what their examples tell, not how well they do."""

from typing import Final

from layercli.graph.build import Node
from layercli.schema.component import Component

ADAPTED: Final = {
    "Normalization": "mean",
    "Discretization": "bin_boundaries",
    "StringLookup": "vocabulary",
    "IntegerLookup": "vocabulary",
    "TextVectorization": "vocabulary",
}
"""Layers that learn from data before training, and the argument that tells them what they would learn."""


def learns_before_training(node: Node) -> bool:
    """Whether the layer, or one inside it, must be adapted to data before it can be used."""
    return node.shares is None and learns(node.layer)


def learns(layer: Component) -> bool:
    """Whether a layer, or one inside it, learns from data before training."""
    given = ADAPTED.get(layer.type_name())
    return (given is not None and getattr(layer, given) is None) or any(map(learns, inner_layers(layer)))


def inner_layers(layer: Component) -> list[Component]:
    """The layers inside one that gives them what it takes itself, or steps of it."""
    if layer.type_name() == "TimeDistributed":
        return [layer.layer]  # type: ignore[attr-defined]
    return list(layer.layers) if layer.type_name() == "Pipeline" else []  # type: ignore[attr-defined]
