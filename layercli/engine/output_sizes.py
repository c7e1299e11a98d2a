"""The sizes of outputs that layers learn from data: the vocabularies of lookups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from layercli.check import ValidConfig
from layercli.data.examples import Subset
from layercli.engine.adapt import adapt_layers, adapt_node, layer_inputs
from layercli.engine.assemble import assemble_model
from layercli.engine.custom_layers import create_layer
from layercli.graph.adaptable import inner_layers
from layercli.graph.build import GraphNode, find_dependencies
from layercli.graph.shapes import ModelShapes
from layercli.layers.base import Layer


def learn_output_sizes(valid: ValidConfig, subset: Subset) -> dict[str, list[int]]:
    """Return the sizes of the vocabularies in each layer that learns the size of its output from this subset."""
    sizes: dict[str, list[int]] = {}
    for node in valid.graph.nodes:
        if node.name in valid.shapes.size_learners:
            layer, _ = create_layer(node, valid)
            above = _cut_above(valid, sizes, node)
            assembled = None
            if above.graph.nodes:
                assembled = assemble_model(above)
                adapt_layers(assembled, above, subset)
            adapt_node(layer, node, above, partial(layer_inputs, assembled, above, node, subset))
            sizes[node.name] = list(_read_sizes(layer, node.layer))
    return sizes


def _cut_above(valid: ValidConfig, sizes: Mapping[str, list[int]], node: GraphNode) -> ValidConfig:
    """Return the config with only the layers that a node depends on, whose sizes are known."""
    needed = find_dependencies(valid.graph, node.inputs)
    known = valid.with_output_sizes({name: sizes[name] for name in sizes if name in needed})
    graph = replace(
        known.graph,
        nodes=[each for each in known.graph.nodes if each.name in needed],
        outputs=node.inputs[:1],
        output_indices=node.input_indices[:1],
    )
    rows = [row for row in known.shapes.rows if row.node.name in needed]
    return replace(known, shapes=ModelShapes(graph, rows, {row.node.name: row for row in rows}))


def _read_sizes(layer: Any, component: Layer) -> Iterator[int]:
    """Yield the size of each learned vocabulary of a Keras layer and its inner layers."""
    if component.learns_output_size:
        yield int(layer.vocabulary_size())
        return
    keras_layers = (
        [layer.layer] if component.type_name() == "TimeDistributed" else getattr(layer, "layers", [])
    )
    for inner, inner_component in zip(keras_layers, inner_layers(component), strict=False):
        yield from _read_sizes(inner, inner_component)
