"""Compare the static engine with Keras: shapes, weights and errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
from pydantic import ValidationError

from layercli.engine.keras_objects import keras_object
from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Shape, ShapeError, Tensor
from tests.layers.explained import assert_explains

Outcome = tuple[tuple[Tensor, ...], list[tuple[tuple[int, ...], bool]]]
"""Outputs, and each weight's shape and whether it is trained, sorted."""

SHARED_DEFAULTS = {"activity_regularizer": None, "autocast": True, "trainable": True}
"""Arguments of every Keras layer."""


def static(value: Any, *inputs: Tensor) -> Outcome | str:
    """Return the static result for a layer, or its error."""
    try:
        layer = LAYERS.parse(value)
        inferred = layer.infer(inputs)
    except (ValidationError, ShapeError, ValueError) as error:
        return f"layercli: {error}"
    trainable = layer.is_trainable
    return inferred.outputs, sorted((w.shape, w.trainable and trainable) for w in inferred.weights)


def judged(value: Any, *inputs: Tensor, call: Callable[[Any, list[Any]], Any] | None = None) -> Outcome | str:
    """Return Keras's result for the layer, or its error, without allocating weights.

    ``call`` is for layers whose inputs are not one tensor or one list.
    """
    try:
        cls = getattr(keras.layers, LAYERS.find(value["type"]) or value["type"])
        arguments = {key: _keras_argument(item) for key, item in value.items() if key != "type"}
        with keras.StatelessScope(initialize_variables=False):
            layer = cls(**arguments)
            tensors = [keras.KerasTensor(x.shape, dtype=x.dtype) for x in inputs]
            # A call on symbolic tensors builds the layer and runs its shape rule.
            result = call(layer, tensors) if call else layer(tensors[0] if len(tensors) == 1 else tensors)
            weights = [(tuple(w.shape), True) for w in layer.trainable_weights]
            weights += [(tuple(w.shape), False) for w in layer.non_trainable_weights]
    except Exception as error:
        return f"keras: {type(error).__name__}: {error}"
    outputs = keras.tree.flatten(result)  # recurrent states may come as lists in the list
    return tuple(Tensor(tuple(out.shape), out.dtype) for out in outputs), sorted(weights)


def _keras_argument(value: Any) -> Any:
    if isinstance(value, dict) and "type" in value:
        name = LAYERS.find(value["type"])
        arguments = {key: _keras_argument(item) for key, item in value.items() if key != "type"}
        if name is not None and hasattr(keras.layers, name):
            return getattr(keras.layers, name)(**arguments)
        for home in (keras.initializers, keras.regularizers, keras.constraints):
            if hasattr(home, value["type"]):
                return getattr(home, value["type"])(**arguments)
    if isinstance(value, list):
        return [_keras_argument(item) for item in value]
    return value


def assert_parity(
    value: dict[str, Any],
    *shapes: Shape,
    dtype: str = "float32",
    call: Callable[[Any, list[Any]], Any] | None = None,
) -> None:
    """The static engine and Keras agree on shape, dtype and weights, or both refuse; so does the printed arithmetic."""
    inputs = tuple(Tensor(shape, dtype) for shape in shapes)
    ours, theirs = static(value, *inputs), judged(value, *inputs, call=call)
    if isinstance(ours, str) and isinstance(theirs, str):
        return
    assert ours == theirs, f"{value} on {shapes}:\n  layercli {ours}\n  keras    {theirs}"
    outputs, weights = theirs
    parameters = sum(math.prod(shape) for shape, _ in weights)
    assert_explains(LAYERS.parse(value), inputs, [x.shape for x in outputs], parameters)


def assert_built_alike(value: dict[str, Any]) -> None:
    """Check that our defaults build the same layer as Keras's defaults."""
    name = LAYERS.find(value["type"])
    arguments = {key: _keras_argument(item) for key, item in value.items() if key != "type"}
    theirs = getattr(keras.layers, name)(**arguments).get_config()
    ours = keras_object(LAYERS.parse(value)).get_config()
    ours.pop("name"), theirs.pop("name")
    # Without a custom get_config(), a layer records shared arguments only if they are passed.
    for key in ours.keys() - theirs.keys():
        assert ours.pop(key) == SHARED_DEFAULTS[key]
    assert _nameless(ours) == _nameless(theirs)


def _nameless(config: Any) -> Any:
    """Return the config without layer names, including those of nested layers."""
    if isinstance(config, dict):
        return {key: _nameless(item) for key, item in config.items() if key != "name"}
    return [_nameless(item) for item in config] if isinstance(config, (list, tuple)) else config
