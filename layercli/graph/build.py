"""Config in, nodes out: every layer with a name of its own and the nodes that feed it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import chain, islice

from pydantic import ValidationError

from layercli.config.config import Config
from layercli.config.custom_layers import CustomLayer, make_unknown_layer
from layercli.config.layer_entries import LayerEntry, Uncertainty, order_inputs
from layercli.config.names import INPUT, assign_names
from layercli.graph.finding import Finding
from layercli.layers.base import Layer
from layercli.layers.shapes import Tensor
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, quote_value, sanitize_text

_MAX_COMPARED_NAMES = 300
"""Names that a misspelt one is compared with, the nearest above first."""
_OUTPUT_INDEX_PATTERN = re.compile(r"\d{1,4}")


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A layer at its place in the model."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    """Names of the nodes, or of the model's inputs, whose outputs it takes."""
    path: KeyPath
    """Where it stands in the config."""
    uncertainty: Uncertainty = Uncertainty.NONE
    """What may be wrong with it, where it stands in for a malformed layer."""
    reuse_of: str | None = None
    """The node whose layer, and weights, it calls again."""
    input_indices: tuple[int | None, ...] = ()
    """Which output of each input it takes, where that has several; None: all of them."""

    @property
    def input_references(self) -> tuple[str, ...]:
        """Its inputs as a config writes them, ``lstm:1`` for one output of several."""
        return tuple(
            format_reference(name, pick) for name, pick in zip(self.inputs, self.input_indices, strict=True)
        )

    @property
    def has_user_code(self) -> bool:
        """Whether building the layer runs code that the config names."""
        return isinstance(self.layer, CustomLayer) and self.layer.has_user_code

    @property
    def type_name(self) -> str:
        """Keras's class name, or the reference to a class of the user's."""
        return self.layer.type_reference() if isinstance(self.layer, CustomLayer) else self.layer.type_name()


@dataclass(frozen=True, slots=True)
class Graph:
    """The model as nodes, each after those that feed it."""

    inputs: dict[str, Tensor]
    nodes: list[GraphNode]
    outputs: tuple[str, ...]
    output_indices: tuple[int | None, ...] = ()
    """Which output of each of them, where it has several; None: all of them."""

    @property
    def output_references(self) -> tuple[str, ...]:
        """The outputs as a config writes them, ``lstm:1`` for one of several."""
        return tuple(
            format_reference(name, pick) for name, pick in zip(self.outputs, self.output_indices, strict=True)
        )


def format_reference(name: str, output_index: int | None) -> str:
    """A node's output as a config writes it."""
    return name if output_index is None else f"{name}:{output_index}"


def build_graph(config: Config, inputs: dict[str, Tensor]) -> tuple[Graph, list[Finding]]:
    """The graph of a config with these inputs, and names that are given twice or name nothing."""
    entries = config.model.layers
    names = assign_names([(entry.name, entry.base_name) for entry in entries], inputs)
    wiring = _InputResolver(inputs, names)
    nodes: list[GraphNode] = []
    by_name: dict[str, GraphNode] = {}
    previous = next(iter(inputs)) if len(inputs) == 1 else None
    frozen = set(_find_frozen_names(config, names))
    for index, (entry, name) in enumerate(zip(entries, names, strict=True)):
        path: KeyPath = ("model", "layers", index)
        entry, reuse_of = (
            (entry, None) if entry.layer is not None else wiring.resolve_reuse(entry, path, by_name)
        )
        assert entry.layer is not None
        sources = wiring.resolve_sources(entry, path, previous)
        wiring.add_node(name, path)
        source_names, source_indices = (
            tuple(source for source, _ in sources),
            tuple(pick for _, pick in sources),
        )
        layer = _freeze_layer(entry.layer) if name in frozen and reuse_of is None else entry.layer
        nodes.append(GraphNode(name, layer, source_names, path, entry.uncertainty, reuse_of, source_indices))
        by_name.setdefault(name, nodes[-1])
        previous = name
    outputs = wiring.resolve_outputs(config, names[-1])
    graph = Graph(inputs, nodes, tuple(name for name, _ in outputs), tuple(pick for _, pick in outputs))
    return graph, [*(wiring.findings or _find_unused(graph)), *_check_freeze_patterns(config, names)]


def _find_frozen_names(config: Config, names: Sequence[str]) -> Iterator[str]:
    """The layers that ``model.freeze`` names."""
    for pattern in config.model.freeze:
        yield from (name for name in names if fnmatchcase(name, pattern))


def _freeze_layer(layer: Layer) -> Layer:
    """The layer with weights that training leaves alone; one that has none is as it was."""
    has_weights = isinstance(layer, CustomLayer) or "trainable" in type(layer).model_fields
    return layer.with_arguments(trainable=False) if has_weights else layer


def _check_freeze_patterns(config: Config, names: Sequence[str]) -> Iterator[Finding]:
    for index, pattern in enumerate(config.model.freeze):
        if not any(fnmatchcase(name, pattern) for name in names):
            yield Finding(
                code="unknown-name",
                message=f"`freeze` names no layer: {quote_value(pattern)}.",
                path=("model", "freeze", index),
                hint=did_you_mean(
                    pattern, names, otherwise=f"There are {', '.join(f'`{name}`' for name in names[:12])}."
                ),
            )


class _InputResolver:
    """Resolves names to the nodes before, and keeps what does not resolve."""

    def __init__(self, inputs: dict[str, Tensor], names: Sequence[str]) -> None:
        self.findings: list[Finding] = []
        self._inputs = inputs
        self._names = names
        self._first_paths: dict[str, KeyPath] = {}
        self._last_indices: dict[str, int] = {}
        """Name of a layer, or of a block around one -> the last place in the list at which it stands."""
        for index, name in enumerate(names):
            steps = name.split(".")
            self._last_indices.update((".".join(steps[:count]), index) for count in range(1, len(steps) + 1))

    def add_node(self, name: str, path: KeyPath) -> None:
        """A node that those after it may name."""
        if name in self._first_paths or name in self._inputs:
            other = self._first_paths.get(name, ("model", "inputs", name))
            what = "Two layers are" if name in self._first_paths else "An input and a layer are"
            self.findings.append(
                Finding(
                    code="duplicate-name",
                    message=f"{what} named `{name}`: this one and the one at {{}}.",
                    path=(*path, "name"),
                    hint="Rename one of them.",
                    other_path=other,
                )
            )
        self._first_paths.setdefault(name, path)

    def resolve_reuse(
        self, entry: LayerEntry, path: KeyPath, nodes: dict[str, GraphNode]
    ) -> tuple[LayerEntry, str | None]:
        """The entry with the layer that it calls again, and the node that has it."""
        name = str(entry.reuse)
        reused_node = nodes.get(name)
        reuse_path = (*path, "reuse")
        if reused_node is None:
            if name in self._inputs or name == INPUT:
                message = f"`{name}` is an input of the model; only a layer can be called again."
                self._report_finding("unknown-name", message, reuse_path, "Name a layer.")
            elif self._is_defined_below(name, reuse_path):
                message = (
                    f"`{name}` stands below; a layer is declared above the place where it is called again."
                )
                self._report_finding(
                    "unknown-name", message, reuse_path, f"Declare `{name}` above, and call it again here."
                )
            else:
                self._report_unknown_name("layer", name, reuse_path, reversed(nodes))
            return replace(entry, layer=make_unknown_layer(), uncertainty=Uncertainty.RANK), None
        if entry.input_keys is not None and reused_node.layer.input_names:
            try:
                keys, inputs = order_inputs(
                    entry.input_keys,
                    dict(zip(entry.input_keys, entry.inputs or (), strict=True)),
                    reused_node.layer,
                )
            except ValidationError as error:
                for item in error.errors(include_url=False):
                    self._report_finding(
                        item["type"], item["ctx"]["message"], (*path, *item["loc"]), item["ctx"]["hint"]
                    )
            else:
                entry = replace(entry, input_keys=keys, inputs=inputs)
        return replace(
            entry, layer=reused_node.layer, uncertainty=reused_node.uncertainty
        ), reused_node.reuse_of or reused_node.name

    def resolve_sources(
        self, entry: LayerEntry, path: KeyPath, previous: str | None
    ) -> tuple[tuple[str, int | None], ...]:
        """The nodes or inputs that feed an entry; none where a name does not resolve."""
        if entry.inputs is None and previous is None:
            listed = ", ".join(f"`{name}`" for name in self._inputs)
            self._report_finding("missing-key", "The model has several inputs; the first layer must say which it takes.",
                         path, f"Add `inputs:` with one of {listed}, or a list.")  # fmt: skip
            return ()
        references = entry.inputs or ("previous",)
        sources = []
        for number, name in enumerate(references):
            input_path: KeyPath = (*path, "inputs")
            if entry.input_keys is not None:
                input_path = (*input_path, entry.input_keys[number])
            elif entry.inputs is not None and len(entry.inputs) > 1:
                input_path = (*input_path, number)
            resolved = self._resolve_reference(name, input_path, previous)
            if resolved is not None:
                sources.append(resolved)
        return tuple(sources) if len(sources) == len(references) else ()

    def resolve_outputs(self, config: Config, last: str) -> list[tuple[str, int | None]]:
        """The nodes whose outputs are the model's, and which of their outputs."""
        declared = config.model.outputs
        if declared is None:
            return [(last, None)]
        resolved = [self._resolve_reference(name, ("model", "outputs"), None) for name in declared]
        return [found for found in resolved if found is not None]

    def _resolve_reference(
        self, text: str, path: KeyPath, previous: str | None
    ) -> tuple[str, int | None] | None:
        """The node or input that ``name`` or ``name:1`` names, and which of its outputs."""
        name, colon, number = text.partition(":")
        if colon and not _OUTPUT_INDEX_PATTERN.fullmatch(number):
            message = (
                f"{quote_value(text)} names no output; after the colon stands its number, counted from 0."
            )
            self._report_finding(
                "unknown-name",
                message,
                path,
                f"Write `{sanitize_text(name, limit=60)}:0` for the first output.",
            )
            return None
        if name == "previous" and previous is not None:
            resolved: str | None = previous
        else:
            resolved = self._resolve_name(name, path)
        return None if resolved is None else (resolved, int(number) if colon else None)

    def _resolve_name(self, name: str, path: KeyPath) -> str | None:
        if name in self._first_paths or name in self._inputs:
            return name
        if name == INPUT and len(self._inputs) == 1:
            return next(iter(self._inputs))
        if self._is_defined_below(name, path):
            message = f"`{name}` stands below; a layer takes inputs from layers above it."
            self._report_finding("unknown-name", message, path, f"Move `{name}` above this layer.")
        else:
            self._report_unknown_name(
                "layer or input", name, path, chain(self._inputs, reversed(self._first_paths))
            )
        return None

    def _is_defined_below(self, name: str, path: KeyPath) -> bool:
        """Whether a layer or block of that name follows the one at ``path``."""
        return self._last_indices.get(name, -1) > _layer_index(path)

    def _report_unknown_name(self, noun: str, name: str, path: KeyPath, known: Iterable[str]) -> None:
        """Report a name that is nothing's; inside a block the block's own names are told as they stand there."""
        index = _layer_index(path)
        full_name = self._names[index] if index >= 0 else ""
        prefix = full_name[: full_name.rfind(".") + 1]
        nearest = list(islice(known, _MAX_COMPARED_NAMES))
        block_names = [other.removeprefix(prefix) for other in nearest if prefix and other.startswith(prefix)]
        choices = list(dict.fromkeys([*block_names, *nearest]))
        otherwise = f"Known are {', '.join(choices[:12])}." if choices else "There is none above."
        hint = did_you_mean(name, choices, otherwise=otherwise)
        self._report_finding(
            "unknown-name", f'There is no {noun} "{sanitize_text(name, limit=60)}".', path, hint
        )

    def _report_finding(self, code: str, message: str, path: KeyPath, hint: str) -> None:
        self.findings.append(Finding(code=code, message=message, path=path, hint=hint))


def _layer_index(path: KeyPath) -> int:
    """The place in the list of layers; -1 where the path is not of a layer."""
    return path[2] if len(path) > 2 and isinstance(path[2], int) else -1


def _find_unused(graph: Graph) -> Iterator[Finding]:
    """Inputs, which Keras refuses, and layers that feed no output."""
    feeds = {node.name: node.inputs for node in graph.nodes}
    used: set[str] = set()
    pending = list(graph.outputs)
    while pending:
        name = pending.pop()
        if name not in used:
            used.add(name)
            pending.extend(feeds.get(name, ()))
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
