"""Config in, nodes out: every layer with a name of its own and the nodes that feed it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from layercli.config.config import Config
from layercli.config.custom import CustomLayer
from layercli.config.entries import Doubt, LayerEntry
from layercli.layers.base import Layer
from layercli.layers.shapes import Tensor
from layercli.source.nodes import KeyPath

INPUT = "input"


@dataclass(frozen=True, slots=True)
class Node:
    """A layer at its place in the model."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    """Names of the nodes, or of the model's inputs, whose outputs it takes."""
    path: KeyPath
    """Where it stands in the config."""
    doubt: Doubt = Doubt.NONE
    """What may be wrong with it, where it stands in for a malformed layer."""

    @property
    def type_name(self) -> str:
        """Keras's class name, or the reference to a class of the user's."""
        return self.layer.reference() if isinstance(self.layer, CustomLayer) else self.layer.type_name()


@dataclass(frozen=True, slots=True)
class Graph:
    """The model as nodes, each after those that feed it."""

    inputs: dict[str, Tensor]
    nodes: list[Node]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NameClash:
    """A layer whose name another one has already."""

    path: KeyPath
    name: str
    first: KeyPath


def build(config: Config, x: Tensor) -> tuple[Graph, list[NameClash]]:
    """The graph of a config whose input is ``x``, and the names that are given twice."""
    entries = config.model.layers
    names = layer_names(entries)
    nodes: list[Node] = []
    clashes: list[NameClash] = []
    first: dict[str, KeyPath] = {}
    previous = INPUT
    for index, (entry, name) in enumerate(zip(entries, names, strict=True)):
        path: KeyPath = ("model", "layers", index)
        if name in first:
            clashes.append(NameClash(path, name, first[name]))
        first.setdefault(name, path)
        nodes.append(Node(name, entry.layer, (previous,), path, entry.doubt))
        previous = name
    return Graph({INPUT: x}, nodes, (previous,)), clashes


def layer_names(entries: Iterable[LayerEntry]) -> list[str]:
    """The name of each layer: the given one, else the type's in snake case with the next free number, as in Keras."""
    listed = [(entry.name, _base_name(entry.layer)) for entry in entries]
    return number_names(listed)


def number_names(listed: Sequence[tuple[str | None, str]]) -> list[str]:
    """Give each pair of (given name, base name) a name; a given one is never handed out again."""
    taken = {given for given, _ in listed if given is not None}
    counts: Counter[str] = Counter()
    names = []
    for given, base in listed:
        if given is not None:
            names.append(given)
            continue
        while True:
            name = f"{base}_{counts[base]}" if counts[base] else base
            counts[base] += 1
            if name not in taken:
                break
        names.append(name)
    return names


def snake_case(name: str) -> str:
    """``MaxPooling2D`` as ``max_pooling2d``: Keras's ``to_snake_case``."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _base_name(layer: Layer) -> str:
    return snake_case(layer.class_name if isinstance(layer, CustomLayer) else layer.type_name())
