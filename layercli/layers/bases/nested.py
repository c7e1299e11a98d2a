"""Layers that are declared inside other layers."""

from functools import cache
from typing import Annotated

from pydantic import Field, StringConstraints

from layercli.layers.base import Layer, StandardLayer, Weight
from layercli.layers.registry import LAYERS
from layercli.schema.component import at
from layercli.schema.strict_model import Expected

LayerName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=200),
    Field(description="Name of the layer inside."),
    Expected("a name of letters, digits, `_`, `-` and `.`"),
]


@cache
def _named(cls: type[Layer]) -> type[Layer]:
    """The same layer with ``name`` among its arguments, as a layer inside another one may have it."""
    return type(cls.__name__, (cls,), {"__annotations__": {"name": LayerName}, "__module__": cls.__module__})


def inner_layer(value: object) -> Layer:
    """The layer that is declared inside another one; unlike one in the stack, its ``name`` is an argument.

    Raises:
        ValidationError | PydanticCustomError: the value declares none.
    """
    if isinstance(value, dict) and "name" in value and "type" in value:
        cls = at("type", LAYERS.look_up, value["type"])
        named = cls if value["name"] is None else _named(cls)  # type: ignore[arg-type]  # classes are hashable
        dropped = ("type", "name") if named is cls else ("type",)
        return named.model_validate({key: item for key, item in value.items() if key not in dropped})
    return LAYERS.parse(value)


class Holder(StandardLayer):
    """A layer whose weights belong to layers inside it; Keras trains them by the flags of those layers."""


def inner_weights(layer: Layer, weights: tuple[Weight, ...] | list[Weight], prefix: str = "") -> list[Weight]:
    """The weights of a layer inside another one: flags and dtype as Keras settles them."""
    kept = isinstance(layer, Holder) or layer.is_trainable
    return [
        Weight(
            prefix + weight.name,
            weight.shape,
            weight.trainable and kept,
            weight.dtype or layer.variable_dtype,
        )
        for weight in weights
    ]
