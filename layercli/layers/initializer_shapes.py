"""Shapes of weights that an initializer can fill."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from layercli.layers.base import InferredLayer, Layer, Weight
from layercli.layers.object_registry import INITIALIZERS, REGULARIZERS
from layercli.layers.shapes import Shape, ShapeError, format_shape
from layercli.schema.component import Component

_AXES: Final = {"Identity": (2, 2), "Orthogonal": (2, None)}
"""Initializer -> smallest and largest number of axes of a weight that it can fill."""
_MAX_ORTHOGONAL_SIDE: Final = 4096
"""Largest shorter side of an orthogonal matrix: its time grows with the cube; 5,000 x 5,000 takes over a minute on a core."""


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
        if kind == "Orthogonal" and min(_find_sides(weight)) > _MAX_ORTHOGONAL_SIDE:
            raise ShapeError(
                f"`{argument}: {initializer}` must have a weight of at most {_MAX_ORTHOGONAL_SIDE:,} rows or columns, since "
                f"it decomposes a matrix, got {format_shape(_find_sides(weight))}.",
                hint=f"Write a different `{argument}`, such as `glorot_uniform`.",
                argument=None if is_nested else argument,
            )
        if kind == "Orthogonal" and (weight.dtype or layer.variable_dtype) == "bfloat16":
            raise ShapeError(
                f"`{argument}: {initializer}` cannot create a weight in bfloat16, since TensorFlow has no such operation.",
                hint=f"Write `dtype: mixed_bfloat16`, or a different `{argument}`, such as `glorot_uniform`.",
                argument=None if is_nested else argument,
            )


def count_orthogonal_operations(layer: Layer, weights: Iterable[Weight]) -> int:
    """Return the multiply-adds of the orthogonal initializers: they decompose a matrix of the size of the weight."""
    layer, operations = find_innermost_layer(layer), 0
    for weight in weights:
        _, component = _find_initializer(layer, weight)
        name = component.type_name() if isinstance(component, Component) else component
        if name is not None and INITIALIZERS.find(name) == "Orthogonal" and weight.shape:
            sides = _find_sides(weight)
            operations += max(sides) * min(sides) ** 2
    return operations


def _find_sides(weight: Weight) -> tuple[int, int]:
    """Return the rows and columns of the matrix that an orthogonal initializer decomposes."""
    return math.prod(weight.shape[:-1]), weight.shape[-1]


def check_regularizers(layer: Layer, inferred: InferredLayer) -> None:
    """Check that an orthogonal regularizer has a matrix, as Keras requires.

    Raises:
        ShapeError: The weight or the output has a different number of axes.
    """
    regularized = [("activity_regularizer", "an output", output.shape) for output in inferred.outputs]
    regularized += [
        (f"{weight.name.rpartition('/')[2]}_regularizer", "a weight", weight.shape)
        for weight in (inferred.weights if inferred.has_known_weights else ())
    ]
    for argument, subject, shape in regularized:
        component = getattr(layer, argument, None)
        name = component.type_name() if isinstance(component, Component) else component
        is_orthogonal = isinstance(name, str) and REGULARIZERS.find(name) == "OrthogonalRegularizer"
        if is_orthogonal and len(shape) != 2:
            raise ShapeError(
                f"`{argument}: {name}` requires {subject} with 2 axes, got {format_shape(shape)}.",
                hint=f"Remove `{argument}`.",
                argument=argument,
            )


def find_innermost_layer(layer: Layer) -> Layer:
    """Return the layer inside a wrapper, such as TimeDistributed; without a wrapper, the layer itself."""
    inner = getattr(layer, "layer", None)
    return find_innermost_layer(inner) if isinstance(inner, Layer) else layer


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
