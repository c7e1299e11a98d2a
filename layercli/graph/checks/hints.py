"""Hints for layers that do not accept their input."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from layercli.graph.checks.channels import CHANNEL_COUNTS, has_channels_first_input, suggest_channels_last
from layercli.graph.shapes import ModelShapes, NodeShapes
from layercli.layers.base import Layer, is_float_dtype
from layercli.layers.bases.spatial import SpatialLayer
from layercli.layers.shapes import RankError, Shape, ShapeError, Tensor, UnknownSizeError, product_of

LayerLines: TypeAlias = Mapping[str, int | None]
"""The line of each layer, by its name."""

_LAYOUT_PATTERN = re.compile(r"\(batch, ([a-z_, ]+)\)")
"""The axes of a layer's input, as its error message lists them."""


def suggest_fix(
    row: NodeShapes, shapes: ModelShapes, lines: LayerLines, *, input_is_editable: bool
) -> str | None:
    """Return a hint for the error of a row, based on the layers before it.

    Args:
        row: The row with the error.
        shapes: All rows of the model.
        lines: The line of each layer.
        input_is_editable: Whether `model.input` can change because no data determines it.
    """
    error = row.error
    assert error is not None
    x = row.inputs[0] if row.inputs else None
    if isinstance(error, UnknownSizeError):
        return _unknown_size_hint(row, shapes, lines) or error.hint
    if x is None or not isinstance(error, RankError):
        return _channels_first_hint(row, shapes, input_is_editable=input_is_editable) or (
            _states_hint(row, shapes, lines) or _join_hint(row) or error.hint
        )
    min_rank, max_rank = _find_accepted_ranks(row.node.layer, error)
    if x.rank < min_rank:
        origin = _find_rank_origin(row, shapes)
        input_is_editable = input_is_editable and row.node.inputs[0] in shapes.graph.inputs
        return _lost_axes_hint(row, origin, min_rank, lines) or _too_few_axes_hint(
            row, x, min_rank, input_is_editable=input_is_editable
        )
    if max_rank is not None and x.rank > max_rank:
        if (
            input_is_editable
            and x.rank == max_rank + 1
            and row.node.inputs[0] in shapes.graph.inputs
            and (x.shape[1] is None or max_rank > 3 or (max_rank == 3 and not _has_channels(x.shape)))
        ):
            fixed = f"`model.input: {_format_sizes(x.shape[2:], 'null')}`"
            if x.shape[1] is None:
                return f"Remove the batch axis: {fixed}."
            return f"If {x.shape[1]} is the batch size, remove it: {fixed}."
        return error.hint or _too_many_axes_hint(row, x, max_rank)
    return error.hint or _sequence_hint(row, x, shapes, input_is_editable=input_is_editable)


def _find_accepted_ranks(layer: Layer, error: ShapeError) -> tuple[int, int | None]:
    """Return the minimum and maximum rank of the input, for a wrapped layer if it raised the error."""
    timesteps = 0
    while error.argument == "layer" and isinstance(inner := getattr(layer, "layer", None), Layer):
        timesteps += layer.type_name() == "TimeDistributed"
        layer = inner
    low, high = layer.rank_range
    return low + timesteps, None if high is None else high + timesteps


def _find_rank_origin(row: NodeShapes, shapes: ModelShapes) -> NodeShapes | None:
    """Return the earlier layer that set the rank of the input; None if the model's input has this rank."""
    while (before := shapes.by_name.get(row.node.inputs[0])) is not None:
        x, y = before.inputs[0], before.outputs[0] if len(before.outputs) == 1 else None
        after_error = x is None and y is None and not _is_flattening(before)
        if not after_error and (x is None or y is None or x.rank != y.rank):
            return before
        row = before
    return None


def _lost_axes_hint(
    row: NodeShapes, origin: NodeShapes | None, min_rank: int, lines: LayerLines
) -> str | None:
    """Return a hint if an earlier layer removed axes that this layer requires."""
    x = origin.inputs[0] if origin is not None else None
    if origin is None or x is None:
        return None
    before = x.rank if origin.error is None else _find_accepted_ranks(origin.node.layer, origin.error)[0]
    if before != min_rank:
        return None
    layer, name = origin.node.layer, origin.node.name
    layer_text = _format_layer(name, lines)
    inner = getattr(layer, "layer", layer)
    if getattr(inner, "return_sequences", None) is False:
        where = layer_text if inner is layer else f"the {inner.type_name()} inside {layer_text}"
        return (
            f"Set `return_sequences: true` on {where}. Without it, the layer returns only the last timestep."
        )
    if _is_flattening(origin):
        return f"Put {row.node.type_name} before {layer_text}, which reduces each example to a vector."
    return None


def _unknown_size_hint(row: NodeShapes, shapes: ModelShapes, lines: LayerLines) -> str | None:
    """Return a hint if a layer, and not the model's input, makes the number of words unknown."""
    name = row.node.inputs[0]
    while (before := shapes.by_name.get(name)) is not None and before.node.inputs:
        if before.node.type_name == "TextVectorization":
            is_direct = name == row.node.inputs[0]
            other = ", or `output_mode: multi_hot` for one vector for each text" if is_direct else ""
            return f"Set `output_sequence_length: 100` on {_format_layer(name, lines)} for texts of that many words{other}."
        name = before.node.inputs[0]
    return None


def _is_flattening(row: NodeShapes) -> bool:
    return row.node.type_name == "Flatten" or row.node.type_name.startswith("Global")


def _states_hint(row: NodeShapes, shapes: ModelShapes, lines: LayerLines) -> str | None:
    """Return a hint if an earlier recurrent layer also returns its states."""
    for name in row.node.inputs:
        before = shapes.by_name.get(name)
        if (
            before is not None
            and len(before.outputs) > 1
            and getattr(before.node.layer, "return_state", False)
        ):
            return f"Remove `return_state` from {_format_layer(name, lines)}. With it, the layer also returns its states."
    return None


def _join_hint(row: NodeShapes) -> str | None:
    """Return a hint if a layer that takes one input has several, or the reverse."""
    if len(row.node.inputs) == 1 and re.search(
        r"expects (two inputs or more|exactly two inputs)", str(row.error)
    ):
        return f"Name the layers to join: `inputs: [{row.node.inputs[0]}, NAME]`, where NAME is another layer above."
    if "expects one input" not in str(row.error):
        return None
    if len(row.node.inputs) == 1:
        name = row.node.inputs[0]
        return f"`{name}` has {len(row.inputs)} outputs. Write `inputs: {name}:0` here for its first output."
    joined = f"{{type: Concatenate, inputs: [{', '.join(row.node.inputs)}]}}"
    return f"Put {joined} before {row.node.type_name}, and remove `inputs` from it."


def _sequence_hint(row: NodeShapes, x: Tensor, shapes: ModelShapes, *, input_is_editable: bool) -> str | None:
    """Return a hint if an attention layer gets vectors instead of sequences."""
    if x.rank != 2 or "(batch, timesteps, features)" not in row.node.layer.input_description:
        return None
    grown = (*x.shape[1:], 1)
    if input_is_editable and row.node.inputs[0] in shapes.graph.inputs:
        declare = f"declare `model.input: {_format_sizes(grown, 'null')}`"
        return f"For a time series, {declare}. For word indices, put Embedding before."
    return f"Put {_format_reshape(grown)} before {row.node.type_name}."


def _format_layer(name: str, lines: LayerLines) -> str:
    return f"`{name}`" + (f" (line {lines[name]})" if lines.get(name) else "")


def _too_few_axes_hint(row: NodeShapes, x: Tensor, min_rank: int, *, input_is_editable: bool) -> str | None:
    name, shape = row.node.type_name, x.shape[1:]
    if min_rank == 5 and x.rank == 4 and _has_channels(x.shape):
        flat_name = name.replace("ConvLSTM2D", "Conv2D").replace("3D", "2D")
        declare = f"; for several, declare `model.input: {_format_sizes((10, *shape), 'null')}`"
        return f"Use {flat_name} for single images{declare if input_is_editable else ''}."
    if min_rank - x.rank > 1:
        return _layout_hint(row, shape, input_is_editable=input_is_editable)
    grown = (*shape, 1)
    reshape = f"put {_format_reshape(grown)} before {name}" if grown.count(None) < 2 else None
    if min_rank == 3 and not is_float_dtype(x.dtype):
        return f"Put {{type: Embedding, input_dim: 10000, output_dim: 64}} before {name}. It maps each index to a vector."
    declare = f"declare `model.input: {_format_sizes(grown, 'null')}`"
    if min_rank == 3 and input_is_editable:
        return f"For a time series, {declare}. For word indices, put Embedding before {name}."
    axis = f"Add {'a channel' if min_rank >= 4 else 'a feature'} axis"
    ways = [way for way in (declare if input_is_editable else None, reshape) if way]
    return f"{axis}: {', or '.join(ways)}." if ways else f"{axis} before {name}."


def _has_channels(shape: Shape) -> bool:
    """Return whether the last axis can be the channels of an image: one, or colours."""
    return shape[-1] in CHANNEL_COUNTS


def _channels_first_hint(row: NodeShapes, shapes: ModelShapes, *, input_is_editable: bool) -> str | None:
    """Return a hint if a window is too large because the channels of the input are on another axis than expected."""
    is_window = row.error is not None and row.error.argument in ("pool_size", "kernel_size")
    layer, x = row.node.layer, row.inputs[0] if row.inputs else None
    if is_window and isinstance(layer, SpatialLayer) and layer.is_channels_first and x is not None:
        is_last = x.shape[1] not in CHANNEL_COUNTS and _has_channels(x.shape)
        return "Remove `data_format: channels_first`: the channels are the last axis." if is_last else None
    if not is_window or not has_channels_first_input(shapes):
        return None
    shape = next(iter(shapes.graph.inputs.values())).shape
    return suggest_channels_last(shape, input_is_editable=input_is_editable)


def _layout_hint(row: NodeShapes, shape: Shape, *, input_is_editable: bool) -> str | None:
    """Return a hint if several axes are missing, so that only the author knows their sizes."""
    layout = _LAYOUT_PATTERN.search(str(row.error))
    if layout is None:
        return None
    size = product_of(shape)
    sizes = f", where {layout[1].replace(', ', ' x ')} is {size}" if size is not None else ""
    reshape = f"put {{type: Reshape, target_shape: [{layout[1]}]}} before {row.node.type_name}{sizes}."
    return f"Declare `model.input: [{layout[1]}]`, or {reshape}" if input_is_editable else f"P{reshape[1:]}"


def _too_many_axes_hint(row: NodeShapes, x: Tensor, max_rank: int) -> str | None:
    name, shape = row.node.type_name, x.shape[1:]
    if max_rank <= 2:
        return f"Put Flatten or a global pooling layer before {name}."
    merged = (*shape[: max_rank - 2], product_of(shape[max_rank - 2 :]))
    return f"Put {_format_reshape(merged)} before {name}." if merged.count(None) < 2 else None


def _format_reshape(shape: Shape) -> str:
    return f"{{type: Reshape, target_shape: {_format_sizes(shape, '-1')}}}"


def _format_sizes(shape: Shape, unknown: str) -> str:
    return "[" + ", ".join(unknown if dim is None else str(dim) for dim in shape) + "]"
