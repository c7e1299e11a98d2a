"""Shape arithmetic on plain tuples, as Keras does it; the batch axis is the first and always unknown."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

Dim: TypeAlias = int | None
Shape: TypeAlias = tuple[Dim, ...]


class Tensor(NamedTuple):
    """What is known of a tensor before it exists: shape with the batch axis, and dtype."""

    shape: Shape
    dtype: str = "float32"

    @property
    def rank(self) -> int:
        """Number of axes, the batch axis included."""
        return len(self.shape)


class ShapeError(ValueError):
    """Inputs that a layer cannot take; ``argument`` names the layer's argument at fault, if one is."""

    def __init__(self, message: str, *, hint: str | None = None, argument: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.argument = argument


class RankError(ShapeError):
    """An input with more or fewer axes than the layer takes."""


def format_shape(shape: Sequence[Dim]) -> str:
    """A shape as Keras prints it: ``(None, 8, 8, 1)``."""
    inner = ", ".join(str(dim) for dim in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


def product_of(dims: Iterable[Dim]) -> Dim:
    """The product of the axes, or None where one of them is unknown."""
    values = list(dims)
    known = [value for value in values if value is not None]
    return math.prod(known) if len(known) == len(values) else None


def multiply_dims(*factors: Dim) -> Dim:
    """The product of the factors, or None where one of them is unknown."""
    return product_of(factors)


def resolve_axis(axis: int, rank: int) -> int | None:
    """The axis counted from 0, or None where there is no such axis."""
    index = axis + rank if axis < 0 else axis
    return index if 0 <= index < rank else None


def window_length(length: Dim, window: int, stride: int, padding: str, dilation: int = 1) -> Dim:
    """Length after sliding a window, as in convolution and pooling.

    Keras's ``compute_conv_output_shape``: ``(n - d(k - 1) - 1) // s + 1`` for valid padding, ``(n - 1) // s + 1`` for same
    and causal. May be zero or negative; the caller refuses that.
    """
    if length is None:
        return None
    if padding == "valid":
        return (length - dilation * (window - 1) - 1) // stride + 1
    return (length - 1) // stride + 1
