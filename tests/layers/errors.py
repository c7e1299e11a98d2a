"""The errors of a layer: of its arguments, and of the shapes of its inputs."""

from typing import Any

import pytest
from pydantic import ValidationError

from layercli.layers.registry import LAYERS
from layercli.layers.shapes import ShapeError, Tensor


def argument_error(value: Any) -> tuple[str, str | None, tuple[int | str, ...]]:
    """Return the message, hint and location of the first error in a layer's arguments."""
    with pytest.raises(ValidationError) as caught:
        LAYERS.parse(value)
    error = caught.value.errors()[0]
    return error["ctx"]["message"], error["ctx"]["hint"], error["loc"]


def shape_error(value: Any, *shapes: Any) -> tuple[str, str | None, str | None]:
    """Return the message, hint and argument of the error of a layer on inputs of these shapes."""
    layer = LAYERS.parse(value)
    with pytest.raises(ShapeError) as caught:
        layer.infer(tuple(Tensor(shape) for shape in shapes))
    return str(caught.value), caught.value.hint, caught.value.argument


def shape_error_with_hint(value: Any, shape: Any) -> tuple[str, str | None]:
    """Return the message and hint in one text, and the argument."""
    message, hint, argument = shape_error(value, shape)
    return f"{message} {hint or ''}".strip(), argument
