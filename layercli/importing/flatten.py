"""The layers of a stack or a config one by one in one order, for the comparison of two models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from layercli.check import ValidConfig
from layercli.importing.layer_stack import BlockParameter, LayerStack, StackEntry, Wire
from layercli.layers.custom_layers import CustomLayer, is_custom_type
from layercli.layers.minimal_arguments import minimal_config, simplify_custom_arguments

InputReference: TypeAlias = tuple[int | str, int | None, str | None]
"""Number of the call, or name of the input; index of its output; the layer's name for it."""


@dataclass(frozen=True, slots=True)
class LayerCall:
    """A call of a layer."""

    type: str
    args: Mapping[str, Any]
    inputs: tuple[InputReference, ...]
    first_call: int | None
    """Number of the call that declared the layer, if this call reuses it."""
    layer_path: tuple[str, ...]
    """Names of the layer and of the models around it in the original model."""

    def is_same_call(self, other: LayerCall) -> bool:
        """Return whether both calls have the same type, arguments, inputs and shared layer."""
        return (self.type, self._comparable_args(), self.inputs, self.first_call) == (
            other.type,
            other._comparable_args(),
            other.inputs,
            other.first_call,
        )

    def _comparable_args(self) -> dict[str, Any]:
        return simplify_custom_arguments(self.args) if is_custom_type(self.type) else dict(self.args)


def flatten_stack(stack: LayerStack) -> tuple[list[LayerCall], tuple[InputReference, ...]]:
    """Return the calls in a stack before folding, and its outputs."""
    calls: list[LayerCall] = []
    first_calls: dict[StackEntry, int] = {}
    call_numbers: dict[StackEntry, Any] = {}
    inputs = {name: number for number, name in enumerate(stack.inputs)}

    def resolve_wire(
        wire: Wire, numbers: dict[Any, Any], block_input: InputReference | None
    ) -> InputReference:
        assert not isinstance(wire.source, BlockParameter)
        if isinstance(wire.source, str):
            if block_input is not None:
                return (block_input[0], block_input[1], wire.input_name)
            return (f"input {inputs[wire.source]}", wire.output_index, wire.input_name)
        end = numbers[wire.source]
        return (end, wire.output_index, wire.input_name)

    def flatten_items(items: list[StackEntry], block_input: InputReference | None) -> int:
        numbers: dict[Any, Any] = {}
        for item in items:
            declared = item.reused_entry if item.reused_entry is not None else item
            call_inputs = tuple(resolve_wire(wire, numbers, block_input) for wire in item.wires)
            if declared.body:
                numbers[item] = flatten_items(declared.body, call_inputs[0])
                continue
            first_call = first_calls.get(declared)
            first_calls.setdefault(declared, len(calls))
            calls.append(
                LayerCall(declared.type, declared.args, call_inputs, first_call, declared.layer_path)
            )
            numbers[item] = len(calls) - 1
        call_numbers.update(numbers)
        return len(calls) - 1

    flatten_items(stack.items, None)
    return calls, tuple(resolve_wire(wire, call_numbers, None) for wire in stack.outputs)


def flatten_config(valid: ValidConfig) -> tuple[list[LayerCall], tuple[InputReference, ...]]:
    """Return the calls in a config with its blocks expanded, and its outputs."""
    numbers: dict[str, int | str] = {
        name: f"input {number}" for number, name in enumerate(valid.graph.inputs)
    }
    numbers |= {node.name: number for number, node in enumerate(valid.graph.nodes)}
    calls = []
    for node in valid.graph.nodes:
        names = node.layer.input_names
        keys: list[str | None] = [None] * len(node.inputs)
        if names:
            keys = list(node.input_keys or names[: len(node.inputs)])
        call_inputs = tuple(
            (numbers[name], pick, key)
            for name, pick, key in zip(node.inputs, node.input_indices, keys, strict=True)
        )
        args = node.layer.arguments() if isinstance(node.layer, CustomLayer) else minimal_config(node.layer)
        first_call = None if node.reuse_of is None else numbers[node.reuse_of]
        assert not isinstance(first_call, str)
        calls.append(LayerCall(node.type_name, args, call_inputs, first_call, ()))
    outputs = zip(valid.graph.outputs, valid.graph.output_indices, strict=True)
    return calls, tuple((numbers[name], pick, None) for name, pick in outputs)
