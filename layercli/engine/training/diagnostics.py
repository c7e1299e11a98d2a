"""Statistics of each layer after each epoch: activations, gradients and updates on one fixed batch."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from layercli.check import ValidConfig
from layercli.data.examples import ShuffleSeed, Subset
from layercli.engine.assemble import AssembledModel
from layercli.engine.training.feed import to_keras_data
from layercli.engine.training.paired_augmentation import bypass_layers, list_paired_layers
from layercli.graph.output_activation import DEAD_AT_ZERO, SATURATION_LIMITS, find_unit_activation
from layercli.graph.shapes import NodeShapes

_MIN_EXAMPLES: Final = 32
_MAX_EXAMPLES: Final = 256
"""More examples show rarely active units, and take longer."""
_EXAMPLES_SHARE: Final = 40
"""The batch has the training examples divided by this number, between the limits: the time stays small."""
_SATURATED_VALUES: Final = 0.95
"""A unit is saturated if at least this share of its values is near a limit of the activation."""
_ACTIVATION_KEYS: Final = ("mean", "std", "dead", "saturated")
_WEIGHT_KEYS: Final = ("gradient_norm", "weight_norm", "update_ratio")


class DiagnosticsCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Sends a record of all layers to ``report`` before the first step and after each epoch.

    It changes neither the weights nor the random numbers of the training.
    """

    def __init__(
        self, probe: LayerProbe, report: Callable[[Mapping[str, Any]], None], *, is_resumed: bool
    ) -> None:
        super().__init__()
        self._probe = probe
        self._report = report
        self._is_resumed = is_resumed

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras's signature
        if not self._is_resumed:
            self.record(0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.record(epoch + 1)

    def record(self, epoch: int) -> None:
        """Report the state after this number of epochs."""
        self._report({"epoch": epoch, **self._probe.measure()})


class LayerProbe:
    """Runs one training step on a fixed batch, measures it, and undoes it."""

    def __init__(self, assembled: AssembledModel, valid: ValidConfig, subset: Subset) -> None:
        self._model = assembled.model
        examples = next(
            subset.batches(
                _count_examples(len(subset), assembled.model), shuffle=ShuffleSeed(valid.config.seed, 0)
            )
        )
        self._count = len(examples)
        self._data = tf.nest.map_structure(tf.convert_to_tensor, to_keras_data(examples))
        self._rows = [row for row in valid.shapes.rows if _has_float_output(assembled, row)]
        self._inputs = [
            (name, assembled.tensors[name])
            for name in valid.graph.inputs
            if _is_float(assembled.tensors[name])
        ]
        tensors = [tensor for _, tensor in self._inputs]
        tensors += [_first_tensor(assembled.tensors[row.node.name]) for row in self._rows]
        structure = self._model.inputs if len(self._model.inputs) > 1 else self._model.inputs[0]
        self._outputs = keras.Model(structure, [*tensors, *self._model.outputs])
        self._weights = {
            name: weights
            for row in valid.shapes.rows
            if (name := row.node.name) and row.node.reuse_of is None
            if (weights := assembled.layers[name].trainable_variables)
        }
        self._paired_layers = list_paired_layers(assembled, valid, subset)
        self._run: Any = None

    def measure(self) -> dict[str, Any]:
        """Return the statistics of all layers as a record without its epoch."""
        if self._run is None:
            self._run = tf.function(self._measure_batch, autograph=False)
            with _keep_random_state():
                self._run.get_concrete_function(*self._data)
        loss, activations, weights = (np.asarray(each, dtype=float) for each in self._run(*self._data))
        named = dict(zip(self._weights, weights.tolist(), strict=True))
        layers = [
            {
                "layer": row.node.name,
                **dict(zip(_ACTIVATION_KEYS, _to_optional(values), strict=True)),
                **dict(zip(_WEIGHT_KEYS, _to_optional(named.get(row.node.name, _UNKNOWN)), strict=True)),
            }
            for row, values in zip(self._rows, activations[len(self._inputs) :].tolist(), strict=True)
        ]
        means = activations[len(self._inputs) :, 0]
        is_finite = np.isfinite(means)
        return {
            "examples": self._count,
            "loss": _to_optional([float(loss)])[0],
            "first_non_finite": None if is_finite.all() else self._rows[int(is_finite.argmin())].node.name,
            "inputs": [
                {"input": name, **dict(zip(("mean", "std"), _to_optional(values[:2]), strict=True))}
                for (name, _), values in zip(self._inputs, activations.tolist(), strict=False)
            ],
            "layers": layers,
        }

    def _measure_batch(self, x: Any, y: Any, sample_weight: Any = None) -> Any:
        model, variables = self._model, self._model.trainable_variables
        values = [tf.convert_to_tensor(variable.value) for variable in variables]
        # The scope discards the updates of moving averages, seeds and metrics; regularizers need the values in it.
        scope = keras.StatelessScope(list(zip(variables, values, strict=True)))
        with tf.GradientTape() as tape, scope, bypass_layers(self._paired_layers):
            tape.watch(scope.state_mapping.values())
            tensors = self._outputs(x, training=True)
            count = len(self._inputs) + len(self._rows)
            outputs = tensors[count:]
            y_pred = outputs if len(outputs) > 1 else outputs[0]
            loss = model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)
            scale = model.optimizer.scale_loss(tf.constant(1.0))
            scaled_loss = loss * tf.cast(scale, loss.dtype)
        gradients = tape.gradient(scaled_loss, [scope.state_mapping[id(variable)] for variable in variables])
        model._clear_losses()
        rows = [None] * len(self._inputs) + self._rows
        activations = [_measure_activation(row, x) for row, x in zip(rows, tensors[:count], strict=True)]
        return loss, tf.stack(activations), self._measure_weights(variables, gradients, scale)

    def _measure_weights(self, variables: Any, gradients: Any, scale: Any) -> Any:
        """Return the norms of gradients and weights, and the ratio of update and weight norms, of each layer."""
        old = {id(variable): tf.identity(variable.value) for variable in variables}
        by_id = {id(variable): each for variable, each in zip(variables, gradients, strict=True)}
        new = self._try_update(variables, gradients)
        results = []
        for weights in self._weights.values():
            known = [each for weight in weights if (each := by_id.get(id(weight))) is not None]
            kernels = [weight for weight in weights if len(weight.shape) > 1] or weights
            weight_norm = _compute_norm(old[id(weight)] for weight in kernels)
            update_norm = _compute_norm(new[id(weight)] - old[id(weight)] for weight in kernels)
            results.append(
                [_compute_norm(known) / scale, weight_norm, tf.math.divide_no_nan(update_norm, weight_norm)]
            )
        return tf.convert_to_tensor(results, tf.float32) if results else tf.zeros((0, 3))

    def _try_update(self, variables: Any, gradients: Any) -> dict[int, Any]:
        """Return the weights after one step of the optimizer, by ``id``; all variables keep their values."""
        optimizer = self._model.optimizer
        changed = [*variables, *optimizer.variables]
        saved = [tf.identity(variable.value) for variable in changed]
        # Workers replace this method by one that waits for the other processes.
        replaced = vars(optimizer).pop("apply", None)
        try:
            optimizer.apply(gradients, variables)
        finally:
            if replaced is not None:
                optimizer.apply = replaced
        new = {id(variable): tf.identity(variable.value) for variable in variables}
        for variable, value in zip(changed, saved, strict=True):
            variable.assign(value)
        return new


_UNKNOWN: Final = [float("nan")] * len(_WEIGHT_KEYS)


def _count_examples(examples: int, model: Any) -> int:
    fixed = model.inputs[0].shape[0]
    return int(fixed or max(_MIN_EXAMPLES, min(_MAX_EXAMPLES, examples // _EXAMPLES_SHARE)))


def _measure_activation(row: NodeShapes | None, tensor: Any) -> Any:
    """Return mean, deviation and the shares of dead and saturated units; NaN where a share has no meaning."""
    values = tf.cast(tensor, tf.float32)
    mean, deviation = tf.reduce_mean(values), tf.math.reduce_std(values)
    dead = saturated = tf.constant(float("nan"))
    activation = None if row is None else find_unit_activation(row)
    if activation is not None and row is not None:
        axes = _list_value_axes(row, values.shape.rank)
        if activation in DEAD_AT_ZERO:
            is_dead = tf.reduce_all(tf.equal(values, 0.0), axes)
            dead = tf.reduce_mean(tf.cast(is_dead, tf.float32))
        if activation in SATURATION_LIMITS:
            low, high = SATURATION_LIMITS[activation]
            is_near = tf.logical_or(values < low, values > high)
            share = tf.reduce_mean(tf.cast(is_near, tf.float32), axes)
            saturated = tf.reduce_mean(tf.cast(share >= _SATURATED_VALUES, tf.float32))
    return tf.stack([mean, deviation, dead, saturated])


def _list_value_axes(row: NodeShapes, rank: int) -> list[int]:
    """Return all axes but that of the units."""
    is_first = getattr(row.node.layer, "data_format", None) == "channels_first"
    unit_axis = 1 if is_first and rank > 2 else rank - 1
    return [axis for axis in range(rank) if axis != unit_axis]


def _compute_norm(tensors: Any) -> Any:
    """Return the norm of the values of all tensors; 0 for an empty list."""
    dense = [tf.cast(tf.convert_to_tensor(each), tf.float32) for each in tensors]
    return tf.linalg.global_norm(dense) if dense else tf.constant(0.0)


def _to_optional(values: Iterable[float]) -> list[float | None]:
    """Return the values with six digits, and None for NaN and infinity."""
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]


def _first_tensor(output: Any) -> Any:
    return output[0] if isinstance(output, (list, tuple)) else output


def _has_float_output(assembled: AssembledModel, row: NodeShapes) -> bool:
    return _is_float(_first_tensor(assembled.tensors[row.node.name]))


def _is_float(tensor: Any) -> bool:
    is_sparse = getattr(tensor, "sparse", False) or getattr(tensor, "ragged", False)
    return not is_sparse and keras.backend.is_float_dtype(tensor.dtype) and len(tensor.shape) > 1


@contextmanager
def _keep_random_state() -> Iterator[None]:
    """Restore Python's and NumPy's random numbers: a layer of the user can draw some when it is traced."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
