"""The outputs of a model for a batch, with the classes that they predict; predictions and results use the same values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

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

    def predict(batch: Examples) -> list[Output]:
        nonlocal call
        tensors = tf.nest.map_structure(tf.convert_to_tensor, to_keras_inputs(batch.x))
        if call is None:
            signature = _make_signature(model, tensors)
            call = tf.function(partial(_call_model, model), input_signature=[signature])
        pairs = call(tensors)
        return [(np.asarray(output), None if mask is None else np.asarray(mask)) for output, mask in pairs]

    return predict


def _call_model(model: Any, x: Any) -> list[tuple[Any, Any]]:
    """Return the tensor and the mask of each output."""
    pairs = [(output, get_keras_mask(output)) for output in tf.nest.flatten(model(x, training=False))]
    # NumPy has no bfloat16
    return [
        (tf.cast(output, tf.float32) if output.dtype == tf.bfloat16 else output, mask)
        for output, mask in pairs
    ]


GroupPredictor: TypeAlias = Callable[[Sequence[Examples]], list[list[Array]]]
"""Computes the outputs of batches that have the same shapes: a list of outputs for each batch."""


def make_group_predictor(model: Any) -> GroupPredictor:
    """Return a function that computes several batches in one call; it is compiled once.

    Each batch is computed by itself inside the call: the last bits of an output depend on the number of examples in a batch
    and on the place of an example in it.
    """
    call: Any = None

    def call_one(x: Any) -> list[Any]:
        return [output for output, _ in _call_model(model, x)]

    def call_all(x: Any) -> Any:
        dtypes = [tf.as_dtype(output.dtype) for output in model.outputs]
        signature = [tf.float32 if dtype == tf.bfloat16 else dtype for dtype in dtypes]
        return tf.map_fn(call_one, x, parallel_iterations=_PARALLEL_BATCHES, fn_output_signature=signature)

    def predict(batches: Sequence[Examples]) -> list[list[Array]]:
        nonlocal call
        inputs = [dict(batch.inputs) for batch in batches]
        group = batches[0].map_inputs(lambda name, _: np.stack([each[name] for each in inputs]))
        if call is None:
            one = tf.nest.map_structure(tf.convert_to_tensor, to_keras_inputs(batches[0].x))
            specs = tf.nest.map_structure(_add_group_axis, _make_signature(model, one))
            call = tf.function(call_all, input_signature=[specs])
        tensors = tf.nest.map_structure(tf.convert_to_tensor, to_keras_inputs(group.x))
        outputs = [np.asarray(output) for output in call(tensors)]
        return [[output[index] for output in outputs] for index in range(len(batches))]

    return predict


_PARALLEL_BATCHES: Final = 10
"""Batches of a group that may be computed at the same time, if there are processors for them; TensorFlow's default."""


def _add_group_axis(spec: Any) -> Any:
    return tf.TensorSpec([None, *spec.shape], spec.dtype)


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
