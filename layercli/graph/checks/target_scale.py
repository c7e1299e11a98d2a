"""Check layers that undo the normalization of a target, which they learn from the training targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from layercli.config.config import Config
from layercli.config.data.section import DataFacts
from layercli.config.training.losses import MeanSquaredError
from layercli.config.training.optimizers import SGD
from layercli.graph.adaptable import find_scaled_outputs
from layercli.graph.build import GraphNode
from layercli.graph.finding import Finding
from layercli.graph.shapes import ModelShapes
from layercli.graph.target_meaning import (
    BINARY_LOSSES,
    EMBEDDING_LOSSES,
    MARGIN_LOSSES,
    ONE_HOT_LOSSES,
    OVERLAP_LOSSES,
    SPARSE_LOSSES,
    resolve_loss_name,
)
from layercli.schema.component import snake_case
from layercli.schema.suggestions import list_names

_CLASS_LOSSES: Final = (
    SPARSE_LOSSES | ONE_HOT_LOSSES | BINARY_LOSSES | MARGIN_LOSSES | OVERLAP_LOSSES | EMBEDDING_LOSSES
)
_HALF_PRECISION: Final = ("float16", "bfloat16")
_MAX_RANGE_FOR_SGD: Final = 100
"""The gradient of a squared error grows with the target's range; SGD diverges from about this range."""
_CLIP_ARGUMENTS: Final = ("clipnorm", "clipvalue", "global_clipnorm")


def check_target_scale(
    config: Config, shapes: ModelShapes, facts: DataFacts | None, *, should_check_loss: bool
) -> Iterator[Finding]:
    """Yield a finding for each layer that cannot learn the mean and variance of a target, or that makes training fail.

    ``should_check_loss`` is false if a loss has a finding already.
    """
    if config.train is None:
        return
    nodes = {node.name: node for node in shapes.graph.nodes}
    for name, outputs in find_scaled_outputs(shapes.graph).items():
        problem = _check_outputs(config, nodes[name], [shapes.graph.output_references[i] for i in outputs])
        if problem is None and outputs and should_check_loss:
            problem = _check_target(config, shapes, nodes[name], outputs[0], facts)
        if problem is not None:
            yield problem
        elif outputs:
            yield from _check_precision(shapes, nodes[name])
            yield from _check_optimizer(config, shapes, outputs[0], facts)


def _check_outputs(config: Config, node: GraphNode, outputs: list[str]) -> Finding | None:
    """Return the finding for a layer that feeds no output, or several."""
    path = node.path if "invert" not in type(node.layer).model_fields else (*node.path, "invert")
    if node.type_name == "Pipeline":
        return Finding(
            code="target-scale",
            message=f"Normalization with `invert` in the Pipeline `{node.name}` cannot learn from the targets.",
            path=path,
            hint="Move it out of the Pipeline, to the layer after it.",
        )
    if len(outputs) > 1:
        return Finding(
            code="target-scale",
            message=f"`{node.name}` must feed one output to learn from its targets, but feeds {len(outputs)}: "
            f"{list_names(outputs)}.",
            path=path,
            hint="Declare a separate Normalization for each output.",
        )
    if not outputs and config.model.weights is None:  # otherwise the file has its mean and variance
        return Finding(
            code="target-scale",
            message=f"`{node.name}` must feed an output of the model to learn mean and variance from its targets.",
            path=path,
            hint="Make it the last layer, or add its mean and variance, for example `mean: 0.0` and `variance: 1.0`.",
        )
    return None


def _check_target(
    config: Config, shapes: ModelShapes, node: GraphNode, index: int, facts: DataFacts | None
) -> Finding | None:
    """Return the finding for an output whose target is a class."""
    graph = shapes.graph
    reference = graph.output_references[index]
    output = shapes.output(graph.outputs[index], graph.output_indices[index])
    loss = None if config.train is None else config.train.loss_of(reference)
    target = None if facts is None else facts.target_of(reference)
    name = "" if loss is None or output is None else resolve_loss_name(loss, output)
    if name in _CLASS_LOSSES:
        reason = f"{snake_case(name)} requires classes"
        hint = "Remove this layer, or use a loss for numbers, such as `loss: mean_squared_error`."
    elif target is not None and target.kind == "labels":
        reason = (
            "the target is a class" if target.classes is None else f"the target has {target.classes} classes"
        )
        hint = "Remove this layer. For numbers, set `target_type: numbers` under `data:`."
    else:
        return None
    return Finding(
        code="target-scale",
        message=f"`{node.name}` learns the mean of a target of numbers, but {reason}.",
        path=node.path,
        hint=hint,
    )


def _check_precision(shapes: ModelShapes, node: GraphNode) -> Iterator[Finding]:
    outputs = shapes.by_name[node.name].outputs
    if outputs and outputs[0].dtype in _HALF_PRECISION:
        limit = "at most 65504, with 3 digits" if outputs[0].dtype == "float16" else "with 2 digits"
        yield Finding(
            code="target-scale",
            message=f"`{node.name}` returns predictions in the target's units as {outputs[0].dtype}: numbers {limit}.",
            path=node.path,
            hint="Add `dtype: float32` to this layer.",
            severity="warning",
        )


def _check_optimizer(
    config: Config, shapes: ModelShapes, index: int, facts: DataFacts | None
) -> Iterator[Finding]:
    """Yield a finding for SGD on a squared error in large units: its steps grow with the target's variance."""
    reference = shapes.graph.output_references[index]
    target = None if facts is None else facts.target_of(reference)
    train = config.train
    if train is None or target is None or target.values is None:
        return
    optimizer, values = train.optimizer, target.values
    if (
        isinstance(optimizer, SGD)
        and isinstance(train.loss_of(reference), MeanSquaredError)
        and not any(getattr(optimizer, name, None) for name in _CLIP_ARGUMENTS)
        and values.high - values.low > _MAX_RANGE_FOR_SGD
    ):
        yield Finding(
            code="target-scale",
            message=f"The loss is in the target's units, from {values.low:g} to {values.high:g}, so the steps of SGD are "
            "too large.",
            path=("train", "optimizer"),
            hint="Use `optimizer: Adam`, whose steps do not depend on the units.",
            severity="warning",
        )
