"""Check that model, data and training match; Keras reports a mismatch late or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from layercli.config.config import Config
from layercli.config.data.section import DataFacts, TargetFacts
from layercli.errors import Severity
from layercli.graph.build import format_reference
from layercli.graph.checks.loss import (
    ONE_HOT_LOSSES,
    LossCheck,
    argument_path,
    find_per_position_dense,
    layer_activation,
    make_per_position_finding,
    resolve_loss_name,
)
from layercli.graph.finding import Finding
from layercli.graph.shapes import ModelShapes, NodeShapes
from layercli.layers.shapes import Shape, Tensor, format_shape
from layercli.schema.component import snake_case
from layercli.schema.suggestions import did_you_mean, list_names
from layercli.source.nodes import KeyPath, sanitize_text

_SPARSE_METRICS = {
    "SparseCategoricalAccuracy": "CategoricalAccuracy",
    "SparseTopKCategoricalAccuracy": "TopKCategoricalAccuracy",
    "SparseCategoricalCrossentropy": "CategoricalCrossentropy",
}
"""Each metric for labels -> the same metric for one-hot targets."""
_ONE_HOT_METRICS = {one_hot: sparse for sparse, one_hot in _SPARSE_METRICS.items()} | dict.fromkeys(
    ("CategoricalHinge", "F1Score", "FBetaScore", "OneHotIoU", "OneHotMeanIoU"), None
)


def check_consistency(
    config: Config, shapes: ModelShapes, facts: DataFacts | None = None
) -> Iterator[Finding]:
    """Yield each mismatch between model, data and training.

    Args:
        config: The config.
        shapes: The shapes of its model.
        facts: Facts about the data after reading it; None uses the facts that the config declares.
    """
    yield from _check_single_unit_softmax(shapes, "error" if config.train else "warning")
    if facts is None and config.data is not None:
        facts = config.data.facts()
    outputs = shapes.graph.output_references
    name_findings = list(_check_target_names(config, outputs, facts))
    yield from name_findings
    if facts is not None and (name_findings or (len(outputs) > 1) != (facts.targets is not None)):
        return
    for index in range(len(outputs)):
        yield from _check_output(config, shapes, index, facts)
    yield from _check_accuracy_of_numbers(config, outputs, facts)
    if facts is not None and len(outputs) == 1:
        yield from _check_metric_encoding(config, shapes, facts)
    if facts is not None and config.data is not None and config.data.split.stratify:
        targets = [TargetFacts(facts.classes)] if facts.targets is None else facts.targets.values()
        if all(target.classes is None for target in targets):
            message = "`stratify` requires classes, but the target of this data set is a number."
            yield Finding(
                code="bad-split",
                message=message,
                path=("data", "split", "stratify"),
                hint="Remove `stratify`.",
            )


def one_hot_units(config: Config, shapes: ModelShapes, facts: DataFacts) -> dict[str | None, int]:
    """Return the units of each output with label targets and a loss that requires one-hot targets.

    The keys are the output names of the config, or None for the only output of data with one target.
    """
    graph, units = shapes.graph, {}
    for name, pick, title in zip(graph.outputs, graph.output_indices, graph.output_references, strict=True):
        output, target = shapes.output(name, pick), facts.target_of(title)
        if config.train is None or output is None or target is None or target.classes is None:
            continue
        size = output.shape[-1]
        loss = config.train.loss_of(title)
        if (
            loss
            and resolve_loss_name(loss, output) in ONE_HOT_LOSSES
            and not target.shape
            and size is not None
        ):
            units[None if facts.targets is None else title] = size
    return units


def _check_target_names(config: Config, outputs: Sequence[str], facts: DataFacts | None) -> Iterator[Finding]:
    """Yield a finding for each target without an output and each output without a target."""
    if config.data is None or config.train is None:
        return
    declared = getattr(config.data, "target", None)
    names = list(declared) if isinstance(declared, dict) else None
    if names is None and facts is not None and facts.targets is not None:
        names = list(facts.targets)
    path: KeyPath = ("data", "target")
    if names is not None:
        listed = list_names(outputs)
        for name in names:
            if name not in outputs:
                message = f"The data has a target `{sanitize_text(name, limit=60)}`, which is not an output of the model."
                hint = did_you_mean(name, outputs, otherwise=f"The outputs are {listed}.")
                yield Finding(
                    code="target-mismatch", message=message, path=(*path, name), hint=hint, at_key=True
                )
        for name in outputs:
            if name not in names:
                message = f"The data has no target for the model's output `{name}`."
                hint = f"Add it: `target: {{{name}: ...}}`."
                yield Finding(code="target-mismatch", message=message, path=path, hint=hint, at_key=True)
    elif len(outputs) > 1 and (facts is not None or declared is not None):
        hint = "Set `model.outputs` to one output."
        if declared is not None:
            hint = (
                "Declare one target for each output: `target: {"
                + ", ".join(f"{name}: ..." for name in outputs)
                + "}`."
            )
        message = f"The model has {len(outputs)} outputs, but the data has one target."
        yield Finding(code="target-mismatch", message=message, path=("model", "outputs"), hint=hint)


def _check_output(
    config: Config, shapes: ModelShapes, index: int, facts: DataFacts | None
) -> Iterator[Finding]:
    """Yield the mismatches between an output, its target and its loss."""
    graph = shapes.graph
    output = shapes.output(graph.outputs[index], graph.output_indices[index])
    if output is None:
        return
    reference = format_reference(graph.outputs[index], graph.output_indices[index])
    target = facts.target_of(reference) if facts is not None else None
    last_layer = shapes.by_name[graph.outputs[index]]
    if target is not None and target.shape:
        yield from _check_target_shape(config, last_layer, output, target.shape)
        return
    per_position_layer = find_per_position_dense(shapes) if output.rank > 2 else None
    if (
        target is None and per_position_layer is not None and output.rank > 3 and len(graph.outputs) == 1
    ):  # one result for each timestep is often intentional
        yield make_per_position_finding(per_position_layer, output, None)
    loss = config.train.loss_of(reference) if config.train is not None else None
    if loss is not None:
        yield from LossCheck(
            loss, resolve_loss_name(loss, output), output, last_layer, per_position_layer, target
        ).check_output()


def _check_target_shape(
    config: Config, last_layer: NodeShapes, output: Tensor, target: Shape
) -> Iterator[Finding]:
    """Yield a finding if an output differs in shape from its target, because Keras would broadcast them."""
    if config.train is None or _is_matching_target(output.shape[1:], target):
        return
    target_text = format_shape((None, *target))
    yield Finding(
        code="target-mismatch",
        message=f"The model's output has shape {format_shape(output.shape)}, but the target has shape {target_text}.",
        path=last_layer.node.path,
        hint="Change the last layer so that its output has the shape of the target.",
    )


def _is_matching_target(output: Shape, target: Shape) -> bool:
    return len(output) == len(target) and all(
        a is None or a == b for a, b in zip(output, target, strict=True)
    )


def _iterate_metric_paths(config: Config, outputs: Sequence[str]) -> Iterator[tuple[str, KeyPath, str]]:
    """Yield the output, the path and the name of each metric."""
    for key in ("metrics", "weighted_metrics"):
        section = getattr(config.train, key, [])
        by_output = section if isinstance(section, dict) else {None: section}
        for output, metrics in by_output.items():
            path: KeyPath = ("train", key) if output is None else ("train", key, output)
            for index, metric in enumerate(metrics):
                name = metric if isinstance(metric, str) else metric.type_name()
                yield output or outputs[0], (*path, index), name


def _check_accuracy_of_numbers(
    config: Config, outputs: Sequence[str], facts: DataFacts | None
) -> Iterator[Finding]:
    """Yield a finding for each accuracy metric of a number target."""
    for output, path, name in _iterate_metric_paths(config, outputs) if facts is not None else ():
        target = facts.target_of(output) if facts is not None else None
        if target is None or target.classes is not None:
            continue
        if name.lower() == "acc" or name.lower().endswith("accuracy"):
            yield Finding(
                code="wrong-metric",
                message=f"{name} counts correct classes, but the target is a number. The metric will be near 0.",
                path=path,
                hint="Use mean_absolute_error or R2Score.",
                severity="warning",
            )


def _check_metric_encoding(config: Config, shapes: ModelShapes, facts: DataFacts) -> Iterator[Finding]:
    """Yield a finding for each metric of one-hot targets that receives labels, and the reverse."""
    graph = shapes.graph
    one_hots = one_hot_units(config, shapes, facts)
    output_refs = dict(
        zip(graph.output_references, zip(graph.outputs, graph.output_indices, strict=True), strict=True)
    )
    for title, path, name in _iterate_metric_paths(config, graph.output_references):
        target = facts.target_of(title)
        output = shapes.output(*output_refs[title]) if title in output_refs else None
        has_many_units = output is not None and output.rank == 2 and output.shape[-1] not in (1, None)
        if target is None or target.classes is None or not has_many_units:
            continue
        is_one_hot = (None if facts.targets is None else title) in one_hots
        replacements = _SPARSE_METRICS if is_one_hot else _ONE_HOT_METRICS
        if name not in replacements:
            continue
        received = "one-hot targets, because the loss requires them" if is_one_hot else "labels"
        expected = "labels" if is_one_hot else "one-hot targets"
        replacement = replacements[name]
        hint = (
            f"Use {snake_case(replacement)}."
            if replacement
            else "Use `loss: categorical_crossentropy`, which converts the labels to one-hot targets."
        )
        message = f"{name} requires {expected}, but it receives {received}."
        yield Finding(code="wrong-metric", message=message, path=path, hint=hint)


def _check_single_unit_softmax(shapes: ModelShapes, severity: Severity) -> Iterator[Finding]:
    for row in shapes.rows:
        output = shapes.output(row.node.name)
        if (
            output is not None
            and output.rank > 1
            and output.shape[-1] == 1
            and layer_activation(row) == "softmax"
        ):
            yield Finding(
                code="softmax-of-one",
                message=f"softmax over the single unit of `{row.node.name}` is always 1, so the layer cannot learn.",
                path=argument_path(row, "activation"),
                hint="For two classes, use `activation: sigmoid` and the loss binary_crossentropy. For more classes, use one "
                "unit for each class.",
                severity=severity,
            )
