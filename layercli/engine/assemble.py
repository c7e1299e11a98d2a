"""A graph in, a Keras model out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import keras

from layercli.check import Valid
from layercli.config.custom import CustomLayer
from layercli.engine.custom import load_class
from layercli.engine.objects import keras_object, keras_value
from layercli.errors import LayercliError
from layercli.graph.build import Node
from layercli.graph.shapes import Row, Shapes
from layercli.layers.base import Weight
from layercli.layers.shapes import Tensor, show
from layercli.source.nodes import printable


@dataclass(frozen=True, slots=True)
class Assembled:
    """The Keras model, and its layers and their symbolic outputs by their names in the graph."""

    model: Any
    layers: dict[str, Any]
    tensors: dict[str, Any]


def assemble(valid: Valid) -> Assembled:
    """The Keras model of a config, with fresh weights drawn from its seed.

    Raises:
        LayercliError: Keras, or a layer of the user's, refuses what the static check let pass.
    """
    keras.utils.set_random_seed(valid.config.seed)
    tensors: dict[str, Any] = {
        name: keras.Input(shape=tensor.shape[1:], dtype=tensor.dtype, name=name)
        for name, tensor in valid.graph.inputs.items()
    }
    inputs = list(tensors.values())
    layers: dict[str, Any] = {}
    for node in valid.graph.nodes:
        layers[node.name] = _layer(node, valid)
        taken = [tensors[name] for name in node.inputs]
        tensors[node.name] = _connect(layers[node.name], taken, node, valid)
    outputs = [tensors[name] for name in valid.graph.outputs]
    model = keras.Model(
        inputs if len(inputs) > 1 else inputs[0],
        outputs if len(outputs) > 1 else outputs[0],
        name=valid.checked.name,
    )
    return Assembled(model, layers, tensors)


def completed(valid: Valid, assembled: Assembled) -> Valid:
    """The config with the weights that Keras made, and the shapes it found, where the static check knew none.

    Raises:
        AssertionError: Keras made other weights than the static check counted, which is a bug of ours.
    """
    rows = [_complete(row, assembled) for row in valid.shapes.rows]
    shapes = Shapes(valid.graph, rows, {row.node.name: row for row in rows})
    return replace(valid, shapes=shapes)


def _complete(row: Row, assembled: Assembled) -> Row:
    made = tuple(
        Weight(weight.name, tuple(weight.shape), trainable=bool(weight.trainable), dtype=weight.dtype)
        for weight in assembled.layers[row.node.name].weights
    )
    if row.weights is None:
        tensors = assembled.tensors[row.node.name]
        listed = tensors if isinstance(tensors, (list, tuple)) else [tensors]
        found = tuple(Tensor(tuple(tensor.shape), tensor.dtype) for tensor in listed)
        return replace(row, outputs=row.outputs or found, weights=made)
    counted = replace(row, weights=made)
    if row.parameters != counted.parameters:
        raise AssertionError(f"{row.node.type_name}: counted {row.parameters} parameters, Keras made {counted.parameters}")
    return row


def _layer(node: Node, valid: Valid) -> Any:
    layer = node.layer
    if not isinstance(layer, CustomLayer):
        return keras_object(layer, home=keras.layers, name=node.name)
    cls = load_class(layer, node, valid)
    arguments = {key: keras_value(value) for key, value in layer.arguments().items()}
    try:
        return cls(**arguments, name=node.name)
    except Exception as error:
        raise refused(node, valid, f"{layer.class_name} cannot be made with these arguments", error) from error


def _connect(layer: Any, tensors: list[Any], node: Node, valid: Valid) -> Any:
    try:
        output = layer(tensors[0] if len(tensors) == 1 else tensors)
    except Exception as error:
        shapes = ", ".join(show(tensor.shape) for tensor in tensors)
        raise refused(node, valid, f"Keras cannot connect `{node.name}` to an input of {shapes}", error) from error
    if not node.layer.is_trainable:
        layer.trainable = False  # said to the constructor alone, it does not reach the layers inside this one
    return output


def refused(node: Node, valid: Valid, what: str, error: Exception) -> LayercliError:
    """What Keras or the user's code said, at the layer's line."""
    said = f"{type(error).__name__}: {error}".strip().split("\n")[0]
    hint = "Look at the class that the layer names." if isinstance(node.layer, CustomLayer) else None
    return LayercliError(
        valid.problem(node.path, "layer-refused", f"{what}: {printable(said, limit=400)}", hint)
    )
