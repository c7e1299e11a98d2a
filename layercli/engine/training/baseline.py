"""Metrics of a constant prediction, against which the results of a training are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf

from layercli.check import ValidConfig
from layercli.data.examples import Splits
from layercli.data.target_averages import MAX_AVERAGED_CLASSES, average_targets
from layercli.data.types import Array
from layercli.engine.training.feed import Feed
from layercli.engine.training.log_values import order_logs
from layercli.engine.training.loop import Evaluator
from layercli.graph.output_activation import layer_activation
from layercli.graph.target_meaning import EMBEDDING_LOSSES, TargetMeaning, resolve_loss_name
from layercli.layers.shapes import Tensor
from layercli.schema.component import Component

MAX_CONSTANTS: Final = 10_000
"""Largest number of values of a prediction that a run keeps."""
_EPSILON: Final = 1e-7
"""The smallest probability: Keras's epsilon."""
_MAX_EAGER_STEPS: Final = 8
"""Steps that take less time than tracing a graph for them."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A constant prediction for each output of a model, learned from the training targets."""

    description: str
    """What it predicts: the "majority" class, the "mean" of numbers, or "majority or mean" with several outputs."""
    predictions: tuple[Array, ...]
    """A value for each unit, or for each position and unit, of each output."""

    def constants_to_json(self, titles: Sequence[str]) -> dict[str, Any]:
        """Return ``constants``: the prediction for one example of each output by its name; nothing if it is large."""
        if sum(each.size for each in self.predictions) > MAX_CONSTANTS:
            return {}
        pairs = zip(titles, self.predictions, strict=True)
        return {"constants": {title: prediction.tolist() for title, prediction in pairs}}

    def evaluate(
        self, model: Any, feed: Feed, metric_order: Sequence[str], *, max_steps_per_call: int
    ) -> dict[str, Any]:
        """Return the loss, without regularization, and the metrics of the prediction over a feed."""

        def run_step(data: Any) -> None:
            x, y, *weights = data
            examples = tf.shape(tf.nest.flatten(x)[0])[0]
            outputs = [
                _repeat_prediction(prediction, examples, output)
                for prediction, output in zip(self.predictions, model.outputs, strict=True)
            ]
            y_pred = outputs if len(outputs) > 1 else outputs[0]
            weight = weights[0] if weights else None
            loss = model._compile_loss(y, y_pred, weight)
            model._loss_tracker.update_state(loss, sample_weight=examples)
            model.compute_metrics(x, y, y_pred, sample_weight=weight)

        evaluator = Evaluator(
            model, max_steps_per_call=max_steps_per_call, step=run_step, max_eager_steps=_MAX_EAGER_STEPS
        )
        return order_logs(evaluator.evaluate(feed), metric_order)


def learn_baseline(model: Any, valid: ValidConfig, splits: Splits) -> Baseline | None:
    """Return the prediction of class frequencies and means.

    None if there is none for the loss of an output, or the size of an output is unknown.
    """
    graph, train, meanings = valid.graph, valid.config.train, splits.target_meanings
    outputs = []
    references = zip(graph.output_references, graph.outputs, graph.output_indices, model.outputs, strict=True)
    for title, name, pick, tensor in references:
        key = None if None in meanings else title
        loss = None if train is None else train.loss_of(title)
        row = valid.shapes.by_name.get(name)
        # Keras's own shape of text vectors has an axis too many.
        shape = tuple(tensor.shape) if row is None or not row.outputs else row.outputs[pick or 0].shape
        if loss is None or key not in meanings or None in shape[1:]:
            return None
        if resolve_loss_name(loss, Tensor(shape)) in EMBEDDING_LOSSES:
            return None
        activation = None if row is None else layer_activation(row)
        sizes = tuple(size for size in shape[1:] if size is not None)
        outputs.append(_BaselineOutput(key, meanings[key], loss, activation, sizes))
    classes = {each.key: each.shape[-1] for each in outputs if each.meaning.kind == "labels"}
    if max(classes.values(), default=0) > MAX_AVERAGED_CLASSES:
        return None
    ignored = {each.key: getattr(each.loss, "ignore_class", None) for each in outputs}
    averages = average_targets(splits.train, classes, ignored)
    kinds = {"mean" if each.meaning.kind in ("numbers", "probabilities") else "majority" for each in outputs}
    return Baseline(
        " or ".join(sorted(kinds)), tuple(each.predict_constant(averages[each.key]) for each in outputs)
    )


@dataclass(frozen=True, slots=True)
class _BaselineOutput:
    key: str | None
    """The name of its target; None for the only target."""
    meaning: TargetMeaning
    loss: str | Component
    activation: str | None
    shape: tuple[int, ...]
    """Shape of the output for one example."""

    def predict_constant(self, average: Array) -> Array:
        """Return the output that corresponds to the average of the target."""
        kind = self.meaning.kind
        if kind not in ("numbers", "probabilities") and kind != "labels" and self.meaning.has_positions:
            average = average.reshape(-1, average.shape[-1] if self.shape[-1] > 1 else 1).mean(axis=0)
        if kind == "signs":
            average = np.where(average >= 0, 1.0, -1.0)
        elif kind != "numbers" and getattr(self.loss, "from_logits", False):
            clipped = np.clip(average, _EPSILON, 1 - _EPSILON)
            is_choice = kind in ("labels", "one-hot", "probabilities")
            average = np.log(clipped) if is_choice else np.log(clipped / (1 - clipped))
        size = int(np.prod(self.shape))
        values = average.reshape(self.shape) if average.size == size else average
        return np.broadcast_to(values, self.shape).astype("float32")


def _repeat_prediction(prediction: Array, examples: Any, output: Any) -> Any:
    """Return the prediction for a number of examples, in the dtype of the output."""
    constant = tf.cast(tf.constant(prediction), output.dtype)
    return tf.broadcast_to(constant, tf.concat([[examples], tf.shape(constant)], 0))
