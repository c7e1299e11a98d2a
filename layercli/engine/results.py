"""The results of a model over examples, for each output by the meaning of its target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from keras.src.backend import get_keras_mask  # not public

from layercli.check import ValidConfig
from layercli.config.training.section import TrainSection
from layercli.data.evaluation.classes import ClassResult, LabelResult
from layercli.data.evaluation.errors import ErrorResult
from layercli.data.evaluation.scores import ScoreResult
from layercli.data.examples import Examples, Subset
from layercli.data.types import Array, Inputs
from layercli.engine.adapt import to_keras_inputs
from layercli.graph.target_meaning import (
    BINARY_LOSSES,
    MARGIN_LOSSES,
    TargetMeaning,
    resolve_loss_name,
)
from layercli.layers.shapes import Shape, Tensor
from layercli.schema.component import Component

MAX_CLASSES = 50_000
"""Largest number of classes for which results of each class are computed."""
Result: TypeAlias = ClassResult | LabelResult | ErrorResult


@dataclass(slots=True)
class OutputResults:
    """The results of one output; ``scores`` only for two classes."""

    meaning: TargetMeaning
    loss: str | Component | None
    result: Result
    scores: ScoreResult | None = None

    def add(self, target: Array, output: Array, mask: Array | None) -> None:
        """Add a batch: a target and an output of shapes (samples, ...), and a mask of positions, (samples, positions)."""
        kind = self.meaning.kind
        if isinstance(self.result, ErrorResult):
            self.result.add(target.reshape(output.shape), output)
            return
        if isinstance(self.result, LabelResult):
            threshold = 0.0 if is_logits(self.loss) else 0.5
            self.result.add(target.reshape(output.shape) > 0.5, output > threshold)
            return
        if kind in ("binary", "signs"):
            true = target.reshape(output.shape) > (0.5 if kind == "binary" else 0)
            scores = output
            if kind == "binary" and is_logits(self.loss):
                scores = 1 / (1 + np.exp(-np.clip(output.astype(np.float64), -700, 700)))
            predicted = scores > (0.5 if kind == "binary" else 0)
        else:
            scores = None
            predicted = output.argmax(-1)
            true = target.argmax(-1) if kind in ("one-hot", "probabilities") else target.astype(np.int64)
            true = true.reshape(predicted.shape)
        is_used = np.ones(true.shape, bool)
        if scores is None:
            is_used &= (true >= 0) & (true < output.shape[-1])
        if mask is not None and mask.shape == true.shape[: mask.ndim]:
            is_used &= mask.reshape(mask.shape + (1,) * (true.ndim - mask.ndim))
        ignored = getattr(self.loss, "ignore_class", None)
        if ignored is not None:
            is_used &= true != ignored
        self.result.add(true[is_used], predicted[is_used])
        if self.scores is not None and scores is not None:
            self.scores.add(true[is_used], scores[is_used])

    def to_json(self) -> dict[str, Any]:
        if isinstance(self.result, ClassResult) and self.result.is_empty:
            return {}
        document = self.result.to_json()
        if self.scores is not None:
            document["scores"] = self.scores.to_json()
        return document


Predictor: TypeAlias = Callable[[Inputs], list[tuple[Array, Array | None]]]
"""Returns the outputs of a model for inputs, each with the mask of its positions."""
Observer: TypeAlias = Callable[[str, OutputResults, Examples, Array, Array, Array | None], None]
"""Gets the name and the results of an output, and a batch with the target, the output and the mask of its positions."""


def is_logits(loss: str | Component | None) -> bool:
    return bool(getattr(loss, "from_logits", False))


def collect_results(
    model: Any,
    valid: ValidConfig,
    train: TrainSection,
    subset: Subset,
    meanings: Mapping[str | None, TargetMeaning],
    observe: Observer | None = None,
    predict: Predictor | None = None,
) -> dict[str, Any]:
    """Return the results of each output whose target has a meaning: in ``outputs``; without names for a single output.

    Weights of examples are not used. ``observe`` gets each batch of each such output. ``predict`` is the
    model as ``make_predictor`` returns it, if it is used elsewhere, too.
    """
    class_names = subset.empty_batch.class_names_of
    titles = valid.graph.output_references
    results: dict[str, OutputResults] = {}
    for batch, outputs in _predict_batches(predict or make_predictor(model), subset, train.batch_size):
        targets = dict(batch.targets)
        for title, (output, mask) in zip(titles, outputs, strict=True):
            key = title if title in targets else None
            if key not in targets or key not in meanings:
                continue
            if title not in results:
                loss = train.loss_of(title)
                meaning = _fit_meaning(meanings[key], loss, output)
                made = _make_results(meaning, loss, output, class_names(key))
                if made is None:
                    continue
                results[title] = made
            results[title].add(targets[key], output, mask)
            if observe is not None:
                observe(title, results[title], batch, targets[key], output, mask)
    documents = {title: result.to_json() for title, result in results.items()}
    return {"outputs": documents} if len(titles) > 1 else documents.get(titles[0], {})


def make_predictor(model: Any) -> Predictor:
    """Return a function from inputs to the outputs of a model, each with the mask of its positions; it is compiled once."""
    compiled: Any = None

    def call_model(x: Any) -> Any:
        outputs = tf.nest.flatten(model(x, training=False))
        return [(output, get_keras_mask(output)) for output in outputs]

    def predict(x: Inputs) -> list[tuple[Array, Array | None]]:
        nonlocal compiled
        tensors = tf.nest.map_structure(tf.convert_to_tensor, to_keras_inputs(x))
        if compiled is None:
            compiled = tf.function(call_model, input_signature=[_make_signature(model, tensors)])
        pairs = compiled(tensors)
        return [(np.asarray(output), None if mask is None else np.asarray(mask)) for output, mask in pairs]

    return predict


def _make_signature(model: Any, tensors: Any) -> Any:
    """Return the shapes and dtypes of all inputs: sizes that the model leaves open stay open."""
    shapes = {x.name: x.shape for x in model.inputs}

    def make_spec(tensor: Any, shape: Shape) -> Any:
        sizes = list(tensor.shape)
        known = shape if len(shape) == len(sizes) else sizes
        return tf.TensorSpec(
            [
                None,
                *(size if is_fixed else None for size, is_fixed in zip(sizes[1:], known[1:], strict=True)),
            ],
            tensor.dtype,
        )

    if isinstance(tensors, dict):
        return {name: make_spec(tensor, shapes.get(name, ())) for name, tensor in tensors.items()}
    return make_spec(tensors, model.inputs[0].shape)


def _predict_batches(
    predict: Predictor, subset: Subset, batch_size: int
) -> Iterator[tuple[Examples, list[tuple[Array, Array | None]]]]:
    """Yield each batch, and each output with its mask."""
    for batch in subset.batches(batch_size):
        yield batch, predict(batch.x)


def _fit_meaning(meaning: TargetMeaning, loss: str | Component | None, output: Array) -> TargetMeaning:
    """Return the meaning of labels for an output of one unit, whose shape may have been unknown before it was computed."""
    if meaning.kind not in ("labels", "one-hot") or output.ndim < 2 or output.shape[-1] != 1:
        return meaning
    name = "" if loss is None else resolve_loss_name(loss, Tensor(output.shape, str(output.dtype)))
    if name in BINARY_LOSSES:
        return replace(meaning, kind="binary", classes=2)
    return replace(meaning, kind="signs" if name in MARGIN_LOSSES else "numbers", classes=None)


def _make_results(
    meaning: TargetMeaning, loss: str | Component | None, output: Array, names: tuple[str, ...] | None
) -> OutputResults | None:
    """Return empty results for an output of shape (samples, ...), or None if there are too many classes."""
    kind = meaning.kind
    if kind == "numbers" or (kind == "probabilities" and output.ndim < 2):
        return OutputResults(meaning, loss, ErrorResult())
    size = 2 if kind in ("binary", "signs") else output.shape[-1]
    if size > MAX_CLASSES:
        return None
    if names is None or len(names) != size:
        names = ("-1", "1") if kind == "signs" else tuple(map(str, range(size)))
    if kind == "multi-label":
        return OutputResults(meaning, loss, LabelResult(names))
    scores = None
    if kind in ("binary", "signs"):
        scores = ScoreResult(is_probability=kind == "binary")
    return OutputResults(meaning, loss, ClassResult(names, has_positions=meaning.has_positions), scores)
