"""The memory of a training step on a CPU, estimated from static shapes.

TensorFlow keeps a tensor of the forward pass until the last gradient that reads it. The gradients are those of
``tensorflow/python/ops/*_grad.py`` (matrix products and convolutions read their inputs, ReLU, sigmoid, tanh and softmax
their outputs, maximum pooling both, additions and averages neither); the operations of each layer are those of
``keras/src/layers`` with ``keras/src/backend/tensorflow``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from typing import Any, Final, NamedTuple

from layercli.config.training.custom_objects import CustomObject
from layercli.config.training.registry import OPTIMIZERS
from layercli.config.training.section import TrainSection
from layercli.graph.shapes import ModelShapes, NodeShapes, dtype_bytes
from layercli.layers.base import Layer, Weight
from layercli.layers.families.applications import Application
from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Tensor


@dataclass(frozen=True, slots=True)
class TrainingMemory:
    """The memory of one training step in bytes, without Python, TensorFlow and the data set."""

    batch_size: int
    weights: int
    gradients: int
    optimizer: int
    """The variables of the optimizer."""
    activations: int
    """The tensors of the forward pass that the gradients read."""
    temporary: int
    """The gradients of activations where most exist together, or the optimizer's calculation for the largest weight."""
    batch: int
    graph: int = 0
    """TensorFlow's graph of pretrained models, which have hundreds of layers."""

    @property
    def parts(self) -> dict[str, int]:
        """The parts by their names; together they are the peak."""
        return {name: size for name, size in asdict(self).items() if name != "batch_size"}

    @property
    def total(self) -> int:
        """The peak."""
        return sum(self.parts.values())

    def as_json(self) -> dict[str, int]:
        """Return the value of ``training_memory``."""
        return {"batch_size": self.batch_size, **self.parts, "total": self.total}


class _Kept(NamedTuple):
    """The tensors that the gradient of a layer reads."""

    has_input: bool
    has_output: bool
    own_bytes: int = 0
    """Other tensors of the layer, in bytes for one example."""


_NONE: Final = _Kept(has_input=False, has_output=False)
_VIEWS: Final = frozenset({"Flatten", "Reshape", "Identity", "ActivityRegularization"})
"""Layers whose output has the memory of the input."""
_LINEAR: Final = frozenset(
    {
        "Add", "Average", "Subtract", "Concatenate", "Permute", "RepeatVector", "Rescaling", "Embedding",
        "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", "Cropping1D", "Cropping2D", "Cropping3D",
        "UpSampling1D", "UpSampling2D", "UpSampling3D", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D",
        "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GaussianNoise", "Masking",
    }
)  # fmt: skip
"""Layers whose gradient reads only constants, shapes or integers."""
_NORMALIZATIONS: Final = frozenset(
    {"LayerNormalization", "RMSNormalization", "GroupNormalization", "UnitNormalization"}
)
_DROPOUTS: Final = frozenset(
    {"Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout"}
)
_READ_INPUT: Final = frozenset({"BatchNormalization", "Multiply", "Dot", "LeakyReLU", "PReLU", "ELU"})
_READ_OUTPUT: Final = frozenset({"relu", "relu6", "sigmoid", "tanh", "softmax", "elu", "selu", "exponential"})
"""Functions whose gradient reads their output."""
_FUNCTION_COPIES: Final = {"linear": 0, "gelu": 4, "silu": 1, "swish": 1, "leaky_relu": 1, "softplus": 1}
"""Tensors of the output's size that the gradients of other functions read; gelu is 0.5 x (1 + erf(x / sqrt 2))."""
_OTHER_FUNCTION_COPIES: Final = 2
_STEP_TENSORS: Final = {"LSTM": 7, "GRU": 6, "SimpleRNN": 1}
"""Tensors of a timestep with the size of its state: LSTM keeps 4 gates, the states before it and tanh(c); GRU 3 gates,
1 - z, the state before it and the product with the recurrent kernel; SimpleRNN the state before it."""
_OPTIMIZER_TEMPORARIES: Final = 2
"""Arrays of a weight's size at the same time in an update: the numerator and the denominator of the step."""
_CUSTOM_OPTIMIZER_SLOTS: Final = 2
_TRAINED_LAYER_BYTES: Final = 5 << 19
_FROZEN_LAYER_BYTES: Final = 5 << 18
"""TensorFlow's operations, their gradients and their compiled form for one layer of a pretrained model."""


def estimate_training_memory(
    shapes: ModelShapes, train: TrainSection, batch_size: int | None = None
) -> TrainingMemory | None:
    """Return the memory of a training step; None if a shape or the weights of a layer are unknown.

    ``batch_size`` replaces that of ``train``.
    """
    tensors = [tensor for row in shapes.rows for tensor in (*row.outputs, *row.inputs)]
    inputs = list(shapes.graph.inputs.values())
    has_unknown = any(tensor is None or None in tensor.shape[1:] for tensor in [*tensors, *inputs])
    if has_unknown or any(row.weights is None or not row.outputs or row.is_uncertain for row in shapes.rows):
        return None
    weight_bytes, row_count, shapes = shapes.weight_bytes, len(shapes.rows), _expand_applications(shapes)
    has_application = len(shapes.rows) > row_count
    trained = [
        (weight, row.node.layer.variable_dtype)
        for row in shapes.rows
        for weight in row.weights or ()
        if weight.trainable and row.node.layer.is_trainable
    ]
    sizes = [weight.size * dtype_bytes(weight.dtype or dtype) for weight, dtype in trained]
    batch_size = batch_size or train.batch_size
    activations, transient, merged_kernels = _find_peak(shapes)
    largest_update = max(map(_count_merged_bytes, shapes.rows), default=0)
    return TrainingMemory(
        batch_size=batch_size,
        weights=weight_bytes,
        gradients=sum(sizes),
        optimizer=sum(
            count_optimizer_bytes(train.optimizer, weight, dtype_bytes(weight.dtype or dtype))
            for weight, dtype in trained
        ),
        activations=batch_size * activations + merged_kernels,
        temporary=max(
            batch_size * transient + largest_update, _OPTIMIZER_TEMPORARIES * max(sizes, default=0)
        ),
        batch=batch_size * sum(map(_example_bytes, inputs)),
        graph=_count_graph_bytes(shapes) if has_application else 0,
    )


def _count_graph_bytes(shapes: ModelShapes) -> int:
    """Return the memory of the graph: measured with the benchmark, by its layers with weights."""
    layers = [row for row in shapes.rows if row.weights]
    return sum(_TRAINED_LAYER_BYTES if row.trainable else _FROZEN_LAYER_BYTES for row in layers)


def _expand_applications(shapes: ModelShapes) -> ModelShapes:
    """Return the shapes with the layers of each pretrained model in its place."""
    rows: list[NodeShapes] = []
    for row in shapes.rows:
        layer, x = row.node.layer, row.inputs[0] if row.inputs else None
        rows += [row] if not isinstance(layer, Application) or x is None else _expand_row(row, layer, x)
    return replace(shapes, rows=rows)


def _expand_row(row: NodeShapes, application: Application, x: Tensor) -> list[NodeShapes]:
    """Return a row for each layer of a pretrained model; the last one has its name."""
    traced_layers = list(application.trace_layers(x))
    names = [*(f"{row.node.name}/{index}" for index in range(len(traced_layers) - 1)), row.node.name]
    rows = []
    for name, traced in zip(names, traced_layers, strict=True):
        layer = traced.layer or LAYERS.load("Multiply").model_validate({})  # LayerScale
        if not application.is_trainable:
            layer = layer.with_arguments(trainable=False)
        inputs = tuple(row.node.inputs[0] if index < 0 else names[index] for index in traced.sources)
        node = replace(row.node, name=name, layer=layer, inputs=inputs)
        weights = () if row.node.reuse_of else traced.inferred.weights
        rows.append(NodeShapes(node, traced.inputs, traced.inferred.outputs, weights))
    return rows


def _example_bytes(tensor: Tensor) -> int:
    return math.prod(dim or 1 for dim in tensor.shape[1:]) * dtype_bytes(tensor.dtype)


def _count_merged_bytes(row: NodeShapes) -> int:
    """Return the bytes of the sum of a kernel and its low-rank update, which each step computes; 0 without an update.

    Its gradient has the same size.
    """
    layer = row.node.layer
    if getattr(layer, "lora_rank", None) is None or not row.weights or not layer.is_trainable:
        return 0
    return row.weights[0].size * dtype_bytes(layer.compute_dtype)


def _find_peak(shapes: ModelShapes) -> tuple[int, int, int]:
    """Return the bytes per example of kept tensors and of other tensors where their sum is largest, and kept kernels.

    The gradients are computed in the reverse order of the layers. That of a layer needs what the layers up to it keep, the
    gradients of its outputs and those of its inputs. The gradient of an input reads the kernel with its low-rank update.
    """
    merged_kernels = 0
    sources: dict[str, str] = {}
    """The node whose memory a node's output has."""
    first_reader: dict[str, int] = {}
    """The first layer whose gradient reads the output of a node: when it has run, the memory is free."""
    sizes = {name: _example_bytes(tensor) for name, tensor in shapes.graph.inputs.items()}
    own = [0] * len(shapes.rows)
    moving = [0] * len(shapes.rows)
    differentiated: set[str] = set()
    for index, row in enumerate(shapes.rows):
        node = row.node
        sizes[node.name] = sum(map(_example_bytes, row.outputs))
        inputs = [sources.get(name, name) for name in node.inputs]
        is_view = node.layer.type_name() in _VIEWS and len(inputs) == 1
        sources[node.name] = inputs[0] if is_view else node.name
        has_gradient = any(name in differentiated for name in node.inputs)
        if not has_gradient and not (row.trainable or node.reuse_of):
            if not is_view:
                own_inputs = [name for name in inputs if name not in shapes.graph.inputs]
                moving[index] = sizes[node.name] + sum(sizes[name] for name in own_inputs)
            continue
        differentiated.add(node.name)
        if is_view:
            continue
        kept = _find_kept(row)
        merged_kernels += has_gradient * _count_merged_bytes(row)
        if kept.has_input:
            for name in inputs:
                first_reader.setdefault(name, index)
        if kept.has_output:
            first_reader.setdefault(node.name, index)
        own[index] = kept.own_bytes
        moving[index] = sizes[node.name] + _count_workspace_bytes(row)
        moving[index] += sum(sizes[name] for name in node.inputs if name in differentiated)
    added = list(own)
    for name, index in first_reader.items():
        if name not in shapes.graph.inputs:  # the batch is counted separately
            added[index] += sizes[name]
    kept_bytes = list(accumulate(added))
    peak = max(range(len(added)), key=lambda index: kept_bytes[index] + moving[index], default=None)
    return (0, 0, 0) if peak is None else (kept_bytes[peak], moving[peak], merged_kernels)


def _count_workspace_bytes(row: NodeShapes) -> int:
    """Return the bytes that the gradient of a layer needs in addition to those of its inputs and outputs.

    A function has a gradient before and after it. A convolution has its input and its gradient again, in the layout of
    oneDNN (``mkl_conv_grad_filter_ops.cc``). A loop over timesteps has the gradients of its inputs and outputs as lists, and a
    normalization a second gradient of its input, through its statistics.
    """
    layer = row.node.layer
    inputs = sum(_example_bytes(tensor) for tensor in row.inputs if tensor is not None)
    outputs = sum(map(_example_bytes, row.outputs))
    if _is_recurrent(layer):
        units, steps, scalar_bytes = _measure_loop(layer, row.inputs[0] or row.outputs[0])
        return inputs + units * steps * scalar_bytes
    if layer.type_name() in _NORMALIZATIONS or layer.type_name() == "BatchNormalization":
        return inputs
    has_function = getattr(layer, "activation", None) not in (None, "linear")
    return has_function * outputs + (layer.family == "convolutional") * (inputs + outputs)


def _find_kept(row: NodeShapes) -> _Kept:
    """Return what the gradient of a layer reads."""
    inputs = [tensor for tensor in row.inputs if tensor is not None]
    return _find_layer_kept(row.node.layer, inputs, row.outputs)


def _find_layer_kept(layer: Layer, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> _Kept:
    name = layer.type_name()
    size = _example_bytes(outputs[0])
    if name in _LINEAR:
        return _NONE
    if name in _READ_INPUT:
        return _Kept(has_input=True, has_output=False)
    if name in _NORMALIZATIONS:
        return _Kept(has_input=True, has_output=False, own_bytes=size)  # the scale of each value
    if name in _DROPOUTS:
        mask = size // dtype_bytes(outputs[0].dtype)
        return _Kept(has_input=False, has_output=False, own_bytes=mask)
    if name in ("ReLU", "Softmax"):
        return _Kept(has_input=False, has_output=True)
    if _is_recurrent(layer):
        return _find_recurrent_kept(layer, inputs[0])
    if name in ("MultiHeadAttention", "GroupQueryAttention"):
        return _Kept(has_input=True, has_output=False, own_bytes=_count_attention_bytes(layer, inputs))
    inner = _inner_layer(layer)
    if inner is not None:
        return _find_layer_kept(inner, inputs, outputs)
    if hasattr(layer, "activation"):
        function = "linear" if layer.activation is None else str(layer.activation).lower()
        copies = 0 if function in _READ_OUTPUT else _FUNCTION_COPIES.get(function, _OTHER_FUNCTION_COPIES)
        reads_weights = name != "Activation" and layer.is_trainable
        return _Kept(reads_weights, function in _READ_OUTPUT, copies * size)
    return _Kept(has_input=True, has_output=True)


def _inner_layer(layer: Layer) -> Layer | None:
    inner = layer.arguments().get("layer")
    return inner if isinstance(inner, Layer) else None


def _is_recurrent(layer: Layer) -> bool:
    return (_inner_layer(layer) or layer).family == "recurrent"


def _measure_loop(layer: Layer, x: Tensor) -> tuple[int, int, int]:
    """Return the size of the state of a recurrent layer, its timesteps, and the bytes of a scalar."""
    state_sizes: tuple[int, ...] = getattr(_inner_layer(layer) or layer, "state_sizes", ())
    directions = 1 if _inner_layer(layer) is None else 2
    return directions * sum(state_sizes[:1]), (x.shape[1] or 1), dtype_bytes(x.dtype)


def _find_recurrent_kept(layer: Layer, x: Tensor) -> _Kept:
    """Return what a loop over timesteps keeps: its inputs and outputs as lists, and the tensors of each step."""
    units, steps, scalar_bytes = _measure_loop(layer, x)
    name = (_inner_layer(layer) or layer).type_name()
    tensors = _STEP_TENSORS.get(name, max(_STEP_TENSORS.values()))
    own = _example_bytes(x) + (tensors + 2) * steps * units * scalar_bytes
    return _Kept(has_input=False, has_output=False, own_bytes=own)


def _count_attention_bytes(layer: Any, inputs: Sequence[Tensor]) -> int:
    """Return the bytes of the projections, the scaled query, the probabilities and the weighted values."""
    query, value = inputs[0], inputs[1] if len(inputs) > 1 else inputs[0]
    queries, values = (math.prod(dim or 1 for dim in tensor.shape[1:-1]) for tensor in (query, value))
    heads = getattr(layer, "num_heads", None) or layer.num_query_heads
    key_size = getattr(layer, "key_dim", None) or layer.head_dim
    value_size = getattr(layer, "value_dim", None) or key_size
    scalars: int = heads * (2 * queries * key_size + values * (key_size + value_size))
    scalars += heads * (queries * values + queries * value_size)
    return scalars * dtype_bytes(query.dtype)


def count_optimizer_bytes(optimizer: Any, weight: Weight, scalar_bytes: int) -> int:
    """Return the bytes of an optimizer's variables for a trainable weight; a custom optimizer counts as Adam."""
    if isinstance(optimizer, CustomObject):
        return _CUSTOM_OPTIMIZER_SLOTS * weight.size * scalar_bytes
    component = OPTIMIZERS.parse(optimizer) if isinstance(optimizer, str) else optimizer
    arguments = component.arguments()
    name = component.type_name()
    slots = _SLOTS.get(name, _CUSTOM_OPTIMIZER_SLOTS)
    slots += sum(bool(arguments.get(key)) for key in _SLOT_ARGUMENTS.get(name, ()))
    if name == "Muon" and len(weight.shape) == 2 and weight.name != "embeddings":
        slots -= 1  # the weights that AdamW does not train have no second moment
    slots += bool(arguments.get("use_ema")) + bool(arguments.get("gradient_accumulation_steps"))
    scalars = slots * weight.size
    if name == "Adafactor" and len(weight.shape) > 1:
        scalars += weight.size // weight.shape[-1] + weight.size // weight.shape[-2]
    return scalars * scalar_bytes


_SLOTS: Final = {
    "SGD": 0,
    **dict.fromkeys(("RMSprop", "Lion", "Adagrad", "Adafactor"), 1),
    **dict.fromkeys(("Adam", "AdamW", "Adamax", "Nadam", "Lamb", "Adadelta", "Ftrl", "Muon"), 2),
    "ScheduleFreeAdamW": 2,
}
"""Variables of each weight's size, as ``build()`` of ``keras/src/optimizers`` creates them."""
_SLOT_ARGUMENTS: Final = {
    "SGD": ("momentum",),
    "RMSprop": ("momentum", "centered"),
    "Adam": ("amsgrad",),
    "AdamW": ("amsgrad",),
}
"""Arguments that add a variable of the weight's size."""
