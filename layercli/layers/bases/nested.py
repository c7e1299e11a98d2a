"""Nested layers: layers that are declared inside other layers."""

from functools import cache
from typing import Annotated

from pydantic import Field, StringConstraints

from layercli.layers.base import Layer, StandardLayer, Weight
from layercli.layers.registry import LAYERS
from layercli.schema.component import parse_at_key
from layercli.schema.strict_model import ExpectedText

InnerLayerName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=200),
    Field(description="Name of the nested layer."),
    ExpectedText("a name of letters, digits, `_`, `-` and `.`"),
]


@cache
def _with_name_argument(cls: type[Layer]) -> type[Layer]:
    """Return a subclass with the additional argument ``name``, which a nested layer accepts."""
    return type(
        cls.__name__, (cls,), {"__annotations__": {"name": InnerLayerName}, "__module__": cls.__module__}
    )


def parse_inner_layer(value: object) -> Layer:
    """Parse a layer nested in another layer; ``name`` is an argument here.

    Raises:
        ValidationError | PydanticCustomError: the value does not declare a layer.
    """
    if isinstance(value, dict) and "name" in value and "type" in value:
        cls = parse_at_key("type", LAYERS.look_up, value["type"])
        layer_class = cls if value["name"] is None else _with_name_argument(cls)  # type: ignore[arg-type]  # classes are hashable
        removed_keys = ("type", "name") if layer_class is cls else ("type",)
        return layer_class.model_validate(
            {key: item for key, item in value.items() if key not in removed_keys}
        )
    return LAYERS.parse(value)


class NestingLayer(StandardLayer):
    """A layer whose weights belong to nested layers; their ``trainable`` flags apply."""


def resolve_inner_weights(
    layer: Layer, weights: tuple[Weight, ...] | list[Weight], prefix: str = ""
) -> list[Weight]:
    """Return the weights of a nested layer with the ``trainable`` flags and dtypes that Keras gives them."""
    is_trainable = isinstance(layer, NestingLayer) or layer.is_trainable
    return [
        Weight(
            prefix + weight.name,
            weight.shape,
            weight.trainable and is_trainable,
            weight.dtype or layer.variable_dtype,
        )
        for weight in weights
    ]
