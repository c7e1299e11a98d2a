"""Checks of the dtypes and masks of real tensors, which Keras checks only when it runs a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from layercli.graph.build import GraphNode
from layercli.graph.finding import Finding
from layercli.graph.shapes import ModelShapes, NodeShapes
from layercli.layers.custom_layers import has_custom_layers
from layercli.layers.dtypes import FLOATS, INTEGERS, NUMBERS, TEXT, describe_dtypes
from layercli.layers.initializer_shapes import find_innermost_layer
from layercli.layers.shapes import Shape, Tensor, format_shape


class _Value(NamedTuple):
    """A real tensor."""

    dtype: str
    mask: Shape | None = None
    """The shape of its mask."""
    mask_sources: tuple[str, ...] = ()
    """The layers that created the mask."""


def check_runtime(shapes: ModelShapes) -> Iterator[Finding]:
    """Yield a finding for each layer that rejects the dtype or the mask of its input, or that drops the mask.

    Layers after an error or after a custom layer are not checked, because their inputs are unknown.
    """
    values: dict[str, tuple[_Value, ...]] = {
        name: (_Value(tensor.dtype),) for name, tensor in shapes.graph.inputs.items()
    }
    for row in shapes.rows:
        inputs = _find_inputs(row, values)
        if inputs is None or row.error is not None or row.is_uncertain or has_custom_layers(row.node.layer):
            continue
        finding = _check_compute_dtype(row) or _check_dtypes(row, inputs) or _check_masks(row, inputs, shapes)
        if finding is not None:
            yield finding
            continue
        if (dropped := _check_dropped_mask(row, inputs, shapes)) is not None:
            yield dropped
        values[row.node.name] = _find_outputs(row, inputs)


def _find_inputs(row: NodeShapes, values: dict[str, tuple[_Value, ...]]) -> list[_Value] | None:
    """Return the real inputs of a row, or None if one of them or an output is unknown."""
    found: list[_Value] = []
    for name, pick in zip(row.node.inputs, row.node.input_indices, strict=True):
        outputs = values.get(name, ())
        chosen = outputs if pick is None else outputs[pick : pick + 1]
        if not chosen:
            return None
        found.extend(chosen)
    return found if row.outputs and len(found) == len(row.inputs) else None


def _check_compute_dtype(row: NodeShapes) -> Finding | None:
    """Return a finding if TensorFlow cannot compute a layer in its dtype, or a warning if it needs a GPU."""
    layer, node = find_innermost_layer(row.node.layer), row.node
    dtype, accepted = layer.compute_dtype, layer.find_compute_dtypes()
    if dtype in accepted - layer.gpu_dtypes:
        return None
    needs_gpu = dtype in accepted
    return Finding(
        code="dtype-mismatch",
        message=f"{layer.title()} computes in {dtype} only on a GPU."
        if needs_gpu
        else f"{layer.title()} cannot compute in {dtype}.",
        path=node.path if node.layer.dtype is None else (*node.path, "dtype"),
        hint="Write `dtype: float32` for this layer.",
        severity="warning" if needs_gpu else "error",
    )


def _check_dtypes(row: NodeShapes, inputs: list[_Value]) -> Finding | None:
    node = row.node
    accepted = node.layer.find_accepted_dtypes()
    if len(inputs) > 1 and _common_dtype(inputs) in accepted - TEXT:
        accepted |= NUMBERS
    for number, (value, x) in enumerate(zip(inputs, row.inputs, strict=True)):
        is_mask = node.input_keys is not None and node.input_keys[number].endswith("mask")
        if value.dtype in accepted or is_mask or x is None:
            continue
        names = node.input_references
        source = f" from `{names[number]}`" if number < len(names) else ""
        return Finding(
            code="dtype-mismatch",
            message=f"{node.layer.title()} expects {describe_dtypes(accepted)}, got values of dtype {value.dtype}{source}.",
            path=node.path,
            hint=_suggest_conversion(node, accepted, value.dtype, x),
        )
    return None


def _suggest_conversion(node: GraphNode, accepted: frozenset[str], dtype: str, x: Tensor) -> str:
    """Return a hint with a layer that converts values of a dtype to an accepted one."""
    if dtype in TEXT:
        if node.layer.type_name() in ("Embedding", "ReversibleEmbedding"):
            return f"Put {{type: StringLookup}} before {node.type_name}. It maps each word to an index."
        if node.layer.type_name() == "IntegerLookup":
            return "Use StringLookup instead of IntegerLookup."
        if x.shape[1:] in ((), (1,)):
            arguments = "max_tokens: 10000, output_mode: multi_hot, pad_to_max_tokens: true"
            return f"Put {{type: TextVectorization, {arguments}}} before {node.type_name}."
        return f"Put {{type: Hashing, num_bins: 100, output_mode: multi_hot}} before {node.type_name}."
    if accepted >= FLOATS:
        return f"Put {{type: Rescaling, scale: 1.0}} before {node.type_name}. It converts integers to floating-point numbers."
    if node.layer.type_name() == "StringLookup" and dtype not in FLOATS:
        return "Use IntegerLookup instead of StringLookup."
    expected = "string" if accepted == TEXT else "int64"
    return f"Declare the model input with `dtype: {expected}`."


def _check_masks(row: NodeShapes, inputs: list[_Value], shapes: ModelShapes) -> Finding | None:
    for value, x in zip(inputs, row.inputs, strict=True):
        if value.mask is None or x is None or row.node.layer.accepts_mask(x, value.mask):
            continue
        return Finding(
            code="shape-mismatch",
            message=f"{row.node.layer.title()} cannot use the mask {format_shape(value.mask)} of "
            f"`{value.mask_sources[0]}` ({{}}) for its input {format_shape(x.shape)}.",
            path=row.node.path,
            hint=f"Remove {_describe_removal(value.mask_sources, shapes)}.",
            other_path=shapes.by_name[value.mask_sources[0]].node.path,
        )
    return None


def _describe_removal(sources: Sequence[str], shapes: ModelShapes) -> str:
    """Return the arguments or layers to remove so that there is no mask."""
    nodes = [shapes.by_name[name].node for name in sources]
    return " and ".join(
        f"`mask_zero` from `{node.name}`" if hasattr(node.layer, "mask_zero") else f"`{node.name}`"
        for node in nodes
    )


def _check_dropped_mask(row: NodeShapes, inputs: list[_Value], shapes: ModelShapes) -> Finding | None:
    """Return a warning if Keras drops the mask of an input: later layers then take the padding for data."""
    layer = row.node.layer
    sources = list(
        dict.fromkeys(name for value in inputs if value.mask is not None for name in value.mask_sources)
    )
    if layer.hands_mask_on() or layer.creates_mask or not sources:
        return None
    return Finding(
        code="dropped-mask",
        message=f"`{row.node.name}` ({row.node.type_name}) drops the mask of `{sources[0]}` ({{}}): "
        "from here on, padding is treated as data.",
        path=row.node.path,
        hint=f"Remove {_describe_removal(sources, shapes)}, or use a layer that reads the mask here, "
        "such as LSTM or GlobalAveragePooling1D.",
        severity="warning",
        other_path=shapes.by_name[sources[0]].node.path,
    )


def _common_dtype(inputs: list[_Value]) -> str:
    """Return the dtype that Keras converts several inputs to: floating-point numbers win over integers, these over bool."""
    dtypes = [value.dtype for value in inputs]
    return next(
        (dtype for kinds in (FLOATS, INTEGERS) for dtype in dtypes if dtype in kinds),
        dtypes[0],
    )


def _find_outputs(row: NodeShapes, inputs: list[_Value]) -> tuple[_Value, ...]:
    layer = row.node.layer
    dtypes = [layer.run_dtype(tensor.dtype, _common_dtype(inputs)) for tensor in row.outputs]
    masks: tuple[Shape | None, ...] = ()
    sources = tuple(dict.fromkeys(name for value in inputs for name in value.mask_sources))
    if layer.creates_mask:
        x = row.inputs[0]
        assert x is not None
        masks, sources = (x.shape[:-1] if layer.type_name() == "Masking" else x.shape,), (row.node.name,)
    elif layer.hands_mask_on():
        masks = layer.output_masks(tuple(value.mask for value in inputs), row.outputs)
    padded = (*masks, *(None,) * len(dtypes))
    return tuple(
        _Value(dtype, mask, () if mask is None else sources)
        for dtype, mask in zip(dtypes, padded, strict=False)
    )
