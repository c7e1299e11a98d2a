"""Targets and weights of outputs with a value for each position, such as a timestep or a pixel, in shapes that Keras can use.

Keras multiplies the loss of each position by its weight and its mask. It fails if the target lacks the last axis of size 1
of the output, or if an example has one weight for all positions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import keras
from keras.src.backend import get_keras_mask  # not public


def fit_positions(model: Any, names: Sequence[str], whole_example_losses: Collection[str]) -> None:
    """Make the losses and metrics of a compiled model reshape targets and weights; see ``_fit_output``.

    Args:
        model: The model.
        names: The names of its outputs.
        whole_example_losses: Names of outputs whose loss has one value for all positions.
    """
    losses, metrics = model._compile_loss, model._compile_metrics
    original_call = losses.call

    def call_losses(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return original_call(
            *_fit_outputs(y_true, y_pred, sample_weight, names, whole_example_losses, is_full=False)
        )

    losses.call = call_losses
    if metrics is None:
        return
    original_update = metrics.update_state

    def update_state(y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        original_update(
            *_fit_outputs(y_true, y_pred, sample_weight, names, whole_example_losses, is_full=True)
        )

    metrics.update_state = update_state


def _fit_outputs(
    y_true: Any,
    y_pred: Any,
    sample_weight: Any,
    names: Sequence[str],
    whole_example_losses: Collection[str],
    *,
    is_full: bool,
) -> tuple[Any, Any, Any]:
    """Return targets, predictions and weights, each in the structure in which it was given; several weights are a list."""
    if not isinstance(y_pred, (list, tuple)):
        if isinstance(y_true, Mapping) or names[0] in whole_example_losses:
            return y_true, y_pred, sample_weight
        y_true, sample_weight = _fit_output(y_true, y_pred, sample_weight, is_full=is_full)
        return y_true, y_pred, sample_weight
    if not isinstance(y_true, Mapping):
        return y_true, y_pred, sample_weight
    targets, weights = dict(y_true), []
    for name, output in zip(names, y_pred, strict=True):
        weight = sample_weight
        if name in targets and name not in whole_example_losses:
            targets[name], weight = _fit_output(targets[name], output, sample_weight, is_full=is_full)
        weights.append(weight)
    return targets, y_pred, None if sample_weight is None else weights


def _fit_output(y_true: Any, y_pred: Any, sample_weight: Any, *, is_full: bool) -> tuple[Any, Any]:
    """Return the target and the weights of an output of shape (batch, ..., units).

    The target gets the last axis of the output if that has the size 1. Weights of shape (batch,) get an axis of size 1 for
    each of positions or, with ``is_full``, one of its size.
    """
    rank = len(y_pred.shape)
    if rank < 3 or (sample_weight is None and get_keras_mask(y_pred) is None):
        return y_true, sample_weight
    if y_pred.shape[-1] == 1 and len(y_true.shape) == rank - 1:
        y_true = keras.ops.expand_dims(y_true, -1)
    if sample_weight is not None:
        sample_weight = keras.ops.reshape(sample_weight, (-1, *[1] * (rank - 2)))
        if is_full:
            sample_weight = keras.ops.broadcast_to(sample_weight, keras.ops.shape(y_pred)[:-1])
    return y_true, sample_weight
