"""Checks of ``train.stages``."""

from __future__ import annotations

from collections.abc import Iterator

from layercli.config.training.callbacks import MLflow, iterate_output_paths
from layercli.config.training.section import TrainSection
from layercli.graph.build import check_freeze_patterns
from layercli.graph.finding import Finding
from layercli.graph.shapes import ModelShapes
from layercli.graph.stages import find_stage_frozen_names, plan_stages
from layercli.source.nodes import KeyPath


def check_stages(train: TrainSection | None, shapes: ModelShapes) -> Iterator[Finding]:
    """Yield a finding for each stage that trains nothing, or that cannot follow the one before."""
    if train is None or train.stages is None:
        return
    names = [node.name for node in shapes.graph.nodes]
    for index, stage in enumerate(train.stages):
        yield from check_freeze_patterns(stage.freeze, names, ("train", "stages", index, "freeze"))
    yield from _check_trained_layers(train, shapes)
    yield from _check_averages(train, shapes)
    yield from _check_callbacks(train)


def _check_trained_layers(train: TrainSection, shapes: ModelShapes) -> Iterator[Finding]:
    for index, plan in enumerate(plan_stages(train, shapes)):
        if plan.trainable == 0:
            path: KeyPath = ("train", "stages", index)
            reason = "`freeze` matches every layer with weights to train" if plan.frozen else "all are frozen"
            yield Finding(
                code="nothing-to-train",
                message=f"Stage {plan.number} must train at least one weight, but {reason}.",
                path=(*path, "freeze") if plan.frozen else path,
                hint=f"Remove {_list_last(plan.frozen)} from `freeze`."
                if plan.frozen
                else "Remove a layer from `model.freeze`, or `trainable: false` from a layer.",
            )


def _list_last(frozen: tuple[str, ...]) -> str:
    return f"the name or pattern of `{frozen[-1]}`"


def _check_averages(train: TrainSection, shapes: ModelShapes) -> Iterator[Finding]:
    """Yield a finding for an optimizer with averages that continues with other layers: it would average frozen weights."""
    for index in range(1, len(train.stages or ())):
        optimizer, _ = train.optimizer_in_stage(index)
        is_continued = train.stages_with_optimizer_of(index).start < index
        before, after = (find_stage_frozen_names(train, shapes.graph, each) for each in (index - 1, index))
        if is_continued and before != after and getattr(optimizer, "use_ema", False):
            yield Finding(
                code="bad-argument",
                message=f"Stage {index + 1} trains other layers than stage {index} with the same optimizer, whose `use_ema` "
                "averages the weights of both.",
                path=("train", "stages", index),
                hint=f"Add an `optimizer` to stage {index + 1}, such as `optimizer: {{type: Adam, use_ema: true}}`.",
            )


def _check_callbacks(train: TrainSection) -> Iterator[Finding]:
    """Yield a finding for each callback of a stage that writes where another one writes, or that logs a whole run."""
    known = set(iterate_output_paths(train.callbacks))
    for callback, path, stage in train.iterate_callbacks():
        if stage is None:
            continue
        if isinstance(callback, MLflow):
            yield Finding(
                code="bad-argument",
                message="MLflow logs a training as one run, so it cannot be a callback of a stage.",
                path=path,
                hint="Move it to `callbacks` of `train`.",
            )
            continue
        for name in iterate_output_paths([callback]):
            if name in known:
                key = "filename" if "filename" in type(callback).model_fields else "log_dir"
                yield Finding(
                    code="bad-path",
                    message=f"`{key}` must be a path that no other callback writes, got {name}.",
                    path=(*path, key),
                    hint=f"For example `{key}: stage_{stage + 1}_{name.replace('/', '_')}`.",
                )
            known.add(name)
