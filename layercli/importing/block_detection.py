"""Stacks of layers that stand several times, as blocks: declared once and used where they stood."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from layercli.importing.layer_stack import INPUT, Item, Parameter, Stack, Wire
from layercli.importing.repeats import moved_to, repeat
from layercli.importing.stretches import (
    WHOLE,
    Place,
    clean_hint,
    kind_of,
    local_of,
    prefix_of,
    unused,
    wholeness,
    word_of,
)
from layercli.layers.registry import LAYERS

SKIP: Final = "skip"
"""The parameter that names the second of two layers which feed a block."""
_LONGEST = 120
"""Entries in a block, so that looking for them takes no longer than a second or two."""
_MOST_PARAMETERS = 4
_SIZES: Final = ("filters", "units", "kernel_size", "strides", "rate", "num_heads", "key_dim", "scale", "target_shape",
                 "dilation_rate", "pool_size", "groups")  # fmt: skip
"""Arguments in which a reader expects the uses of a block to differ."""
_WORTH = 2
"""Lines that a block must save."""


@dataclass(eq=False, slots=True)
class Block:
    """A stack with parameters; ``params`` maps each to its default, None where it must be given."""

    name: str
    items: list[Item]
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Candidate:
    """Stacks that are alike, and the arguments in which they differ: (entry, argument) -> parameter."""

    places: list[Place]
    params: dict[tuple[int, str], str]
    gain: float


def fold(stack: Stack) -> list[Block]:
    """Replace what stands several times in a stack, which is changed in place; returns the blocks."""
    blocks: list[Block] = []
    lists = [stack.items]
    _own_blocks(stack.items, blocks, lists)
    for items in lists:
        repeat(items, stack)
    while (best := _best(lists, stack)) is not None:
        block = _declared(best, {block.name for block in blocks})
        blocks.append(block)
        for place in reversed(best.places):  # the last first, so that the others keep their places
            _use(block, best, place, stack)
        lists.append(block.items)
    for items in lists:
        repeat(items, stack)
    kept = _unwrapped(blocks, lists)
    for items in lists:
        repeat(items, stack)
    return kept


def _unwrapped(blocks: list[Block], lists: list[list[Item]]) -> list[Block]:
    """The blocks without those that hold nothing but the use of another one."""
    kept = list(blocks)
    while True:
        wrapper = next((block for block in kept if _only_use(block) is not None), None)
        if wrapper is None:
            return kept
        inner = _only_use(wrapper)
        assert inner is not None
        kept.remove(wrapper)
        for item in (
            item for items in lists for item in items if item.kind == "block" and item.type == wrapper.name
        ):
            given = {name: value for name, value in wrapper.params.items() if value is not None} | item.args
            item.type = inner.type
            item.args = {
                key: given[value.name] if isinstance(value, Parameter) else value
                for key, value in inner.args.items()
            }
            item.repeat *= inner.repeat
            item.body = inner.body


def _only_use(block: Block) -> Item | None:
    """The use of another block that is all there is in this one."""
    if len(block.items) != 1 or block.items[0].kind != "block" or block.items[0].wires != [Wire(INPUT)]:
        return None
    return block.items[0]


def _own_blocks(items: list[Item], blocks: list[Block], lists: list[list[Item]]) -> None:
    """The models that are used as layers."""
    for item in items:
        if item.kind == "block":
            name = unused(
                re.sub(r"[^A-Za-z0-9_]", "_", item.type)[:40] or "model", {block.name for block in blocks}
            )
            item.type = name
            blocks.append(Block(name, item.body))
            lists.append(item.body)
            _own_blocks(item.body, blocks, lists)


def _best(lists: list[list[Item]], stack: Stack) -> _Candidate | None:
    """The stacks whose folding saves most."""
    groups: dict[int, list[Place]] = defaultdict(list)
    for items in lists:
        for mark, place in _closed(items, stack):
            groups[mark].append(place)
    shared = [places for places in groups.values() if len(places) > 1]
    shared.sort(key=lambda places: -len(places[0]) * len(places))
    best: _Candidate | None = None
    values: dict[int, dict[str, str]] = {}
    for places in shared:
        if best is not None and WHOLE * ((len(places) - 1) * len(places[0]) - 3) <= best.gain:
            continue
        for candidate in _candidates(places, values):
            if candidate.gain >= _WORTH and (best is None or candidate.gain > best.gain):
                best = candidate
    return best


def _closed(items: list[Item], stack: Stack) -> Iterator[tuple[int, Place]]:
    """Stacks that take one or two tensors from outside and give only their last layer's, with a mark of their form."""
    position = {item: index for index, item in enumerate(items)}
    last_use = [-1] * len(items)
    for index, item in enumerate(items):
        for wire in item.sources():
            if wire.source in position:
                last_use[position[wire.source]] = index
    outside = [wire.source for wire in stack.outputs] if items is stack.items else items[-1:]
    for source in outside:
        if source in position:
            last_use[position[source]] = len(items)
    pinned = {item.target for item in items if item.kind == "reuse"}
    for start in range(len(items)):
        entries: list[Wire] = []
        mark = 0
        used_until = -1
        for index in range(start, min(start + _LONGEST, len(items))):
            item = items[index]
            if item.kind == "reuse" or item in pinned:
                break
            tokens: list[Any] = [item.kind, item.type, item.repeat]
            named = [None] * len(item.wires) + [
                key for key, value in item.args.items() if isinstance(value, Wire)
            ]
            for label, wire in zip(named, item.sources(), strict=True):
                before = position.get(wire.source, -1) if isinstance(wire.source, Item) else -1
                if before >= start:
                    tokens.append((label, wire.key, index - before, wire.pick))
                    continue
                place = Wire(wire.source, wire.pick)
                if place not in entries:
                    entries.append(place)
                tokens.append((label, wire.key, "entry", entries.index(place)))
            if len(entries) > 2:
                break
            mark = hash((mark, tuple(tokens)))
            if used_until <= index and index > start:
                whole = items is not stack.items and start == 0 and index + 1 == len(items)
                yield mark, Place(items, start, index + 1, tuple(entries), whole)
            used_until = max(used_until, last_use[index])


def _candidates(places: list[Place], values: dict[int, dict[str, str]]) -> Iterator[_Candidate]:
    """Ways to fold stacks of one form: all of them, those alike but for sizes, those alike in all."""
    for level in ("all", "sizes", "none"):
        groups: dict[Any, list[Place]] = defaultdict(list)
        for place in places:
            groups[_fixed(place, level, values)].append(place)
        for group in groups.values():
            apart = _apart(group)
            if len(apart) < 2:
                continue
            params = _parameters(apart, values)
            if params is not None:
                whole = sum(map(wholeness, apart)) / len(apart)
                yield _Candidate(apart, params, _gain(apart, params, values) * whole)


def _fixed(place: Place, level: str, values: dict[int, dict[str, str]]) -> Any:
    """What must be equal in all uses."""
    if level == "all":
        return None
    return tuple(
        tuple(
            pair for pair in sorted(_values(item, values).items()) if level == "none" or pair[0] not in _SIZES
        )
        for item in place
    )


def _values(item: Item, cache: dict[int, dict[str, str]]) -> dict[str, str]:
    """The arguments that are written, as texts that can be compared."""
    known = cache.get(id(item))
    if known is None:
        known = cache[id(item)] = {
            key: json.dumps(value.name if isinstance(value, Parameter) else value, sort_keys=True)
            + ("$" if isinstance(value, Parameter) else "")
            for key, value in item.args.items()
            if not isinstance(value, Wire)
        }
    return known


def _apart(places: list[Place]) -> list[Place]:
    """Stacks of which none overlaps another."""
    kept: list[Place] = []
    ends: dict[int, int] = {}
    for place in places:  # each list's in order
        if place.start >= ends.get(id(place.items), 0):
            kept.append(place)
            ends[id(place.items)] = place.stop
    return kept


def _parameters(places: list[Place], values: dict[int, dict[str, str]]) -> dict[tuple[int, str], str] | None:
    """The parameters that a block for all of these needs; None where that is too many, or one is no simple value."""
    columns: dict[tuple[str, ...], list[tuple[int, str]]] = {}
    for index in range(len(places[0])):
        found = [_values(place[index], values) for place in places]
        for key in dict.fromkeys(key for one in found for key in one):
            told = tuple(one.get(key, "") for one in found)
            if len(set(told)) == 1 and not isinstance(places[0][index].args.get(key), Parameter):
                continue  # a parameter of the block around must be handed on
            if any(not _simple(place[index], key) for place in places):
                return None
            columns.setdefault(told, []).append((index, key))
            if len(columns) > _MOST_PARAMETERS:
                return None
    keys = Counter(uses[0][1] for uses in columns.values())
    prefix = prefix_of(places[0])
    params: dict[tuple[int, str], str] = {}
    for uses in columns.values():
        index, key = uses[0]
        local = local_of(places[0][index], prefix) if keys[key] > 1 else None
        before = [part for part in (local or "").split("_") if part.isalpha()]
        name = unused("_".join([*before, key]), set(params.values()))
        params |= dict.fromkeys(uses, name)
    return params


def _simple(item: Item, key: str) -> bool:
    """Whether an argument is a number, a word or a short list, or its default is known to be one."""
    if key not in item.args and item.kind == "layer" and LAYERS.find(item.type) is None:
        return False
    value = _argument(item, key)
    if isinstance(value, list):
        return len(value) <= 4 and all(isinstance(one, (int, float)) for one in value)
    return isinstance(value, (bool, int, float, str, Parameter))


def _argument(item: Item, key: str) -> Any:
    """An argument of a layer, or its default."""
    if key in item.args or item.kind != "layer":
        return item.args.get(key)
    value = LAYERS.load(item.type).model_fields[key].default
    value = list(value) if isinstance(value, tuple) else value
    return value[0] if isinstance(value, list) and len(set(map(str, value))) == 1 else value


def _gain(
    places: list[Place], params: dict[tuple[int, str], str], values: dict[int, dict[str, str]]
) -> float:
    """Lines that folding saves, less what parameters cost a reader."""
    runs = 1 + sum(not _follows(one, other, params, values) for one, other in pairwise(places))
    count = len(set(params.values()))
    length = len(places[0])
    skip = 0.5 * len(places) if len(places[0].entries) > 1 else 0
    wrapped = 2 * sum(
        place.whole for place in places
    )  # a model that was used as a layer needs no block of its own then
    return wrapped + len(places) * length - (length + 2 + runs) - count * (0.5 + 0.25 * runs) - skip


def _follows(
    one: Place, other: Place, params: dict[tuple[int, str], str], values: dict[int, dict[str, str]]
) -> bool:
    """Whether the second repeats the first."""
    return (
        one.items is other.items
        and one.stop == other.start
        and other.entries == (Wire(one[len(one) - 1]),)
        and all(
            _values(one[index], values).get(key) == _values(other[index], values).get(key)
            for index, key in params
        )
    )


def _declared(found: _Candidate, taken: set[str]) -> Block:
    """The block for stacks that are alike."""
    first = found.places[0]
    prefixes = [prefix_of(place) for place in found.places]
    words = [word_of(prefix[-1]) for prefix in prefixes if prefix]
    word = words[0] if len(words) == len(prefixes) and len(set(words)) == 1 and words[0] else kind_of(first)
    block = Block(unused(word, taken), [])
    for name in dict.fromkeys(found.params.values()):
        where = next(place for place, param in found.params.items() if param == name)
        told = Counter(json.dumps(_shown(place, where)) for place in found.places)
        value, count = told.most_common(1)[0]
        block.params[name] = json.loads(value) if count * 2 >= len(found.places) else None
    if len(first.entries) > 1:
        block.params[SKIP] = None
    entries = list(first.entries)
    for index, item in enumerate(first):
        args = {
            key: _rewired(value, entries) if isinstance(value, Wire) else value
            for key, value in item.args.items()
        }
        args |= {key: Parameter(name) for (at, key), name in found.params.items() if at == index}
        locals_ = {
            local_of(place[index], prefix) for place, prefix in zip(found.places, prefixes, strict=True)
        }
        own = locals_.pop() if len(locals_) == 1 else None
        # The item itself moves into the block; those of the other places are dropped.
        block.items.append(Item(item.kind, item.type, [_rewired(wire, entries) for wire in item.wires], args, own,
                                item.origin, item.target, item.body, item.repeat))  # fmt: skip
    moved = dict(zip(first, block.items, strict=True))
    for item in block.items:
        item.wires = [moved_to(wire, moved) for wire in item.wires]
        item.args = {
            key: moved_to(value, moved) if isinstance(value, Wire) else value
            for key, value in item.args.items()
        }
    return block


def _shown(place: Place, where: tuple[int, str]) -> Any:
    value = _argument(place[where[0]], where[1])
    return {"$": value.name} if isinstance(value, Parameter) else value


def _rewired(wire: Wire, entries: list[Wire]) -> Wire:
    """What a wire is inside the block."""
    place = Wire(wire.source, wire.pick)
    if place not in entries:
        return wire
    return Wire(INPUT if entries.index(place) == 0 else Parameter(SKIP), None, wire.key)


def _use(block: Block, found: _Candidate, place: Place, stack: Stack) -> None:
    """Put the use of a block into the place of a stack."""
    args: dict[str, Any] = {}
    for where, name in found.params.items():
        value = _argument(place[where[0]], where[1])
        if name not in args and (block.params[name] is None or value != block.params[name]):
            args[name] = value
    if len(place.entries) > 1:
        args[SKIP] = place.entries[1]
    use = Item("block", block.name, [place.entries[0]], args)
    prefix = prefix_of(place)
    use.hint = clean_hint(prefix)
    moved = {place[len(place) - 1]: use}
    place.items[place.start : place.stop] = [use]
    for item in place.items:
        item.wires = [moved_to(wire, moved) for wire in item.wires]
        item.args = {
            key: moved_to(value, moved) if isinstance(value, Wire) else value
            for key, value in item.args.items()
        }
    if place.items is stack.items:
        stack.outputs = [moved_to(wire, moved) for wire in stack.outputs]
