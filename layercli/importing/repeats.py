"""Entries that stand one behind the other, as one with ``repeat``."""

from __future__ import annotations

from collections import Counter

from layercli.importing.layer_stack import Item, Stack, Wire


def moved_to(wire: Wire, moved: dict[Item, Item]) -> Wire:
    return Wire(moved[wire.source], wire.pick, wire.key) if wire.source in moved else wire


def repeat(items: list[Item], stack: Stack) -> None:
    """Entries that stand one behind the other, each taking the one before, as one with ``repeat``."""
    position = {item: index for index, item in enumerate(items)}
    uses: Counter[Item] = Counter(
        wire.source for item in items for wire in item.sources() if wire.source in position
    )
    uses.update(wire.source for wire in stack.outputs if wire.source in position)
    pinned = {item.target for item in items if item.kind == "reuse"}
    kept: list[Item] = []
    for item in items:
        before = kept[-1] if kept else None
        alike = (
            before is not None
            and item.kind == before.kind != "reuse"
            and item.type == before.type
            and item.args == before.args
            and item.wires == [Wire(before)]
            and len(before.wires) == 1
            and before.wires[0].key is None
            and uses[before] == 1
            and not {item, before} & pinned
            and item.name is None
            and before.name is None
        )
        if not alike:
            kept.append(item)
            continue
        assert before is not None
        before.repeat += item.repeat
        moved = {item: before}
        uses[before] = uses[item]
        for other in items:
            other.wires = [moved_to(wire, moved) for wire in other.wires]
            other.args = {
                key: moved_to(value, moved) if isinstance(value, Wire) else value
                for key, value in other.args.items()
            }
        stack.outputs = [moved_to(wire, moved) for wire in stack.outputs]
    items[:] = kept
