"""Detection of repeated stretches of layers, which become blocks: declared once and used several times."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from layercli.importing.layer_stack import INPUT, BlockParameter, LayerStack, StackEntry, Wire
from layercli.importing.stretches import (
    COHESION_BONUS,
    Stretch,
    common_prefix,
    describe_stretch,
    find_unused_name,
    join_prefix,
    last_word,
    local_name,
    name_cohesion,
)
from layercli.layers.registry import LAYERS

SKIP_PARAMETER: Final = "skip"
"""The parameter that names the second of two layers that feed a block."""
_MAX_BLOCK_LENGTH = 120
"""Maximum number of entries in a block; limits the search to a few seconds."""
_MAX_PARAMETERS = 4
_SIZE_ARGUMENTS: Final = (
    "filters",
    "units",
    "kernel_size",
    "strides",
    "rate",
    "num_heads",
    "key_dim",
    "scale",
    "target_shape",
    "dilation_rate",
    "pool_size",
    "groups",
)
"""Arguments in which the uses of a block typically differ."""
_MIN_SAVED_LINES = 2
"""Minimum number of lines that a block must save."""


@dataclass(eq=False, slots=True)
class FoldedBlock:
    """A stack with parameters; ``params`` maps each one to its default, or to None if it is required."""

    name: str
    items: list[StackEntry]
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Candidate:
    """Stretches of equal form, and the arguments in which they differ: (index of the entry, argument) -> parameter."""

    stretches: list[Stretch]
    params: dict[tuple[int, str], str]
    saved_lines: float


def fold_stack(stack: LayerStack) -> list[FoldedBlock]:
    """Replace the repeated stretches of a stack in place by uses of blocks, and return the blocks."""
    blocks: list[FoldedBlock] = []
    lists = [stack.items]
    _collect_submodels(stack.items, blocks, lists)
    for items in lists:
        _merge_repeats(items, stack)
    while (best := _find_best_candidate(lists, stack)) is not None:
        block = _make_block(best, {block.name for block in blocks})
        blocks.append(block)
        for stretch in reversed(
            best.stretches
        ):  # from the last, so that the positions of the others stay valid
            _replace_stretch(block, best, stretch, stack)
        lists.append(block.items)
    for items in lists:
        _merge_repeats(items, stack)
    used_blocks = _unwrap_blocks(blocks, lists)
    for items in lists:
        _merge_repeats(items, stack)
    return used_blocks


def _merge_repeats(items: list[StackEntry], stack: LayerStack) -> None:
    """Merge entries that repeat the entry before them, and take its output, into one entry with ``repeat``."""
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
            other.redirect_wires(replacements)
        stack.outputs = [wire.redirect(replacements) for wire in stack.outputs]
    items[:] = merged


def _unwrap_blocks(blocks: list[FoldedBlock], lists: list[list[StackEntry]]) -> list[FoldedBlock]:
    """Return the blocks, except those that only use another block."""
    remaining = list(blocks)
    while True:
        wrapper = next((block for block in remaining if _find_wrapped_item(block) is not None), None)
        if wrapper is None:
            return remaining
        inner = _find_wrapped_item(wrapper)
        assert inner is not None
        remaining.remove(wrapper)
        for item in (
            item for items in lists for item in items if item.kind == "block" and item.type == wrapper.name
        ):
            arguments = {
                name: value for name, value in wrapper.params.items() if value is not None
            } | item.args
            item.type = inner.type
            item.args = {
                key: arguments[value.name] if isinstance(value, BlockParameter) else value
                for key, value in inner.args.items()
            }
            item.repeat *= inner.repeat
            item.body = inner.body


def _find_wrapped_item(block: FoldedBlock) -> StackEntry | None:
    """Return the only entry of a block if that entry uses another block."""
    if len(block.items) != 1 or block.items[0].kind != "block" or block.items[0].wires != [Wire(INPUT)]:
        return None
    return block.items[0]


def _collect_submodels(
    items: list[StackEntry], blocks: list[FoldedBlock], lists: list[list[StackEntry]]
) -> None:
    """Collect the models that are used as layers."""
    for item in items:
        if item.kind == "block":
            name = find_unused_name(
                re.sub(r"[^A-Za-z0-9_]", "_", item.type)[:40] or "model", {block.name for block in blocks}
            )
            item.type = name
            blocks.append(FoldedBlock(name, item.body))
            lists.append(item.body)
            _collect_submodels(item.body, blocks, lists)


def _find_best_candidate(lists: list[list[StackEntry]], stack: LayerStack) -> _Candidate | None:
    """Return the stretches whose folding saves the most lines."""
    groups: dict[int, list[Stretch]] = defaultdict(list)
    for items in lists:
        for form, stretch in _iterate_stretches(items, stack):
            groups[form].append(stretch)
    repeated = [places for places in groups.values() if len(places) > 1]
    repeated.sort(key=lambda stretches: -len(stretches[0]) * len(stretches))
    best: _Candidate | None = None
    text_cache: dict[int, dict[str, str]] = {}
    for group in repeated:
        if best is not None and COHESION_BONUS * ((len(group) - 1) * len(group[0]) - 3) <= best.saved_lines:
            continue
        for candidate in _find_folding_candidates(group, text_cache):
            if candidate.saved_lines >= _MIN_SAVED_LINES and (
                best is None or candidate.saved_lines > best.saved_lines
            ):
                best = candidate
    return best


def _iterate_stretches(items: list[StackEntry], stack: LayerStack) -> Iterator[tuple[int, Stretch]]:
    """Yield stretches with one or two tensors from outside and one output, each with a hash of its form."""
    position = {item: index for index, item in enumerate(items)}
    last_uses = _find_last_uses(items, stack, position)
    reused_items = {item.reused_entry for item in items if item.kind == "reuse"}
    for start in range(len(items)):
        inputs: list[Wire] = []
        form = 0
        used_until = -1
        for index in range(start, min(start + _MAX_BLOCK_LENGTH, len(items))):
            item = items[index]
            if item.kind == "reuse" or item in reused_items:
                break
            tokens: list[Any] = [item.kind, item.type, item.repeat]
            labels = [None] * len(item.wires) + [
                key for key, value in item.args.items() if isinstance(value, Wire)
            ]
            for label, wire in zip(labels, item.iterate_wires(), strict=True):
                before = position.get(wire.source, -1) if isinstance(wire.source, StackEntry) else -1
                if before >= start:
                    tokens.append((label, wire.input_name, index - before, wire.output_index))
                    continue
                tensor = Wire(wire.source, wire.output_index)
                if tensor not in inputs:
                    inputs.append(tensor)
                tokens.append((label, wire.input_name, "entry", inputs.index(tensor)))
            if len(inputs) > 2:
                break
            form = hash((form, tuple(tokens)))
            if used_until <= index and index > start:
                is_whole_block = items is not stack.items and start == 0 and index + 1 == len(items)
                yield form, Stretch(items, start, index + 1, tuple(inputs), is_whole_block)
            used_until = max(used_until, last_uses[index])


def _find_last_uses(items: list[StackEntry], stack: LayerStack, position: Mapping[Any, int]) -> list[int]:
    """Return the index of the last entry that reads each entry: their number if it is read outside, -1 if nowhere."""
    last_uses = [-1] * len(items)
    for index, item in enumerate(items):
        for wire in item.iterate_wires():
            if wire.source in position:
                last_uses[position[wire.source]] = index
    external_sources = [wire.source for wire in stack.outputs] if items is stack.items else items[-1:]
    for source in external_sources:
        if source in position:
            last_uses[position[source]] = len(items)
    return last_uses


def _find_folding_candidates(
    stretches: list[Stretch], text_cache: dict[int, dict[str, str]]
) -> Iterator[_Candidate]:
    """Yield ways to fold stretches of one form: all together, those that differ only in sizes, and equal ones."""
    for level in ("all", "sizes", "none"):
        groups: dict[Any, list[Stretch]] = defaultdict(list)
        for stretch in stretches:
            groups[_list_required_arguments(stretch, level, text_cache)].append(stretch)
        for group in groups.values():
            separate = _drop_overlaps(group)
            if len(separate) < 2:
                continue
            params = _find_parameters(separate, text_cache)
            if params is not None:
                cohesion = sum(map(name_cohesion, separate)) / len(separate)
                yield _Candidate(
                    separate, params, _count_saved_lines(separate, params, text_cache) * cohesion
                )


def _list_required_arguments(stretch: Stretch, level: str, text_cache: dict[int, dict[str, str]]) -> Any:
    """Return the arguments that must be equal in stretches which are folded together."""
    if level == "all":
        return None
    return tuple(
        tuple(
            pair
            for pair in sorted(_argument_texts(item, text_cache).items())
            if level == "none" or pair[0] not in _SIZE_ARGUMENTS
        )
        for item in stretch
    )


def _argument_texts(item: StackEntry, text_cache: dict[int, dict[str, str]]) -> dict[str, str]:
    """Return the arguments of an entry as texts that can be compared."""
    texts = text_cache.get(id(item))
    if texts is None:
        texts = text_cache[id(item)] = {
            key: json.dumps(value.name if isinstance(value, BlockParameter) else value, sort_keys=True)
            + ("$" if isinstance(value, BlockParameter) else "")
            for key, value in item.args.items()
            if not isinstance(value, Wire)
        }
    return texts


def _drop_overlaps(stretches: list[Stretch]) -> list[Stretch]:
    """Return the stretches without those that overlap an earlier one."""
    separate: list[Stretch] = []
    ends: dict[int, int] = {}
    for stretch in stretches:  # each list's in order
        if stretch.start >= ends.get(id(stretch.items), 0):
            separate.append(stretch)
            ends[id(stretch.items)] = stretch.stop
    return separate


def _find_parameters(
    stretches: list[Stretch], text_cache: dict[int, dict[str, str]]
) -> dict[tuple[int, str], str] | None:
    """Return the parameters of a block for all these stretches; None if there are too many or a value is not simple."""
    columns: dict[tuple[str, ...], list[tuple[int, str]]] = {}
    for index in range(len(stretches[0])):
        texts_by_use = [_argument_texts(stretch[index], text_cache) for stretch in stretches]
        for key in dict.fromkeys(key for one in texts_by_use for key in one):
            texts = tuple(one.get(key, "") for one in texts_by_use)
            if len(set(texts)) == 1 and not isinstance(stretches[0][index].args.get(key), BlockParameter):
                continue  # a parameter of the enclosing block must be passed on
            if any(not _is_simple_argument(place[index], key) for place in stretches):
                return None
            columns.setdefault(texts, []).append((index, key))
            if len(columns) > _MAX_PARAMETERS:
                return None
    keys = Counter(uses[0][1] for uses in columns.values())
    prefix = common_prefix(stretches[0])
    params: dict[tuple[int, str], str] = {}
    for uses in columns.values():
        index, key = uses[0]
        local = local_name(stretches[0][index], prefix) if keys[key] > 1 else None
        words = [part for part in (local or "").split("_") if part.isalpha()]
        name = find_unused_name("_".join([*words, key]), set(params.values()))
        params |= dict.fromkeys(uses, name)
    return params


def _is_simple_argument(item: StackEntry, key: str) -> bool:
    """Return whether an argument is a number, a string or a short list, or has such a default."""
    if key not in item.args and item.kind == "layer" and LAYERS.find(item.type) is None:
        return False
    value = _argument_value(item, key)
    if isinstance(value, list):
        return len(value) <= 4 and all(isinstance(one, (int, float)) for one in value)
    return isinstance(value, (bool, int, float, str, BlockParameter))


def _argument_value(item: StackEntry, key: str) -> Any:
    """Return an argument of a layer, or its default."""
    if key in item.args or item.kind != "layer":
        return item.args.get(key)
    value = LAYERS.load(item.type).model_fields[key].default
    value = list(value) if isinstance(value, tuple) else value
    return value[0] if isinstance(value, list) and len(set(map(str, value))) == 1 else value


def _count_saved_lines(
    stretches: list[Stretch], params: dict[tuple[int, str], str], text_cache: dict[int, dict[str, str]]
) -> float:
    """Return the lines that folding saves, minus the cost of parameters for a reader."""
    runs = 1 + sum(not _is_continuation(one, other, params, text_cache) for one, other in pairwise(stretches))
    count = len(set(params.values()))
    length = len(stretches[0])
    skip_cost = 0.5 * len(stretches) if len(stretches[0].inputs) > 1 else 0
    submodel_bonus = 2 * sum(
        stretch.is_whole_block for stretch in stretches
    )  # a model used as a layer then needs no separate block
    return (
        submodel_bonus
        + len(stretches) * length
        - (length + 2 + runs)
        - count * (0.5 + 0.25 * runs)
        - skip_cost
    )


def _is_continuation(
    one: Stretch, other: Stretch, params: dict[tuple[int, str], str], text_cache: dict[int, dict[str, str]]
) -> bool:
    """Return whether the second stretch repeats the first and takes its output."""
    return (
        one.items is other.items
        and one.stop == other.start
        and other.inputs == (Wire(one[len(one) - 1]),)
        and all(
            _argument_texts(one[index], text_cache).get(key)
            == _argument_texts(other[index], text_cache).get(key)
            for index, key in params
        )
    )


def _make_block(candidate: _Candidate, used_names: set[str]) -> FoldedBlock:
    """Return the block for stretches of equal form."""
    first = candidate.stretches[0]
    prefixes = [common_prefix(stretch) for stretch in candidate.stretches]
    words = [last_word(prefix[-1]) for prefix in prefixes if prefix]
    word = (
        words[0]
        if len(words) == len(prefixes) and len(set(words)) == 1 and words[0]
        else describe_stretch(first)
    )
    block = FoldedBlock(find_unused_name(word, used_names), [])
    for name in dict.fromkeys(candidate.params.values()):
        position = next(place for place, param in candidate.params.items() if param == name)
        value_counts = Counter(json.dumps(_json_value(place, position)) for place in candidate.stretches)
        value, count = value_counts.most_common(1)[0]
        block.params[name] = json.loads(value) if count * 2 >= len(candidate.stretches) else None
    if len(first.inputs) > 1:
        block.params[SKIP_PARAMETER] = None
    inputs = list(first.inputs)
    for index, item in enumerate(first):
        args = {
            key: _rewire_input(value, inputs) if isinstance(value, Wire) else value
            for key, value in item.args.items()
        }
        args |= {key: BlockParameter(name) for (at, key), name in candidate.params.items() if at == index}
        locals_ = {
            local_name(place[index], prefix)
            for place, prefix in zip(candidate.stretches, prefixes, strict=True)
        }
        entry_name = locals_.pop() if len(locals_) == 1 else None
        # The items of the first stretch move into the block; those of the other stretches are dropped.
        block.items.append(
            StackEntry(
                item.kind,
                item.type,
                [_rewire_input(wire, inputs) for wire in item.wires],
                args,
                entry_name,
                item.layer_path,
                item.reused_entry,
                item.body,
                item.repeat,
            )
        )
    replacements = dict(zip(first, block.items, strict=True))
    for item in block.items:
        item.redirect_wires(replacements)
    return block


def _json_value(stretch: Stretch, position: tuple[int, str]) -> Any:
    value = _argument_value(stretch[position[0]], position[1])
    return {"$": value.name} if isinstance(value, BlockParameter) else value


def _rewire_input(wire: Wire, inputs: list[Wire]) -> Wire:
    """Return the wire inside the block, where inputs have the names of the block."""
    tensor = Wire(wire.source, wire.output_index)
    if tensor not in inputs:
        return wire
    return Wire(INPUT if inputs.index(tensor) == 0 else BlockParameter(SKIP_PARAMETER), None, wire.input_name)


def _replace_stretch(block: FoldedBlock, candidate: _Candidate, stretch: Stretch, stack: LayerStack) -> None:
    """Replace a stretch by a use of the block."""
    args: dict[str, Any] = {}
    for position, name in candidate.params.items():
        value = _argument_value(stretch[position[0]], position[1])
        if name not in args and (block.params[name] is None or value != block.params[name]):
            args[name] = value
    if len(stretch.inputs) > 1:
        args[SKIP_PARAMETER] = stretch.inputs[1]
    use = StackEntry("block", block.name, [stretch.inputs[0]], args)
    prefix = common_prefix(stretch)
    use.name_hint = join_prefix(prefix)
    replacements = {stretch[len(stretch) - 1]: use}
    stretch.items[stretch.start : stretch.stop] = [use]
    for item in stretch.items:
        item.redirect_wires(replacements)
    if stretch.items is stack.items:
        stack.outputs = [wire.redirect(replacements) for wire in stack.outputs]
