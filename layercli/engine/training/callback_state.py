"""The state of custom callbacks: ``get_state`` and ``set_state``, as JSON values and arrays of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import keras
import numpy as np

from layercli.data.types import Array
from layercli.engine.keras_errors import summarize_error

_MAX_DEPTH: Final = 20
_MAX_VALUES: Final = 1_000_000
_MAX_INTEGER_BITS: Final = 10_000
"""Python refuses to write and read much longer integers as decimal digits."""
STATE_HINT: Final = (
    "Return numbers, strings, lists, arrays, or mappings of names to these; "
    "a list of many numbers as one array, such as `np.array(self.seen)`."
)


class CallbackStateError(Exception):
    """A callback returned a state that cannot be saved, or failed to restore one."""

    def __init__(self, message: str, callback: Any) -> None:
        super().__init__(message)
        self.callback = callback


def has_state(callback: Any) -> bool:
    """Return whether a callback has the methods of the protocol."""
    return callable(getattr(callback, "get_state", None)) and callable(getattr(callback, "set_state", None))


def read_state(callback: Any) -> tuple[Any, list[Array]]:
    """Return the state of a callback as JSON values, and its arrays, in the order of their numbers.

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


def write_state(callback: Any, state: Any, arrays: Mapping[int, Array]) -> None:
    """Give a callback the state that ``read_state`` returned.

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
