"""The layers of a model one by one, in one order, so that two models can be held against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from layercli.check import ValidConfig
from layercli.config.custom_layers import CustomLayer
from layercli.importing.keras_config import minimal
from layercli.importing.layer_stack import Item, Parameter, Stack, Wire

Place: TypeAlias = tuple[int | str, int | None, str | None]
"""Which layer's output, or which input; which of several; what the layer calls it."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A call of a layer."""

    type: str
    args: Mapping[str, Any]
    takes: tuple[Place, ...]
    shares: int | None
    """The call that declared the layer."""
    origin: tuple[str, ...]
    """Where the original model has it."""

    def same(self, other: Leaf) -> bool:
        """Whether both are the same layer at the same place."""
        return (self.type, dict(self.args), self.takes, self.shares) == (
            other.type,
            dict(other.args),
            other.takes,
            other.shares,
        )


def leaves_of(stack: Stack) -> tuple[list[Leaf], tuple[Place, ...]]:
    """The layers of a stack that is not folded, and its outputs."""
    leaves: list[Leaf] = []
    first: dict[Item, int] = {}
    made: dict[Item, Any] = {}
    inputs = {name: number for number, name in enumerate(stack.inputs)}

    def place(wire: Wire, ends: dict[Any, Any], given: Place | None) -> Place:
        assert not isinstance(wire.source, Parameter)
        if isinstance(wire.source, str):
            if given is not None:
                return (given[0], given[1], wire.key)
            return (f"input {inputs[wire.source]}", wire.pick, wire.key)
        end = ends[wire.source]
        return (end, wire.pick, wire.key)

    def write(items: list[Item], given: Place | None) -> int:
        ends: dict[Any, Any] = {}
        for item in items:
            declared = item.target if item.target is not None else item
            takes = tuple(place(wire, ends, given) for wire in item.wires)
            if declared.body:
                ends[item] = write(declared.body, takes[0])
                continue
            shares = first.get(declared)
            first.setdefault(declared, len(leaves))
            leaves.append(Leaf(declared.type, declared.args, takes, shares, declared.origin))
            ends[item] = len(leaves) - 1
        made.update(ends)
        return len(leaves) - 1

    write(stack.items, None)
    return leaves, tuple(place(wire, made, None) for wire in stack.outputs)


def leaves_of_config(valid: ValidConfig) -> tuple[list[Leaf], tuple[Place, ...]]:
    """The layers that a config stands for, blocks written out, and its outputs."""
    numbers: dict[str, int | str] = {
        name: f"input {number}" for number, name in enumerate(valid.graph.inputs)
    }
    numbers |= {node.name: number for number, node in enumerate(valid.graph.nodes)}
    leaves = []
    for node in valid.graph.nodes:
        names = node.layer.input_names
        keys: list[str | None] = list(names[: len(node.inputs)]) if names else [None] * len(node.inputs)
        takes = tuple(
            (numbers[name], pick, key)
            for name, pick, key in zip(node.inputs, node.input_indices, keys, strict=True)
        )
        args = node.layer.arguments() if isinstance(node.layer, CustomLayer) else minimal(node.layer)
        shares = None if node.reuse_of is None else numbers[node.reuse_of]
        assert not isinstance(shares, str)
        leaves.append(Leaf(node.type_name, args, takes, shares, ()))
    outputs = zip(valid.graph.outputs, valid.graph.output_indices, strict=True)
    return leaves, tuple((numbers[name], pick, None) for name, pick in outputs)
