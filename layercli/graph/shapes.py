"""Shapes, weights and cost, node by node, without a framework."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from layercli.config.layer_entries import Uncertainty
from layercli.graph.build import Graph, GraphNode
from layercli.layers.base import InferredLayer, Weight, use_dtype_policy
from layercli.layers.shapes import RankError, Shape, ShapeError, Tensor, format_shape

_DTYPE_BYTES = {"float64": 8, "int64": 8, "uint64": 8, "float16": 2, "bfloat16": 2, "int16": 2, "uint16": 2,
          "int8": 1, "uint8": 1, "bool": 1}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NodeShapes:
    """What is known of one node; ``outputs`` is empty and the counts are None where that is nothing."""

    node: GraphNode
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...] = ()
    weights: tuple[Weight, ...] | None = None
    flops: int | None = None
    error: ShapeError | None = None
    is_uncertain: bool = False
    """Whether sizes come from a layer that stands in for a malformed one; ranks may be right."""

    @property
    def trainable(self) -> int | None:
        """Number of scalars that training changes."""
        return self._count_scalars(is_trained=True)

    @property
    def non_trainable(self) -> int | None:
        """Number of scalars that training leaves alone, or that the layer updates by itself."""
        return self._count_scalars(is_trained=False)

    @property
    def parameters(self) -> int | None:
        """Number of all scalars in weights."""
        return None if self.weights is None else sum(weight.size for weight in self.weights)

    @property
    def weight_bytes(self) -> int | None:
        """Memory of the weights."""
        if self.weights is None:
            return None
        default = self.node.layer.variable_dtype
        return sum(weight.size * dtype_bytes(weight.dtype or default) for weight in self.weights)

    def matches_forward(self, actual: Sequence[Shape] | None) -> bool | None:
        """Whether a forward pass gave the static shapes; None where either is unknown."""
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
    """What is known of every node of a graph."""

    graph: Graph
    rows: list[NodeShapes]
    by_name: dict[str, NodeShapes] = field(default_factory=dict)

    def output(self, name: str, output_index: int | None = None) -> Tensor | None:
        """The single output of a node or input, or the one that is picked, where it is known."""
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
    def trainable(self) -> int | None:
        """Of all layers; None where one is unknown."""
        return sum_if_known(row.trainable for row in self.rows)

    @property
    def non_trainable(self) -> int | None:
        """Of all layers; None where one is unknown."""
        return sum_if_known(row.non_trainable for row in self.rows)

    @property
    def flops(self) -> int | None:
        """Of all layers, per example, forward; None where one is unknown."""
        return sum_if_known(row.flops for row in self.rows)

    @property
    def weight_bytes(self) -> int:
        """Memory of the weights that are known."""
        return sum(row.weight_bytes or 0 for row in self.rows)

    def activation_bytes(self, batch_size: int) -> int:
        """Memory of all layers' outputs for one batch; an axis of unknown length counts as 1."""
        return sum(tensor_bytes(tensor, batch_size) for row in self.rows for tensor in row.outputs)


def infer_graph_shapes(graph: Graph, policy: str | None = None) -> ModelShapes:
    """Shapes along the graph; a node that cannot take its input keeps its error, and those after it stay unknown.

    ``policy`` is the dtype policy of layers that have none of their own; None: float32.

    A later node that could take its input however the first error is mended is no error; one that could not is.
    """
    with use_dtype_policy(policy):
        return _infer_graph(graph)


def _infer_graph(graph: Graph) -> ModelShapes:
    outputs: dict[str, tuple[Tensor, ...]] = {name: (tensor,) for name, tensor in graph.inputs.items()}
    possible_outputs: dict[str, list[Tensor]] = {}
    """What a node with an error, and those after it, may give once it is mended."""
    shapes = ModelShapes(graph, [])
    for node in graph.nodes:
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
        elif (
            node.uncertainty == Uncertainty.RANK
        ):  # what is wrong with it may be what would give another number of axes
            possible_outputs[node.name] = (
                [x for x in (*row.outputs, *row.inputs) if x is not None] if row.outputs else []
            )
        before = [shapes.by_name[name] for name in node.inputs if name in shapes.by_name]
        if node.uncertainty or any(source.is_uncertain for source in before):
            row = _mark_uncertain(row)
        shapes.rows.append(row)
        shapes.by_name[node.name] = row
    return shapes


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
            message = f"`{node.inputs[number]}` has {count}, counted from 0; there is no `{node.input_references[number]}`."
            return NodeShapes(node, tuple(source_outputs), error=ShapeError(message, argument="inputs"))
        sources[number] = (source_outputs[pick],)
    inputs = tuple(tensor for tensors in sources for tensor in tensors)
    try:
        inferred = node.layer.infer(inputs)
    except ShapeError as error:
        return NodeShapes(node, inputs, error=error)
    weights = inferred.weights if inferred.has_known_weights else None
    flops = None if inferred.multiply_adds is None else 2 * inferred.multiply_adds
    return NodeShapes(node, inputs, inferred.outputs, weights, flops)


def _drop_shared_weights(row: NodeShapes, declared_row: NodeShapes) -> NodeShapes:
    """The row of a layer that is called again: its weights are counted where it is declared."""
    if row.weights is None or declared_row.weights is None:
        return replace(
            row, weights=() if declared_row.weights is not None and row.error is None else row.weights
        )
    if [weight.shape for weight in row.weights] == [weight.shape for weight in declared_row.weights]:
        return replace(row, weights=())
    here, there = (
        ", ".join(format_shape(x.shape) for x in of.inputs if x is not None) for of in (row, declared_row)
    )
    message = f"`{declared_row.node.name}` has weights for an input of {there}; called again it gets {here}."
    hint = "Give it an input of the same size, or declare a layer of its own here."
    return NodeShapes(row.node, row.inputs, error=ShapeError(message, hint=hint))


def _possible_outputs(node: GraphNode, row: NodeShapes) -> list[Tensor]:
    """Outputs that a node with an error may have: for an input that it can take, or its input as it is, without it."""
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
    """The row of a node after an error, and its possible outputs; it has an error of its own if it can take no input."""
    results = [_try_infer(node, x) for x in inputs]
    outputs = [result for result in results if isinstance(result, Tensor)]
    if outputs or not results or not isinstance(results[0], RankError):
        return replace(row, error=None), outputs
    error_row = NodeShapes(node, (inputs[0],), error=results[0])
    return error_row, _possible_outputs(node, error_row)


def _try_infer(node: GraphNode, x: Tensor) -> Tensor | ShapeError:
    """The output for an input with axes of unknown length, though the weights may be unknown with them."""
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
    return outputs[0] if len(outputs) == 1 else ShapeError("unknown")


def _mark_uncertain(row: NodeShapes) -> NodeShapes:
    """The row with only what does not depend on sizes: of its errors, that of a wrong rank."""
    error = (
        row.error if isinstance(row.error, RankError) and row.node.uncertainty != Uncertainty.RANK else None
    )
    return replace(row, error=error, is_uncertain=True)


def _infer_unknown(node: GraphNode) -> NodeShapes:
    """A node whose input is unknown; a layer of the user's may still state its output."""
    inferred: InferredLayer | None = None
    if node.layer.family == "custom":
        inferred = node.layer.infer(())
    return NodeShapes(node, (None,) * len(node.inputs), inferred.outputs if inferred else ())


def sum_if_known(counts: Iterable[int | None]) -> int | None:
    """The sum, or None where a part is unknown."""
    listed = list(counts)
    known = [part for part in listed if part is not None]
    return sum(known) if len(known) == len(listed) else None


def dtype_bytes(dtype: str) -> int:
    """Bytes of one scalar."""
    return _DTYPE_BYTES.get(dtype, 4)


def tensor_bytes(tensor: Tensor, batch_size: int) -> int:
    """Memory of a tensor of ``batch_size`` examples; an axis of unknown length counts as 1."""
    return batch_size * math.prod(dim or 1 for dim in tensor.shape[1:]) * dtype_bytes(tensor.dtype)
