"""Metrics that convert their targets and predictions before they measure them."""

from __future__ import annotations

from typing import Any

import keras
from keras.src.backend import get_keras_mask, set_keras_mask  # not public

from layercli.config.training.metrics import Metric
from layercli.engine.keras_objects import keras_object


def build_metric(metric: Metric) -> Any:
    """Create the Keras metric that a config declares, with its conversions.

    The class stays Keras's own, so that a saved model loads without layercli.
    """
    built = keras_object(metric, namespace=keras.metrics)
    if not metric.converts_inputs:
        return built
    update_state = built.update_state

    def update_converted_state(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if "ignore_class" in metric.conversions and metric.ignore_class is not None:
            y_true, sample_weight = _ignore_class(metric.ignore_class, y_true, y_pred, sample_weight)
        y_true, y_pred = _convert_inputs(metric, y_true, y_pred)
        if metric.requires_matrix and len(y_pred.shape) > 2:
            y_true, y_pred, sample_weight = _flatten_positions(y_true, y_pred, sample_weight)
        return update_state(y_true, y_pred, sample_weight)

    built.update_state = update_converted_state
    return built


def _ignore_class(ignored: int, y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any]:
    """Return labels of shape (batch, ...) and weights of the same shape, which are 0 where the label is ignored."""
    labels = keras.ops.reshape(y_true, keras.ops.shape(y_pred)[:-1])
    is_kept = labels != keras.ops.cast(ignored, labels.dtype)
    weights = keras.ops.cast(is_kept, "float32")
    if sample_weight is not None:
        weights *= keras.ops.cast(keras.ops.reshape(sample_weight, keras.ops.shape(labels)), "float32")
    return keras.ops.where(is_kept, labels, keras.ops.zeros_like(labels)), weights


def _convert_inputs(metric: Metric, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Return targets of the shape of the predictions, (batch, ..., units), and probabilities."""
    if metric.activation is not None:
        mask = get_keras_mask(y_pred)
        y_pred = getattr(keras.ops, metric.activation)(y_pred)
        set_keras_mask(y_pred, mask)  # a metric ignores masked timesteps
    shape = keras.ops.shape(y_pred)
    if metric.targets == "one_hot":
        labels = keras.ops.reshape(keras.ops.cast(y_true, "int32"), shape[:-1])
        y_true = keras.ops.one_hot(labels, y_pred.shape[-1])
    elif metric.targets is not None:
        y_true = keras.ops.reshape(y_true, shape)
        if metric.targets in ("binary", "round"):
            y_true = keras.ops.cast(y_true > (0 if metric.targets == "binary" else 0.5), "float32")
    return y_true, y_pred


def _flatten_positions(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """Return targets and predictions of shape (values, units), and weights of shape (values,)."""
    if sample_weight is not None:
        positions = keras.ops.reshape(y_pred[..., 0], (keras.ops.shape(y_pred)[0], -1))
        weights = keras.ops.ones_like(positions) * keras.ops.cast(
            keras.ops.reshape(sample_weight, (keras.ops.shape(y_pred)[0], -1)), positions.dtype
        )
        sample_weight = keras.ops.reshape(weights, (-1,))
    matrix = (-1, y_pred.shape[-1])
    return keras.ops.reshape(y_true, matrix), keras.ops.reshape(y_pred, matrix), sample_weight
