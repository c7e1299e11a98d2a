"""What a good teacher would say when a layer cannot take its input."""

from __future__ import annotations

from layercli.graph.shapes import Row, Shapes
from layercli.layers.shapes import RankError, Shape, Tensor, product

_RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})
_SEQUENCE = _RECURRENT | {"Conv1D", "MaxPooling1D", "AveragePooling1D", "GlobalMaxPooling1D", "GlobalAveragePooling1D",
                          "SpatialDropout1D", "TimeDistributed", "UpSampling1D", "ZeroPadding1D", "SeparableConv1D",
                          "DepthwiseConv1D", "Conv1DTranspose", "Cropping1D"}  # fmt: skip


def hint_for(row: Row, shapes: Shapes, line_of: dict[str, int | None]) -> str | None:
    """The fix for a row's error: the layer's own hint, or one that knows what stands before it."""
    error = row.error
    assert error is not None
    if error.hint is not None or not isinstance(error, RankError) or not row.inputs or row.inputs[0] is None:
        return error.hint
    source = row.node.inputs[0]
    before = shapes.by_name.get(source)
    wanted, got = row.node.layer.ranks[0], row.inputs[0].rank
    collapsed = _collapsed_sequence(before, row)
    if collapsed is not None:
        place = f" (line {line_of[collapsed.node.name]})" if line_of.get(collapsed.node.name) else ""
        return (
            f"Set `return_sequences: true` on `{collapsed.node.name}`{place}: without it the layer gives only its last "
            "timestep."
        )
    return _rank_hint(row.inputs[0], wanted, got, from_input=before is None, type_name=row.node.layer.type_name())


def _collapsed_sequence(before: Row | None, row: Row) -> Row | None:
    """The recurrent layer right before, if it gave its last timestep alone to a layer that takes sequences."""
    if before is None or row.node.layer.type_name() not in _SEQUENCE:
        return None
    layer = before.node.layer
    inner = getattr(layer, "layer", layer)
    if before.node.layer.type_name() in _RECURRENT and getattr(inner, "return_sequences", None) is False:
        return before
    return None


def _rank_hint(x: Tensor, wanted: int, got: int, *, from_input: bool, type_name: str) -> str | None:
    shape = x.shape[1:]
    if got > wanted:
        if wanted <= 2:
            return f"Put Flatten or a global pooling layer before {type_name}."
        return f"Put {{type: Reshape, target_shape: {_merged(shape, wanted)}}} before {type_name}."
    if wanted == got + 1 and got >= 2:
        grown = _listed((*shape, 1))
        channel = "a channel axis" if wanted >= 4 else "a feature axis"
        if from_input:
            return f"Add {channel}: `model.input: {grown}`, or put {{type: Reshape, target_shape: {grown}}} first."
        return f"Add {channel}: put {{type: Reshape, target_shape: {grown}}} before {type_name}."
    if got == 2 and wanted == 4:
        side = _square(shape)
        example = f"[{side}, {side}, 1]" if side else "[height, width, channels]"
        return f"Put {{type: Reshape, target_shape: {example}}} before {type_name}, or declare `model.input` as an image."
    return None


def _merged(shape: Shape, wanted: int) -> str:
    """The shape with its trailing axes merged, so that ``wanted`` axes remain with the batch axis."""
    kept = shape[: wanted - 2]
    rest = product(shape[wanted - 2 :])
    return _listed((*kept, rest if rest is not None else -1))


def _listed(shape: Shape) -> str:
    return "[" + ", ".join("-1" if dim is None else str(dim) for dim in shape) + "]"


def _square(shape: Shape) -> int | None:
    size = shape[0] if len(shape) == 1 else None
    side = round(size**0.5) if size else 0
    return side if side and side * side == size else None
