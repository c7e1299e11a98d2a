"""The cost of a forward pass on random inputs, and its limits: a small config must not take minutes or all memory."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from layercli.graph.build import Graph
from layercli.graph.shapes import ModelShapes, NodeShapes, tensor_bytes
from layercli.layers.base import Layer
from layercli.layers.initializer_shapes import count_orthogonal_operations, find_innermost_layer
from layercli.layers.shapes import Shape, Tensor


@dataclass(frozen=True, slots=True)
class CostLimits:
    """The largest allowed cost of forward passes."""

    operations: int
    """Floating-point operations; a core computes 50 billion in a second."""
    loop_steps: int
    """Timesteps of all loops; each takes about a millisecond, however small it is."""
    memory_bytes: int
    """Memory of the outputs of the layers for the batch, and of the tensors inside a layer."""
    weight_bytes: int
    """Memory of the weights; the largest one exists up to three times while it is initialized."""
    application_bytes: int
    """Memory inside the models of ``keras.applications``; two images of 512x512 take 1.1 GiB in ResNet50."""


PROBE_LIMITS: Final = CostLimits(6_000_000_000_000, 20_000, 2 << 30, 3 << 29, 3 << 30)
"""Limits of the forward passes of a config or an imported model: about two minutes on a core."""
EXPORT_LIMITS: Final = CostLimits(50_000_000_000_000, 500_000, 16 << 30, 0, 16 << 30)
"""Limits of all forward passes that compare an export: about 15 minutes on a core. They create no weights."""
_SLOW_FACTOR: Final = 20
"""Operations of layers without a fast kernel, and of dtypes of 2 bytes, take this many times longer."""
_FAST_LAYERS: Final = frozenset(
    (
        "Dense",
        "EinsumDense",
        "Conv1D",
        "Conv2D",
        "Conv3D",
        "MultiHeadAttention",
        "GroupQueryAttention",
        "Attention",
        "Dot",
    )
)
_FAMILY_COPIES: Final = {
    "augmentation": 6,
    "color_augmentation": 6,
    "preprocessing": 3,
    "lookup": 3,
    "normalization": 3,
    "activations": 3,
    "recurrent": 3,
    "spectrograms": 4,
}
"""Tensors inside a layer, each as large as its largest input or output; one in other families."""
_LAYER_COPIES: Final = {
    "EinsumDense": 3,
    "Dot": 3,
    "GroupQueryAttention": 3,
    "MultiHeadAttention": 3,
    "ContrastLimitedAdaptiveHistogramEqualization": 300,
    "Equalization": 300,
}
"""Histograms compare each value with 256 levels."""
_ACTIVATION_COPIES: Final = {None: 0, "linear": 0, "relu": 1, "sigmoid": 1, "tanh": 1, "sparsemax": 8}
_OTHER_ACTIVATION_COPIES: Final = 3
_WRAPPER_COPIES: Final = 3
"""TimeDistributed holds the outputs of all timesteps, joins and transposes them."""
_POOLED_COPIES: Final = 5
"""Tensors of the size of the input in each step of an adaptive pooling: two windows, both of them joined, and the result."""
_VALUE_BYTES: Final = 4
"""Bytes of a value inside a layer, which computes in float32."""
_INPUT_BYTES: Final = {"string": 100}
"""Bytes to draw a random value of an input; a number is drawn in float64 and cast twice."""
_DRAWN_BYTES: Final = 16
_ORTHOGONAL_FACTOR: Final = 5
"""Operations of a fast layer that take the time of one operation of an orthogonal initializer."""
_ONEDNN_MACHINES: Final = ("x86_64", "amd64")
_SCRATCH_BYTES: Final = 17
"""Bytes for each value of the scratch of a convolution, measured for windows of 40 to 200 rows: 16.5."""
_TOUCHED_SCRATCH: Final = 32
"""The share of the scratch that is used, as measured: 1 in 32."""
_SLOW_DTYPES: Final = ("float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class ForwardCost:
    """The operations, loop steps and memory of forward passes."""

    operations: int
    loop_steps: int
    memory_bytes: int
    application_bytes: int = 0
    weight_bytes: int = 0
    reserved_bytes: int = 0
    """Address space that a layer reserves; most of it is never used, but TensorFlow ends the process without it."""

    def find_excess(self, available: int | None = None, limits: CostLimits = PROBE_LIMITS) -> str | None:
        """Return the cost of the forward pass that exceeds a limit, or None if it is within all of them.

        ``available`` is the memory that this process can reserve, if it is known.
        """
        if self.loop_steps > limits.loop_steps:
            return f"it has {self.loop_steps:,} timesteps in loops, and the limit is {limits.loop_steps:,}"
        if self.operations > limits.operations:
            return f"it takes {self.operations:.1e} operations, and the limit is {limits.operations:.1e}"
        outputs = "for the outputs of the layers"
        for needed, limit, subject in (
            (self.memory_bytes, limits.memory_bytes, outputs),
            (self.application_bytes, limits.application_bytes, outputs),
            (self.weight_bytes, limits.weight_bytes, "for the weights"),
        ):
            limit = limit if available is None else min(limit, available)
            if needed > limit:
                return f"it needs {needed / (1 << 30):.1f} GiB {subject}, and the limit is {limit / (1 << 30):.3g} GiB"
        if available is not None and self.reserved_bytes > available:
            reserved, limit_text = (
                f"{size / (1 << 30):.1f} GiB" for size in (self.reserved_bytes, available)
            )
            return f"a convolution reserves {reserved}, and this machine has {limit_text}"
        return None


def combine_costs(costs: Sequence[ForwardCost]) -> ForwardCost:
    """Return the cost of forward passes that run one after the other, of which there is at least one."""
    return ForwardCost(
        sum(cost.operations for cost in costs),
        sum(cost.loop_steps for cost in costs),
        max(cost.memory_bytes for cost in costs),
        max(cost.application_bytes for cost in costs),
        max(cost.weight_bytes for cost in costs),
        max(cost.reserved_bytes for cost in costs),
    )


def estimate_forward_cost(
    shapes: ModelShapes,
    batch_size: int,
    *,
    passes: int = 1,
    output_copies: int = 0,
    should_hold_all: bool = False,
    is_built: bool = False,
) -> ForwardCost:
    """Return the cost of some forward passes; an unknown axis counts as 1, and a layer of unknown cost as nothing.

    Args:
        shapes: The shapes of the model, with a size for each axis that is to be counted.
        batch_size: The number of examples.
        passes: The number of forward passes.
        output_copies: Copies of the outputs of the model in float64, for a comparison.
        should_hold_all: Whether the outputs of all layers are held until the end of a pass, as Keras's models do.
        is_built: Whether the weights exist, so that they need no more memory and no initializer runs.
    """
    operations = passes * batch_size * sum(map(_count_operations, shapes.rows))
    operations += 0 if is_built else sum(map(_count_initializer_operations, shapes.rows))
    loop_steps = sum(_count_row_steps(row) for row in shapes.rows)
    outputs = [shapes.output(name) for name in shapes.graph.outputs]
    copied = sum(2 * tensor_bytes(output, batch_size) for output in outputs if output is not None)
    held = shapes.activation_bytes(batch_size) if should_hold_all else _count_live_bytes(shapes, batch_size)
    memory = held + output_copies * copied
    memory += sum(
        batch_size * _count_values(tensor) * _INPUT_BYTES.get(tensor.dtype, _DRAWN_BYTES)
        for tensor in shapes.graph.inputs.values()
    )
    memory += max((_count_workspace(row, batch_size) for row in shapes.rows), default=0)
    inner = sum(_count_application_bytes(row, batch_size) for row in shapes.rows)
    reserved = max(map(count_convolution_scratch, shapes.rows), default=0)
    weight_bytes = 0 if is_built else shapes.weight_bytes
    return ForwardCost(operations, passes * loop_steps, memory, inner, weight_bytes, reserved)


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
    moved = sum(map(_count_values, row.outputs)) * math.prod(window)
    x = row.inputs[0] if row.inputs else None
    moved += sum(4 * count * size for count, size in _list_pooled(layer, x)) if x is not None else 0
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


def _count_initializer_operations(row: NodeShapes) -> int:
    return _ORTHOGONAL_FACTOR * count_orthogonal_operations(row.node.layer, row.weights or ())


def _count_values(x: Tensor) -> int:
    """Return the number of values of one example; an unknown axis counts as 1."""
    return math.prod(dim or 1 for dim in x.shape[1:])


def _count_workspace(row: NodeShapes, batch_size: int) -> int:
    """Return the bytes that a layer needs only while it runs."""
    layer = find_innermost_layer(row.node.layer)
    inputs = [x for x in row.inputs if x is not None]
    largest = max((_count_values(x) for x in (*inputs, *row.outputs)), default=0)
    values = _count_copies(row.node.layer) * largest + 2 * _count_scores(layer, inputs)
    if inputs and row.outputs:
        values += _count_encoded(layer, inputs[0], row.outputs[0])
        values += _count_frames(layer, inputs[0])
        values += sum(_POOLED_COPIES * count for count, _ in _list_pooled(layer, inputs[0]))
    return batch_size * _VALUE_BYTES * values + count_convolution_scratch(row) // _TOUCHED_SCRATCH


def _count_copies(layer: Layer) -> int:
    """Return the number of tensors inside a layer that are as large as its largest input or output."""
    arguments = layer.arguments()
    copies = _LAYER_COPIES.get(layer.type_name(), _FAMILY_COPIES.get(layer.family, 1))
    copies += _ACTIVATION_COPIES.get(arguments.get("activation"), _OTHER_ACTIVATION_COPIES)
    copies += 0 if arguments.get("activity_regularizer") is None else 1
    inner = arguments.get("layer")
    if isinstance(inner, Layer):
        return _WRAPPER_COPIES + _count_copies(inner)
    nested = [each for each in arguments.get("layers") or () if isinstance(each, Layer)]
    return copies + max(map(_count_copies, nested), default=0)


def _count_encoded(layer: Layer, x: Tensor, output: Tensor) -> int:
    """Return the values of the one-hot vectors of all indices, which are added up to an encoding."""
    is_encoded = layer.type_name() == "CategoryEncoding" or getattr(layer, "output_mode", "int") != "int"
    is_encoded = is_encoded and layer.family in ("preprocessing", "lookup")
    return 2 * _count_values(x) * (output.shape[-1] or 1) if is_encoded and output.shape[1:] else 0


def _count_frames(layer: Layer, x: Tensor) -> int:
    """Return the values of the frames of a MelSpectrogram, and of their transforms."""
    if layer.type_name() != "MelSpectrogram":
        return 0
    arguments = layer.arguments()
    frames = _count_values(x) // arguments["sequence_stride"] + 1
    return int(frames * (4 * arguments["fft_length"] + 2 * arguments["num_mel_bins"]))


def _list_pooled(layer: Layer, x: Tensor) -> list[tuple[int, int]]:
    """Return the values and the window of each step of an adaptive pooling, which pools one axis after the other."""
    if not layer.type_name().startswith("Adaptive"):
        return []
    arguments = layer.arguments()
    sizes = [dim or 1 for dim in x.shape[1:]]
    steps = []
    for axis, size in enumerate(arguments["output_size"], arguments.get("data_format") == "channels_first"):
        steps.append((math.prod(sizes), sizes[axis] // size + 2))
        sizes[axis] = size
    return steps


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

    They grow with the cube of the height of the window and with the width of the images, rounded up to a power of two, and
    TensorFlow aborts the process if the machine does not have them. Measured: a window of [128, 1] reserves 8.3 GiB for
    images of 128x200, and aborts for 128x800 on a machine with 23 GiB.
    """
    layer = find_innermost_layer(row.node.layer)
    x = row.inputs[0] if row.inputs else None
    if layer.type_name() != "Conv2D" or x is None or platform.machine().lower() not in _ONEDNN_MACHINES:
        return 0
    arguments = layer.arguments()
    is_first = arguments.get("data_format") == "channels_first"
    channels, width = x.shape[-3 if is_first else -1], x.shape[-1 if is_first else -2] or 1
    if channels != 1 or any(rate > 1 for rate in arguments["dilation_rate"]):
        return 0
    height, stride = arguments["kernel_size"][0], arguments["strides"][0]
    factor = -(-stride // 2) * (2 if arguments["padding"] == "same" else 1)
    return int(_SCRATCH_BYTES * factor * 2 ** (height**3 * width - 1).bit_length())
