"""Stacks of layers inside a list, and what to call what stands several times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from layercli.importing.layer_stack import INPUT, Item, Wire
from layercli.schema.component import snake_case

WHOLE: Final = 1.4
"""What a block counts more whose layers' names say that they belong together."""


@dataclass(frozen=True, slots=True)
class Place:
    """One stack of layers, from ``start`` to before ``stop``."""

    items: list[Item]
    start: int
    stop: int
    entries: tuple[Wire, ...]
    whole: bool = False
    """Whether it is all of a block."""

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items[self.start : self.stop])

    def __getitem__(self, index: int) -> Item:
        return self.items[self.start + index]

    def __len__(self) -> int:
        return self.stop - self.start


def wholeness(place: Place) -> float:
    """How well the names of the layers agree that this is one thing: they begin alike, and those around it do not."""
    if sum(_words(item) is not None for item in place) * 2 < len(place):
        return 1.0
    prefix = prefix_of(place)
    if not prefix:
        return 0.5
    around = [place.items[at] for at in (place.start - 1, place.stop) if 0 <= at < len(place.items)]
    beyond = any((_words(item) or [])[: len(prefix)] == prefix for item in around)
    return 0.9 if beyond else WHOLE


def _words(item: Item) -> list[str] | None:
    """The words of a layer's name, or of the names of the layers in a block."""
    if item.name is not None:
        return item.name.split("_")
    return None if item.hint is None else [*item.hint.split("_"), ""]


def prefix_of(place: Place) -> list[str]:
    """The words with which the names of all layers of a stack begin."""
    names = [found for item in place if (found := _words(item)) is not None]
    if len(names) < 2 or len(names) * 2 < len(place):
        return []
    prefix: list[str] = []
    for words in zip(*names, strict=False):
        if len(set(words)) > 1:
            break
        prefix.append(words[0])
    return prefix[: min(map(len, names)) - 1]


def local_of(item: Item, prefix: list[str]) -> str | None:
    """A layer's name inside its stack; None where it has none, or only one of its place in the model."""
    if item.name is None:
        return None
    return "_".join(item.name.split("_")[len(prefix) :]) if prefix else None


def clean_hint(prefix: Sequence[str]) -> str | None:
    return "_".join(prefix) or None


def word_of(text: str) -> str:
    """The last word of a name, without numbers."""
    words = [re.sub(r"[^a-z]", "", word.lower()) for word in text.split("_")]
    return next((word for word in reversed(words) if len(word) > 1), "")


def kind_of(place: Place) -> str:
    """A name for a stack, from what it does."""
    types = [item.type for item in place]
    last = place[len(place) - 1]
    skips = last.type == "Add" and any(Wire(wire.source, wire.pick) in place.entries for wire in last.wires)
    if any(kind in ("MultiHeadAttention", "GroupQueryAttention", "Attention") for kind in types):
        return "attention"
    if skips:
        return "residual"
    for start, name in (
        ("Separable", "separable"),
        ("Depthwise", "depthwise"),
        ("Conv", "convolution"),
        ("Dense", "hidden"),
    ):
        if any(kind.startswith(start) for kind in types):
            return name
    return snake_case(types[0]) + "_block" if len(types) < 3 and place[0].kind == "layer" else "block"


def unused(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken or free in (INPUT, "previous"):
        number += 1
        free = f"{name}_{number}"
    return free
