"""Vectors of texts, for which Keras declares an axis that they do not have."""

from __future__ import annotations

from typing import Final

from layercli.graph.build import GraphNode
from layercli.graph.shapes import ModelShapes

_INDIFFERENT_LAYERS: Final = frozenset({"Activation", "Dense", "Dropout", "Identity"})
"""Layers that read the last axis of an input of any rank."""


def should_squeeze_texts(node: GraphNode, shapes: ModelShapes) -> bool:
    """Return whether TextVectorization must receive texts of shape (batch,), not (batch, 1).

    Keras declares that it makes vectors of shape (batch, 1, tokens) of the latter, but returns (batch, tokens). Layers whose
    weights or inputs depend on the rank then fail.
    """
    layer = node.layer
    if layer.type_name() != "TextVectorization" or getattr(layer, "output_mode", "int") == "int":
        return False
    x = shapes.by_name[node.name].inputs[0]
    consumers = [other for other in shapes.graph.nodes if node.name in other.inputs]
    return (
        x is not None
        and x.rank == 2
        and x.shape[-1] == 1
        and any(other.type_name not in _INDIFFERENT_LAYERS for other in consumers)
    )
