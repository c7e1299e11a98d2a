"""The outputs of a model for a batch, with the classes that they predict; predictions and results use the same values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from keras.src.backend import get_keras_mask  # not public

from layercli.check import ValidConfig
from layercli.data.examples import Examples
from layercli.data.types import Array
from layercli.engine.adapt import to_keras_inputs
from layercli.graph.output_activation import layer_activation
from layercli.graph.output_kind import OutputKind, infer_output_kind
from layercli.graph.target_meaning import TargetKind
from layercli.layers.shapes import Shape

Output: TypeAlias = tuple[Array, Array | None]
"""An output of shape (samples, ..., units), and its mask of shape (samples, positions), if it has one."""


@dataclass(frozen=True, slots=True)
class OutputValues:
    """The scores of an output and the classes that they mean."""

    scores: Array
    """Probabilities where the output has them, otherwise the values unchanged: of the output's shape."""
    predicted: Array | None
    """The class number of each example or position, of shape (samples, ...); for labels, whether each is predicted, of the
    output's shape; None for numbers."""


def interpret_output(output: Array, kind: OutputKind) -> OutputValues:
    """Return the scores and the predicted classes of an output of shape (samples, ..., units)."""
    scores = output
    if kind.logits is not None:
        values = output.astype(np.float32)
        scores = (tf.nn.softmax(values) if kind.logits == "softmax" else tf.sigmoid(values)).numpy()
    threshold = 0.0 if kind.logits == "sigmoid" else kind.threshold  # the logit of 0.5
    if kind.kind == "classes":
        return OutputValues(scores, output.argmax(axis=-1))
    if kind.kind in ("two", "sign"):
        return OutputValues(scores, (output[..., 0] > threshold).astype(np.int64))
    return OutputValues(scores, output > threshold if kind.kind == "labels" else None)


def find_output_kind(
    valid: ValidConfig, index: int, output: Array, target_kind: TargetKind | None
) -> OutputKind:
    """Return the kind of an output of shape (samples, ..., units), which is one of those of the model."""
    graph = valid.graph
    return infer_output_kind(
        valid.config,
        graph.output_references[index],
        (None, *output.shape[1:]),
        target_kind=target_kind,
        activation=layer_activation(valid.shapes.by_name[graph.outputs[index]]),
    )


Predictor: TypeAlias = Callable[[Examples], list[Output]]
"""Computes the outputs of a batch."""


def make_predictor(model: Any) -> Predictor:
    """Return a function that computes the outputs of a batch; it is compiled once."""
    call: Any = None

    def call_model(x: Any) -> Any:
        pairs = [(output, get_keras_mask(output)) for output in tf.nest.flatten(model(x, training=False))]
        # NumPy has no bfloat16
        return [
            (tf.cast(output, tf.float32) if output.dtype == tf.bfloat16 else output, mask)
            for output, mask in pairs
        ]

    def predict(batch: Examples) -> list[Output]:
        nonlocal call
        tensors = tf.nest.map_structure(tf.convert_to_tensor, to_keras_inputs(batch.x))
        if call is None:
            call = tf.function(call_model, input_signature=[_make_signature(model, tensors)])
        pairs = call(tensors)
        return [(np.asarray(output), None if mask is None else np.asarray(mask)) for output, mask in pairs]

    return predict


def _make_signature(model: Any, tensors: Any) -> Any:
    """Return the shapes and dtypes of all inputs: sizes that the model leaves open stay open."""
    shapes = {x.name: x.shape for x in model.inputs}

    def make_spec(tensor: Any, shape: Shape) -> Any:
        sizes = list(tensor.shape)
        known = shape if len(shape) == len(sizes) else sizes
        open_sizes = [size if is_fixed else None for size, is_fixed in zip(sizes[1:], known[1:], strict=True)]
        return tf.TensorSpec([None, *open_sizes], tensor.dtype)

    if isinstance(tensors, dict):
        return {name: make_spec(tensor, shapes.get(name, ())) for name, tensor in tensors.items()}
    return make_spec(tensors, model.inputs[0].shape)
