"""Stretches of consecutive entries in a list, and names for the blocks that replace them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from layercli.importing.layer_stack import INPUT, StackEntry, Wire
from layercli.schema.component import snake_case

COHESION_BONUS: Final = 1.4
"""Factor for blocks whose layer names show that they belong together."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive entries, from ``start`` to before ``stop``."""

    items: list[StackEntry]
    start: int
    stop: int
    inputs: tuple[Wire, ...]
    is_whole_block: bool = False
    """Whether the stretch is a complete block."""

    def __iter__(self) -> Iterator[StackEntry]:
        return iter(self.items[self.start : self.stop])

    def __getitem__(self, index: int) -> StackEntry:
        return self.items[self.start + index]

    def __len__(self) -> int:
        return self.stop - self.start


def name_cohesion(stretch: Stretch) -> float:
    """Return a factor for how strongly the layer names indicate one unit: a common prefix that adjacent layers do not share."""
    if sum(_name_words(item) is not None for item in stretch) * 2 < len(stretch):
        return 1.0
    prefix = common_prefix(stretch)
    if not prefix:
        return 0.5
    neighbors = [
        stretch.items[at] for at in (stretch.start - 1, stretch.stop) if 0 <= at < len(stretch.items)
    ]
    is_prefix_shared = any((_name_words(item) or [])[: len(prefix)] == prefix for item in neighbors)
    return 0.9 if is_prefix_shared else COHESION_BONUS


def _name_words(item: StackEntry) -> list[str] | None:
    """Return the words of a layer's name, or of the common prefix in a block."""
    if item.name is not None:
        return item.name.split("_")
    return None if item.name_hint is None else [*item.name_hint.split("_"), ""]


def common_prefix(stretch: Stretch) -> list[str]:
    """Return the words with which the names of all layers in the stretch begin."""
    names = [found for item in stretch if (found := _name_words(item)) is not None]
    if len(names) < 2 or len(names) * 2 < len(stretch):
        return []
    prefix: list[str] = []
    for words in zip(*names, strict=False):
        if len(set(words)) > 1:
            break
        prefix.append(words[0])
    return prefix[: min(map(len, names)) - 1]


def local_name(item: StackEntry, prefix: list[str]) -> str | None:
    """Return a layer's name without the prefix of its stretch; None if the layer or the prefix has no name."""
    if item.name is None:
        return None
    return "_".join(item.name.split("_")[len(prefix) :]) if prefix else None


def join_prefix(prefix: Sequence[str]) -> str | None:
    return "_".join(prefix) or None


def last_word(text: str) -> str:
    """Return the last word of a name, without digits."""
    words = [re.sub(r"[^a-z]", "", word.lower()) for word in text.split("_")]
    return next((word for word in reversed(words) if len(word) > 1), "")


def describe_stretch(stretch: Stretch) -> str:
    """Return a name for a block by the layers in it."""
    types = [item.type for item in stretch]
    last = stretch[len(stretch) - 1]
    is_residual = last.type == "Add" and any(
        Wire(wire.source, wire.output_index) in stretch.inputs for wire in last.wires
    )
    if any(kind in ("MultiHeadAttention", "GroupQueryAttention", "Attention") for kind in types):
        return "attention"
    if is_residual:
        return "residual"
    for start, name in (
        ("Separable", "separable"),
        ("Depthwise", "depthwise"),
        ("Conv", "convolution"),
        ("Dense", "hidden"),
    ):
        if any(kind.startswith(start) for kind in types):
            return name
    return snake_case(types[0]) + "_block" if len(types) < 3 and stretch[0].kind == "layer" else "block"


def find_unused_name(name: str, used_names: set[str]) -> str:
    number, candidate = 1, name
    while candidate in used_names or candidate in (INPUT, "previous"):
        number += 1
        candidate = f"{name}_{number}"
    return candidate
