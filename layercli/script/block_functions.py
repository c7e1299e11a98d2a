"""Repeated parts of a model, found by the names that blocks give to their layers; each becomes a function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, TypeAlias

from layercli.check import ValidConfig
from layercli.graph.build import GraphNode
from layercli.graph.lora import ignores_lora_alpha
from layercli.layers.families.applications import Application
from layercli.script.keras_calls import argument_expressions
from layercli.script.python_source import Expression

NodeOutput: TypeAlias = tuple[str, int | None]
"""A node or input, and the index of its output."""
_MAX_PARAMETERS: Final = 5


@dataclass(slots=True)
class LayerGroup:
    """The layers of one use of a block; inner blocks are groups too."""

    name: str
    items: list[GraphNode | LayerGroup]
    sources: list[NodeOutput] = field(default_factory=list)
    """Its inputs from outside."""
    function: BlockFunction | None = None
    """The function that the group calls; None if its layers are written inline."""

    @property
    def nodes(self) -> Iterator[GraphNode]:
        """All its layers in order."""
        for item in self.items:
            if isinstance(item, LayerGroup):
                yield from item.nodes
            else:
                yield item

    @property
    def last_node(self) -> GraphNode:
        """The layer that produces its output."""
        return list(self.nodes)[-1]


@dataclass(slots=True)
class BlockFunction:
    """Groups that differ only in a few arguments."""

    groups: list[LayerGroup]
    parameter_names: dict[tuple[int, str], str] = field(default_factory=dict)
    """(Index of the layer, argument) -> its parameter."""
    parameter_values: dict[str, list[Expression]] = field(default_factory=dict)
    """Parameter -> its value in each group."""

    def arguments_for(self, group: LayerGroup) -> dict[str, Expression]:
        """Return the values of the parameters for one of the groups."""
        index = next(index for index, other in enumerate(self.groups) if other is group)
        return {name: values[index] for name, values in self.parameter_values.items()}


def group_layers(
    valid: ValidConfig, excluded_names: Iterable[str]
) -> tuple[list[GraphNode | LayerGroup], list[BlockFunction]]:
    """Return the model's layers with repeated blocks as functions, inner ones first.

    Blocks that contain one of ``excluded_names`` stay inline.
    """
    top = _group_by_prefix(valid.graph.nodes, 0)
    groups = [group for group in _iterate_groups(top) if _can_be_function(group, valid, set(excluded_names))]
    functions: list[BlockFunction] = []
    for group in groups:
        existing = next((each for each in functions if _has_same_structure(each.groups[0], group)), None)
        if existing is None:
            functions.append(BlockFunction([group]))
        else:
            existing.groups.append(group)
    used_functions = []
    for function in functions:
        if len(function.groups) > 1 and _find_parameters(function):
            used_functions.append(function)
            for group in function.groups:
                group.function = function
    return top, used_functions


def _group_by_prefix(nodes: Sequence[GraphNode], depth: int) -> list[GraphNode | LayerGroup]:
    """Return neighbors with a common name prefix as groups; a group of one layer is that layer."""

    def prefix_of(node: GraphNode) -> str | None:
        steps = node.name.split(".")
        return steps[depth] if len(steps) > depth + 1 else None

    items: list[GraphNode | LayerGroup] = []
    for name, run in groupby(nodes, key=prefix_of):
        members = list(run)
        if name is None or len(members) == 1:
            items.extend(members)
        else:
            items.append(LayerGroup(name, _group_by_prefix(members, depth + 1)))
    return items


def _iterate_groups(items: Iterable[GraphNode | LayerGroup]) -> Iterator[LayerGroup]:
    """Yield every group, inner ones first."""
    for item in items:
        if isinstance(item, LayerGroup):
            yield from _iterate_groups(item.items)
            yield item


def _can_be_function(group: LayerGroup, valid: ValidConfig, excluded_names: set[str]) -> bool:
    """Return whether only the group's last layer is used outside, and it has no shared, frozen or named layer."""
    nodes = list(group.nodes)
    inside = {node.name for node in nodes}
    shared = {node.reuse_of for node in valid.graph.nodes if node.reuse_of}
    if any(node.reuse_of or node.name in shared or node.name in excluded_names for node in nodes):
        return False
    if any(not _can_be_in_function(node) for node in nodes):
        return False
    hidden = inside - {nodes[-1].name}
    outside = [node for node in valid.graph.nodes if node.name not in inside]
    if hidden & {*valid.graph.outputs, *(name for node in outside for name in node.inputs)}:
        return False
    uses = [source for node in nodes for source in zip(node.inputs, node.input_indices, strict=True)]
    group.sources = list(dict.fromkeys(source for source in uses if source[0] not in inside))
    return len(valid.shapes.by_name[nodes[-1].name].outputs) == 1 and bool(group.sources)


def _can_be_in_function(node: GraphNode) -> bool:
    has_statement = not node.layer.is_trainable or ignores_lora_alpha(node.layer)
    return not (has_statement or node.custom_parts or isinstance(node.layer, Application))


def _has_same_structure(one: LayerGroup, other: LayerGroup) -> bool:
    """Return whether the groups have the same types, wiring and inner groups."""
    return _group_structure(one) == _group_structure(other)


def _group_structure(group: LayerGroup) -> object:
    places: dict[NodeOutput, object] = {
        source: ("outside", index) for index, source in enumerate(group.sources)
    }
    numbers = {node.name: index for index, node in enumerate(group.nodes)}

    def item_structure(item: GraphNode | LayerGroup) -> object:
        if isinstance(item, LayerGroup):
            return [item_structure(inner) for inner in item.items]
        wires = [
            places.get(source, (numbers.get(source[0]), source[1]))
            for source in zip(item.inputs, item.input_indices, strict=True)
        ]
        return item.type_name, wires

    return [item_structure(item) for item in group.items]


def _find_parameters(function: BlockFunction) -> bool:
    """Find the arguments that differ between the groups, and return whether they are few enough for parameters."""
    layers = [[node.layer for node in group.nodes] for group in function.groups]
    for layer_index, same_place in enumerate(zip(*layers, strict=True)):
        arguments_by_use = [argument_expressions(layer) for layer in same_place]
        for argument in dict.fromkeys(name for one in arguments_by_use for name in one):
            if any(argument not in one for one in arguments_by_use):
                return False  # a default in one group, a value in another
            values = [one[argument] for one in arguments_by_use]
            if all(value == values[0] for value in values):
                continue
            name = argument
            number = 1
            while name in function.parameter_values and function.parameter_values[name] != values:
                number += 1
                name = f"{argument}_{number}"
            function.parameter_values[name] = values
            function.parameter_names[layer_index, argument] = name
    return len(function.parameter_values) <= _MAX_PARAMETERS
