"""Layers that adapt to the training data before training, such as Normalization."""

from collections.abc import Iterator, Mapping
from typing import Final

from layercli.graph.build import Graph, GraphNode
from layercli.layers.base import Layer
from layercli.schema.component import Component

ADAPTABLE_LAYERS: Final = {
    "Normalization": "mean",
    "Discretization": "bin_boundaries",
    "StringLookup": "vocabulary",
    "IntegerLookup": "vocabulary",
    "TextVectorization": "vocabulary",
}
"""Each layer type that adapts to data -> the argument that sets its state without data."""

ORDER_KEEPING_LAYERS: Final = frozenset({"Reshape", "Flatten", "Identity"})
"""Layers that return the numbers of their input in the same order."""


def should_adapt(node: GraphNode) -> bool:
    """Return whether the node's layer, or a nested layer, must adapt to data before use."""
    return node.reuse_of is None and is_adaptable(node.layer)


def is_adaptable(layer: Component) -> bool:
    """Return whether a layer, or a nested layer, adapts to data before training."""
    state_argument = ADAPTABLE_LAYERS.get(layer.type_name())
    return (state_argument is not None and getattr(layer, state_argument) is None) or any(
        map(is_adaptable, inner_layers(layer))
    )


def learns_vocabulary(layer: Component) -> bool:
    """Return whether the layer, or a nested layer, learns its vocabulary from the data."""
    is_learned = ADAPTABLE_LAYERS.get(layer.type_name()) == "vocabulary" and is_adaptable(layer)
    return is_learned or any(map(learns_vocabulary, inner_layers(layer)))


def learns_normalization(layer: Component) -> bool:
    """Return whether the layer, or a nested layer, divides columns by deviations that it learns from the data.

    With ``axis: null`` all columns have one deviation, which is never almost zero.
    """
    has_deviations = _has_learned_mean(layer) and getattr(layer, "axis", None) is not None
    return (has_deviations and not getattr(layer, "invert", False)) or any(
        map(learns_normalization, inner_layers(layer))
    )


def learns_targets(layer: Component) -> bool:
    """Return whether the layer, or a nested layer, undoes a normalization that it learns: that of the targets."""
    return (_has_learned_mean(layer) and bool(getattr(layer, "invert", False))) or any(
        map(learns_targets, inner_layers(layer))
    )


def find_scaled_outputs(graph: Graph) -> dict[str, list[int]]:
    """Return each layer that learns from targets -> the indices of the model's outputs that it feeds."""
    by_name = {node.name: node for node in graph.nodes}
    scaled: dict[str, list[int]] = {
        node.name: [] for node in graph.nodes if should_adapt(node) and learns_targets(node.layer)
    }
    for index, name in enumerate(graph.outputs):
        for node in _find_sources(by_name, name):
            owner = node.reuse_of or node.name
            if owner in scaled and index not in scaled[owner]:
                scaled[owner].append(index)
    return scaled


def _find_sources(by_name: Mapping[str, GraphNode], name: str) -> Iterator[GraphNode]:
    """Yield the layers whose numbers a layer returns in the same order, or averages."""
    pending = [name]
    while pending:
        node = by_name.get(pending.pop())
        if node is None:
            continue
        if node.type_name == "Average":
            pending.extend(node.inputs)
        elif node.type_name in ORDER_KEEPING_LAYERS and node.inputs:
            pending.append(node.inputs[0])
        else:
            yield node


def learns_output_size(layer: Component) -> bool:
    """Return whether the layer, or a nested layer, learns the size of its output from the data."""
    return (isinstance(layer, Layer) and layer.learns_output_size) or any(
        map(learns_output_size, inner_layers(layer))
    )


def with_output_sizes(layer: Layer, sizes: Iterator[int]) -> Layer:
    """Return the layer whose own and nested vocabularies have these sizes, with the same output."""
    if layer.learns_output_size:
        return layer.with_arguments(max_tokens=next(sizes), pad_to_max_tokens=True)
    inner = [with_output_sizes(each, sizes) for each in inner_layers(layer)]
    if not inner:
        return layer
    return layer.with_arguments(
        **({"layers": inner} if layer.type_name() == "Pipeline" else {"layer": inner[0]})
    )


def read_output_sizes(layer: Layer, completed: Layer) -> list[int]:
    """Return the sizes that ``completed`` has for the own and nested vocabularies of a layer; empty if they differ in type."""
    if layer.type_name() != completed.type_name():
        return []
    if layer.learns_output_size:
        size = getattr(completed, "max_tokens", None)
        return [] if size is None or not getattr(completed, "pad_to_max_tokens", False) else [size]
    pairs = zip(inner_layers(layer), inner_layers(completed), strict=False)
    return [size for pair in pairs for size in read_output_sizes(*pair)]


def count_size_learners(layer: Layer) -> int:
    """Return the number of own and nested vocabularies whose size a layer learns."""
    return int(layer.learns_output_size) or sum(map(count_size_learners, inner_layers(layer)))


def _has_learned_mean(layer: Component) -> bool:
    return layer.type_name() == "Normalization" and getattr(layer, "mean", None) is None


def inner_layers(layer: Component) -> list[Layer]:
    """Return the layers nested in TimeDistributed or Pipeline, which pass their input on."""
    if layer.type_name() == "TimeDistributed":
        return [layer.layer]  # type: ignore[attr-defined]
    return list(layer.layers) if layer.type_name() == "Pipeline" else []  # type: ignore[attr-defined]
