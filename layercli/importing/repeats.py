"""Entries that stand one behind the other, as one with ``repeat``."""

from __future__ import annotations

from collections import Counter

from layercli.importing.layer_stack import LayerStack, StackEntry, Wire


def redirect_wire(wire: Wire, replacements: dict[StackEntry, StackEntry]) -> Wire:
    return (
        Wire(replacements[wire.source], wire.output_index, wire.input_name)
        if wire.source in replacements
        else wire
    )


def merge_repeats(items: list[StackEntry], stack: LayerStack) -> None:
    """Entries that stand one behind the other, each taking the one before, as one with ``repeat``."""
    position = {item: index for index, item in enumerate(items)}
    uses: Counter[StackEntry] = Counter(
        wire.source for item in items for wire in item.iterate_wires() if wire.source in position
    )
    uses.update(wire.source for wire in stack.outputs if wire.source in position)
    reused_items = {item.reused_entry for item in items if item.kind == "reuse"}
    merged: list[StackEntry] = []
    for item in items:
        previous = merged[-1] if merged else None
        is_repeat = (
            previous is not None
            and item.kind == previous.kind != "reuse"
            and item.type == previous.type
            and item.args == previous.args
            and item.wires == [Wire(previous)]
            and len(previous.wires) == 1
            and previous.wires[0].input_name is None
            and uses[previous] == 1
            and not {item, previous} & reused_items
            and item.name is None
            and previous.name is None
        )
        if not is_repeat:
            merged.append(item)
            continue
        assert previous is not None
        previous.repeat += item.repeat
        replacements = {item: previous}
        uses[previous] = uses[item]
        for other in items:
            other.wires = [redirect_wire(wire, replacements) for wire in other.wires]
            other.args = {
                key: redirect_wire(value, replacements) if isinstance(value, Wire) else value
                for key, value in other.args.items()
            }
        stack.outputs = [redirect_wire(wire, replacements) for wire in stack.outputs]
    items[:] = merged
