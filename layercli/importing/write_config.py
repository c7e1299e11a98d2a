"""A stack of layers and its blocks as the text of a config, formatted for readers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from layercli.config.language.variables import escape_references
from layercli.config.names import INPUT, PREVIOUS
from layercli.importing.block_detection import FoldedBlock
from layercli.importing.layer_stack import BlockParameter, LayerStack, StackEntry, Wire
from layercli.schema.component import snake_case
from layercli.source.dump import to_flow_yaml

_MAX_LINE_WIDTH: Final = 118
"""Maximum width of an entry on one line."""


def format_config(
    stack: LayerStack,
    blocks: Iterable[FoldedBlock],
    *,
    name: str,
    comments: Iterable[str] = (),
    train: Mapping[str, Any] | None = None,
    weights: str | None = None,
) -> str:
    """Return the text of the config."""
    lines = [*(f"# {comment}" for comment in comments), f"name: {to_flow_yaml(name)}"]
    declared = list(blocks)
    if declared:
        lines.append("blocks:")
        for block in declared:
            lines += _block_lines(block)
    lines.append("model:")
    if list(stack.inputs) == [INPUT]:
        lines.append(f"  input: {to_flow_yaml(_input_spec(stack.inputs[INPUT]))}")
    else:
        lines.append("  inputs:")
        lines += [
            f"    {to_flow_yaml(key)}: {to_flow_yaml(_input_spec(spec))}"
            for key, spec in stack.inputs.items()
        ]
    names = _assign_names(stack.items, stack.inputs, stack.outputs)
    lines.append("  layers:")
    lines += [line for item in stack.items for line in _entry_lines(item, stack, names, "    ")]
    if stack.outputs != [Wire(stack.items[-1])]:
        outputs = [_format_reference(wire, names, None) for wire in stack.outputs]
        lines.append(f"  outputs: {to_flow_yaml(outputs if len(outputs) > 1 else outputs[0])}")
    if weights is not None:
        lines.append(f"  weights: {to_flow_yaml(weights)}")
    if train:
        lines.append("train:")
        lines += [f"  {key}: {to_flow_yaml(value)}" for key, value in train.items()]
    return "\n".join(lines) + "\n"


def find_output_names(stack: LayerStack) -> list[str] | None:
    """Return the config's names of a folded stack's outputs; None if one is not the output of a single layer."""
    if any(
        not isinstance(wire.source, StackEntry)
        or wire.source.kind == "block"
        or wire.source.repeat > 1
        or wire.output_index is not None
        for wire in stack.outputs
    ):
        return None
    names = _assign_names(stack.items, stack.inputs, stack.outputs)
    return [names.get(wire.source, "") for wire in stack.outputs if isinstance(wire.source, StackEntry)]


def _input_spec(spec: Mapping[str, Any]) -> Any:
    return spec["shape"] if spec["dtype"] == "float32" else dict(spec)


def _block_lines(block: FoldedBlock) -> list[str]:
    lines = [f"  {block.name}:"]
    if block.params:
        defaults = {name: value for name, value in block.params.items() if value is not None}
        required: list[Any] = [name for name, value in block.params.items() if value is None]
        params: Any = defaults if not required else [*required, defaults] if defaults else required
        lines.append(f"    params: {to_flow_yaml(params)}")
    names = _assign_names(block.items, {}, [])
    lines.append("    layers:")
    return lines + [line for item in block.items for line in _entry_lines(item, block, names, "      ")]


def _assign_names(
    items: list[StackEntry], inputs: Mapping[str, Any], outputs: list[Wire]
) -> dict[StackEntry, str]:
    """Return the names of entries that have one or that other entries refer to."""
    used_names = set(inputs)
    names: dict[StackEntry, str] = {}
    for item in items:
        if item.name is not None:
            names[item] = _reserve_name(item.name, used_names, item.repeat)
    referenced = {item.reused_entry for item in items if item.reused_entry is not None}
    for previous, item in zip([None, *items], items, strict=False):
        referenced |= {
            wire.source
            for wire in item.iterate_wires()
            if isinstance(wire.source, StackEntry)
            and (wire.source is not previous or wire.output_index is not None or wire not in item.wires)
        }
    if outputs and outputs != [Wire(items[-1])]:
        referenced |= {wire.source for wire in outputs if isinstance(wire.source, StackEntry)}
    for item in items:
        if item in referenced and item not in names:
            base = item.name_hint or (
                item.type if item.kind == "block" else snake_case(item.type.rpartition(":")[2])
            )
            names[item] = _reserve_name(base, used_names, item.repeat)
    return names


def _reserve_name(name: str, used_names: set[str], repeat: int) -> str:
    """Return the name, with the first number that makes it and its repetitions unique."""
    candidate, number = name, 1
    while candidate in (INPUT, PREVIOUS) or not used_names.isdisjoint(
        _list_repeated_names(candidate, repeat)
    ):
        number += 1
        candidate = f"{name}_{number}"
    used_names.update(_list_repeated_names(candidate, repeat))
    return candidate


def _list_repeated_names(name: str, repeat: int) -> list[str]:
    return [name, *(f"{name}_{number}" for number in range(1, repeat + 1) if repeat > 1)]


def _entry_lines(
    item: StackEntry, container: LayerStack | FoldedBlock, names: dict[StackEntry, str], indent: str
) -> list[str]:
    """Return the lines of an entry in a list of layers: one line if it fits."""
    entry: dict[str, Any] = {"layer": {"type": item.type}, "block": {"block": item.type}}.get(item.kind, {})
    if item.reused_entry is not None:
        entry = {"reuse": names[item.reused_entry]}
    if item in names:
        entry["name"] = names[item]
    items = container.items
    index = items.index(item) if item is items[0] else -1
    previous = None if index == 0 else items[items.index(item) - 1]
    inputs = _format_inputs(
        item, names, previous, multiple=isinstance(container, LayerStack) and len(container.inputs) > 1
    )
    if inputs is not None:
        entry["inputs"] = inputs
    args = {key: _format_argument(value, names) for key, value in item.args.items()}
    if item.kind == "block":
        if args:
            entry["with"] = args
    else:
        entry |= args
    if item.repeat > 1:
        entry["repeat"] = item.repeat
    if list(entry) == ["type"]:
        return [f"{indent}- {to_flow_yaml(entry['type'])}"]
    line = f"{indent}- {to_flow_yaml(entry)}"
    if len(line) <= _MAX_LINE_WIDTH:
        return [line]
    first, *others = [f"{key}: {to_flow_yaml(value)}" for key, value in entry.items()]
    return [f"{indent}- {first}", *(f"{indent}  {other}" for other in others)]


def _format_argument(value: Any, names: dict[StackEntry, str]) -> Any:
    if isinstance(value, Wire):
        return _format_reference(value, names, None)
    return f"${{{value.name}}}" if isinstance(value, BlockParameter) else escape_references(value)


def _format_inputs(
    item: StackEntry, names: dict[StackEntry, str], previous: StackEntry | None, *, multiple: bool
) -> Any:
    """Return the value of ``inputs``; None if the entry takes its default inputs."""
    default_wires = [Wire(previous)] if previous is not None else [Wire(INPUT)]
    if item.wires == default_wires and not (previous is None and multiple):
        return None
    references = [_format_reference(wire, names, previous) for wire in item.wires]
    if item.wires[0].input_name is not None:
        return dict(zip((wire.input_name for wire in item.wires), references, strict=True))
    return references if len(references) > 1 else references[0]


def _format_reference(wire: Wire, names: dict[StackEntry, str], previous: StackEntry | None) -> str:
    if isinstance(wire.source, BlockParameter):
        name = f"${{{wire.source.name}}}"
    elif isinstance(wire.source, str):
        name = wire.source
    elif wire.source is previous and wire.output_index is None:
        return PREVIOUS
    else:
        name = names[wire.source]
    return name if wire.output_index is None else f"{name}:{wire.output_index}"
