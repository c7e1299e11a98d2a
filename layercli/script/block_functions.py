"""Repeated stretches of a model, found by the names that blocks give to their layers: each becomes a function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, TypeAlias

from layercli.check import ValidConfig
from layercli.config.custom_layers import CustomLayer
from layercli.graph.build import GraphNode
from layercli.layers.base import Layer
from layercli.script.keras_calls import non_defaults
from layercli.script.python_source import Expression

Source: TypeAlias = tuple[str, int | None]
"""A node or input, and which of its outputs."""
_MOST_PARAMETERS: Final = 5


@dataclass(slots=True)
class Group:
    """The layers of one use of a block; other blocks inside are groups, too."""

    name: str
    items: list[GraphNode | Group]
    sources: list[Source] = field(default_factory=list)
    """What it takes from outside."""
    function: Function | None = None
    """The function that it is a call of; None where its layers are written out."""

    @property
    def nodes(self) -> Iterator[GraphNode]:
        """All its layers in order."""
        for item in self.items:
            if isinstance(item, Group):
                yield from item.nodes
            else:
                yield item

    @property
    def last(self) -> GraphNode:
        """The layer that gives its output."""
        return list(self.nodes)[-1]


@dataclass(slots=True)
class Function:
    """Groups that differ in a few arguments alone."""

    groups: list[Group]
    names: dict[tuple[int, str], str] = field(default_factory=dict)
    """Layer by its place, and argument -> the parameter that stands for it."""
    values: dict[str, list[Expression]] = field(default_factory=dict)
    """Parameter -> its value in each of the groups."""

    def arguments(self, group: Group) -> dict[str, Expression]:
        """The parameters' values in one of the groups."""
        index = next(index for index, other in enumerate(self.groups) if other is group)
        return {name: values[index] for name, values in self.values.items()}


def grouped(valid: ValidConfig, plain: Iterable[str]) -> tuple[list[GraphNode | Group], list[Function]]:
    """The layers of the model with repeated blocks as functions, inner ones first; none holds a ``plain`` layer."""
    top = _tree(valid.graph.nodes, 0)
    groups = [group for group in _all(top) if _is_closed(group, valid, set(plain))]
    functions: list[Function] = []
    for group in groups:
        known = next((each for each in functions if _alike(each.groups[0], group)), None)
        if known is None:
            functions.append(Function([group]))
        else:
            known.groups.append(group)
    kept = []
    for function in functions:
        if len(function.groups) > 1 and _find_parameters(function):
            kept.append(function)
            for group in function.groups:
                group.function = function
    return top, kept


def _tree(nodes: Sequence[GraphNode], depth: int) -> list[GraphNode | Group]:
    """Neighbours whose names begin alike as groups; a group of one layer is that layer."""

    def step(node: GraphNode) -> str | None:
        steps = node.name.split(".")
        return steps[depth] if len(steps) > depth + 1 else None

    items: list[GraphNode | Group] = []
    for name, run in groupby(nodes, key=step):
        members = list(run)
        if name is None or len(members) == 1:
            items.extend(members)
        else:
            items.append(Group(name, _tree(members, depth + 1)))
    return items


def _all(items: Iterable[GraphNode | Group]) -> Iterator[Group]:
    """Every group, inner ones first."""
    for item in items:
        if isinstance(item, Group):
            yield from _all(item.items)
            yield item


def _is_closed(group: Group, valid: ValidConfig, plain: set[str]) -> bool:
    """Whether the group can be a function: its last layer alone is used outside, and no layer is shared or named."""
    nodes = list(group.nodes)
    inside = {node.name for node in nodes}
    shared = {node.reuse_of for node in valid.graph.nodes if node.reuse_of}
    if any(node.reuse_of or node.name in shared or node.name in plain for node in nodes):
        return False
    if any(not node.layer.is_trainable or isinstance(node.layer, CustomLayer) for node in nodes):
        return False
    hidden = inside - {nodes[-1].name}
    outside = [node for node in valid.graph.nodes if node.name not in inside]
    if hidden & {*valid.graph.outputs, *(name for node in outside for name in node.inputs)}:
        return False
    uses = [source for node in nodes for source in zip(node.inputs, node.input_indices, strict=True)]
    group.sources = list(dict.fromkeys(source for source in uses if source[0] not in inside))
    return len(valid.shapes.by_name[nodes[-1].name].outputs) == 1 and bool(group.sources)


def _alike(one: Group, other: Group) -> bool:
    """Whether the groups have the same types, wired the same way, with the same groups inside."""
    return _shape(one) == _shape(other)


def _shape(group: Group) -> object:
    places: dict[Source, object] = {source: ("outside", index) for index, source in enumerate(group.sources)}
    numbers = {node.name: index for index, node in enumerate(group.nodes)}

    def shape(item: GraphNode | Group) -> object:
        if isinstance(item, Group):
            return [shape(inner) for inner in item.items]
        wires = [
            places.get(source, (numbers.get(source[0]), source[1]))
            for source in zip(item.inputs, item.input_indices, strict=True)
        ]
        return item.type_name, wires

    return [shape(item) for item in group.items]


def arguments_of(layer: Layer) -> dict[str, Expression]:
    """What is written for a layer."""
    return non_defaults(layer)


def _find_parameters(function: Function) -> bool:
    """Find the arguments that differ between the groups; whether they are few enough to be parameters."""
    layers = [[node.layer for node in group.nodes] for group in function.groups]
    for place, same_place in enumerate(zip(*layers, strict=True)):
        written = [arguments_of(layer) for layer in same_place]
        for argument in dict.fromkeys(name for one in written for name in one):
            if any(argument not in one for one in written):
                return False  # a default here, a value there: not worth a parameter
            values = [one[argument] for one in written]
            if all(value == values[0] for value in values):
                continue
            name = argument
            number = 1
            while name in function.values and function.values[name] != values:
                number += 1
                name = f"{argument}_{number}"
            function.values[name] = values
            function.names[place, argument] = name
    return len(function.values) <= _MOST_PARAMETERS
