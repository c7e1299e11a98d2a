"""LoRA: which layers train a low-rank update of their kernel, and the same model with the updates in the kernels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from layercli.config.name_patterns import find_matching_names, has_wildcard
from layercli.graph.finding import Finding
from layercli.layers.base import Layer
from layercli.layers.custom_layers import CustomLayer
from layercli.schema.strict_model import ArgumentError
from layercli.source.nodes import KeyPath, quote_value

if TYPE_CHECKING:
    from layercli.config.model import ModelSection
    from layercli.graph.build import Graph, GraphNode

LORA_PATH: KeyPath = ("model", "lora_rank")
_LORA_TYPES = "Dense, EinsumDense, Embedding, ReversibleEmbedding, Conv1D, Conv2D and Conv3D"


def find_lora_ranks(ranks: Mapping[str, int], names: Sequence[str]) -> dict[str, int]:
    """Return the rank of each layer whose name matches ``model.lora_rank``, by the first pattern that matches."""
    found: dict[str, int] = {}
    for pattern, rank in ranks.items():
        for name in find_matching_names([pattern], names):
            found.setdefault(name, rank)
    return found


def set_lora_rank(layer: Layer, rank: int) -> Layer:
    """Return the layer with a low-rank update; unchanged if it has its own one, is frozen or cannot have one."""
    return layer.with_arguments(lora_rank=rank) if _can_have_lora(layer) and not _has_lora(layer) else layer


def _can_have_lora(layer: Layer) -> bool:
    return "lora_rank" in layer.arguments() and not isinstance(layer, CustomLayer) and layer.is_trainable


def _has_lora(layer: Layer) -> bool:
    return getattr(layer, "lora_rank", None) is not None


def ignores_lora_alpha(layer: Layer) -> bool:
    """Return whether Keras ignores the scale of a layer's update: an Embedding that is not assigned to it."""
    has_alpha = _has_lora(layer) and getattr(layer, "lora_alpha", None) is not None
    return has_alpha and layer.type_name() in ("Embedding", "ReversibleEmbedding")


def check_lora_patterns(ranks: Mapping[str, int], nodes: Sequence[GraphNode]) -> Iterator[Finding]:
    """Yield a finding for each pattern of ``model.lora_rank`` that matches a wrong layer or only such layers.

    Patterns that match no layer have their own finding.
    """
    own = {node.name: node for node in nodes if node.reuse_of is None}
    for pattern in ranks:
        matches = [own[name] for name in find_matching_names([pattern], list(own))]
        wrong = [node for node in matches if not _has_lora(node.layer)]
        if wrong and len(wrong) == len(matches) and not any(node.uncertainty for node in wrong):
            yield _explain_wrong_layers(pattern, wrong)
    for name in find_lora_ranks(ranks, list(own)):
        node = own[name]
        if not _has_lora(node.layer):
            continue
        try:
            node.layer.check()
        except ArgumentError as error:
            yield Finding(
                code="bad-argument", message=str(error), path=(*node.path, error.argument), hint=error.hint
            )


def _explain_wrong_layers(pattern: str, wrong: Sequence[GraphNode]) -> Finding:
    frozen = [node for node in wrong if "lora_rank" in node.layer.arguments()]
    quoted = quote_value(pattern)
    if frozen:
        name = frozen[0].name
        message = f"`lora_rank` of {quoted} trains nothing, because `{name}` is frozen."
        hint = f"Remove `{name}` from `freeze`, or `trainable: false` from the layer: `lora_rank` freezes its kernel."
    else:
        types = sorted({node.type_name for node in wrong})
        subject = "matches" if has_wildcard(pattern) else "is"
        message = f"`lora_rank` must name layers with LoRA, but {quoted} {subject} {' and '.join(types[:3])}."
        hint = f"Remove {quoted}. These types have LoRA: {_LORA_TYPES}."
    return Finding(code="bad-argument", message=message, path=(*LORA_PATH, pattern), hint=hint, at_key=True)


def check_lora_kernels(model: ModelSection, graph: Graph) -> Iterator[Finding]:
    """Yield a warning if low-rank updates are trained for kernels that are random."""
    names = [node.name for node in graph.nodes if _has_lora(node.layer) and node.layer.is_trainable]
    if names and model.weights is None:
        own_path = next(node.path for node in graph.nodes if node.name == names[0])
        yield Finding(
            code="random-kernel",
            message=f"`lora_rank` freezes the kernel of `{names[0]}`, which is random, because `model` has no `weights`.",
            path=LORA_PATH if model.lora_rank else (*own_path, "lora_rank"),
            hint="Add `weights` to `model`, with the run or the file of a trained model, or remove `lora_rank`.",
            severity="warning",
        )


def has_lora(graph: Graph) -> bool:
    """Return whether a layer of the catalogue, or one nested in it, trains a low-rank update."""
    return merge_lora(graph) is not graph


def merge_lora(graph: Graph) -> Graph:
    """Return the graph without low-rank updates, for weights that contain them; those of custom layers stay."""
    nodes = [replace(node, layer=_remove_lora(node.layer)) for node in graph.nodes]
    is_unchanged = all(new.layer is old.layer for new, old in zip(nodes, graph.nodes, strict=True))
    return graph if is_unchanged else replace(graph, nodes=nodes)


def _remove_lora(layer: Layer) -> Layer:
    """Return the layer and its nested layers without low-rank updates."""
    if isinstance(layer, CustomLayer):
        return layer
    changed: dict[str, Any] = {"lora_rank": None, "lora_alpha": None} if _has_lora(layer) else {}
    for key, value in layer.arguments().items():
        if isinstance(value, Layer):
            new_layer = _remove_lora(value)
            if new_layer is not value:
                changed[key] = new_layer
        elif isinstance(value, list):
            items = [_remove_lora(each) if isinstance(each, Layer) else each for each in value]
            if any(new is not old for new, old in zip(items, value, strict=True)):
                changed[key] = items
    return layer.with_arguments(**changed) if changed else layer
