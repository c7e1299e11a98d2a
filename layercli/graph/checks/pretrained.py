"""Check that the preprocessing of pretrained models is not done twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from layercli.graph.finding import Finding
from layercli.graph.shapes import ModelShapes
from layercli.layers.families.applications import Application

_SCALING_LAYERS: Final = frozenset({"Rescaling", "Normalization"})


def check_pretrained_inputs(shapes: ModelShapes) -> Iterator[Finding]:
    """Yield a warning for each layer that scales the images of a pretrained model, which scales them itself."""
    for row in shapes.rows:
        layer = row.node.layer
        if not isinstance(layer, Application) or not layer.has_preprocessing:
            continue
        for name in row.node.inputs:
            source = shapes.by_name.get(name)
            if source is not None and source.node.type_name in _SCALING_LAYERS:
                yield Finding(
                    code="scaled-twice",
                    message=f"`{row.node.name}` scales its input itself and expects values from 0 to 255, but "
                    f"`{name}` scales it too.",
                    path=source.node.path,
                    hint=f"Remove `{name}`.",
                    severity="warning",
                )
