"""The activation that a layer applies to its output."""

from __future__ import annotations

from layercli.graph.shapes import NodeShapes
from layercli.schema.component import snake_case


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
