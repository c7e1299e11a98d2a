"""Config in, nodes out: every layer with a name of its own and the nodes that feed it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import chain, islice

from pydantic import ValidationError

from layercli.config.config import Config
from layercli.config.custom_layers import CustomLayer, unknown_layer
from layercli.config.layer_entries import Doubt, LayerEntry, in_order
from layercli.config.names import INPUT, number_names
from layercli.graph.finding import Finding
from layercli.layers.base import Layer
from layercli.layers.shapes import Tensor
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, printable, quoted

_MOST_COMPARED = 300
"""Names that a misspelt one is compared with, the nearest above first."""
_INDEX = re.compile(r"\d{1,4}")


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
    shares: str | None = None
    """The node whose layer, and weights, it calls again."""
    picks: tuple[int | None, ...] = ()
    """Which output of each input it takes, where that has several; None: all of them."""

    @property
    def references(self) -> tuple[str, ...]:
        """Its inputs as a config writes them, ``lstm:1`` for one output of several."""
        return tuple(reference(name, pick) for name, pick in zip(self.inputs, self.picks, strict=True))

    @property
    def loads_code(self) -> bool:
        """Whether building the layer runs code that the config names."""
        return isinstance(self.layer, CustomLayer) and self.layer.needs_trust

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
    output_picks: tuple[int | None, ...] = ()
    """Which output of each of them, where it has several; None: all of them."""

    @property
    def output_references(self) -> tuple[str, ...]:
        """The outputs as a config writes them, ``lstm:1`` for one of several."""
        return tuple(
            reference(name, pick) for name, pick in zip(self.outputs, self.output_picks, strict=True)
        )


def reference(name: str, pick: int | None) -> str:
    """A node's output as a config writes it."""
    return name if pick is None else f"{name}:{pick}"


def build(config: Config, inputs: dict[str, Tensor]) -> tuple[Graph, list[Finding]]:
    """The graph of a config with these inputs, and names that are given twice or name nothing."""
    entries = config.model.layers
    names = number_names([(entry.name, entry.base_name) for entry in entries], inputs)
    wiring = _Wiring(inputs, names)
    nodes: list[Node] = []
    by_name: dict[str, Node] = {}
    previous = next(iter(inputs)) if len(inputs) == 1 else None
    frozen = set(_named(config, names))
    for index, (entry, name) in enumerate(zip(entries, names, strict=True)):
        path: KeyPath = ("model", "layers", index)
        entry, shares = (
            (entry, None) if entry.layer is not None else wiring.called_again(entry, path, by_name)
        )
        assert entry.layer is not None
        sources = wiring.sources(entry, path, previous)
        wiring.add(name, path)
        taken, picks = tuple(source for source, _ in sources), tuple(pick for _, pick in sources)
        layer = _frozen(entry.layer) if name in frozen and shares is None else entry.layer
        nodes.append(Node(name, layer, taken, path, entry.doubt, shares, picks))
        by_name.setdefault(name, nodes[-1])
        previous = name
    outputs = wiring.outputs(config, names[-1])
    graph = Graph(inputs, nodes, tuple(name for name, _ in outputs), tuple(pick for _, pick in outputs))
    return graph, [*(wiring.findings or _unused(graph)), *_unfit_patterns(config, names)]


def _named(config: Config, names: Sequence[str]) -> Iterator[str]:
    """The layers that ``model.freeze`` names."""
    for pattern in config.model.freeze:
        yield from (name for name in names if fnmatchcase(name, pattern))


def _frozen(layer: Layer) -> Layer:
    """The layer with weights that training leaves alone; one that has none is as it was."""
    has = isinstance(layer, CustomLayer) or "trainable" in type(layer).model_fields
    return layer.replace(trainable=False) if has else layer


def _unfit_patterns(config: Config, names: Sequence[str]) -> Iterator[Finding]:
    for index, pattern in enumerate(config.model.freeze):
        if not any(fnmatchcase(name, pattern) for name in names):
            yield Finding(
                code="unknown-name",
                message=f"`freeze` names no layer: {quoted(pattern)}.",
                path=("model", "freeze", index),
                hint=did_you_mean(
                    pattern, names, otherwise=f"There are {', '.join(f'`{name}`' for name in names[:12])}."
                ),
            )


class _Wiring:
    """Resolves names to the nodes before, and keeps what does not resolve."""

    def __init__(self, inputs: dict[str, Tensor], names: Sequence[str]) -> None:
        self.findings: list[Finding] = []
        self._inputs = inputs
        self._all = names
        self._first: dict[str, KeyPath] = {}
        self._last: dict[str, int] = {}
        """Name of a layer, or of a block around one -> the last place in the list at which it stands."""
        for index, name in enumerate(names):
            steps = name.split(".")
            self._last.update((".".join(steps[:count]), index) for count in range(1, len(steps) + 1))

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

    def called_again(
        self, entry: LayerEntry, path: KeyPath, nodes: dict[str, Node]
    ) -> tuple[LayerEntry, str | None]:
        """The entry with the layer that it calls again, and the node that has it."""
        name = str(entry.reuse)
        found = nodes.get(name)
        place = (*path, "reuse")
        if found is None:
            if name in self._inputs or name == INPUT:
                message = f"`{name}` is an input of the model; only a layer can be called again."
                self._report("unknown-name", message, place, "Name a layer.")
            elif self._stands_below(name, place):
                message = (
                    f"`{name}` stands below; a layer is declared above the place where it is called again."
                )
                self._report(
                    "unknown-name", message, place, f"Declare `{name}` above, and call it again here."
                )
            else:
                self._unknown("layer", name, place, reversed(nodes))
            return replace(entry, layer=unknown_layer(), doubt=Doubt.RANK), None
        if entry.keys is not None and found.layer.input_names:
            try:
                keys, wired = in_order(
                    entry.keys, dict(zip(entry.keys, entry.inputs or (), strict=True)), found.layer
                )
            except ValidationError as error:
                for item in error.errors(include_url=False):
                    self._report(
                        item["type"], item["ctx"]["message"], (*path, *item["loc"]), item["ctx"]["hint"]
                    )
            else:
                entry = replace(entry, keys=keys, inputs=wired)
        return replace(entry, layer=found.layer, doubt=found.doubt), found.shares or found.name

    def sources(
        self, entry: LayerEntry, path: KeyPath, previous: str | None
    ) -> tuple[tuple[str, int | None], ...]:
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
            resolved = self._reference(name, place, previous)
            if resolved is not None:
                found.append(resolved)
        return tuple(found) if len(found) == len(named) else ()

    def outputs(self, config: Config, last: str) -> list[tuple[str, int | None]]:
        """The nodes whose outputs are the model's, and which of their outputs."""
        declared = config.model.outputs
        if declared is None:
            return [(last, None)]
        resolved = [self._reference(name, ("model", "outputs"), None) for name in declared]
        return [found for found in resolved if found is not None]

    def _reference(self, text: str, path: KeyPath, previous: str | None) -> tuple[str, int | None] | None:
        """The node or input that ``name`` or ``name:1`` names, and which of its outputs."""
        name, colon, number = text.partition(":")
        if colon and not _INDEX.fullmatch(number):
            message = f"{quoted(text)} names no output; after the colon stands its number, counted from 0."
            self._report(
                "unknown-name", message, path, f"Write `{printable(name, limit=60)}:0` for the first output."
            )
            return None
        if name == "previous" and previous is not None:
            resolved: str | None = previous
        else:
            resolved = self._resolve(name, path)
        return None if resolved is None else (resolved, int(number) if colon else None)

    def _resolve(self, name: str, path: KeyPath) -> str | None:
        if name in self._first or name in self._inputs:
            return name
        if name == INPUT and len(self._inputs) == 1:
            return next(iter(self._inputs))
        if self._stands_below(name, path):
            message = f"`{name}` stands below; a layer takes inputs from layers above it."
            self._report("unknown-name", message, path, f"Move `{name}` above this layer.")
        else:
            self._unknown("layer or input", name, path, chain(self._inputs, reversed(self._first)))
        return None

    def _stands_below(self, name: str, path: KeyPath) -> bool:
        """Whether a layer or block of that name follows the one at ``path``."""
        return self._last.get(name, -1) > _index(path)

    def _unknown(self, noun: str, name: str, path: KeyPath, known: Iterable[str]) -> None:
        """Report a name that is nothing's; inside a block the block's own names are told as they stand there."""
        index = _index(path)
        own = self._all[index] if index >= 0 else ""
        prefix = own[: own.rfind(".") + 1]
        near = list(islice(known, _MOST_COMPARED))
        inside = [other.removeprefix(prefix) for other in near if prefix and other.startswith(prefix)]
        choices = list(dict.fromkeys([*inside, *near]))
        otherwise = f"Known are {', '.join(choices[:12])}." if choices else "There is none above."
        hint = did_you_mean(name, choices, otherwise=otherwise)
        self._report("unknown-name", f'There is no {noun} "{printable(name, limit=60)}".', path, hint)

    def _report(self, code: str, message: str, path: KeyPath, hint: str) -> None:
        self.findings.append(Finding(code=code, message=message, path=path, hint=hint))


def _index(path: KeyPath) -> int:
    """The place in the list of layers; -1 where the path is not of a layer."""
    return path[2] if len(path) > 2 and isinstance(path[2], int) else -1


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
