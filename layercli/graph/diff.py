"""The comparison of two models: matching layers, settings and weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from layercli.config.config import Config
from layercli.config.names import INPUT
from layercli.graph.align import LayerMatches, align_layers, is_auto_named
from layercli.graph.build import GraphNode, format_reference
from layercli.graph.shapes import ModelShapes, NodeShapes
from layercli.layers.base import Weight
from layercli.layers.custom_layers import CustomLayer
from layercli.layers.object_registry import CONSTRAINTS, INITIALIZERS, REGULARIZERS
from layercli.layers.shapes import format_shape
from layercli.schema.component import Component
from layercli.schema.strict_model import StrictModel, to_plain
from layercli.source.nodes import KeyPath, format_path


@dataclass(frozen=True, slots=True)
class Difference:
    """A different value; None on the side that does not have one."""

    label: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class LayerPair:
    """Matching layers of two models; None on the side without a match."""

    before: NodeShapes | None
    after: NodeShapes | None
    differences: list[Difference] = field(default_factory=list)

    @property
    def status(self) -> str:
        """Return same, changed, renamed, added or removed."""
        if self.before is None or self.after is None:
            return "added" if self.before is None else "removed"
        if self.name_difference is not None and len(self.differences) == 1:
            return "renamed"
        return "changed" if self.differences else "same"

    @property
    def name_difference(self) -> Difference | None:
        """Return the two names if they differ."""
        return next((difference for difference in self.differences if difference.label == "name"), None)

    @property
    def is_renumbered(self) -> bool:
        """Return whether only the number in an automatic name differs."""
        return (
            self.status == "renamed"
            and self.before is not None
            and self.after is not None
            and is_auto_named(self.before.node)
            and is_auto_named(self.after.node)
        )


@dataclass(frozen=True, slots=True)
class WeightMatch:
    """Whether a layer of the second model can take all weights from the layer with its name in the first."""

    obstacle: str | None
    """The reason why it cannot; None if it can."""
    previous_name: str | None
    """The name of the matching layer in the first model; None for a new layer."""


@dataclass(frozen=True, slots=True)
class ComparedModel:
    """One side of a comparison."""

    config: Config
    shapes: ModelShapes


def compare_layers(before: ComparedModel, after: ComparedModel) -> list[LayerPair]:
    """Return every layer of both models, in the order of the second; removed layers keep their position."""
    old, new = before.shapes, after.shapes
    matched = align_layers(old, new)
    old_indices = {second: first for first, second in matched.items()}
    wiring = _InputComparison(old, new, matched)
    pairs: list[LayerPair] = []
    next_removed = 0
    stops = [len(old.rows)]  # for each layer of the second model, from the last: its position in the first
    for number in reversed(range(len(new.rows))):
        stops.append(old_indices.get(number, stops[-1]))
    for number, row in enumerate(new.rows):
        stop = stops[len(new.rows) - number]
        pairs.extend(
            LayerPair(old.rows[gone], None) for gone in range(next_removed, stop) if gone not in matched
        )
        next_removed = max(next_removed, stop)
        old_row = old.rows[old_indices[number]] if number in old_indices else None
        pairs.append(
            LayerPair(old_row, row, [] if old_row is None else list(_compare_layer(old_row, row, wiring)))
        )
    remaining = range(next_removed, len(old.rows))
    return pairs + [
        LayerPair(old.rows[old_index], None) for old_index in remaining if old_index not in matched
    ]


def compare_settings(
    before: ComparedModel, after: ComparedModel, pairs: Sequence[LayerPair]
) -> list[Difference]:
    """Return the differences of two configs outside their layers, by path, with defaults filled in."""
    old, new = (_config_settings(side.config) for side in (before, after))
    if None in (old["name"], new["name"]):  # the name is the file's name, so it is not a setting
        del old["name"], new["name"]
    differences = [*compare_values(old, new)]
    first, second = _input_settings(before), _input_settings(after)
    if [*first] == [*second] == [INPUT]:
        differences += compare_values(first[INPUT], second[INPUT], ("model", "input"))
    else:
        differences += compare_values(first, second, ("model", "inputs"))
    names = {pair.before.node.name: pair.after.node.name for pair in pairs if pair.before and pair.after}
    graphs = before.shapes.graph, after.shapes.graph
    picks = graphs[0].output_indices
    old_outputs = [
        format_reference(names.get(name, name), pick)
        for name, pick in zip(graphs[0].outputs, picks, strict=True)
    ]
    if tuple(old_outputs) != graphs[1].output_references:
        outputs = [list(graph.output_references) for graph in graphs]
        differences.append(Difference("model.outputs", *outputs))
    return differences


def match_weights(
    before: ModelShapes, after: ModelShapes, pairs: Sequence[LayerPair]
) -> dict[str, WeightMatch]:
    """Return the weight match of each layer with weights in the second model, by name."""
    old_names = {pair.after.node.name: pair.before.node.name for pair in pairs if pair.after and pair.before}
    return {
        row.node.name: WeightMatch(
            _find_obstacle(before.by_name.get(row.node.name), row), old_names.get(row.node.name)
        )
        for row in after.rows
        if row.weights
    }


def list_stored_weights(row: NodeShapes) -> list[Weight]:
    """Return the weights of a layer in a saved model, where the updates of LoRA are part of the kernels."""
    return [weight for weight in row.weights or () if not weight.name.rpartition("/")[2].startswith("lora_")]


def _find_obstacle(old_row: NodeShapes | None, row: NodeShapes) -> str | None:
    """Return the reason why a layer cannot take the weights of the layer with its name; None if it can."""
    if old_row is None:
        return "no layer has this name"
    if old_row.weights is None:
        return "the layer's weights are unknown"
    if not old_row.weights:
        return (
            "the layer has no weights"
            if old_row.node.reuse_of is None
            else "the layer reuses the weights of another layer"
        )
    weights, old_weights = list_stored_weights(row), list_stored_weights(old_row)
    mismatches = [
        f"{weight.name} {format_shape(old_weight.shape)} -> {format_shape(weight.shape)}"
        for weight, old_weight in zip(weights, old_weights, strict=False)
        if weight.shape != old_weight.shape
    ]
    if len(weights) != len(old_weights):
        mismatches.append(f"{len(old_weights)} -> {len(weights)} weights")
    return (
        ", ".join([*mismatches[:2], f"and {len(mismatches) - 2} more"] if len(mismatches) > 2 else mismatches)
        or None
    )


def compare_values(before: Any, after: Any, path: KeyPath = ()) -> Iterator[Difference]:
    """Yield the differences of two config values; objects of different types differ as a whole."""
    if _is_same_type(before, after):
        if before == after:
            return
        before, after = before.arguments(), after.arguments()
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            yield from compare_values(before.get(key), after.get(key), (*path, key))
    elif isinstance(before, list) and isinstance(after, list) and _has_keyed_items([*before, *after]):
        for index in range(max(len(before), len(after))):
            old, new = (side[index] if index < len(side) else None for side in (before, after))
            yield from compare_values(old, new, (*path, index))
    else:
        old, new = without_defaults(before), without_defaults(after)
        if (old != new or type(old) is not type(new)) and not _is_same_name(old, new):
            yield Difference(format_path(path), old, new)


def without_defaults(value: Any) -> Any:
    """Return a value as a config can write it, without default arguments."""
    if isinstance(value, Component):
        fields = type(value).model_fields
        arguments = {
            name: without_defaults(item)
            for name, item in value.arguments().items()
            if name not in fields or item != fields[name].default
        }
        return {"type": _find_declared_type(value), **arguments} if arguments else _find_declared_type(value)
    if isinstance(value, (list, tuple)):
        return [without_defaults(item) for item in value]
    return to_plain(value)


def _is_same_type(before: Any, after: Any) -> bool:
    """Return whether both are objects of the same type, so that each key is compared separately."""
    if isinstance(before, Component) and isinstance(after, Component):
        return bool(_find_declared_type(before) == _find_declared_type(after))
    return isinstance(before, StrictModel) and isinstance(after, StrictModel)


def _find_declared_type(component: Component) -> Any:
    """Return the ``type`` that declares it in a config."""
    return component.type_reference() if isinstance(component, CustomLayer) else component.type_name()


def _is_same_name(old: Any, new: Any) -> bool:
    """Return whether both are names of the same Keras object, such as zeros and Zeros."""
    if not isinstance(old, str) or not isinstance(new, str):
        return False
    class_names = ((one.find(old), one.find(new)) for one in (INITIALIZERS, REGULARIZERS, CONSTRAINTS))
    return any(first is not None and first == second for first, second in class_names)


def _has_keyed_items(values: list[Any]) -> bool:
    """Return whether a value has keys, so that each value is compared separately."""
    return any(isinstance(value, (Mapping, Component, StrictModel)) for value in values)


def _input_settings(side: ComparedModel) -> dict[str, Any]:
    inputs = side.shapes.graph.inputs.items()
    return {name: {"shape": list(tensor.shape[1:]), "dtype": tensor.dtype} for name, tensor in inputs}


def _config_settings(config: Config) -> dict[str, Any]:
    # Validate again, so that default names become objects.
    return {
        key: value
        for key, value in Config.model_validate(config.to_plain()).arguments().items()
        if key != "model"
    }


def _compare_layer(
    before: NodeShapes, after: NodeShapes, input_comparison: _InputComparison
) -> Iterator[Difference]:
    old, new = before.node, after.node
    if old.name != new.name:
        yield Difference("name", old.name, new.name)
    if old.type_name != new.type_name:
        yield Difference("type", without_defaults(old.layer), without_defaults(new.layer))
    else:
        yield from compare_values(old.layer, new.layer)
    if input_comparison.has_other_inputs(old, new):
        yield Difference("inputs", list(old.input_references), list(new.input_references))
    shapes = [[list(tensor.shape) for tensor in row.outputs] for row in (before, after)]
    if shapes[0] != shapes[1]:
        yield Difference("output", *shapes)
    if before.parameters != after.parameters:
        yield Difference("parameters", before.parameters, after.parameters)


class _InputComparison:
    """Compares the inputs of two layers; a layer inserted or removed before them is not a difference."""

    def __init__(self, before: ModelShapes, after: ModelShapes, matched: LayerMatches) -> None:
        self._names = {
            before.rows[first].node.name: after.rows[second].node.name for first, second in matched.items()
        }
        inputs = [*before.graph.inputs], [*after.graph.inputs]
        if len(inputs[0]) == len(inputs[1]) == 1:
            self._names[inputs[0][0]] = inputs[1][0]
        kept = set(matched.values())
        self._before = _find_bypassed_sources(
            before.rows, [number not in matched for number in range(len(before.rows))]
        )
        self._after = _find_bypassed_sources(
            after.rows, [number not in kept for number in range(len(after.rows))]
        )

    def has_other_inputs(self, before: GraphNode, after: GraphNode) -> bool:
        """Return whether two layers have different inputs."""
        old_reuse = before.reuse_of and self._names.get(before.reuse_of, before.reuse_of)
        if old_reuse != after.reuse_of:
            return True
        old, new = _effective_inputs(self._before, before), _effective_inputs(self._after, after)
        return [(self._names.get(name, name), pick) for name, pick in old] != new


_SourceOutput: TypeAlias = tuple[str, int | None]


def _find_bypassed_sources(
    rows: Sequence[NodeShapes], is_bypassed: Sequence[bool]
) -> dict[str, _SourceOutput]:
    """Return the source of each bypassed layer that has a single source."""
    sources: dict[str, _SourceOutput] = {}
    for row, is_between in zip(rows, is_bypassed, strict=True):
        inputs = set(_effective_inputs(sources, row.node))
        if is_between and len(inputs) == 1:
            sources[row.node.name] = inputs.pop()
    return sources


def _effective_inputs(sources: Mapping[str, _SourceOutput], node: GraphNode) -> list[_SourceOutput]:
    inputs = zip(node.inputs, node.input_indices, strict=True)
    return [sources.get(name, (name, pick)) for name, pick in inputs]
