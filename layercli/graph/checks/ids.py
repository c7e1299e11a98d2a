"""Check that ids fit into the layers that look them up: Embedding and CategoryEncoding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from layercli.graph.build import GraphNode
from layercli.graph.finding import Finding
from layercli.graph.shapes import ModelShapes, NodeShapes
from layercli.layers.base import Layer
from layercli.source.nodes import KeyPath, quote_value

_SIZE_ARGUMENTS: Final = {
    "Embedding": "input_dim",
    "ReversibleEmbedding": "input_dim",
    "CategoryEncoding": "num_tokens",
}
"""Each layer that looks ids up -> the argument that must be larger than every id."""
_KEEPING_LAYERS: Final = frozenset(
    {"Flatten", "Identity", "Masking", "Permute", "RepeatVector", "Reshape"}
    | {f"{name}{rank}D" for name in ("Cropping", "UpSampling", "ZeroPadding") for rank in (1, 2, 3)}
)
"""Layers whose output has only values of the input, and 0."""


_TRAINED_HINT: Final = "Correct the data: the model has learned only the ids of its training."


class Extreme(NamedTuple):
    """A smallest or largest value, and where it comes from."""

    value: int | float
    place: str
    """Such as "in row 3"."""


@dataclass(frozen=True, slots=True)
class IdRange:
    """The values that a tensor can have."""

    low: Extreme
    high: Extreme
    fraction: Extreme | None = None
    """The first value that is not an integer."""
    is_computed: bool = False
    """Whether a layer calculated the values, so that they can be of any dtype."""


def find_id_lookups(shapes: ModelShapes) -> list[GraphNode]:
    """Return the nodes that look ids up."""
    return [node for node in shapes.graph.nodes if _find_lookup(node.layer, node.path) is not None]


def has_id_layers(shapes: ModelShapes) -> bool:
    """Return whether a layer of the model looks ids up."""
    return bool(find_id_lookups(shapes))


def check_ids(
    shapes: ModelShapes,
    inputs: Mapping[str, IdRange],
    vocabulary_sizes: Mapping[str, int] | None = None,
    *,
    is_trained: bool = False,
) -> Iterator[Finding]:
    """Yield a finding for each layer that receives ids that are negative, too large or not integers.

    Args:
        shapes: The shapes of the model.
        inputs: The values of model inputs, as far as they are known.
        vocabulary_sizes: The number of ids of each lookup that learned its vocabulary, by the name of its node.
        is_trained: Whether the model is trained, so that only the ids can change.
    """
    for node, values in _find_ranges(shapes, inputs, vocabulary_sizes or {}):
        if values is not None:
            yield from check_lookup(node, values, is_trained=is_trained)


def find_computed_lookups(shapes: ModelShapes) -> list[GraphNode]:
    """Return the nodes that look up ids that ``check_ids`` does not know, because other layers compute them."""
    known = IdRange(Extreme(0, ""), Extreme(0, ""))
    inputs = {name: known for name, x in shapes.graph.inputs.items() if x.dtype != "string"}
    return [
        node
        for node, values in _find_ranges(shapes, inputs, {})
        if values is None and len(node.inputs) == 1 and _find_lookup(node.layer, node.path) is not None
    ]


def find_closed_lookups(shapes: ModelShapes) -> list[GraphNode]:
    """Return the nodes that look words or numbers up in a vocabulary, and fail for unknown ones."""
    return [
        node
        for node in shapes.graph.nodes
        if _get_argument(node.layer, "num_oov_indices") == 0 and not _get_argument(node.layer, "invert")
    ]


def make_unknown_word_finding(
    node: GraphNode, word: object, place: str, *, is_trained: bool = False
) -> Finding:
    """Return the finding that a lookup without an index for unknown words or numbers receives one."""
    inner = ("layer",) if node.layer.type_name() == "TimeDistributed" else ()
    hint = "Write `num_oov_indices: 1`, or correct the data."
    if _get_argument(node.layer, "vocabulary") is not None:
        hint = f"Write `num_oov_indices: 1`, or add {quote_value(word)} to `vocabulary`."
    if is_trained:
        hint = "Correct the data, or train a model with `num_oov_indices: 1`."
    return Finding(
        code="bad-id",
        message=f"`{node.name}` has no index for {quote_value(word)} {place}, because `num_oov_indices` is 0.",
        path=(*node.path, *inner, "num_oov_indices"),
        hint=hint,
    )


def _find_ranges(
    shapes: ModelShapes, inputs: Mapping[str, IdRange], vocabulary_sizes: Mapping[str, int]
) -> Iterator[tuple[GraphNode, IdRange | None]]:
    """Yield each node with the values of its only input, or None if they are unknown."""
    ranges: dict[str, IdRange | None] = dict(inputs)
    for row in shapes.rows:
        node = row.node
        sources = [ranges.get(name) for name in node.inputs]
        yield node, sources[0] if len(sources) == 1 else None
        ranges[node.name] = _find_range(row, sources, vocabulary_sizes.get(node.name))


def _find_lookup(layer: Layer, path: KeyPath) -> tuple[Layer, KeyPath] | None:
    """Return the layer that looks ids up, which may be wrapped, and its path."""
    if layer.type_name() in _SIZE_ARGUMENTS:
        return layer, path
    inner = getattr(layer, "layer", None)
    return _find_lookup(inner, (*path, "layer")) if isinstance(inner, Layer) else None


def check_lookup(node: GraphNode, values: IdRange, *, is_trained: bool = False) -> Iterator[Finding]:
    """Yield the findings about the values that a layer looks up."""
    found = _find_lookup(node.layer, node.path)
    if found is None:
        return
    layer, path = found
    argument = _SIZE_ARGUMENTS[layer.type_name()]
    size: int = getattr(layer, argument)
    if values.high.value >= size:
        largest = int(values.high.value)
        message = (
            f"`{argument}` of `{node.name}` must be at least {largest + 1}, because the largest id is {largest} "
            f"{values.high.place}; got {size}."
        )
        hint = f"Write `{argument}: {largest + 1}`."
        if is_trained:
            message = f"Ids for `{node.name}` must be below {size}, got {largest} {values.high.place}."
            hint = f"{_TRAINED_HINT} For larger ids, train a model with `{argument}: {largest + 1}`."
        yield Finding(code="bad-id", message=message, path=(*path, argument), hint=hint)
    if values.low.value < 0:
        yield Finding(
            code="bad-id",
            message=f"`{node.name}` ({layer.type_name()}) expects ids of at least 0, "
            f"got {values.low.value:g} {values.low.place}.",
            path=path,
            hint=_TRAINED_HINT
            if is_trained
            else f"Change the layers before `{node.name}` so that every id is at least 0."
            if values.is_computed
            else f"Put {{type: IntegerLookup, max_tokens: {size}}} before {layer.type_name()}. It maps each integer to an id."
            if size > 1
            else "Correct the data.",
        )
    if values.fraction is not None:
        yield Finding(
            code="bad-id",
            message=f"`{node.name}` ({layer.type_name()}) expects integers as ids, "
            f"got {values.fraction.value:g} {values.fraction.place}. Keras would cut off the fraction.",
            path=path,
            hint=_TRAINED_HINT
            if is_trained
            else f"Put {{type: Discretization, num_bins: {size}}} before {layer.type_name()}. "
            "It turns numbers into ids. For measurements, use Dense instead.",
        )


def _find_range(
    row: NodeShapes, sources: Sequence[IdRange | None], vocabulary_size: int | None
) -> IdRange | None:
    """Return the values of a node's output, or None if they are unknown."""
    layer = row.node.layer
    if (count := vocabulary_size or _count_ids(layer)) is not None:
        argument = next((name for name in ("max_tokens", "num_bins") if _get_argument(layer, name)), None)
        known = vocabulary_size is None and argument is not None
        cause = f" with `{argument}: {_get_argument(layer, str(argument))}`" if known else ""
        origin = f"(from `{row.node.name}`{cause})"
        return IdRange(Extreme(0, origin), Extreme(count - 1, origin))
    known_ranges = [source for source in sources if source is not None]
    if not known_ranges or len(known_ranges) < len(sources):
        return None
    name = layer.layer.type_name() if layer.type_name() == "TimeDistributed" else layer.type_name()  # type: ignore[attr-defined]
    if name == "Concatenate":
        return _join_ranges(known_ranges)
    if name not in _KEEPING_LAYERS and name != "Rescaling":
        return None
    values = known_ranges[0]
    if name == "Rescaling":
        return _rescale_range(row.node.name, layer, values)
    if name.startswith("ZeroPadding") and values.low.value > 0:
        return replace(values, low=Extreme(0, f"(from `{row.node.name}`)"))
    return values


def _rescale_range(name: str, layer: Any, values: IdRange) -> IdRange | None:
    """Return the values after a Rescaling by integers; None if it can turn integers into fractions."""
    scale, offset = _get_argument(layer, "scale"), _get_argument(layer, "offset")
    if values.fraction is not None or not all(
        isinstance(number, (int, float)) and number == int(number) for number in (scale, offset)
    ):
        return None
    low, high = (
        Extreme(int(end.value * scale + offset), f"{end.place}, after `{name}`")
        for end in (values.low, values.high)
    )
    return IdRange(*((low, high) if scale >= 0 else (high, low)), is_computed=True)


def _get_argument(layer: Any, name: str) -> Any:
    inner = layer.layer if layer.type_name() == "TimeDistributed" else layer
    return getattr(inner, name, None)


def _count_ids(layer: Any) -> int | None:
    """Return the number of ids that a layer can return, or None if it does not return ids or learns their number."""
    if layer.type_name() == "TimeDistributed":
        return _count_ids(layer.layer)
    if getattr(layer, "output_mode", None) != "int" or getattr(layer, "invert", False):
        return None
    count: int | None = layer.count_ids()
    return count


def _join_ranges(ranges: Sequence[IdRange]) -> IdRange:
    return IdRange(
        min((each.low for each in ranges), key=lambda extreme: extreme.value),
        max((each.high for each in ranges), key=lambda extreme: extreme.value),
        next((each.fraction for each in ranges if each.fraction is not None), None),
        any(each.is_computed for each in ranges),
    )
