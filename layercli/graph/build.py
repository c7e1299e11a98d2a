"""Config in, nodes out: every layer with a name of its own and the nodes that feed it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from layercli.config.config import Config
from layercli.config.custom import CustomLayer
from layercli.config.entries import Doubt, LayerEntry
from layercli.graph.findings import Finding
from layercli.layers.base import Layer
from layercli.layers.component import snake_case
from layercli.layers.shapes import Tensor
from layercli.layers.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, printable

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


def build(config: Config, inputs: dict[str, Tensor]) -> tuple[Graph, list[Finding]]:
    """The graph of a config with these inputs, and names that are given twice or name nothing."""
    entries = config.model.layers
    names = layer_names(entries, taken=inputs)
    wiring = _Wiring(inputs, names)
    nodes: list[Node] = []
    previous = next(iter(inputs)) if len(inputs) == 1 else None
    for index, (entry, name) in enumerate(zip(entries, names, strict=True)):
        path: KeyPath = ("model", "layers", index)
        sources = wiring.sources(entry, path, previous)
        wiring.add(name, path)
        nodes.append(Node(name, entry.layer, sources, path, entry.doubt))
        previous = name
    outputs = wiring.outputs(config, names[-1])
    graph = Graph(inputs, nodes, outputs)
    return graph, wiring.findings or list(_unused(graph))


class _Wiring:
    """Resolves names to the nodes before, and keeps what does not resolve."""

    def __init__(self, inputs: dict[str, Tensor], names: Sequence[str]) -> None:
        self.findings: list[Finding] = []
        self._inputs = inputs
        self._all = names
        self._first: dict[str, KeyPath] = {}

    def add(self, name: str, path: KeyPath) -> None:
        """A node that those after it may name."""
        if name in self._first or name in self._inputs:
            other = self._first.get(name, ("model", "inputs", name))
            what = "Two layers are" if name in self._first else "An input and a layer are"
            self.findings.append(
                Finding(
                    code="duplicate-name",
                    message=f"{what} named `{name}`: this one and the one at {{}}.",
                    path=(*path, "name"),
                    hint="Rename one of them.",
                    other=other,
                )
            )
        self._first.setdefault(name, path)

    def sources(self, entry: LayerEntry, path: KeyPath, previous: str | None) -> tuple[str, ...]:
        """The nodes or inputs that feed an entry; none where a name does not resolve."""
        if entry.inputs is None and previous is None:
            listed = ", ".join(f"`{name}`" for name in self._inputs)
            self._report("missing-key", "The model has several inputs; the first layer must say which it takes.",
                         path, f"Add `inputs:` with one of {listed}, or a list.")  # fmt: skip
            return ()
        named = entry.inputs or ("previous",)
        found = []
        for number, name in enumerate(named):
            place: KeyPath = (*path, "inputs")
            if entry.keys is not None:
                place = (*place, entry.keys[number])
            elif entry.inputs is not None and len(entry.inputs) > 1:
                place = (*place, number)
            resolved = previous if name == "previous" else self._resolve(name, place)
            if resolved is not None:
                found.append(resolved)
        return tuple(found) if len(found) == len(named) else ()

    def outputs(self, config: Config, last: str) -> tuple[str, ...]:
        """The nodes whose outputs are the model's."""
        declared = config.model.outputs
        if declared is None:
            return (last,)
        resolved = [self._resolve(name, ("model", "outputs")) for name in declared]
        return tuple(name for name in resolved if name is not None)

    def _resolve(self, name: str, path: KeyPath) -> str | None:
        if name in self._first or name in self._inputs:
            return name
        if name == INPUT and len(self._inputs) == 1:
            return next(iter(self._inputs))
        if name in self._all:
            message = f"`{name}` stands below; a layer takes inputs from layers above it."
            self._report("unknown-name", message, path, f"Move `{name}` above this layer.")
        else:
            known = [*self._inputs, *self._first]
            hint = did_you_mean(name, known, otherwise=f"Known are {', '.join(known[:12])}.")
            self._report(
                "unknown-name", f'There is no layer or input "{printable(name, limit=60)}".', path, hint
            )
        return None

    def _report(self, code: str, message: str, path: KeyPath, hint: str) -> None:
        self.findings.append(Finding(code=code, message=message, path=path, hint=hint))


def _unused(graph: Graph) -> Iterator[Finding]:
    """Inputs, which Keras refuses, and layers that feed no output."""
    feeds = {node.name: node.inputs for node in graph.nodes}
    used: set[str] = set()
    waiting = list(graph.outputs)
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            waiting.extend(feeds.get(name, ()))
    if not graph.outputs:
        return
    for name in graph.inputs:
        if name not in used:
            path: KeyPath = ("model", "inputs", name) if len(graph.inputs) > 1 else ("model", "input")
            message = f"The input `{name}` feeds no output of the model."
            yield Finding(
                code="unused-input", message=message, path=path, hint="Wire it to a layer, or remove it."
            )
    for node in graph.nodes:
        if node.name not in used:
            yield Finding(
                code="unused-layer",
                message=f"`{node.name}` feeds no output of the model, so it is left out.",
                path=node.path,
                hint="Name it in the `inputs` of a layer or in `model.outputs`, or remove it.",
                severity="warning",
            )


def layer_names(entries: Iterable[LayerEntry], *, taken: Iterable[str] = ()) -> list[str]:
    """The name of each layer: the given one, else the type's in snake case with the next free number, as in Keras."""
    listed = [(entry.name, _base_name(entry.layer)) for entry in entries]
    return number_names(listed, taken)


def number_names(listed: Sequence[tuple[str | None, str]], others: Iterable[str] = ()) -> list[str]:
    """Give each pair of (given name, base name) a name; a given one, or one of others, is never handed out again."""
    taken = {given for given, _ in listed if given is not None} | set(others)
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


def _base_name(layer: Layer) -> str:
    return snake_case(layer.class_name if isinstance(layer, CustomLayer) else layer.type_name())
