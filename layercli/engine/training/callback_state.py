"""The state of custom callbacks: ``get_state`` and ``set_state``, as JSON values and arrays of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import keras
import numpy as np

from layercli.data.types import Array

_MAX_DEPTH: Final = 20


class CallbackStateError(Exception):
    """A callback returned a state that cannot be saved, or failed to restore one."""


def has_state(callback: Any) -> bool:
    """Return whether a callback has the methods of the protocol."""
    return callable(getattr(callback, "get_state", None)) and callable(getattr(callback, "set_state", None))


def read_state(callback: Any) -> tuple[Any, list[Array]]:
    """Return the state of a callback as JSON values, and its arrays, in the order of their numbers.

    Raises:
        CallbackStateError: the state has a value that is not a number, a string, a list, a mapping or an array.
    """
    arrays: list[Array] = []
    return _encode(callback.get_state(), arrays, type(callback).__name__, _MAX_DEPTH), arrays


def _encode(value: Any, arrays: list[Array], name: str, depth: int) -> Any:
    if depth and isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {"items": {key: _encode(item, arrays, name, depth - 1) for key, item in value.items()}}
    if depth and isinstance(value, (list, tuple)):
        return {"list": [_encode(item, arrays, name, depth - 1) for item in value]}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    if isinstance(value, np.ndarray) or keras.ops.is_tensor(value) or isinstance(value, keras.Variable):
        array = np.asarray(keras.ops.convert_to_numpy(value))
        if array.dtype.kind in "biufc":
            arrays.append(array.copy())
            return {"array": len(arrays) - 1}
    message = (
        f"`get_state` of {name} must return numbers, strings, lists, arrays, or mappings of names to these, "
        f"but returned {type(value).__name__}"
    )
    raise CallbackStateError(message)


def write_state(callback: Any, state: Any, arrays: Mapping[int, Array]) -> None:
    """Give a callback the state that ``read_state`` returned.

    Raises:
        CallbackStateError: ``set_state`` failed.
        LookupError | TypeError | ValueError: the state is malformed.
    """
    decoded = _decode(state, arrays, _MAX_DEPTH)
    try:
        callback.set_state(decoded)
    except Exception as error:
        message = f"`set_state` of {type(callback).__name__} failed: {type(error).__name__}: {error}"
        raise CallbackStateError(message) from error


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
