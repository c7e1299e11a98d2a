"""The reader of python data; the caller checks before that the function is trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from layercli.data.examples import Dataset
from layercli.data.lazy import LazyArray
from layercli.data.named_arrays import MemmapArray, NamedArray, build_dataset, to_training_dtype
from layercli.data.types import Array, raise_data_error
from layercli.data.user_code import import_user_module
from layercli.formats.python.config import Python
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, sanitize_text

_FUNCTION_KEY: KeyPath = ("data", "function")
_EXPECTED_HINT = (
    "Return (x, y) or (x, y, weights): arrays with a batch axis, or mappings of names to such arrays."
)


def read_dataset(data: Python, memory: int | None) -> Dataset:  # noqa: ARG001 - the function allocates its arrays
    """Return all examples that the function returns; rows of memory-mapped arrays are read when they are needed.

    Raises:
        DataError: it cannot be imported, it raises, or it returns other values.
    """
    shown = sanitize_text(data.function)
    try:
        module = import_user_module(data.file, data.module)
    except (Exception, SystemExit) as error:
        raise_data_error(
            f"Cannot import {sanitize_text(data.module)}: {_format_error(error)}",
            _FUNCTION_KEY,
            "Fix the error in that code.",
        )
    function = getattr(module, data.function_name, None)
    if not callable(function):
        function_names = [
            name for name, item in vars(module).items() if callable(item) and not name.startswith("_")
        ]
        raise_data_error(
            f"{sanitize_text(data.module)} does not define a function {data.function_name}.",
            _FUNCTION_KEY,
            did_you_mean(
                data.function_name,
                function_names,
                otherwise=f"It defines {', '.join(function_names[:12]) or 'no functions'}.",
            ),
        )
    try:
        returned = function(**data.parameters)
    except (Exception, SystemExit) as error:
        raise_data_error(
            f"{shown} raised {_format_error(error)}",
            _FUNCTION_KEY,
            "Check the function and `parameters`.",
        )
    if not isinstance(returned, tuple) or len(returned) not in (2, 3):
        received = (
            f"a tuple of {len(returned)}" if isinstance(returned, tuple) else f"a {type(returned).__name__}"
        )
        raise_data_error(
            f"{shown} must return a tuple of 2 or 3 values, got {received}.", _FUNCTION_KEY, _EXPECTED_HINT
        )
    x, y, *weights = returned
    weight_arrays = [_to_named_array(array, "weights") for array in weights if array is not None]
    return build_dataset(
        _to_named_arrays(x, "x"),
        _to_named_arrays(y, "y", is_target=True),
        next(iter(weight_arrays), None),
        repr(data.to_plain()),
        data.target_type_of,
    )


def _to_named_arrays(value: Any, title: str, *, is_target: bool = False) -> dict[str | None, NamedArray]:
    if isinstance(value, Mapping):
        if not value:
            raise_data_error(
                f"`{title}` must contain an array, got an empty mapping.", _FUNCTION_KEY, _EXPECTED_HINT
            )
        return {
            str(name): _to_named_array(array, f"{title}[{str(name)!r}]", is_target=is_target)
            for name, array in value.items()
        }
    return {None: _to_named_array(value, title, is_target=is_target)}


def _to_named_array(value: Any, title: str, *, is_target: bool = False) -> NamedArray:
    shown = sanitize_text(title, limit=60)
    try:
        array = value if isinstance(value, np.ndarray) else np.asarray(value)
    except (ValueError, TypeError) as error:  # lists of unequal lengths
        raise_data_error(
            f"`{shown}` must be an array, got {_format_error(error)}", _FUNCTION_KEY, _EXPECTED_HINT
        )
    if array.ndim == 0:
        raise_data_error(
            f"`{shown}` must be an array, got a {type(value).__name__}.", _FUNCTION_KEY, _EXPECTED_HINT
        )
    if array.dtype.kind == "O":
        if not all(isinstance(item, str) for item in array.ravel()):
            raise_data_error(
                f"`{shown}` must contain numbers or texts, got Python objects.",
                _FUNCTION_KEY,
                "Return arrays of numbers or of texts.",
            )
        array = array.astype(str)
    rows: Array | LazyArray = (
        MemmapArray(array, shown, _FUNCTION_KEY, is_target)
        if _is_lazy(array)
        else to_training_dtype(array, shown, _FUNCTION_KEY, is_target=is_target)
    )
    return NamedArray(rows, shown, _FUNCTION_KEY)


def _is_lazy(array: Array) -> bool:
    return isinstance(array, np.memmap) and array.ndim > 1


def _format_error(error: BaseException) -> str:
    return sanitize_text(f"{type(error).__name__}: {error}", limit=300).rstrip(".") + "."
