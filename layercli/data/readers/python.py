"""What a function of the user's gives; the caller has asked for trust before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from layercli.config.data.files import Python
from layercli.data.examples import Array
from layercli.data.lazy import Rows
from layercli.data.readers.arrays import Given, Mapped, plain, refuse, together
from layercli.data.subset import Source
from layercli.data.user_code import load
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, printable

_KEY: KeyPath = ("data", "function")
_EXPECTED = "It returns (x, y) or (x, y, weights): arrays whose first axis is the examples', or mappings of them by name."


def read(data: Python, memory: int | None) -> Source:  # noqa: ARG001 - the function says what it holds
    """All examples that the function returns; of arrays that are memory-mapped rows are read as they are needed.

    Raises:
        RefusedDataError: it cannot be loaded, it fails, or it returns something else.
    """
    shown = printable(data.function)
    try:
        module = load(data.file, data.place)
    except (Exception, SystemExit) as error:
        refuse(f"{printable(data.place)} cannot be loaded: {_said(error)}", _KEY, "Mend that code first.")
    function = getattr(module, data.name, None)
    if not callable(function):
        known = [name for name, item in vars(module).items() if callable(item) and not name.startswith("_")]
        refuse(f"{printable(data.place)} has no function {data.name}.", _KEY,
               did_you_mean(data.name, known, otherwise=f"It has {', '.join(known[:12]) or 'none'}."))  # fmt: skip
    try:
        returned = function(**data.parameters)
    except (Exception, SystemExit) as error:
        refuse(f"{shown} fails: {_said(error)}", _KEY, "Look at the function, and at `parameters`.")
    if not isinstance(returned, tuple) or len(returned) not in (2, 3):
        what = (
            f"a tuple of {len(returned)}" if isinstance(returned, tuple) else f"a {type(returned).__name__}"
        )
        refuse(f"{shown} returns {what}.", _KEY, _EXPECTED)
    x, y, *weights = returned
    given = [_given(array, "weights") for array in weights if array is not None]
    return together(_all_given(x, "x"), _all_given(y, "y"), next(iter(given), None), repr(data.plain()))


def _all_given(value: Any, title: str) -> dict[str | None, Given]:
    if isinstance(value, Mapping):
        if not value:
            refuse(f"`{title}` is an empty mapping.", _KEY, _EXPECTED)
        return {str(name): _given(array, f"{title}[{str(name)!r}]") for name, array in value.items()}
    return {None: _given(value, title)}


def _given(value: Any, title: str) -> Given:
    shown = printable(title, limit=60)
    try:
        array = value if isinstance(value, np.ndarray) else np.asarray(value)
    except (ValueError, TypeError) as error:  # lists of unequal lengths
        refuse(f"`{shown}` is no array: {_said(error)}", _KEY, _EXPECTED)
    if array.ndim == 0:
        refuse(f"`{shown}` is a {type(value).__name__}, not an array.", _KEY, _EXPECTED)
    if array.dtype.kind == "O":
        if not all(isinstance(item, str) for item in array.ravel()):
            refuse(f"`{shown}` holds Python objects.", _KEY, "Return arrays of numbers, or of texts.")
        array = array.astype(str)
    held: Array | Rows = Mapped(array, shown, _KEY) if _is_large(array) else plain(array, shown, _KEY)
    return Given(held, shown, _KEY)


def _is_large(array: Array) -> bool:
    return isinstance(array, np.memmap) and array.ndim > 1


def _said(error: BaseException) -> str:
    return printable(f"{type(error).__name__}: {error}", limit=300).rstrip(".") + "."
