"""The metrics of a config, adapted to the targets and predictions that they receive.

Keras compares whatever it receives: class numbers with probabilities, or logits with a threshold for probabilities. The
declarations in the metric classes decide what fits; this module describes the output and its target to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from layercli.config.config import Config
from layercli.config.data.section import DataFacts
from layercli.config.training.custom_objects import CustomObject
from layercli.config.training.metric_inputs import (
    LogitsActivation,
    MetricInputs,
    MetricMismatchError,
    TargetForm,
)
from layercli.config.training.metrics import ACCURACY_TYPES, COMPLETED_ARGUMENTS, Accuracy, Metric
from layercli.config.training.registry import METRICS
from layercli.graph.output_activation import layer_activation
from layercli.graph.output_kind import PROBABILITY_ACTIVATIONS
from layercli.graph.shapes import ModelShapes
from layercli.graph.target_meaning import (
    BINARY_LOSSES,
    EMBEDDING_LOSSES,
    MARGIN_LOSSES,
    ONE_HOT_LOSSES,
    SPARSE_LOSSES,
    TargetMeaning,
    resolve_loss_name,
    resolve_target_meanings,
)
from layercli.layers.minimal_arguments import is_default_argument
from layercli.layers.shapes import Tensor
from layercli.schema.component import Component
from layercli.source.nodes import KeyPath

_METRIC_KEYS: Final = ("metrics", "weighted_metrics")


class AdaptedMetric(NamedTuple):
    """One metric of a config, and what it becomes for the target and predictions of its output."""

    path: KeyPath
    declared: str | Component
    inputs: MetricInputs | None
    """None if the target is unknown, or the loss cannot use it."""
    adapted: str | Component
    """The declared one if it cannot be adapted."""
    mismatch: MetricMismatchError | None = None
    """The reason why the metric cannot measure its inputs."""


def adapt_metrics(
    config: Config, shapes: ModelShapes, facts: DataFacts | None = None
) -> Iterator[AdaptedMetric]:
    """Yield each metric of a config, adapted if its inputs are known.

    Args:
        config: The config.
        shapes: The shapes of its model.
        facts: Facts about the data; None uses only what the losses determine.
    """
    inputs_by_output = describe_metric_inputs(config, shapes, facts)
    outputs = shapes.graph.output_references
    for path, metric in iterate_metrics(config):
        has_output_name = len(path) > 3
        inputs = inputs_by_output.get(str(path[2]) if has_output_name else outputs[0] if outputs else "")
        if inputs is not None and path[1] == "weighted_metrics":
            inputs = replace(inputs, is_weighted=True)
        yield _adapt(metric, inputs, path)


def complete_metrics(config: Config, shapes: ModelShapes, facts: DataFacts | None) -> Config:
    """Return the config with each metric as it measures its output correctly."""
    return _replace_metrics(
        config,
        {metric.path: metric.adapted for metric in adapt_metrics(config, shapes, facts)},
    )


def adopt_completed_metrics(before: Config, after: Config) -> Config:
    """Return the config ``after`` with the metrics that training completed in ``before``, where only these differ."""
    completed = dict(iterate_metrics(before))
    return _replace_metrics(
        after,
        {
            path: completed[path]
            for path, metric in iterate_metrics(after)
            if path in completed and _is_completion(completed[path], metric)
        },
    )


def iterate_metrics(config: Config) -> Iterator[tuple[KeyPath, str | Component]]:
    """Yield each metric of a config with its path."""
    for key in _METRIC_KEYS:
        section = getattr(config.train, key, [])
        for output, metrics in section.items() if isinstance(section, dict) else [(None, section)]:
            path: KeyPath = ("train", key) if output is None else ("train", key, output)
            yield from (((*path, index), metric) for index, metric in enumerate(metrics))


def _replace_metrics(config: Config, replacements: Mapping[KeyPath, str | Component]) -> Config:
    """Return the config with the metrics at some paths replaced."""
    if config.train is None or not replacements:
        return config
    sections: dict[str, Any] = {}
    for key in _METRIC_KEYS:
        section = getattr(config.train, key)
        sections[key] = (
            {output: list(metrics) for output, metrics in section.items()}
            if isinstance(section, dict)
            else list(section)
        )
    for (_, section_key, *places), replacement in replacements.items():
        metrics: Any = sections[str(section_key)]
        for output in places[:-1]:
            metrics = metrics[output]
        metrics[places[-1]] = replacement
    return config.model_copy(update={"train": config.train.model_copy(update=sections)})


def _is_completion(completed: str | Component, declared: str | Component) -> bool:
    """Return whether training can have made the first metric of the second."""
    if isinstance(declared, str):
        return isinstance(completed, Component) and completed.arguments()["name"] == declared
    if isinstance(completed, str):
        return False
    is_chosen_accuracy = isinstance(declared, Accuracy) and completed.type_name() in ACCURACY_TYPES
    if type(completed) is not type(declared) and not is_chosen_accuracy:
        return False
    declared_arguments = declared.arguments()
    return all(
        value == declared_arguments.get(name)
        or (
            name in COMPLETED_ARGUMENTS
            and (name not in declared_arguments or is_default_argument(declared, name))
        )
        for name, value in completed.arguments().items()
    )


def adapt_metric(metric: str | Component, inputs: MetricInputs) -> str | Component:
    """Return a metric that measures the inputs correctly.

    Raises:
        MetricMismatchError: the metric cannot measure them.
    """
    if isinstance(metric, str) and _is_accuracy_wrong_in_keras(inputs):
        metric = METRICS.load("Accuracy").model_validate({"name": metric})
    if isinstance(metric, Accuracy):
        if inputs.form == "numbers" and not inputs.are_fractions:
            return metric  # the target is not classes
        metric = METRICS.load(metric.choose_type(inputs)).model_validate(metric.arguments())
    return metric.adapt(inputs) if isinstance(metric, Metric) else metric


def _is_accuracy_wrong_in_keras(inputs: MetricInputs) -> bool:
    """Return whether Keras chooses a wrong class or threshold for `accuracy`."""
    if inputs.form == "labels":
        return inputs.ignore_class is not None
    is_binary_logit = inputs.form == "binary" and inputs.logits is not None
    return inputs.form in ("multi-label", "signs") or is_binary_logit or inputs.are_fractions


def describe_metric_inputs(
    config: Config, shapes: ModelShapes, facts: DataFacts | None
) -> Mapping[str, MetricInputs]:
    """Return what the metrics of each output receive; an output whose target is unknown has no entry."""
    graph, train = shapes.graph, config.train
    if train is None:
        return {}
    meanings = {} if facts is None else resolve_target_meanings(config, shapes, facts)
    described: dict[str, MetricInputs] = {}
    for name, pick, title in zip(graph.outputs, graph.output_indices, graph.output_references, strict=True):
        loss, output = train.loss_of(title), shapes.output(name, pick)
        if loss is None or output is None or output.rank < 2:
            continue
        if facts is None or facts.target_of(title) is None:
            meaning = _assume_meaning(loss, output)
        else:
            meaning = meanings.get(None if facts.targets is None else title)
        if meaning is not None:
            activation = layer_activation(shapes.by_name[name])
            inputs = _describe_output(meaning, loss, output, activation)
            if inputs is not None:
                described[title] = inputs
    return described


def _adapt(metric: str | Component, inputs: MetricInputs | None, path: KeyPath) -> AdaptedMetric:
    if inputs is None:
        return AdaptedMetric(path, metric, None, metric)
    try:
        return AdaptedMetric(path, metric, inputs, adapt_metric(metric, inputs))
    except MetricMismatchError as mismatch:
        return AdaptedMetric(path, metric, inputs, metric, mismatch)


def _assume_meaning(loss: str | Component, output: Tensor) -> TargetMeaning | None:
    """Return the meaning that a loss determines for any target, or None."""
    loss_name, units, position_axes = resolve_loss_name(loss, output), output.shape[-1], output.rank - 2
    if isinstance(loss, str) and units != 1:
        return None  # class numbers or one-hot targets
    if loss_name in SPARSE_LOSSES:
        return TargetMeaning("labels", units, position_axes)
    if loss_name in ONE_HOT_LOSSES:
        return TargetMeaning("one-hot", units, position_axes)
    if loss_name in BINARY_LOSSES and units == 1:
        return TargetMeaning("binary", 2, position_axes)
    return None


def _describe_output(
    meaning: TargetMeaning, loss: str | Component, output: Tensor, activation: str | None
) -> MetricInputs | None:
    loss_name, units = resolve_loss_name(loss, output), output.shape[-1]
    is_custom_of_classes = isinstance(loss, CustomObject) and meaning.kind in ("labels", "one-hot")
    is_class_loss = loss_name in SPARSE_LOSSES | ONE_HOT_LOSSES or is_custom_of_classes
    has_other_axis = is_class_loss and getattr(loss, "axis", -1) not in (-1, output.rank - 1)
    if loss_name in EMBEDDING_LOSSES or has_other_axis:
        return None
    form: TargetForm = meaning.kind
    if form == "labels" and loss_name not in SPARSE_LOSSES and not isinstance(loss, CustomObject):
        form = "numbers"  # the model predicts the class number as a quantity
    if form == "numbers" and activation == "softmax" and units != 1:
        form = "probabilities"
    return MetricInputs(
        form=form,
        units=units,
        position_axes=output.rank - 2,
        activation=activation,
        logits=_find_logits_activation(loss, loss_name, activation),
        has_one_class=is_class_loss or activation == "softmax",
        is_converted=meaning.is_converted,
        are_fractions=meaning.are_fractions and form == "numbers",
        ignore_class=getattr(loss, "ignore_class", None),
    )


def _find_logits_activation(
    loss: str | Component, loss_name: str, activation: str | None
) -> LogitsActivation | None:
    """Return the function that makes probabilities of the predictions; None if they are not logits."""
    is_margin_loss = loss_name in MARGIN_LOSSES or loss_name == "CategoricalHinge"
    if not getattr(loss, "from_logits", False) and (
        not is_margin_loss or activation in PROBABILITY_ACTIVATIONS
    ):
        return None
    return "sigmoid" if loss_name in BINARY_LOSSES | MARGIN_LOSSES else "softmax"
