"""Python files with a commented class to start from: a custom layer, loss, metric or callback."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import Final, NamedTuple


class CodeTemplate(NamedTuple):
    """The text of a Python file, and the line of a config that uses it."""

    text: str
    usage: str


_LAYER: Final = '''"""A custom layer. Keras: https://keras.io/guides/making_new_layers_and_models_via_subclassing"""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="custom")
class NAME(keras.layers.Layer):
    """A dense layer without a bias: each output is a weighted sum of the inputs.

    Input: (batch, inputs). Output: (batch, units).
    """

    # Each key of the entry in the config is an argument. **kwargs has the name and the dtype.
    def __init__(self, units, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)

    # Create the weights here, when the shape of the input is known.
    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="glorot_uniform", name="kernel"
        )

    # The forward pass: only functions of keras.ops, so that Keras can compute gradients.
    def call(self, inputs):
        return self.activation(ops.matmul(inputs, self.kernel))

    # All arguments of __init__: Keras creates the layer from them when it loads a saved model.
    def get_config(self):
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "units": self.units, "activation": activation}
'''
_LOSS: Final = '''"""A custom loss. Training minimizes its mean over the examples of a batch."""

import keras
from keras import ops


class NAME(keras.losses.Loss):
    """Half the squared error up to `limit`, and a straight line beyond it (Huber's loss): outliers have less effect.

    y_true and y_pred: (batch, values). Returns one number for each example: (batch,).
    """

    # Each key of `loss` in the config is an argument. **kwargs has the name and the reduction.
    def __init__(self, limit=1.0, **kwargs):
        super().__init__(**kwargs)
        self.limit = limit

    # Only functions of keras.ops, so that Keras can compute gradients. A function (y_true, y_pred) can also be a loss.
    def call(self, y_true, y_pred):
        errors = ops.abs(y_pred - y_true)
        losses = ops.where(
            errors <= self.limit, 0.5 * ops.square(errors), self.limit * (errors - 0.5 * self.limit)
        )
        return ops.mean(losses, axis=-1)
'''
_METRIC: Final = '''"""A custom metric. Its value is computed over all examples of an epoch, not as the mean over batches."""

import keras
from keras import ops


class NAME(keras.metrics.Metric):
    """The fraction of predictions that differ from the target by at most `tolerance`.

    y_true and y_pred: (batch, values).
    """

    # Each key of the metric in the config is an argument. **kwargs has the name and the dtype.
    def __init__(self, tolerance=0.5, **kwargs):
        super().__init__(**kwargs)
        self.tolerance = tolerance
        # The state is in weights, which each checkpoint contains. Keras sets them to 0 before each epoch.
        self.hits = self.add_weight(name="hits", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    # Called for each batch.
    def update_state(self, y_true, y_pred, sample_weight=None):
        # A target of shape (batch,) and an output of shape (batch, 1) would be compared in all pairs.
        targets = ops.cast(ops.reshape(y_true, ops.shape(y_pred)), y_pred.dtype)
        is_hit = ops.abs(y_pred - targets) <= self.tolerance
        self.hits.assign_add(ops.sum(ops.cast(is_hit, "float32")))
        self.count.assign_add(ops.cast(ops.size(y_pred), "float32"))

    # Called at the end of an epoch.
    def result(self):
        return self.hits / ops.maximum(self.count, 1.0)
'''
_CALLBACK: Final = '''"""A custom callback. Keras: https://keras.io/guides/writing_your_own_callbacks"""

import keras


class NAME(keras.callbacks.Callback):
    """Stops the training when a metric is at least as good as `goal`, and remembers its values."""

    # Each key of the callback in the config is an argument.
    def __init__(self, monitor="loss", goal=0.0):
        super().__init__()
        self.monitor = monitor
        self.goal = goal
        self.values = []

    # Called after each epoch; logs has the metrics. `on_train_begin` and `on_train_end` are called once.
    # `on_train_batch_end` is called for each batch, which makes the training of a small model slower.
    def on_epoch_end(self, epoch, logs=None):
        self.values.append(float(logs[self.monitor]))
        if self.values[-1] <= self.goal:
            self.model.stop_training = True

    # The state of the callback between epochs: numbers, strings, arrays, and lists or mappings of these.
    # Each checkpoint contains it, so that a resumed training equals an uninterrupted one.
    def get_state(self):
        return {"values": self.values}

    def set_state(self, state):
        self.values = list(state["values"])
'''
_TEMPLATES: Final = {
    "layer": (_LAYER, "{{type: {reference}, units: 8}}"),
    "loss": (_LOSS, "loss: {{type: {reference}, limit: 2.0}}"),
    "metric": (_METRIC, "metrics: [{{type: {reference}, tolerance: 0.5}}]"),
    "callback": (_CALLBACK, "callbacks: [{{type: {reference}, monitor: loss, goal: 0.01}}]"),
}
CODE_KINDS: Final = tuple(_TEMPLATES)
"""The kinds of custom code with a template."""


def render_code_template(kind: str, file: str) -> CodeTemplate | None:
    """Return the template of a kind for a Python file; None if the name is not that of a module."""
    stem = Path(file).stem
    if not file.endswith(".py") or not stem.isidentifier() or not stem.isascii() or keyword.iskeyword(stem):
        return None
    name = "".join(word[:1].upper() + word[1:] for word in re.split("_+", stem)) or "Custom"
    name = name if name[0].isalpha() else f"Custom{name}"
    text, usage = _TEMPLATES[kind]
    return CodeTemplate(text.replace("NAME", name), usage.format(reference=f"{Path(file).name}:{name}"))
