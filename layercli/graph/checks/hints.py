"""What a good teacher would say when a layer cannot take its input."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from layercli.graph.shapes import Row, Shapes
from layercli.layers.base import Layer, is_float
from layercli.layers.shapes import RankError, Shape, ShapeError, Tensor, product

Lines: TypeAlias = Mapping[str, int | None]
"""The line of each layer, by its name."""

_LAYOUT = re.compile(r"\(batch, ([a-z_, ]+)\)")
"""The axes that a layer takes, as its message names them."""


def hint_for(row: Row, shapes: Shapes, lines: Lines, *, free_input: bool) -> str | None:
    """The fix for a row's error: one that knows what stands before the layer, or the layer's own.

    ``free_input`` is whether `model.input` may be changed, as no data says what it must be.
    """
    error = row.error
    assert error is not None
    x = row.inputs[0] if row.inputs else None
    if x is None or not isinstance(error, RankError):
        return error.hint or _states_hint(row, shapes, lines)
    low, high = _ranks(row.node.layer, error)
    if x.rank < low:
        origin = _origin(row, shapes)
        free_input = free_input and row.node.inputs[0] in shapes.graph.inputs
        return _lost_axes(row, origin, low, lines) or _too_few(row, x, low, free_input=free_input)
    if high is not None and x.rank > high:
        if (
            free_input
            and x.rank == high + 1
            and x.shape[1] is None
            and row.node.inputs[0] in shapes.graph.inputs
        ):
            return f"Leave the batch axis out: `model.input: {_listed(x.shape[2:], 'null')}`."
        return error.hint or _too_many(row, x, high)
    return error.hint


def _ranks(layer: Layer, error: ShapeError) -> tuple[int, int | None]:
    """Fewest and most axes of the input; those of the layer inside a wrapper, if that one is at fault."""
    timesteps = 0
    while error.argument == "layer" and isinstance(inner := getattr(layer, "layer", None), Layer):
        timesteps += layer.type_name() == "TimeDistributed"
        layer = inner
    low, high = layer.ranks
    return low + timesteps, None if high is None else high + timesteps


def _origin(row: Row, shapes: Shapes) -> Row | None:
    """The layer before that gave the input its number of axes; None where the model's input has it."""
    while (before := shapes.by_name.get(row.node.inputs[0])) is not None:
        x, y = before.inputs[0], before.outputs[0] if len(before.outputs) == 1 else None
        after_error = x is None and y is None and not _makes_vectors(before)
        if not after_error and (x is None or y is None or x.rank != y.rank):
            return before
        row = before
    return None


def _lost_axes(row: Row, origin: Row | None, low: int, lines: Lines) -> str | None:
    """The fix where a layer before took the axes away that this one needs."""
    x = origin.inputs[0] if origin is not None else None
    if origin is None or x is None:
        return None
    before = x.rank if origin.error is None else _ranks(origin.node.layer, origin.error)[0]
    if before != low:
        return None
    layer, name = origin.node.layer, origin.node.name
    place = _place(name, lines)
    inner = getattr(layer, "layer", layer)
    if getattr(inner, "return_sequences", None) is False:
        where = place if inner is layer else f"the {inner.type_name()} inside {place}"
        return f"Set `return_sequences: true` on {where}: without it the layer gives only its last timestep."
    if _makes_vectors(origin):
        return f"Put {row.node.type_name} before {place}, which makes one vector of each example."
    return None


def _makes_vectors(row: Row) -> bool:
    return row.node.type_name == "Flatten" or row.node.type_name.startswith("Global")


def _states_hint(row: Row, shapes: Shapes, lines: Lines) -> str | None:
    """The fix where a recurrent layer before gives its states beside its output."""
    for name in row.node.inputs:
        before = shapes.by_name.get(name)
        if (
            before is not None
            and len(before.outputs) > 1
            and getattr(before.node.layer, "return_state", False)
        ):
            return (
                f"Leave `return_state` out of {_place(name, lines)}: with it the layer gives its states, too."
            )
    return None


def _place(name: str, lines: Lines) -> str:
    return f"`{name}`" + (f" (line {lines[name]})" if lines.get(name) else "")


def _too_few(row: Row, x: Tensor, low: int, *, free_input: bool) -> str | None:
    name, shape = row.node.type_name, x.shape[1:]
    if low - x.rank > 1:
        return _layout_hint(row, shape, free_input=free_input)
    grown = (*shape, 1)
    reshape = f"put {_reshape(grown)} before {name}" if grown.count(None) < 2 else None
    if low == 3 and not is_float(x.dtype):
        return f"Put {{type: Embedding, input_dim: 10000, output_dim: 64}} before {name}: it makes a vector of each index."
    declare = f"declare `model.input: {_listed(grown, 'null')}`"
    if low == 3 and free_input:
        return f"For a series of numbers {declare}; for indices of words put Embedding before {name}."
    axis = f"Add {'a channel' if low >= 4 else 'a feature'} axis"
    ways = [way for way in (declare if free_input else None, reshape) if way]
    return f"{axis}: {', or '.join(ways)}." if ways else f"{axis} before {name}."


def _layout_hint(row: Row, shape: Shape, *, free_input: bool) -> str | None:
    """The hint where more than one axis is missing, so that nobody can tell their sizes but the author."""
    layout = _LAYOUT.search(str(row.error))
    if layout is None:
        return None
    size = product(shape)
    sizes = f", where {layout[1].replace(', ', ' x ')} is {size}" if size is not None else ""
    reshape = f"put {{type: Reshape, target_shape: [{layout[1]}]}} before {row.node.type_name}{sizes}."
    return f"Declare `model.input: [{layout[1]}]`, or {reshape}" if free_input else f"P{reshape[1:]}"


def _too_many(row: Row, x: Tensor, high: int) -> str | None:
    name, shape = row.node.type_name, x.shape[1:]
    if high <= 2:
        return f"Put Flatten or a global pooling layer before {name}."
    merged = (*shape[: high - 2], product(shape[high - 2 :]))
    return f"Put {_reshape(merged)} before {name}." if merged.count(None) < 2 else None


def _reshape(shape: Shape) -> str:
    return f"{{type: Reshape, target_shape: {_listed(shape, '-1')}}}"


def _listed(shape: Shape, unknown: str) -> str:
    return "[" + ", ".join(unknown if dim is None else str(dim) for dim in shape) + "]"
