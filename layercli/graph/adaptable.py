"""Layers that adapt to the training data before training, such as Normalization."""

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
"""Each layer type that adapts to data -> the argument that sets its state without data."""


def should_adapt(node: GraphNode) -> bool:
    """Return whether the node's layer, or a nested layer, must adapt to data before use."""
    return node.reuse_of is None and is_adaptable(node.layer)


def is_adaptable(layer: Component) -> bool:
    """Return whether a layer, or a nested layer, adapts to data before training."""
    state_argument = ADAPTABLE_LAYERS.get(layer.type_name())
    return (state_argument is not None and getattr(layer, state_argument) is None) or any(
        map(is_adaptable, inner_layers(layer))
    )


def learns_normalization(layer: Component) -> bool:
    """Return whether the layer, or a nested layer, divides its input by a deviation that it learns from the data."""
    is_normalization = layer.type_name() == "Normalization" and getattr(layer, "mean", None) is None
    return (is_normalization and not getattr(layer, "invert", False)) or any(
        map(learns_normalization, inner_layers(layer))
    )


def inner_layers(layer: Component) -> list[Component]:
    """Return the layers nested in TimeDistributed or Pipeline, which pass their input on."""
    if layer.type_name() == "TimeDistributed":
        return [layer.layer]  # type: ignore[attr-defined]
    return list(layer.layers) if layer.type_name() == "Pipeline" else []  # type: ignore[attr-defined]
