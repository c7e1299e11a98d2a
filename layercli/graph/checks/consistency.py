"""Check that model, data and training match; Keras reports a mismatch late or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from layercli.config.config import Config
from layercli.config.data.section import DataFacts
from layercli.errors import Severity
from layercli.graph.build import format_reference
from layercli.graph.checks.loss import (
    LossCheck,
    argument_path,
    find_per_position_dense,
    make_per_position_finding,
)
from layercli.graph.checks.metrics import check_metrics
from layercli.graph.checks.schedules import check_schedule_length
from layercli.graph.checks.target_scale import check_target_scale
from layercli.graph.finding import Finding
from layercli.graph.output_activation import layer_activation
from layercli.graph.paired_augmentation import check_moved_targets
from layercli.graph.shapes import ModelShapes
from layercli.graph.target_meaning import TargetMeaning, resolve_target_meanings
from layercli.schema.suggestions import did_you_mean, list_names
from layercli.source.nodes import KeyPath, sanitize_text


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
    if config.train is not None:
        yield from _check_single_tensors(shapes)
    if facts is None and config.data is not None:
        facts = config.data.facts()
    outputs = shapes.graph.output_references
    name_findings = list(_check_target_names(config, outputs, facts))
    yield from name_findings
    if facts is not None and (name_findings or (len(outputs) > 1) != (facts.targets is not None)):
        return
    findings = [
        finding
        for index in range(len(outputs))
        for finding in _check_output(config, shapes, index, facts, has_target=not name_findings)
    ]
    yield from findings
    yield from check_metrics(config, shapes, facts)
    has_loss_errors = any(finding.severity == "error" for finding in findings)
    yield from check_target_scale(config, shapes, facts, should_check_loss=not has_loss_errors)
    yield from check_moved_targets(config, shapes, facts)
    yield from check_schedule_length(config, facts)
    if facts is not None:
        yield from _check_class_settings(config, resolve_target_meanings(config, shapes, facts))


def _check_single_tensors(shapes: ModelShapes) -> Iterator[Finding]:
    """Yield a finding for each output of a trained model that is several tensors: a loss compares one with the targets."""
    graph = shapes.graph
    for name, pick in zip(graph.outputs, graph.output_indices, strict=True):
        row = shapes.by_name.get(name)
        if row is None or pick is not None or len(row.outputs) < 2:
            continue
        outputs = [f"{name}:0" if each == name else each for each in graph.output_references]
        written = outputs[0] if len(outputs) == 1 else f"[{', '.join(outputs)}]"
        yield Finding(
            code="shape-mismatch",
            message=f"An output of a model that is trained must be one tensor, but `{name}` returns {len(row.outputs)}.",
            path=row.node.path,
            hint=f"Write `outputs: {written}` in `model` to train its first output.",
        )


def _check_class_settings(config: Config, meanings: Mapping[str | None, TargetMeaning]) -> Iterator[Finding]:
    """Yield a finding for `stratify` and `class_weight` if no target has one class for each example."""
    if not meanings or any(meaning.is_one_class for meaning in meanings.values()):
        return
    reason = _describe_classless_target(next(iter(meanings.values())))
    if config.data is not None and config.data.split.stratify:
        yield Finding(
            code="bad-split",
            message=f"`stratify` requires one class for each example, but {reason}.",
            path=("data", "split", "stratify"),
            hint="Remove `stratify`.",
        )
    if config.train is not None and config.train.class_weight is not None and len(meanings) == 1:
        yield Finding(
            code="bad-argument",
            message=f"`class_weight` requires one class for each example, but {reason}.",
            path=("train", "class_weight"),
            hint="Remove it, or give each example a weight in the data with `weights`.",
        )


def _describe_classless_target(meaning: TargetMeaning) -> str:
    if meaning.has_positions and meaning.kind != "numbers":
        return "the target has a class for each of several positions"
    return "an example can have several labels" if meaning.kind == "multi-label" else "the target is a number"


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
    config: Config, shapes: ModelShapes, index: int, facts: DataFacts | None, *, has_target: bool
) -> Iterator[Finding]:
    """Yield the mismatches between an output, its target and its loss; ``has_target`` is whether the data names its target."""
    graph = shapes.graph
    output = shapes.output(graph.outputs[index], graph.output_indices[index])
    if output is None:
        return
    reference = format_reference(graph.outputs[index], graph.output_indices[index])
    target = config.data.find_declared_target(reference) if config.data is not None and has_target else None
    if facts is not None:
        target = facts.target_of(reference)
    last_layer = shapes.by_name[graph.outputs[index]]
    sized_layer = last_layer
    while sized_layer.node.type_name == "Normalization" and sized_layer.inputs:
        before = shapes.by_name.get(sized_layer.node.inputs[0])
        if before is None:
            break
        sized_layer = before
    per_position_layer = find_per_position_dense(shapes) if output.rank > 2 else None
    has_unknown_positions = config.data is not None and config.data.may_have_positions
    is_alone = target is None and len(graph.outputs) == 1 and not has_unknown_positions
    if (
        per_position_layer is not None and is_alone and output.rank > 3
    ):  # results for timesteps are often intentional
        yield make_per_position_finding(per_position_layer, output, None)
    loss = config.train.loss_of(reference) if config.train is not None else None
    if loss is not None:
        yield from LossCheck(
            loss,
            output,
            last_layer,
            sized_layer,
            per_position_layer,
            target,
            reference if facts is not None and facts.targets is not None else None,
            isinstance(config.train.loss, dict) if config.train is not None else False,
        ).check_output()


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
