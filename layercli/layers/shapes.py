"""Keras's shape arithmetic on plain tuples; the first axis is the batch axis."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

Dim: TypeAlias = int | None
Shape: TypeAlias = tuple[Dim, ...]


class LearnedSize(int):
    """An example of a size that only the data determines; arithmetic with it returns such sizes."""

    def __str__(self) -> str:
        return "?"

    def __format__(self, format_spec: str) -> str:
        return "?"

    def __add__(self, other: int) -> "LearnedSize":
        return _mark_learned(int.__add__(self, other))

    def __radd__(self, other: int) -> "LearnedSize":
        return _mark_learned(int.__radd__(self, other))

    def __sub__(self, other: int) -> "LearnedSize":
        return _mark_learned(int.__sub__(self, other))

    def __rsub__(self, other: int) -> "LearnedSize":
        return _mark_learned(int.__rsub__(self, other))

    def __mul__(self, other: int) -> "LearnedSize":
        return _mark_learned(int.__mul__(self, other))

    def __rmul__(self, other: int) -> "LearnedSize":
        return _mark_learned(int.__rmul__(self, other))

    def __floordiv__(self, other: int) -> "LearnedSize":
        return _mark_learned(int.__floordiv__(self, other))

    def __rfloordiv__(self, other: int) -> "LearnedSize":
        return _mark_learned(int.__rfloordiv__(self, other))

    def __neg__(self) -> "LearnedSize":
        return LearnedSize(int.__neg__(self))


def _mark_learned(value: int) -> LearnedSize:
    return value if value is NotImplemented else LearnedSize(value)  # the other operand may not be an integer


class LearnedShape(tuple[Dim, ...]):
    """A shape with unknown axes of which some are learned from data: ``(None, ?)``."""

    learned_axes: frozenset[int]

    def __new__(cls, shape: Shape) -> "LearnedShape":
        new = super().__new__(cls, (None if isinstance(dim, LearnedSize) else dim for dim in shape))
        new.learned_axes = frozenset(i for i, dim in enumerate(shape) if isinstance(dim, LearnedSize))
        return new


class Tensor(NamedTuple):
    """A symbolic tensor: shape (with the batch axis) and dtype."""

    shape: Shape
    dtype: str = "float32"

    @property
    def rank(self) -> int:
        """The number of axes, including the batch axis."""
        return len(self.shape)


class ShapeError(ValueError):
    """Inputs that a layer does not accept; ``argument`` names the layer's argument to change, if any."""

    def __init__(self, message: str, *, hint: str | None = None, argument: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.argument = argument


class RankError(ShapeError):
    """An input with the wrong number of axes."""


class UnknownSizeError(ShapeError):
    """An input with an axis of unknown size that the layer's weights depend on."""


def format_shape(shape: Sequence[Dim]) -> str:
    """Return a shape in Keras's form: ``(None, 8, 8, 1)``; sizes that are learned from data are ``?``."""
    learned_axes = shape.learned_axes if isinstance(shape, LearnedShape) else ()
    inner = ", ".join("?" if index in learned_axes else str(dim) for index, dim in enumerate(shape))
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


def product_of(dims: Iterable[Dim]) -> Dim:
    """Return the product of the axes, or None if one of them is unknown."""
    values = list(dims)
    known = [value for value in values if value is not None]
    return math.prod(known) if len(known) == len(values) else None


def multiply_dims(*factors: Dim) -> Dim:
    """Return the product of the factors, or None if one of them is unknown."""
    return product_of(factors)


def resolve_axis(axis: int, rank: int) -> int | None:
    """Return the axis counted from 0, or None if it does not exist."""
    index = axis + rank if axis < 0 else axis
    return index if 0 <= index < rank else None


def window_length(length: Dim, window: int, stride: int, padding: str, dilation: int = 1) -> Dim:
    """Return the length after sliding a window, as in convolution and pooling.

    Keras's ``compute_conv_output_shape``: ``(n - span) // s + 1`` for valid padding, ``n / s`` rounded up for same and
    causal. The result may be zero or negative; the caller checks it.
    """
    if length is None:
        return None
    if padding == "valid":
        return (length - window_span(window, dilation)) // stride + 1
    return -(-length // stride)


def window_span(window: int, dilation: int) -> int:
    """Return the length from the first to the last point of a window whose points are ``dilation`` apart."""
    return window if dilation == 1 else (window - 1) * dilation + 1
