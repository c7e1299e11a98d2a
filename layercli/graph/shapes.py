"""Static shapes, weights and cost of each node, without a framework."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Final

from layercli import runtime
from layercli.config.layer_entries import Uncertainty
from layercli.config.model import MAX_ELEMENTS
from layercli.graph.adaptable import learns_output_size, with_output_sizes
from layercli.graph.build import Graph, GraphNode
from layercli.layers.base import InferredLayer, Layer, Weight, use_dtype_policy
from layercli.layers.initializer_shapes import check_initializers, check_regularizers
from layercli.layers.shapes import (
    LearnedShape,
    LearnedSize,
    RankError,
    Shape,
    ShapeError,
    Tensor,
    format_shape,
)

_MAX_AXES: Final = 64  # of a NumPy array

_EXAMPLE_SIZE: Final = 720_720
"""An example of a size that is learned from data; 1 to 16 divide it, so that most layers accept it."""
_OTHER_SIZES: Final = (1 << 16, None)
"""Other examples, for layers that do not accept the first."""

_DTYPE_BYTES = {
    **dict.fromkeys(("float64", "int64", "uint64"), 8),
    **dict.fromkeys(("float16", "bfloat16", "int16", "uint16"), 2),
    **dict.fromkeys(("int8", "uint8", "bool"), 1),
}


@dataclass(frozen=True, slots=True)
class NodeShapes:
    """Static facts about one node; unknown outputs are empty and unknown counts are None."""

    node: GraphNode
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...] = ()
    weights: tuple[Weight, ...] | None = None
    flops: int | None = None
    error: ShapeError | None = None
    is_uncertain: bool = False
    """Whether sizes depend on a placeholder for a malformed layer; ranks can still be correct."""

    @property
    def trainable(self) -> int | None:
        """Return the number of trainable scalars."""
        return self._count_scalars(is_trained=True)

    @property
    def non_trainable(self) -> int | None:
        """Return the number of scalars that are frozen or that the layer itself updates."""
        return self._count_scalars(is_trained=False)

    @property
    def parameters(self) -> int | None:
        """Return the number of scalars in all weights."""
        return None if self.weights is None else sum(weight.size for weight in self.weights)

    @property
    def weight_bytes(self) -> int | None:
        """Return the memory of the weights in bytes."""
        if self.weights is None:
            return None
        default = self.node.layer.variable_dtype
        return sum(weight.size * dtype_bytes(weight.dtype or default) for weight in self.weights)

    def matches_forward(self, actual: Sequence[Shape] | None) -> bool | None:
        """Return whether the shapes of a forward pass equal the static shapes; None if either is unknown."""
        if actual is None or not self.outputs:
            return None
        return len(actual) == len(self.outputs) and all(
            len(forward) == len(static.shape)
            and all(a is None or a == b for a, b in zip(static.shape, forward, strict=True))
            for static, forward in zip(self.outputs, actual, strict=True)
        )

    def _count_scalars(self, *, is_trained: bool) -> int | None:
        if self.weights is None:
            return None
        is_trainable = self.node.layer.is_trainable
        return sum(
            weight.size for weight in self.weights if (weight.trainable and is_trainable) == is_trained
        )


@dataclass(frozen=True, slots=True)
class ModelShapes:
    """Static facts about every node of a graph."""

    graph: Graph
    rows: list[NodeShapes]
    by_name: dict[str, NodeShapes] = field(default_factory=dict)

    def output(self, name: str, output_index: int | None = None) -> Tensor | None:
        """Return the output of a node or input, or None if it is unknown.

        Args:
            name: The name of the node or model input.
            output_index: The index of the output; None for a node with a single output.
        """
        if name in self.graph.inputs:
            return self.graph.inputs[name]
        row = self.by_name[name]
        if output_index is not None:
            return (
                row.outputs[output_index]
                if output_index < len(row.outputs) and not row.is_uncertain
                else None
            )
        return row.outputs[0] if len(row.outputs) == 1 and not row.is_uncertain else None

    @property
    def size_learners(self) -> list[str]:
        """Return the names of the nodes that learn the size of their output from the data."""
        return [
            node.name for node in self.graph.nodes if node.reuse_of is None and learns_output_size(node.layer)
        ]

    @property
    def trainable(self) -> int | None:
        """Return the trainable scalars of all layers; None if one layer is unknown."""
        return sum_if_known(row.trainable for row in self.rows)

    @property
    def non_trainable(self) -> int | None:
        """Return the non-trainable scalars of all layers; None if one layer is unknown."""
        return sum_if_known(row.non_trainable for row in self.rows)

    @property
    def flops(self) -> int | None:
        """Return the FLOPs of the forward pass for one example; None if one layer is unknown."""
        return sum_if_known(row.flops for row in self.rows)

    @property
    def weight_bytes(self) -> int:
        """Return the memory of all known weights in bytes."""
        return sum(row.weight_bytes or 0 for row in self.rows)

    def activation_bytes(self, batch_size: int) -> int:
        """Return the memory of all layers' outputs for one batch in bytes; an unknown axis counts as 1."""
        return sum(tensor_bytes(tensor, batch_size) for row in self.rows for tensor in row.outputs)


def infer_graph_shapes(graph: Graph, policy: str | None = None) -> ModelShapes:
    """Return the shapes of all nodes; a node with an invalid input keeps its error, and its successors are unknown.

    A successor has an error only if no fix of the first error can make its input valid.

    Args:
        graph: The graph.
        policy: The dtype policy of layers without a ``dtype``; None is float32.
    """
    with use_dtype_policy(policy):
        return _infer_graph(graph)


def infer_after_custom_layers(
    shapes: ModelShapes, outputs: dict[str, tuple[Tensor, ...]], node: GraphNode, policy: str | None = None
) -> tuple[NodeShapes, ModelShapes]:
    """Return the row of a node whose inputs a custom layer determines, and all rows with the outputs that are known now.

    Args:
        shapes: The static shapes.
        outputs: The outputs of the nodes before it, by name.
        node: The node.
        policy: The dtype policy of layers without a ``dtype``.
    """
    rows = [
        replace(row, outputs=outputs[row.node.name]) if row.node.name in outputs else row
        for row in shapes.rows
    ]
    with use_dtype_policy(policy):
        row = _infer_node(node, {name: (tensor,) for name, tensor in shapes.graph.inputs.items()} | outputs)
    return row, ModelShapes(shapes.graph, rows, {each.node.name: each for each in rows})


def _infer_graph(graph: Graph) -> ModelShapes:
    outputs: dict[str, tuple[Tensor, ...]] = {name: (tensor,) for name, tensor in graph.inputs.items()}
    possible_outputs: dict[str, list[Tensor]] = {}
    """The possible outputs of each node with an error and of its successors, once the error is fixed."""
    shapes = ModelShapes(graph, [])
    for node in graph.nodes:
        runtime.stop_if_cancelled()
        row = _infer_node(node, outputs)
        if node.reuse_of is not None:
            row = _drop_shared_weights(row, shapes.by_name[node.reuse_of])
        outputs[node.name] = row.outputs
        if len(node.inputs) == 1 and node.inputs[0] in possible_outputs:
            row, possible_outputs[node.name] = _recheck_after_error(
                node, row, possible_outputs[node.inputs[0]]
            )
        elif row.error is not None:
            possible_outputs[node.name] = _possible_outputs(node, row)
        elif node.uncertainty == Uncertainty.RANK:  # the correct layer may return a different rank
            possible_outputs[node.name] = (
                [x for x in (*row.outputs, *row.inputs) if x is not None] if row.outputs else []
            )
        before = [shapes.by_name[name] for name in node.inputs if name in shapes.by_name]
        if node.uncertainty or any(source.is_uncertain for source in before):
            row = _mark_uncertain(row)
        shapes.rows.append(row)
        shapes.by_name[node.name] = row
    rows = [_hide_learned_sizes(row) for row in shapes.rows]
    return ModelShapes(graph, rows, {row.node.name: row for row in rows})


def _hide_learned_sizes(row: NodeShapes) -> NodeShapes:
    """Return the row with sizes that are learned from data as unknown ones."""
    sizes = [
        *(dim for tensor in (*row.inputs, *row.outputs) if tensor is not None for dim in tensor.shape),
        *(dim for weight in row.weights or () for dim in weight.shape),
        row.flops,
    ]
    if not any(isinstance(size, LearnedSize) for size in sizes):
        return row
    has_known_weights = not any(
        isinstance(dim, LearnedSize) for weight in row.weights or () for dim in weight.shape
    )
    return replace(
        row,
        inputs=tuple(None if x is None else _hide_learned_axes(x) for x in row.inputs),
        outputs=tuple(map(_hide_learned_axes, row.outputs)),
        weights=row.weights if has_known_weights else None,
        flops=None if isinstance(row.flops, LearnedSize) else row.flops,
    )


def _hide_learned_axes(x: Tensor) -> Tensor:
    is_learned = any(isinstance(dim, LearnedSize) for dim in x.shape)
    return Tensor(LearnedShape(x.shape), x.dtype) if is_learned else x


def _infer_node(node: GraphNode, outputs: dict[str, tuple[Tensor, ...]]) -> NodeShapes:
    sources = [outputs[name] for name in node.inputs]
    if not sources or any(not tensors for tensors in sources):
        return _infer_unknown(node)
    for number, pick in enumerate(node.input_indices):
        if pick is None:
            continue
        source_outputs = sources[number]
        if pick >= len(source_outputs):
            count = "one output" if len(source_outputs) == 1 else f"{len(source_outputs)} outputs"
            message = f"`{node.input_references[number]}` does not exist: `{node.inputs[number]}` has {count}, counted from 0."
            return NodeShapes(node, tuple(source_outputs), error=ShapeError(message, argument="inputs"))
        sources[number] = (source_outputs[pick],)
    inputs = tuple(tensor for tensors in sources for tensor in tensors)
    if node.input_keys is not None and len(inputs) != len(node.input_keys):
        number = next(index for index, tensors in enumerate(sources) if len(tensors) > 1)
        argument, source, output_count = node.input_keys[number], node.inputs[number], len(sources[number])
        message = f"`{argument}` must be one tensor, but `{source}` has {output_count} outputs."
        hint = f"Write `{node.inputs[number]}:0` for its first output."
        return NodeShapes(node, inputs, error=ShapeError(message, hint=hint, argument="inputs"))
    layer = node.layer
    if learns_output_size(layer):
        layer = with_output_sizes(layer, repeat(LearnedSize(_EXAMPLE_SIZE)))
    try:
        inferred = _infer_layer(layer, node, inputs)
    except ShapeError as error:
        return NodeShapes(node, inputs, error=error)
    weights = inferred.weights if inferred.has_known_weights else None
    flops = None if inferred.multiply_adds is None else 2 * inferred.multiply_adds
    return NodeShapes(node, inputs, inferred.outputs, weights, flops)


def _infer_layer(layer: Layer, node: GraphNode, inputs: tuple[Tensor, ...]) -> InferredLayer:
    """Return what a layer infers; sizes that are learned from data fit if the layer accepts any example of them.

    Raises:
        ShapeError: The layer does not accept the inputs.
    """
    try:
        _require_callable(layer)
        inferred = layer.infer_named(inputs, node.input_keys)
        _check_sizes(inferred)
        check_initializers(layer, inferred.weights if inferred.has_known_weights else ())
        check_regularizers(layer, inferred)
    except ShapeError as error:
        is_learned = any(isinstance(dim, LearnedSize) for x in inputs for dim in x.shape)
        for size in _OTHER_SIZES if is_learned and not isinstance(error, RankError) else ():
            others = tuple(_replace_learned_axes(x, size) for x in inputs)
            try:
                return layer.infer_named(others, node.input_keys)
            except ShapeError:
                continue
        raise
    return inferred


def _replace_learned_axes(x: Tensor, size: int | None) -> Tensor:
    new = None if size is None else LearnedSize(size)
    return Tensor(tuple(new if isinstance(dim, LearnedSize) else dim for dim in x.shape), x.dtype)


def _require_callable(layer: Layer) -> None:
    """Raise ShapeError for a layer that Keras can call only inside another one."""
    if layer.must_be_nested:
        raise ShapeError(
            f"Keras cannot build a model with {layer.title()}, except inside another layer.",
            hint=f"Write `{{type: Pipeline, layers: [{{type: {layer.type_name()}}}]}}`, with its arguments in the inner "
            "layer.",
        )


def _check_sizes(inferred: InferredLayer) -> None:
    """Raise ShapeError for shapes that no tensor can have, since their sizes could grow from layer to layer."""
    weights = inferred.weights if inferred.has_known_weights else ()
    for shape in (*(tensor.shape for tensor in inferred.outputs), *(weight.shape for weight in weights)):
        if len(shape) > _MAX_AXES:
            message = (
                f"A tensor must have at most {_MAX_AXES} axes, but the layer needs one with {len(shape):,}."
            )
            raise ShapeError(message, hint="Use fewer axes.")
        if math.prod(dim or 1 for dim in shape) > MAX_ELEMENTS:
            message = "The layer needs a tensor with more than 2**63 elements, the limit of TensorFlow."
            raise ShapeError(message, hint="Use smaller sizes here or in the layers above.")


def _drop_shared_weights(row: NodeShapes, declared_row: NodeShapes) -> NodeShapes:
    """Return the row of a reused layer without the weights, which count where the layer is declared."""
    if row.weights is None or declared_row.weights is None:
        return replace(
            row, weights=() if declared_row.weights is not None and row.error is None else row.weights
        )
    if [weight.shape for weight in row.weights] == [weight.shape for weight in declared_row.weights]:
        return replace(row, weights=())
    here, there = (
        ", ".join(format_shape(x.shape) for x in of.inputs if x is not None) for of in (row, declared_row)
    )
    message = (
        f"`{declared_row.node.name}` has weights for an input of {there}, but this call receives {here}."
    )
    hint = "Use an input of the same size, or declare a new layer here."
    return NodeShapes(row.node, row.inputs, error=ShapeError(message, hint=hint))


def _possible_outputs(node: GraphNode, row: NodeShapes) -> list[Tensor]:
    """Return the possible outputs of a node with an error: for a valid input, or its input if the node is removed."""
    x = row.inputs[0]
    if len(row.inputs) != 1 or x is None:
        return []
    low, high = node.layer.rank_range
    rank = max(low, x.rank if high is None else min(x.rank, high))
    unknown = Tensor((*(None,) * (rank - 1), x.shape[-1] if x.rank > 1 and rank > 1 else None), x.dtype)
    output = _try_infer(node, unknown)
    return [output, x] if isinstance(output, Tensor) else []


def _recheck_after_error(
    node: GraphNode, row: NodeShapes, inputs: list[Tensor]
) -> tuple[NodeShapes, list[Tensor]]:
    """Return the row and the possible outputs of a node after an error; the row has an error if no input is valid."""
    results = [_try_infer(node, x) for x in inputs]
    outputs = [result for result in results if isinstance(result, Tensor)]
    if outputs or not results or not isinstance(results[0], RankError):
        return replace(row, error=None), outputs
    error_row = NodeShapes(node, (inputs[0],), error=results[0])
    return error_row, _possible_outputs(node, error_row)


def _try_infer(node: GraphNode, x: Tensor) -> Tensor | ShapeError:
    """Return the output for an input with unknown axes, even if these leave the weights unknown."""
    try:
        outputs = node.layer.infer((x,)).outputs
    except RankError as error:
        return error
    except ShapeError:
        try:
            output = node.layer.output(node.layer.cast(x))
        except ShapeError as error:
            return error
        outputs = (output,) if isinstance(output, Tensor) else output
    return _drop_huge_sizes(outputs[0]) if len(outputs) == 1 else ShapeError("unknown")


def _drop_huge_sizes(tensor: Tensor) -> Tensor:
    """Return the tensor with sizes that no tensor can have as unknown, since they could grow from layer to layer."""
    if all(dim is None or dim <= MAX_ELEMENTS for dim in tensor.shape):
        return tensor
    shape = tuple(None if dim is not None and dim > MAX_ELEMENTS else dim for dim in tensor.shape)
    return Tensor(shape, tensor.dtype)


def _mark_uncertain(row: NodeShapes) -> NodeShapes:
    """Return the row as uncertain, with its error only if it is a rank error, which does not depend on sizes."""
    error = (
        row.error if isinstance(row.error, RankError) and row.node.uncertainty != Uncertainty.RANK else None
    )
    return replace(row, error=error, is_uncertain=True)


def _infer_unknown(node: GraphNode) -> NodeShapes:
    """Return the row of a node with unknown input; a custom layer can still declare its output shape."""
    inferred: InferredLayer | None = None
    if node.layer.family == "custom":
        inferred = node.layer.infer(())
    return NodeShapes(node, (None,) * len(node.inputs), inferred.outputs if inferred else ())


def sum_if_known(counts: Iterable[int | None]) -> int | None:
    """Return the sum, or None if a count is unknown."""
    listed = list(counts)
    known = [count for count in listed if count is not None]
    return sum(known) if len(known) == len(listed) else None


def dtype_bytes(dtype: str) -> int:
    """Return the bytes of one scalar; unknown dtypes count as 4."""
    return _DTYPE_BYTES.get(dtype, 4)


def tensor_bytes(tensor: Tensor, batch_size: int) -> int:
    """Return the memory of a tensor of ``batch_size`` examples in bytes; an unknown axis counts as 1."""
    return batch_size * math.prod(dim or 1 for dim in tensor.shape[1:]) * dtype_bytes(tensor.dtype)
