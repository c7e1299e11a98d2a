"""The activation that a layer applies to its output."""

from __future__ import annotations

from typing import Final

from layercli.graph.shapes import NodeShapes
from layercli.layers.base import Layer
from layercli.schema.component import snake_case

DEAD_AT_ZERO: Final = frozenset(
    ["relu", "relu6", "re_lu", "hard_shrink", "soft_shrink", "sparse_plus", "threshold"]
)
"""Activations whose gradient is 0 where the output is 0."""
SATURATION_LIMITS: Final = {
    "sigmoid": (0.01, 0.99),
    "hard_sigmoid": (0.01, 0.99),
    "tanh": (-0.98, 0.98),
    "hard_tanh": (-0.98, 0.98),
}
"""Outputs of activations with two limits, below or above which the gradient is nearly 0."""


def layer_activation(row: NodeShapes) -> str | None:
    """Return the activation that a layer applies, "linear" if there is none; None if the type does not have one."""
    layer = row.node.layer
    if row.node.type_name == "Softmax":
        return "softmax"
    if row.node.type_name in ("ReLU", "LeakyReLU", "ELU", "PReLU"):
        return snake_case(row.node.type_name)
    if "activation" not in type(layer).model_fields:
        return None
    return getattr(layer, "activation", None) or "linear"


def find_unit_activation(row: NodeShapes) -> str | None:
    """Return the activation of each unit of a layer; for a wrapper, that of the layer in it; None if it is unknown."""
    layer = getattr(row.node.layer, "layer", row.node.layer)
    if row.node.type_name == "ReLU":
        return None if getattr(layer, "negative_slope", 0.0) else "re_lu"
    if layer is row.node.layer:
        return layer_activation(row)
    return getattr(layer, "activation", None) if isinstance(layer, Layer) else None
