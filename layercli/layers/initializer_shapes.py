"""Shapes of weights that an initializer can fill."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from layercli.layers.base import Layer, Weight
from layercli.layers.object_registry import INITIALIZERS
from layercli.layers.shapes import Shape, ShapeError, format_shape
from layercli.schema.component import Component

_AXES: Final = {"Identity": (2, 2), "Orthogonal": (2, None)}
"""Initializer -> smallest and largest number of axes of a weight that it can fill."""


def check_initializers(layer: Layer, weights: Iterable[Weight], *, is_nested: bool = False) -> None:
    """Check the initializer of each weight, such as `identity` on a bias.

    Raises:
        ShapeError: an initializer cannot fill its weight. It names the argument unless the layer is nested.
    """
    for weight in weights:
        argument, component = _find_initializer(layer, weight)
        initializer = component.type_name() if isinstance(component, Component) else component
        kind = INITIALIZERS.find(initializer) if initializer is not None else None
        expected = None if kind is None else _describe_expected_shape(kind, weight.shape)
        if expected is not None:
            raise ShapeError(
                f"`{argument}: {initializer}` requires a weight of {expected}, got {format_shape(weight.shape)}.",
                hint=f"Remove `{argument}`.",
                argument=None if is_nested else argument,
            )
        _check_fan_axes(argument, component, weight.shape, is_nested=is_nested)
        if kind == "Orthogonal" and (weight.dtype or layer.variable_dtype) == "bfloat16":
            raise ShapeError(
                f"`{argument}: {initializer}` cannot create a weight in bfloat16, since TensorFlow has no such operation.",
                hint=f"Write `dtype: mixed_bfloat16`, or a different `{argument}`, such as `glorot_uniform`.",
                argument=None if is_nested else argument,
            )


def _find_initializer(layer: Layer, weight: Weight) -> tuple[str, Component | str | None]:
    """Return the argument with the initializer of a weight, and the initializer or its type."""
    name = weight.name.rpartition("/")[2]
    names = (name, name.removesuffix("_kernel"), "depthwise" if name == "kernel" else name)
    argument = next((f"{each}_initializer" for each in names if hasattr(layer, f"{each}_initializer")), "")
    initializer = getattr(layer, argument, None) if argument else None
    return argument, initializer if isinstance(initializer, Component | str) else None


def _check_fan_axes(
    argument: str, initializer: Component | str | None, shape: Shape, *, is_nested: bool
) -> None:
    """Check that a weight has the axes that an initializer counts as fan. Keras uses them only if both are given.

    Raises:
        ShapeError: The weight does not have one of them.
    """
    axes = {key: getattr(initializer, key, None) for key in ("input_axes", "output_axes")}
    if None in axes.values():
        return
    for key, values in axes.items():
        wrong = [axis for axis in values or () if not -len(shape) <= axis < len(shape)]
        if wrong:
            raise ShapeError(
                f"`{argument}.{key}` must be axes of the weight, from {-len(shape)} to {len(shape) - 1}, got {wrong[0]}: "
                f"the weight has the shape {format_shape(shape)}.",
                hint=f"Write other axes, or remove `{key}`.",
                argument=None if is_nested else argument,
            )


def _describe_expected_shape(kind: str, shape: Shape) -> str | None:
    """Return the shapes that an initializer can fill; None if it can fill this one."""
    if kind == "STFT":
        # Its values have the shape (frame length, 1, frequencies), and divide by the number of frequencies minus 1.
        is_fitting = len(shape) == 3 and shape[1] == 1 and (shape[2] is None or shape[2] > 1)
        return None if is_fitting else "the shape (n, 1, m) with m above 1"
    lowest, highest = _AXES.get(kind, (0, None))
    if len(shape) >= lowest and (highest is None or len(shape) <= highest):
        return None
    return f"{lowest} axes" if highest is not None else f"at least {lowest} axes"
