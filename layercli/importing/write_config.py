"""A list of layers and its blocks as the text of a config, in the way in which people write one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from layercli.config.language.variables import escape_references
from layercli.config.names import INPUT, PREVIOUS
from layercli.importing.block_detection import Block
from layercli.importing.layer_stack import Item, Parameter, Stack, Wire
from layercli.schema.component import snake_case
from layercli.source.dump import to_flow_yaml

_WIDEST: Final = 118
"""Columns of an entry on one line."""


def write(
    stack: Stack,
    blocks: Iterable[Block],
    *,
    name: str,
    comments: Iterable[str] = (),
    train: Mapping[str, Any] | None = None,
    weights: str | None = None,
) -> str:
    """The config."""
    lines = [*(f"# {comment}" for comment in comments), f"name: {to_flow_yaml(name)}"]
    declared = list(blocks)
    if declared:
        lines.append("blocks:")
        for block in declared:
            lines += _block(block)
    lines.append("model:")
    if list(stack.inputs) == [INPUT]:
        lines.append(f"  input: {to_flow_yaml(_shape(stack.inputs[INPUT]))}")
    else:
        lines.append("  inputs:")
        lines += [
            f"    {to_flow_yaml(key)}: {to_flow_yaml(_shape(spec))}" for key, spec in stack.inputs.items()
        ]
    names = _names(stack.items, stack.inputs, stack.outputs)
    lines.append("  layers:")
    lines += [line for item in stack.items for line in _entry(item, stack, names, "    ")]
    if stack.outputs != [Wire(stack.items[-1])]:
        outputs = [_reference(wire, names, None) for wire in stack.outputs]
        lines.append(f"  outputs: {to_flow_yaml(outputs if len(outputs) > 1 else outputs[0])}")
    if weights is not None:
        lines.append(f"  weights: {to_flow_yaml(weights)}")
    if train:
        lines.append("train:")
        lines += [f"  {key}: {to_flow_yaml(value)}" for key, value in train.items()]
    return "\n".join(lines) + "\n"


def output_names(stack: Stack) -> list[str] | None:
    """What ``train`` calls the outputs of a folded stack; None where one is not a single layer's."""
    if any(not isinstance(wire.source, Item) or wire.source.kind == "block" or wire.source.repeat > 1
           or wire.pick is not None for wire in stack.outputs):  # fmt: skip
        return None
    names = _names(stack.items, stack.inputs, stack.outputs)
    return [names.get(wire.source, "") for wire in stack.outputs if isinstance(wire.source, Item)]


def _shape(spec: Mapping[str, Any]) -> Any:
    return spec["shape"] if spec["dtype"] == "float32" else dict(spec)


def _block(block: Block) -> list[str]:
    lines = [f"  {block.name}:"]
    if block.params:
        given = {name: value for name, value in block.params.items() if value is not None}
        bare: list[Any] = [name for name, value in block.params.items() if value is None]
        params: Any = given if not bare else [*bare, given] if given else bare
        lines.append(f"    params: {to_flow_yaml(params)}")
    names = _names(block.items, {}, [])
    lines.append("    layers:")
    return lines + [line for item in block.items for line in _entry(item, block, names, "      ")]


def _names(items: list[Item], inputs: Mapping[str, Any], outputs: list[Wire]) -> dict[Item, str]:
    """The names that entries are given: those that they had, and one for each that another entry names."""
    taken = set(inputs)
    names: dict[Item, str] = {}
    for item in items:
        if item.name is not None:
            names[item] = _free(item.name, taken, item.repeat)
    named = {item.target for item in items if item.target is not None}
    for before, item in zip([None, *items], items, strict=False):
        named |= {wire.source for wire in item.sources() if isinstance(wire.source, Item)
                  and (wire.source is not before or wire.pick is not None or wire not in item.wires)}  # fmt: skip
    if outputs and outputs != [Wire(items[-1])]:
        named |= {wire.source for wire in outputs if isinstance(wire.source, Item)}
    for item in items:
        if item in named and item not in names:
            base = item.hint or (
                item.type if item.kind == "block" else snake_case(item.type.rpartition(":")[2])
            )
            names[item] = _free(base, taken, item.repeat)
    return names


def _free(name: str, taken: set[str], repeat: int) -> str:
    """The name, or with a number the first that nothing else has, nor one of its repetitions."""
    free, number = name, 1
    while free in (INPUT, PREVIOUS) or not taken.isdisjoint(_made(free, repeat)):
        number += 1
        free = f"{name}_{number}"
    taken.update(_made(free, repeat))
    return free


def _made(name: str, repeat: int) -> list[str]:
    return [name, *(f"{name}_{number}" for number in range(1, repeat + 1) if repeat > 1)]


def _entry(item: Item, home: Stack | Block, names: dict[Item, str], indent: str) -> list[str]:
    """An entry of a list of layers, on one line where it fits."""
    entry: dict[str, Any] = {"layer": {"type": item.type}, "block": {"block": item.type}}.get(item.kind, {})
    if item.target is not None:
        entry = {"reuse": names[item.target]}
    if item in names:
        entry["name"] = names[item]
    items = home.items
    index = items.index(item) if item is items[0] else -1
    before = None if index == 0 else items[items.index(item) - 1]
    wired = _inputs(item, names, before, multiple=isinstance(home, Stack) and len(home.inputs) > 1)
    if wired is not None:
        entry["inputs"] = wired
    args = {key: _argument(value, names) for key, value in item.args.items()}
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
    if len(line) <= _WIDEST:
        return [line]
    first, *others = [f"{key}: {to_flow_yaml(value)}" for key, value in entry.items()]
    return [f"{indent}- {first}", *(f"{indent}  {other}" for other in others)]


def _argument(value: Any, names: dict[Item, str]) -> Any:
    if isinstance(value, Wire):
        return _reference(value, names, None)
    return f"${{{value.name}}}" if isinstance(value, Parameter) else escape_references(value)


def _inputs(item: Item, names: dict[Item, str], before: Item | None, *, multiple: bool) -> Any:
    """What stands as ``inputs``; None where the entry takes what it would take anyway."""
    plain = [Wire(before)] if before is not None else [Wire(INPUT)]
    if item.wires == plain and not (before is None and multiple):
        return None
    listed = [_reference(wire, names, before) for wire in item.wires]
    if item.wires[0].key is not None:
        return dict(zip((wire.key for wire in item.wires), listed, strict=True))
    return listed if len(listed) > 1 else listed[0]


def _reference(wire: Wire, names: dict[Item, str], before: Item | None) -> str:
    if isinstance(wire.source, Parameter):
        name = f"${{{wire.source.name}}}"
    elif isinstance(wire.source, str):
        name = wire.source
    elif wire.source is before and wire.pick is None:
        return PREVIOUS
    else:
        name = names[wire.source]
    return name if wire.pick is None else f"{name}:{wire.pick}"
