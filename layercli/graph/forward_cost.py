"""The cost of a forward pass on random inputs, and its limits: a small config must not take minutes or all memory."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from layercli.graph.build import Graph
from layercli.graph.shapes import ModelShapes, NodeShapes, tensor_bytes
from layercli.layers.base import Layer
from layercli.layers.shapes import Shape, Tensor

MAX_OPERATIONS: Final = 1_500_000_000_000
"""Floating-point operations of one forward pass; a core computes 50 billion in a second."""
MAX_LOOP_STEPS: Final = 20_000
"""Timesteps of all loops of one forward pass; each takes about a millisecond, however small it is."""
MAX_BYTES: Final = 3 << 30
"""Memory of the outputs of the layers for the batch, and of their copies."""
MAX_APPLICATION_BYTES: Final = 5 << 30
"""Memory inside the models of ``keras.applications``; two images of 1024x1024 take 4.3 GiB in ResNet50."""
_SLOW_FACTOR: Final = 20
"""Operations of layers without a fast kernel, and of dtypes of 2 bytes, take this many times longer."""
_FAST_LAYERS: Final = frozenset(
    (
        "Dense",
        "EinsumDense",
        "Conv1D",
        "Conv2D",
        "MultiHeadAttention",
        "GroupQueryAttention",
        "Attention",
        "Dot",
    )
)
_ONEDNN_MACHINES: Final = ("x86_64", "amd64")
_LOW_WINDOW: Final = 64
"""Height up to which a window of a convolution needs little memory."""
_SCRATCH_BYTES: Final = 5000
"""Measured for windows of 90 to 300 rows: 1,500 to 8,000."""
_SLOW_DTYPES: Final = ("float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class ForwardCost:
    """The operations, loop steps and memory of forward passes."""

    operations: int
    loop_steps: int
    memory_bytes: int
    application_bytes: int = 0

    def find_excess(self) -> str | None:
        """Return the cost of the forward pass that exceeds a limit, or None if it is within all of them."""
        if self.loop_steps > MAX_LOOP_STEPS:
            return f"it has {self.loop_steps:,} timesteps in loops, and the limit is {MAX_LOOP_STEPS:,}"
        if self.operations > MAX_OPERATIONS:
            return f"it takes {self.operations:.1e} operations, and the limit is {MAX_OPERATIONS:.1e}"
        for needed, limit in (
            (self.memory_bytes, MAX_BYTES),
            (self.application_bytes, MAX_APPLICATION_BYTES),
        ):
            if needed > limit:
                sizes = f"{needed / (1 << 30):.1f} GiB for the outputs of the layers, and the limit is {limit >> 30} GiB"
                return f"it needs {sizes}"
        return None


def estimate_forward_cost(
    shapes: ModelShapes,
    batch_size: int,
    *,
    passes: int = 1,
    output_copies: int = 0,
    should_hold_all: bool = False,
) -> ForwardCost:
    """Return the cost of some forward passes; an unknown axis counts as 1, and a layer of unknown cost as nothing.

    Args:
        shapes: The shapes of the model, with a size for each axis that is to be counted.
        batch_size: The number of examples.
        passes: The number of forward passes.
        output_copies: Copies of the outputs of the model in float64, for a comparison.
        should_hold_all: Whether the outputs of all layers are held until the end of a pass, as Keras's models do.
    """
    operations = batch_size * sum(map(_count_operations, shapes.rows))
    loop_steps = sum(_count_row_steps(row) for row in shapes.rows)
    outputs = [shapes.output(name) for name in shapes.graph.outputs]
    copied = sum(2 * tensor_bytes(output, batch_size) for output in outputs if output is not None)
    held = shapes.activation_bytes(batch_size) if should_hold_all else _count_live_bytes(shapes, batch_size)
    memory = held + output_copies * copied
    memory += sum(tensor_bytes(tensor, batch_size) for tensor in shapes.graph.inputs.values())
    memory += max((_count_workspace(row, batch_size) for row in shapes.rows), default=0)
    inner = sum(_count_application_bytes(row, batch_size) for row in shapes.rows)
    return ForwardCost(passes * operations, passes * loop_steps, memory, inner)


def find_last_readers(graph: Graph) -> dict[str, str]:
    """Return the last node that reads the output of each input and node; without a reader, the node itself."""
    readers = {node.name: node.name for node in graph.nodes}
    return readers | {source: node.name for node in graph.nodes for source in node.inputs}


def _count_live_bytes(shapes: ModelShapes, batch_size: int) -> int:
    """Return the largest sum of outputs that are read later, with those of the layer that runs."""
    sizes = {
        row.node.name: sum(tensor_bytes(output, batch_size) for output in row.outputs) for row in shapes.rows
    }
    released: dict[str, int] = {}
    for name, reader in find_last_readers(shapes.graph).items():
        released[reader] = released.get(reader, 0) + sizes.get(name, 0)
    live = peak = 0
    for name, size in sizes.items():
        live += size
        peak = max(peak, live)
        live -= released.get(name, 0)
    return peak


def _count_application_bytes(row: NodeShapes, batch_size: int) -> int:
    """Return the bytes of the outputs inside a model of ``keras.applications``, which keeps all of them."""
    x = row.inputs[0] if row.inputs else None
    layer: Any = row.node.layer
    if layer.family != "applications" or x is None or not row.outputs:
        return 0
    traced = layer.trace_layers(x)
    return sum(tensor_bytes(output, batch_size) for each in traced for output in each.inferred.outputs)


def _count_operations(row: NodeShapes) -> int:
    """Return the operations for one example, in those of a fast layer."""
    layer = row.node.layer
    window: Iterable[int] = getattr(layer, "pool_size", ()) or ()
    values = sum(math.prod(dim or 1 for dim in output.shape[1:]) for output in row.outputs)
    moved = values * math.prod(window)
    is_slow = layer.type_name() not in _FAST_LAYERS and layer.family != "applications"
    is_slow = is_slow or any(output.dtype in _SLOW_DTYPES for output in row.outputs)
    return (_SLOW_FACTOR if is_slow else 1) * ((row.flops or 0) + moved)


def _count_row_steps(row: NodeShapes) -> int:
    return 0 if not row.inputs or row.inputs[0] is None else _count_steps(row.node.layer, row.inputs[0].shape)


def _count_steps(layer: Layer, shape: Shape) -> int:
    """Return the timesteps of the loops in a layer; a loop over no known axis counts as one step."""
    inner: Any = getattr(layer, "layer", None)
    name = layer.type_name()
    timesteps = (shape[1] if len(shape) > 1 else 1) or 1
    if name == "TimeDistributed" and isinstance(inner, Layer):
        return timesteps * max(1, _count_steps(inner, (*shape[:1], *shape[2:])))
    if name == "Bidirectional" and isinstance(inner, Layer):
        return 2 * _count_steps(inner, shape)
    if isinstance(inner, Layer):
        return _count_steps(inner, shape)
    if layer.family != "recurrent" and not name.startswith("ConvLSTM"):
        return 0
    return timesteps * _count_cells(getattr(layer, "cell", None))


def _count_cells(cell: Any) -> int:
    """Return the number of cells that one timestep calls."""
    cells = cell if isinstance(cell, (list, tuple)) else getattr(cell, "cells", None)
    return sum(map(_count_cells, cells)) if cells else 1


def _count_workspace(row: NodeShapes, batch_size: int) -> int:
    """Return the bytes that a layer needs only while it runs."""
    scores = _count_scores(row.node.layer, [x for x in row.inputs if x is not None])
    return 2 * batch_size * 4 * scores + count_convolution_scratch(row)


def _count_scores(layer: Layer, inputs: list[Tensor]) -> int:
    """Return the number of attention scores of one example: one for each query, value and head."""
    if layer.family != "attention" or not inputs:
        return 0
    query, value = inputs[0], inputs[1] if len(inputs) > 1 else inputs[0]
    heads: int = getattr(layer, "num_heads", None) or getattr(layer, "num_query_heads", None) or 1
    if layer.type_name() == "AdditiveAttention":
        heads = query.shape[-1] or 1
    queries, values = (math.prod(dim or 1 for dim in x.shape[1:-1]) for x in (query, value))
    return heads * queries * values


def count_convolution_scratch(row: NodeShapes) -> int:
    """Return the bytes that oneDNN reserves for a Conv2D whose input has a single channel; 0 for other layers.

    They grow with the cube of the height of the window, and TensorFlow aborts the process if they do not fit into memory.
    """
    layer = row.node.layer
    x = row.inputs[0] if row.inputs else None
    if layer.type_name() != "Conv2D" or x is None or platform.machine().lower() not in _ONEDNN_MACHINES:
        return 0
    arguments = layer.arguments()
    channels = x.shape[1 if arguments.get("data_format") == "channels_first" else -1]
    height: int = arguments["kernel_size"][0]
    stride: int = arguments["strides"][0]
    return _SCRATCH_BYTES * height**3 * stride if channels == 1 and height > _LOW_WINDOW else 0
