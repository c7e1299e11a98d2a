"""Numbers and shapes as text for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from layercli.layers.shapes import Shape, format_shape

_WIDE: Final = 1e4
"""Numbers from here on have separators of thousands, and no decimals."""
_LARGE: Final = 1e7
"""Numbers from here on have an exponent."""


def count_noun(count: int, noun: str) -> str:
    """Return a number and its noun, such as "1 trial" and "2 trials"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def format_count(value: int | None) -> str:
    """Return ``11,850``, or ``?`` if the value is unknown."""
    return "?" if value is None else f"{value:,}"


def format_short_count(value: int | None) -> str:
    """Return ``43.8 k``: three digits and the power of 1000; ``?`` if the value is unknown."""
    if value is None:
        return "?"
    number = float(value)
    for unit in ("", " k", " M", " G", " T"):
        if abs(number) < 999.5:
            return f"{value}{unit}" if not unit else f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:,.0f} P"


def format_bytes(value: int) -> str:
    """Return ``46.3 KiB``."""
    number = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{value} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:,.1f} TiB"


def format_duration(seconds: float) -> str:
    """Return ``0.4 s``, ``1 m 05 s`` or ``2 h 03 m``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} m"


def format_shapes(values: Sequence[Shape]) -> str:
    """Return the shapes on one line each, or ``?`` if there are none."""
    return "\n".join(format_shape(value) for value in values) or "?"


def format_metrics(logs: Mapping[str, Any]) -> str:
    """Return ``loss 0.1234  accuracy 0.9712``."""
    return "  ".join(f"{name} {format_number(value)}" for name, value in logs.items())


def format_number(value: Any) -> str:
    """Return four decimals, or four significant digits of a very small or large number.

    A metric with a value for each class becomes a list, and None, which is JSON's NaN, becomes ``nan``.
    """
    if value is None:
        return "nan"
    if isinstance(value, list):
        return f"[{', '.join(format_number(item) for item in value)}]"
    if _WIDE <= abs(value) < _LARGE:
        return f"{value:,.0f}"
    return f"{value:.4f}" if 1e-3 <= abs(value) < _WIDE or value == 0 else f"{value:.3e}"


def format_numbers(values: Sequence[Any]) -> list[str]:
    """Return numbers of one quantity as ``format_number``, with the digits that the largest of them has.

    So 8651.7764 next to 100640 is ``8,652``, and 66604 next to 5.3e7 is ``6.660e+04``. None and lists are as in
    ``format_number``.
    """
    numbers = [abs(value) for value in values if isinstance(value, (int, float)) and math.isfinite(value)]
    largest = max(numbers, default=0.0)
    style = ".3e" if largest >= _LARGE else ",.0f" if largest >= _WIDE else None
    return [
        f"{value:{style}}"
        if style is not None
        and isinstance(value, (int, float))
        and (style != ",.0f" or not 0 < abs(value) < 1)
        else format_number(value)
        for value in values
    ]


def format_weights(weights: Sequence[tuple[str, Sequence[int], bool]]) -> str:
    """Return ``kernel (16, 64), bias (64,)`` for names, shapes and whether each weight is trained."""
    return ", ".join(
        f"{name} {format_shape(shape)}{'' if is_trained else ' (not trained)'}"
        for name, shape, is_trained in weights
    )


def join_words(words: Sequence[str]) -> str:
    """Return ``1, 2 and 3``."""
    return " and ".join([", ".join(words[:-1])] * (len(words) > 1) + [*words[-1:]])
