"""The state of callbacks, as JSON values and arrays of a checkpoint.

The state of Keras's callbacks is attributes and the length of their files. Custom callbacks return their state from
``get_state`` and receive it in ``set_state``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np

from layercli.data.types import Array
from layercli.engine.keras_errors import summarize_error
from layercli.engine.training.tensorboard_logs import flush_event_files, restore_event_files
from layercli.engine.training.writable_arrays import from_writable, to_writable
from layercli.io.atomic import write_bytes

_MAX_DEPTH: Final = 20
_MAX_VALUES: Final = 1_000_000
_MAX_INTEGER_BITS: Final = 10_000
"""Python refuses to write and read much longer integers as decimal digits."""
STATE_HINT: Final = (
    "Return numbers, strings, lists, arrays, or mappings of names to these; "
    "a list of many numbers as one array, such as `np.array(self.seen)`."
)


CALLBACK_STATE_ATTRIBUTES: Final[dict[str, tuple[str, ...]]] = {
    "EarlyStopping": ("best", "wait", "stopped_epoch", "best_epoch", "best_weights"),
    "ReduceLROnPlateau": ("best", "wait", "cooldown_counter"),
    "SwapEMAWeights": ("_ema_weights_in_model",),
    "TensorBoard": ("_global_train_batch", "_global_test_batch"),
    "CSVLogger": (),  # its state is its file
    "TerminateOnNaN": (),
    "MLflow": (),  # logged epochs stay in MLflow
}
"""The state attributes of each callback type, in addition to its constructor arguments."""


class CallbackStateError(Exception):
    """A callback returned a state that cannot be saved, or failed to restore one."""

    def __init__(self, message: str, callback: Any) -> None:
        super().__init__(message)
        self.callback = callback


def read_callback(callback: Any) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the state of a callback as JSON values, and its arrays by name.

    Raises:
        CallbackStateError: a custom callback returned a value that cannot be saved.
    """
    values: dict[str, Any] = {}
    arrays: dict[str, Array] = {}
    for key in _list_state_attributes(callback):
        value = getattr(callback, key, None)
        # A weight of shape () is a numpy scalar, such as the mean of a Normalization of all columns.
        if isinstance(value, (list, tuple)) and value and isinstance(value[0], (np.ndarray, np.generic)):
            arrays |= {f"{key}/{place}": to_writable(array) for place, array in enumerate(value)}
            values[key] = {"arrays": [str(array.dtype) for array in value]}
        else:
            values[key] = value.item() if isinstance(value, (np.generic, np.ndarray)) else value
    if isinstance(callback, keras.callbacks.CSVLogger):
        values["bytes"] = _measure_file(callback.filename)
    if isinstance(callback, keras.callbacks.TensorBoard):
        values["events"] = flush_event_files(callback)
    if has_state_methods(callback):
        values["state"], state_arrays = get_custom_state(callback)
        arrays |= {f"state/{place}": array for place, array in enumerate(state_arrays)}
    return values, arrays


def write_callback(callback: Any, values: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Give a callback the state that ``read_callback`` returned.

    Raises:
        CallbackStateError: ``set_state`` of a custom callback failed.
        LookupError | TypeError | ValueError: the state is malformed.
    """
    for key in _list_state_attributes(callback):
        value = values[key]
        if isinstance(value, dict):
            value = [
                from_writable(arrays[f"{key}/{place}"], dtype) for place, dtype in enumerate(value["arrays"])
            ]
        setattr(callback, key, value)
    if has_state_methods(callback) and "state" in values:
        state_arrays = {
            int(name.removeprefix("state/")): array
            for name, array in arrays.items()
            if name.startswith("state/")
        }
        set_custom_state(callback, values["state"], state_arrays)


def restore_files(callback: Any, values: Mapping[str, Any]) -> None:
    """Truncate the files of a callback to their length in its state, so that it appends from there.

    Raises:
        TypeError | ValueError: the state is malformed.
    """
    if isinstance(callback, keras.callbacks.CSVLogger) and "bytes" in values:
        callback.append = True
        _detach_file(Path(callback.filename))
        if type(values["bytes"]) is not int or values["bytes"] < 0:
            raise ValueError("the length of a file must be a number of bytes")
        if _measure_file(callback.filename) > values["bytes"]:
            with Path(callback.filename).open("rb+") as file:
                file.truncate(values["bytes"])
    if isinstance(callback, keras.callbacks.TensorBoard) and "events" in values:
        restore_event_files(Path(callback.log_dir), values["events"])
        callback.write_graph = False  # the files have it


def _detach_file(path: Path) -> None:
    """Give a file with several names a separate inode, so that writing to it changes no other file."""
    if path.is_file() and path.stat().st_nlink > 1:
        write_bytes(path, path.read_bytes())


def _measure_file(path: str) -> int:
    """Return the bytes of a file; 0 if there is none."""
    file = Path(path)
    return file.stat().st_size if file.is_file() else 0


def _list_state_attributes(callback: Any) -> tuple[str, ...]:
    """Return the attributes that are the state of one of Keras's callbacks."""
    for cls in type(callback).__mro__:
        if cls.__name__ in CALLBACK_STATE_ATTRIBUTES:
            return CALLBACK_STATE_ATTRIBUTES[cls.__name__]
    return ()


def has_state_methods(callback: Any) -> bool:
    """Return whether a callback has the methods of the protocol."""
    return callable(getattr(callback, "get_state", None)) and callable(getattr(callback, "set_state", None))


def get_custom_state(callback: Any) -> tuple[Any, list[Array]]:
    """Return the state of a custom callback as JSON values, and its arrays, in the order of their numbers.

    Raises:
        CallbackStateError: the state has a value that is not a number, a string, a list, a mapping or an array.
    """
    encoder = _StateEncoder(callback)
    return encoder.encode(callback.get_state(), _MAX_DEPTH), encoder.arrays


class _StateEncoder:
    """Encodes the state of one callback."""

    def __init__(self, callback: Any) -> None:
        self.arrays: list[Array] = []
        self._callback = callback
        self._count = 0

    def encode(self, value: Any, depth: int) -> Any:
        """Return a value as JSON values; its arrays are numbered."""
        self._count += 1
        if self._count > _MAX_VALUES:
            raise self._make_error(f"more than {_MAX_VALUES:,} values")
        if depth and isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return {"items": {key: self.encode(item, depth - 1) for key, item in value.items()}}
        if depth and isinstance(value, (list, tuple)):
            return {"list": [self.encode(item, depth - 1) for item in value]}
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, int) and value.bit_length() > _MAX_INTEGER_BITS:
            raise self._make_error(f"an integer of more than {_MAX_INTEGER_BITS:,} bits")
        if value is None or isinstance(value, (bool, int, float, str)):
            return {"value": value}
        if isinstance(value, np.ndarray) or keras.ops.is_tensor(value) or isinstance(value, keras.Variable):
            array = np.asarray(keras.ops.convert_to_numpy(value))
            if array.dtype.kind in "biufc":
                self.arrays.append(array.copy())
                return {"array": len(self.arrays) - 1}
        raise self._make_error(type(value).__name__)

    def _make_error(self, found: str) -> CallbackStateError:
        return CallbackStateError(
            f"`get_state` of {type(self._callback).__name__} must return numbers, strings, lists, arrays, "
            f"or mappings of names to these, but returned {found}",
            self._callback,
        )


def set_custom_state(callback: Any, state: Any, arrays: Mapping[int, Array]) -> None:
    """Give a custom callback the state that ``get_custom_state`` returned.

    Raises:
        CallbackStateError: ``set_state`` failed.
        LookupError | TypeError | ValueError: the state is malformed.
    """
    decoded = _decode(state, arrays, _MAX_DEPTH)
    try:
        callback.set_state(decoded)
    except (Exception, SystemExit) as error:
        message = f"`set_state` of {type(callback).__name__} failed: {summarize_error(error)}"
        raise CallbackStateError(message, callback) from error


def _decode(state: Any, arrays: Mapping[int, Array], depth: int) -> Any:
    ((kind, value),) = state.items()
    if kind == "items" and depth:
        return {key: _decode(item, arrays, depth - 1) for key, item in value.items()}
    if kind == "list" and depth:
        return [_decode(item, arrays, depth - 1) for item in value]
    if kind == "array":
        return arrays[value].copy()
    if kind == "value" and (value is None or isinstance(value, (bool, int, float, str))):
        return value
    raise ValueError("unknown kind of value")
