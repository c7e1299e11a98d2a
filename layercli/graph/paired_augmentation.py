"""Augmentation layers that move pixels, for targets with a value for each pixel, such as masks.

A layer of a model changes only the images. In training, layercli therefore runs the layers up to the last one that moves
pixels before the model, on the image and its target with the same random numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from layercli.config.config import Config
from layercli.config.data.section import DataFacts
from layercli.graph.build import GraphNode
from layercli.graph.finding import Finding
from layercli.graph.shapes import ModelShapes
from layercli.layers.shapes import Shape

_MOVING: Final = frozenset(
    {
        "RandomFlip",
        "RandomRotation",
        "RandomTranslation",
        "RandomZoom",
        "RandomShear",
        "RandomPerspective",
    }
)
"""Layers that can move the pixels of a target as those of its image."""
_UNPAIRED: Final = frozenset(
    {
        "RandomCrop",
        "RandomElasticTransform",  # Keras draws other random numbers for the target
        "CutMix",
        "MixUp",
        "AugMix",
        "RandAugment",
        "Pipeline",
    }
)
"""Layers that move or mix pixels, but cannot do the same with a target."""
_POINTWISE: Final = frozenset({"Rescaling", "Normalization", "GaussianNoise", "Identity"})
"""Other layers that change each pixel where it is."""


def has_target_for_pixels(shapes: ModelShapes, target: Shape | None) -> bool:
    """Return whether a target, of the shape of one example, has a value for each pixel of the model's only input."""
    inputs = list(shapes.graph.inputs.values())
    if len(inputs) != 1 or len(shapes.graph.outputs) != 1 or inputs[0].rank != 4 or target is None:
        return False
    return len(target) >= 2 and target[:2] == inputs[0].shape[1:3]


def find_paired_layers(shapes: ModelShapes) -> list[GraphNode]:
    """Return the layers from the input to the last one that moves pixels, if they follow each other; else none."""
    graph = shapes.graph
    consumers: dict[str, list[GraphNode]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            consumers.setdefault(name, []).append(node)
    chain: list[GraphNode] = []
    paired = 0
    name = next(iter(graph.inputs))
    while len(following := consumers.get(name, [])) == 1 and name not in graph.outputs:
        node = following[0]
        if len(node.inputs) != 1 or node.reuse_of is not None or not _keeps_places(node):
            break
        chain.append(node)
        name = node.name
        paired = len(chain) if node.type_name in _MOVING else paired
    return chain[:paired]


def _keeps_places(node: GraphNode) -> bool:
    """Return whether a layer changes each pixel where it is, or is one that can move the target, too."""
    if node.type_name in _MOVING | _POINTWISE:
        return True
    is_augmentation = getattr(node.layer, "family", None) == "augmentation"
    return is_augmentation and node.type_name not in _UNPAIRED


def check_moved_targets(config: Config, shapes: ModelShapes, facts: DataFacts | None) -> Iterator[Finding]:
    """Yield a finding for each layer that would move an image without its target."""
    if config.train is None or config.data is None:
        return
    is_paired = (
        config.data.has_pixel_targets
        if facts is None
        else facts.target is not None and has_target_for_pixels(shapes, facts.target.shape)
    )
    if not is_paired or len(shapes.graph.inputs) != 1:
        return
    paired = {node.name for node in find_paired_layers(shapes)}
    dtype = next(iter(shapes.graph.inputs.values())).dtype
    for node in shapes.graph.nodes:
        if node.type_name in _UNPAIRED:
            message = (
                f"{node.type_name} cannot do the same with the target, which has a value for each pixel."
            )
            hint = "Remove it, or use layers such as RandomFlip, RandomRotation, RandomTranslation and RandomZoom."
        elif node.type_name in _MOVING and node.name not in paired:
            message = f"{node.type_name} moves the pixels of the image here, but not those of the target."
            hint = "Move it to the start of the model: only Rescaling, Normalization and other augmentation may be before it."
        elif node.name in paired and not dtype.startswith(("float", "bfloat")):
            message = f"{node.type_name} with a target for each pixel requires an input of floating-point numbers, got {dtype}."
            hint = "Remove `dtype` from the input of the model."
        else:
            continue
        yield Finding(code="moved-target", message=message, path=node.path, hint=hint)
