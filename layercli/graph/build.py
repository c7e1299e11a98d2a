"""The graph of a config: nodes with unique names and the nodes that feed them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Literal, NamedTuple

from pydantic import ValidationError

from layercli.config.config import Config
from layercli.config.layer_entries import LayerEntry, Uncertainty, order_inputs
from layercli.config.model import LAYERS_PATH
from layercli.config.name_patterns import find_matching_names, find_unmatched_patterns
from layercli.config.names import INPUT, assign_names
from layercli.graph.finding import Finding
from layercli.graph.lora import LORA_PATH, check_lora_patterns, find_lora_ranks, set_lora_rank
from layercli.layers.base import Layer
from layercli.layers.custom_layers import CustomLayer, find_custom_layers, make_unknown_layer
from layercli.layers.shapes import Tensor
from layercli.schema.suggestions import did_you_mean, list_names
from layercli.source.nodes import KeyPath, quote_value, sanitize_text

_MAX_COMPARED_NAMES = 300
"""Maximum number of names to compare with an unknown name, the nearest ones above first."""
_OUTPUT_INDEX_PATTERN = re.compile(r"\d{1,4}")


class CustomPart(NamedTuple):
    """A custom layer in the graph: the layer of a node, or one nested in it."""

    node: GraphNode
    layer: CustomLayer
    path: KeyPath
    """The path of its declaration in the config."""


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A layer in the graph."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    """Names of the nodes or model inputs that feed it."""
    path: KeyPath
    """Path of its entry in the config."""
    uncertainty: Uncertainty = Uncertainty.NONE
    """The uncertainty of the layer, if it replaces a malformed layer."""
    reuse_of: str | None = None
    """The node whose layer and weights it reuses."""
    input_indices: tuple[int | None, ...] = ()
    """The index of the output to take from each input; None takes all outputs."""
    input_keys: tuple[str, ...] | None = None
    """The layer's names of its inputs, if the config gives them."""

    @property
    def input_references(self) -> tuple[str, ...]:
        """Return its inputs as a config writes them, such as ``lstm:1`` for the second output."""
        return tuple(
            format_reference(name, pick) for name, pick in zip(self.inputs, self.input_indices, strict=True)
        )

    @property
    def custom_parts(self) -> list[CustomPart]:
        """The layer itself if it is a custom layer, and the custom layers nested in it, outermost first."""
        return [CustomPart(self, layer, path) for layer, path in find_custom_layers(self.layer, self.path)]

    @property
    def type_name(self) -> str:
        """Return Keras's class name, or the reference to a custom class."""
        return self.layer.type_reference() if isinstance(self.layer, CustomLayer) else self.layer.type_name()


@dataclass(frozen=True, slots=True)
class Graph:
    """The model as nodes in topological order."""

    inputs: dict[str, Tensor]
    nodes: list[GraphNode]
    outputs: tuple[str, ...]
    output_indices: tuple[int | None, ...] = ()
    """The index of the output to take from each node; None takes all outputs."""

    @property
    def output_references(self) -> tuple[str, ...]:
        """Return the outputs as a config writes them, such as ``lstm:1`` for the second output."""
        return tuple(
            format_reference(name, pick) for name, pick in zip(self.outputs, self.output_indices, strict=True)
        )


def find_dependencies(graph: Graph, names: Iterable[str]) -> set[str]:
    """Return these nodes and model inputs with all nodes and inputs that they depend on."""
    feeds = {node.name: [*node.inputs, *([node.reuse_of] if node.reuse_of else [])] for node in graph.nodes}
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(feeds.get(name, ()))
    return found


def find_model_inputs(graph: Graph, name: str) -> list[str]:
    """Return the model inputs that a node depends on, in their order."""
    needed = find_dependencies(graph, [name])
    return [each for each in graph.inputs if each in needed]


def format_reference(name: str, output_index: int | None) -> str:
    """Return a node's output as a config writes it, such as ``lstm:1``."""
    return name if output_index is None else f"{name}:{output_index}"


def build_graph(config: Config, inputs: dict[str, Tensor]) -> tuple[Graph, list[Finding]]:
    """Return the graph of a config, and findings for duplicate and unknown names.

    Args:
        config: The config.
        inputs: The model's inputs by name.
    """
    entries = config.model.layers
    names = assign_names([(entry.name, entry.base_name) for entry in entries], inputs)
    wiring = _InputResolver(inputs, names)
    nodes: list[GraphNode] = []
    by_name: dict[str, GraphNode] = {}
    previous = next(iter(inputs)) if len(inputs) == 1 else None
    frozen = set(find_matching_names(config.model.freeze, names))
    ranks = find_lora_ranks(config.model.lora_rank, names)
    for index, (entry, name) in enumerate(zip(entries, names, strict=True)):
        path: KeyPath = (*LAYERS_PATH, index)
        entry, reuse_of = (
            (entry, None) if entry.layer is not None else wiring.resolve_reuse(entry, path, by_name)
        )
        assert entry.layer is not None
        sources = wiring.resolve_sources(entry, path, previous)
        node_name = wiring.add_node(name, path)
        source_names, source_indices = (
            tuple(source for source, _ in sources),
            tuple(pick for _, pick in sources),
        )
        layer = entry.layer
        if reuse_of is None:
            layer = _freeze_layer(layer) if name in frozen else layer
            layer = set_lora_rank(layer, ranks[name]) if name in ranks else layer
        nodes.append(
            GraphNode(
                node_name,
                layer,
                source_names,
                path,
                entry.uncertainty,
                reuse_of,
                source_indices,
                entry.input_keys if sources else None,
            )
        )
        by_name.setdefault(name, nodes[-1])
        previous = node_name
    outputs = wiring.resolve_outputs(config, nodes[-1].name)
    graph = Graph(inputs, nodes, tuple(name for name, _ in outputs), tuple(pick for _, pick in outputs))
    findings = [*(wiring.findings or _find_unused(graph))]
    findings += check_freeze_patterns(config.model.freeze, names, ("model", "freeze"))
    findings += [
        _describe_unmatched(pattern, names, LORA_PATH, pattern)
        for _, pattern in find_unmatched_patterns(config.model.lora_rank, names)
    ]
    findings += check_lora_patterns(config.model.lora_rank, nodes)
    return graph, findings


def _freeze_layer(layer: Layer) -> Layer:
    """Return the layer with ``trainable=False``, or unchanged if it cannot have weights."""
    has_weights = isinstance(layer, CustomLayer) or "trainable" in type(layer).model_fields
    return layer.with_arguments(trainable=False) if has_weights else layer


def check_freeze_patterns(freeze: Sequence[str], names: Sequence[str], path: KeyPath) -> Iterator[Finding]:
    """Yield a finding for each name or pattern of ``freeze`` that matches no layer."""
    for index, pattern in find_unmatched_patterns(freeze, names):
        yield _describe_unmatched(pattern, names, path, index)


def _describe_unmatched(pattern: str, names: Sequence[str], path: KeyPath, step: int | str) -> Finding:
    """Return the finding for a name or pattern, which the key at ``path`` has, that matches no layer."""
    return Finding(
        code="unknown-name",
        message=f"`{path[-1]}` must match a layer name, got {quote_value(pattern)}.",
        path=(*path, step),
        hint=did_you_mean(pattern, names, otherwise=f"Known names: {list_names(names)}."),
        at_key=isinstance(step, str),
    )


class _InputResolver:
    """Resolves input names to earlier nodes and collects findings for unknown names."""

    def __init__(self, inputs: dict[str, Tensor], names: Sequence[str]) -> None:
        self.findings: list[Finding] = []
        self._inputs = inputs
        self._names = names
        self._first_paths: dict[str, KeyPath] = {}
        self._last_indices: dict[str, int] = {}
        """Name of a layer or an enclosing block -> the index of its last layer in the list."""
        for index, name in enumerate(names):
            steps = name.split(".")
            self._last_indices.update((".".join(steps[:count]), index) for count in range(1, len(steps) + 1))

    def add_node(self, name: str, path: KeyPath) -> str:
        """Register a node name for later entries and return it; a duplicate, which is an error, gets a suffix.

        With two nodes of one name the graph would have cycles.
        """
        is_duplicate = name in self._first_paths or name in self._inputs
        if is_duplicate:
            other = self._first_paths.get(name, ("model", "inputs", name))
            subject = "Two layers are" if name in self._first_paths else "An input and a layer are"
            self.findings.append(
                Finding(
                    code="duplicate-name",
                    message=f"{subject} named `{name}`: this one and the one at {{}}.",
                    path=(*path, "name"),
                    hint="Rename one of them.",
                    other_path=other,
                )
            )
        self._first_paths.setdefault(name, path)
        return f"{name} (layer {_layer_index(path) + 1})" if is_duplicate else name

    def resolve_reuse(
        self, entry: LayerEntry, path: KeyPath, nodes: dict[str, GraphNode]
    ) -> tuple[LayerEntry, str | None]:
        """Return the entry with the layer that it reuses, and the name of that layer's node."""
        name = str(entry.reuse)
        reused_node = nodes.get(name)
        reuse_path = (*path, "reuse")
        if reused_node is None:
            if name in self._inputs or name == INPUT:
                message = f"`reuse` must name a layer, got the model input `{name}`."
                self._report_finding("unknown-name", message, reuse_path, "Use the name of a layer above.")
            elif self._is_defined_below(name, reuse_path):
                message = f"`reuse` must name a layer above, but `{name}` is declared below."
                self._report_finding(
                    "unknown-name", message, reuse_path, f"Declare `{name}` above, and reuse it here."
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
                entry = replace(entry, input_keys=None)
            else:
                entry = replace(entry, input_keys=keys, inputs=inputs)
        return replace(
            entry, layer=reused_node.layer, uncertainty=reused_node.uncertainty
        ), reused_node.reuse_of or reused_node.name

    def resolve_sources(
        self, entry: LayerEntry, path: KeyPath, previous: str | None
    ) -> tuple[tuple[str, int | None], ...]:
        """Return the nodes or inputs that feed an entry, with output indices; empty if a name is unknown."""
        if entry.inputs is None and previous is None:
            listed = list_names(self._inputs)
            message = "The first layer requires `inputs` because the model has several inputs."
            names = ", ".join(self._inputs)
            hint = f"Put {{type: Concatenate, inputs: [{names}]}} before it, or add `inputs:` with one of {listed}."
            self._report_finding("missing-key", message, path, hint)
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
        """Return the output nodes of the model and the index of each node's output."""
        declared = config.model.outputs
        if declared is None:
            return [(last, None)]
        resolved = [self._resolve_reference(name, ("model", "outputs"), None) for name in declared]
        return [reference for reference in resolved if reference is not None]

    def _resolve_reference(
        self, text: str, path: KeyPath, previous: str | None
    ) -> tuple[str, int | None] | None:
        """Return the node or input of a reference such as ``name`` or ``name:1``, and its output index."""
        name, colon, number = text.partition(":")
        if colon and not _OUTPUT_INDEX_PATTERN.fullmatch(number):
            message = (
                f"Output references must end in an output number, counted from 0, got {quote_value(text)}."
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
        own_name = self._find_own_name(name, path)
        if own_name is not None:
            message = f"`inputs` must name layers above, but `{name}` is this {own_name}."
            self._report_finding("unknown-name", message, path, "Remove it, or name a layer above.")
        elif self._is_defined_below(name, path):
            message = f"`inputs` must name layers above, but `{name}` is declared below."
            self._report_finding("unknown-name", message, path, f"Move `{name}` above this layer.")
        else:
            self._report_unknown_name(
                "layer or input", name, path, chain(self._inputs, reversed(self._first_paths))
            )
        return None

    def _find_own_name(self, name: str, path: KeyPath) -> Literal["layer", "block"] | None:
        """Return whether a name is that of the layer at ``path``, with or without its blocks, or of a block around it."""
        index = _layer_index(path)
        full_name = self._names[index] if index >= 0 else ""
        if name in (full_name, full_name.rpartition(".")[2]):
            return "layer"
        return "block" if full_name.startswith(f"{name}.") else None

    def _is_defined_below(self, name: str, path: KeyPath) -> bool:
        """Return whether a layer or block of that name follows the entry at ``path``."""
        return self._last_indices.get(name, -1) > _layer_index(path)

    def _report_unknown_name(self, noun: str, name: str, path: KeyPath, known: Iterable[str]) -> None:
        """Report an unknown name; inside a block, suggest the block's names without its prefix."""
        index = _layer_index(path)
        full_name = self._names[index] if index >= 0 else ""
        prefix = full_name[: full_name.rfind(".") + 1]
        nearest = list(islice(known, _MAX_COMPARED_NAMES))
        block_names = [other.removeprefix(prefix) for other in nearest if prefix and other.startswith(prefix)]
        choices = list(dict.fromkeys([*block_names, *nearest]))
        otherwise = f"Known names: {', '.join(choices[:12])}." if choices else "There are no layers above."
        hint = did_you_mean(name, choices, otherwise=otherwise)
        self._report_finding(
            "unknown-name", f'There is no {noun} "{sanitize_text(name, limit=60)}".', path, hint
        )

    def _report_finding(self, code: str, message: str, path: KeyPath, hint: str) -> None:
        self.findings.append(Finding(code=code, message=message, path=path, hint=hint))


def _layer_index(path: KeyPath) -> int:
    """Return the index in the list of layers; -1 if the path does not lead to a layer."""
    return path[2] if len(path) > 2 and isinstance(path[2], int) else -1


def _find_unused(graph: Graph) -> Iterator[Finding]:
    """Yield a finding for each input and layer that feeds no output; Keras rejects such inputs.

    Layers that only unused inputs feed belong to the finding of their input, which names the last of them.
    """
    used = find_dependencies(graph, graph.outputs)
    if not graph.outputs:
        return
    last_layers = {name: "" for name in graph.inputs if name not in used}
    layer_findings = []
    for node in graph.nodes:
        if node.name in used:
            continue
        if node.inputs and all(name in last_layers for name in node.inputs):
            last_layers |= {
                name: node.name for name in find_dependencies(graph, [node.name]) if name in last_layers
            }
            last_layers[node.name] = ""
            continue
        layer_findings.append(
            Finding(
                code="unused-layer",
                message=f"`{node.name}` feeds no output of the model, so the model excludes it.",
                path=node.path,
                hint="Name it in the `inputs` of a layer or in `model.outputs`, or remove it.",
                severity="warning",
            )
        )
    for name in graph.inputs:
        if name in last_layers:
            path: KeyPath = ("model", "inputs", name) if len(graph.inputs) > 1 else ("model", "input")
            message = f"The input `{name}` feeds no output of the model."
            last = last_layers[name]
            hint = "Connect it to a layer, or remove it."
            if last:
                hint = f"Name `{last}` in the `inputs` of a layer or in `model.outputs`, or remove the input and its layers."
            yield Finding(code="unused-input", message=message, path=path, hint=hint)
    yield from layer_findings
