"""Save the complete state of a training as arrays and JSON values, and restore it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from layercli.config.training.resume_changes import ResumeChanges
from layercli.data.types import Array
from layercli.engine.adapt import read_vocabulary
from layercli.engine.training.callback_state import read_callback, restore_files, write_callback
from layercli.engine.training.writable_arrays import from_writable, to_writable


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a training."""

    arrays: Mapping[str, Array]
    state: Mapping[str, Any]
    """The other state, as JSON values."""


class IncompatibleSnapshotError(Exception):
    """The snapshot belongs to a different model."""


def take_snapshot(model: Any, adapted_layers: Sequence[Any], callbacks: Sequence[Any]) -> Snapshot:
    """Return the state of a model, its adapted layers, the callbacks and the random number generators."""
    arrays: dict[str, Array] = {}
    for kind, variables in _state_variables(model).items():
        for index, variable in enumerate(variables):
            arrays[f"{kind}/{index}"] = to_writable(keras.ops.convert_to_numpy(variable))
    callback_states = []
    for index, callback in enumerate(callbacks):
        values, callback_arrays = read_callback(callback)
        arrays |= {f"callbacks/{index}/{name}": array for name, array in callback_arrays.items()}
        callback_states.append({"type": type(callback).__name__, **values})
    version, words, spare = random.getstate()
    arrays["random/python"] = np.array(words, dtype=np.uint64)
    generator = np.random.get_state(legacy=False)
    arrays["random/numpy"] = generator["state"]["key"]
    state = {
        "optimizer": _variable_names(model.optimizer.variables),
        "layers": [_layer_state(layer) for layer in adapted_layers],
        "callbacks": callback_states,
        "python": [version, spare],
        "numpy": [generator["state"]["pos"], generator["has_gauss"], generator["gauss"]],
    }
    return Snapshot(arrays, state)


def is_finite(model: Any) -> bool:
    """Return whether all trainable weights and optimizer variables are finite."""
    return all(
        bool(np.isfinite(np.asarray(keras.ops.convert_to_numpy(variable), dtype="float64")).all())
        for variable in (*model.trainable_variables, *model.optimizer.variables)
    )


@contextmanager
def _report_malformed_state() -> Iterator[None]:
    """Report a state that no training has written: one with the right hashes, but other names or types.

    Raises:
        IncompatibleSnapshotError: the block raised an error that such a state causes.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, tf.errors.OpError) as error:
        raise IncompatibleSnapshotError(f"its state is malformed ({type(error).__name__})") from None


@_report_malformed_state()
def restore_layers(layers: Sequence[Any], snapshot: Snapshot) -> None:
    """Restore the adapted state of layers; must run before tracing, because a graph holds it as constants.

    Raises:
        IncompatibleSnapshotError: the number of adapted layers differs.
    """
    if len(layers) != len(snapshot.state["layers"]):
        raise IncompatibleSnapshotError("the number of layers that learned before training differs")
    for layer, layer_state in zip(layers, snapshot.state["layers"], strict=True):
        if "vocabulary" in layer_state:
            layer.set_vocabulary(layer_state["vocabulary"], layer_state["idf_weights"])
        elif "bin_boundaries" in layer_state:
            layer.bin_boundaries = layer_state["bin_boundaries"]
        else:
            for variable, values in zip(layer.variables, layer_state["variables"], strict=True):
                variable.assign(np.asarray(values))
            layer.finalize_state()


@_report_malformed_state()
def restore_callback_files(
    callbacks: Sequence[Any], snapshot: Snapshot, changes: ResumeChanges | None = None
) -> None:
    """Truncate the files of callbacks to the snapshot, so that they append from there."""
    for callback, values, _ in _match_callbacks(callbacks, snapshot, changes):
        restore_files(callback, values)


@_report_malformed_state()
def restore_training(
    model: Any, callbacks: Sequence[Any], snapshot: Snapshot, changes: ResumeChanges | None = None
) -> None:
    """Restore a model, its callbacks and the random number generators, except for ``changes``.

    Raises:
        IncompatibleSnapshotError: the snapshot belongs to a different model.
    """
    arrays = snapshot.arrays
    for kind, variables in _state_variables(model).items():
        if changes is not None and kind == "metrics" and changes.has_new_metrics:
            continue
        if changes is not None and kind == "optimizer":
            _restore_optimizer(variables, snapshot, changes)
            continue
        saved = [arrays.get(f"{kind}/{index}") for index in range(len(variables))]
        if f"{kind}/{len(variables)}" in arrays or any(array is None for array in saved):
            raise IncompatibleSnapshotError(f"the number of variables of the {kind} differs")
        for variable, array in zip(variables, saved, strict=True):
            assert array is not None
            if tuple(variable.shape) != array.shape:
                raise IncompatibleSnapshotError(
                    f"{variable.path} has shape {tuple(variable.shape)}, but {array.shape} in the checkpoint"
                )
            variable.assign(from_writable(array, variable.dtype))
    for callback, values, index in _match_callbacks(callbacks, snapshot, changes):
        prefix = f"callbacks/{index}/"
        callback_arrays = {
            name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)
        }
        write_callback(callback, values, callback_arrays)
    version, spare = snapshot.state["python"]
    random.setstate((version, tuple(int(word) for word in arrays["random/python"]), spare))
    position, has_spare, spare = snapshot.state["numpy"]
    if not 0 <= position <= len(arrays["random/numpy"]):  # NumPy reads its numbers from there unchecked
        raise IncompatibleSnapshotError("its state is malformed")
    np.random.set_state(("MT19937", arrays["random/numpy"], position, has_spare, spare))


def _restore_optimizer(variables: Sequence[Any], snapshot: Snapshot, changes: ResumeChanges) -> None:
    """Restore the optimizer variables of the same name and shape, if the optimizer type is unchanged."""
    if changes.optimizer is not None:
        return
    saved = {
        name: snapshot.arrays[f"optimizer/{index}"] for index, name in enumerate(snapshot.state["optimizer"])
    }
    for variable, name in zip(variables, _variable_names(variables), strict=True):
        is_reset = changes.learning_rate is not None and variable.name == "learning_rate"
        if not is_reset and name in saved and tuple(variable.shape) == saved[name].shape:
            variable.assign(from_writable(saved[name], variable.dtype))


def _variable_names(variables: Sequence[Any]) -> list[str]:
    """Return a name for each optimizer variable that is the same in every process."""
    name_counts: Counter[str] = Counter()
    names = []
    for variable in variables:
        name = variable.path.partition("/")[2]
        names.append(f"{name}#{name_counts[name]}")
        name_counts[name] += 1
    return names


def _match_callbacks(
    callbacks: Sequence[Any], snapshot: Snapshot, changes: ResumeChanges | None
) -> Iterator[tuple[Any, Mapping[str, Any], int]]:
    """Yield each callback that has a state in the snapshot, with that state and its index.

    Raises:
        IncompatibleSnapshotError: the callbacks differ and ``changes`` is None.
    """
    callback_states = snapshot.state["callbacks"]
    if changes is not None:
        indices = [source_index for _, source_index in changes.callback_sources]
    elif [type(callback).__name__ for callback in callbacks] == [
        values["type"] for values in callback_states
    ]:
        indices = list(range(len(callback_states)))
    else:
        raise IncompatibleSnapshotError("the callbacks differ")
    for callback, index in zip(callbacks, indices, strict=True):
        if index is not None:
            yield callback, callback_states[index], index


def _state_variables(model: Any) -> dict[str, list[Any]]:
    """Return all variables of a compiled model: weights, layer seeds, optimizer and metrics."""
    return {
        "model": list(model.variables),
        "optimizer": list(model.optimizer.variables),
        "metrics": list(model.metrics_variables),
    }


def _layer_state(layer: Any) -> dict[str, Any]:
    """Return the adapted state of a layer as JSON values."""
    if hasattr(layer, "get_vocabulary"):
        return read_vocabulary(layer)
    if hasattr(layer, "bin_boundaries"):
        return {"bin_boundaries": [float(boundary) for boundary in layer.bin_boundaries]}
    return {"variables": [np.asarray(variable).tolist() for variable in layer.variables]}
