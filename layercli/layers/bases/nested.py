"""Layers with nested layers: they are declared inside other layers."""

from layercli.layers.base import Layer, StandardLayer, Weight
from layercli.layers.initializer_shapes import check_initializers


class NestingLayer(StandardLayer):
    """A layer whose weights belong to nested layers; their ``trainable`` flags apply."""


def resolve_inner_weights(
    layer: Layer, weights: tuple[Weight, ...] | list[Weight], prefix: str = ""
) -> list[Weight]:
    """Return the weights of a nested layer with the ``trainable`` flags and dtypes that Keras gives them.

    Raises:
        ShapeError: an initializer of the nested layer cannot fill its weight.
    """
    check_initializers(layer, weights, is_nested=True)
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
