"""Shapes, weights and cost, node by node, without a framework."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from layercli.config.layer_entries import Doubt
from layercli.graph.build import Graph, Node
from layercli.layers.base import Inferred, Weight, default_policy
from layercli.layers.shapes import RankError, Shape, ShapeError, Tensor, show

_BYTES = {"float64": 8, "int64": 8, "uint64": 8, "float16": 2, "bfloat16": 2, "int16": 2, "uint16": 2,
          "int8": 1, "uint8": 1, "bool": 1}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one node; ``outputs`` is empty and the counts are None where that is nothing."""

    node: Node
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...] = ()
    weights: tuple[Weight, ...] | None = None
    flops: int | None = None
    error: ShapeError | None = None
    doubtful: bool = False
    """Whether sizes come from a layer that stands in for a malformed one; ranks may be right."""

    @property
    def trainable(self) -> int | None:
        """Number of scalars that training changes."""
        return self._count(trained=True)

    @property
    def non_trainable(self) -> int | None:
        """Number of scalars that training leaves alone, or that the layer updates by itself."""
        return self._count(trained=False)

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
        return sum(weight.size * byte_size(weight.dtype or default) for weight in self.weights)

    def agrees(self, actual: Sequence[Shape] | None) -> bool | None:
        """Whether a forward pass gave the static shapes; None where either is unknown."""
        if actual is None or not self.outputs:
            return None
        return len(actual) == len(self.outputs) and all(
            len(was) == len(said.shape)
            and all(a is None or a == b for a, b in zip(said.shape, was, strict=True))
            for said, was in zip(self.outputs, actual, strict=True)
        )

    def _count(self, *, trained: bool) -> int | None:
        if self.weights is None:
            return None
        active = self.node.layer.is_trainable
        return sum(weight.size for weight in self.weights if (weight.trainable and active) == trained)


@dataclass(frozen=True, slots=True)
class Shapes:
    """What is known of every node of a graph."""

    graph: Graph
    rows: list[Row]
    by_name: dict[str, Row] = field(default_factory=dict)

    def output(self, name: str, pick: int | None = None) -> Tensor | None:
        """The single output of a node or input, or the one that is picked, where it is known."""
        if name in self.graph.inputs:
            return self.graph.inputs[name]
        row = self.by_name[name]
        if pick is not None:
            return row.outputs[pick] if pick < len(row.outputs) and not row.doubtful else None
        return row.outputs[0] if len(row.outputs) == 1 and not row.doubtful else None

    @property
    def trainable(self) -> int | None:
        """Of all layers; None where one is unknown."""
        return total(row.trainable for row in self.rows)

    @property
    def non_trainable(self) -> int | None:
        """Of all layers; None where one is unknown."""
        return total(row.non_trainable for row in self.rows)

    @property
    def flops(self) -> int | None:
        """Of all layers, per example, forward; None where one is unknown."""
        return total(row.flops for row in self.rows)

    @property
    def weight_bytes(self) -> int:
        """Memory of the weights that are known."""
        return sum(row.weight_bytes or 0 for row in self.rows)

    def activation_bytes(self, batch_size: int) -> int:
        """Memory of all layers' outputs for one batch; an axis of unknown length counts as 1."""
        return sum(tensor_bytes(tensor, batch_size) for row in self.rows for tensor in row.outputs)


def infer(graph: Graph, policy: str | None = None) -> Shapes:
    """Shapes along the graph; a node that cannot take its input keeps its error, and those after it stay unknown.

    ``policy`` is the dtype policy of layers that have none of their own; None: float32.

    A later node that could take its input however the first error is mended is no error; one that could not is.
    """
    with default_policy(policy):
        return _infer(graph)


def _infer(graph: Graph) -> Shapes:
    known: dict[str, tuple[Tensor, ...]] = {name: (tensor,) for name, tensor in graph.inputs.items()}
    mended: dict[str, list[Tensor]] = {}
    """What a node with an error, and those after it, may give once it is mended."""
    shapes = Shapes(graph, [])
    for node in graph.nodes:
        row = _infer_node(node, known)
        if node.shares is not None:
            row = _called_again(row, shapes.by_name[node.shares])
        known[node.name] = row.outputs
        if len(node.inputs) == 1 and node.inputs[0] in mended:
            row, mended[node.name] = _after_mending(node, row, mended[node.inputs[0]])
        elif row.error is not None:
            mended[node.name] = _after_error(node, row)
        elif node.doubt == Doubt.RANK:  # what is wrong with it may be what would give another number of axes
            mended[node.name] = (
                [x for x in (*row.outputs, *row.inputs) if x is not None] if row.outputs else []
            )
        before = [shapes.by_name[name] for name in node.inputs if name in shapes.by_name]
        if node.doubt or any(source.doubtful for source in before):
            row = _doubted(row)
        shapes.rows.append(row)
        shapes.by_name[node.name] = row
    return shapes


def _infer_node(node: Node, known: dict[str, tuple[Tensor, ...]]) -> Row:
    sources = [known[name] for name in node.inputs]
    if not sources or any(not tensors for tensors in sources):
        return _unknown(node)
    for number, pick in enumerate(node.picks):
        if pick is None:
            continue
        given = sources[number]
        if pick >= len(given):
            count = "one output" if len(given) == 1 else f"{len(given)} outputs"
            message = f"`{node.inputs[number]}` has {count}, counted from 0; there is no `{node.references[number]}`."
            return Row(node, tuple(given), error=ShapeError(message, argument="inputs"))
        sources[number] = (given[pick],)
    inputs = tuple(tensor for tensors in sources for tensor in tensors)
    try:
        inferred = node.layer.infer(inputs)
    except ShapeError as error:
        return Row(node, inputs, error=error)
    weights = inferred.weights if inferred.complete else None
    flops = None if inferred.multiply_adds is None else 2 * inferred.multiply_adds
    return Row(node, inputs, inferred.outputs, weights, flops)


def _called_again(row: Row, first: Row) -> Row:
    """The row of a layer that is called again: its weights are counted where it is declared."""
    if row.weights is None or first.weights is None:
        return replace(row, weights=() if first.weights is not None and row.error is None else row.weights)
    if [weight.shape for weight in row.weights] == [weight.shape for weight in first.weights]:
        return replace(row, weights=())
    here, there = (", ".join(show(x.shape) for x in of.inputs if x is not None) for of in (row, first))
    message = f"`{first.node.name}` has weights for an input of {there}; called again it gets {here}."
    hint = "Give it an input of the same size, or declare a layer of its own here."
    return Row(row.node, row.inputs, error=ShapeError(message, hint=hint))


def _after_error(node: Node, row: Row) -> list[Tensor]:
    """Outputs that a node with an error may have: for an input that it can take, or its input as it is, without it."""
    x = row.inputs[0]
    if len(row.inputs) != 1 or x is None:
        return []
    low, high = node.layer.ranks
    rank = max(low, x.rank if high is None else min(x.rank, high))
    unknown = Tensor((*(None,) * (rank - 1), x.shape[-1] if x.rank > 1 and rank > 1 else None), x.dtype)
    output = _attempt(node, unknown)
    return [output, x] if isinstance(output, Tensor) else []


def _after_mending(node: Node, row: Row, inputs: list[Tensor]) -> tuple[Row, list[Tensor]]:
    """The row of a node after an error, and its possible outputs; it has an error of its own if it can take no input."""
    results = [_attempt(node, x) for x in inputs]
    outputs = [result for result in results if isinstance(result, Tensor)]
    if outputs or not results or not isinstance(results[0], RankError):
        return replace(row, error=None), outputs
    found = Row(node, (inputs[0],), error=results[0])
    return found, _after_error(node, found)


def _attempt(node: Node, x: Tensor) -> Tensor | ShapeError:
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


def _doubted(row: Row) -> Row:
    """The row with only what does not depend on sizes: of its errors, that of a wrong rank."""
    error = row.error if isinstance(row.error, RankError) and row.node.doubt != Doubt.RANK else None
    return replace(row, error=error, doubtful=True)


def _unknown(node: Node) -> Row:
    """A node whose input is unknown; a layer of the user's may still state its output."""
    inferred: Inferred | None = None
    if node.layer.family == "custom":
        inferred = node.layer.infer(())
    return Row(node, (None,) * len(node.inputs), inferred.outputs if inferred else ())


def total(counts: Iterable[int | None]) -> int | None:
    """The sum, or None where a part is unknown."""
    parts = list(counts)
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def byte_size(dtype: str) -> int:
    """Bytes of one scalar."""
    return _BYTES.get(dtype, 4)


def tensor_bytes(tensor: Tensor, batch_size: int) -> int:
    """Memory of a tensor of ``batch_size`` examples; an axis of unknown length counts as 1."""
    return batch_size * math.prod(dim or 1 for dim in tensor.shape[1:]) * byte_size(tensor.dtype)
