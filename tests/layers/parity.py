"""Compare the static engine with Keras: shapes, weights and errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from pydantic import ValidationError

from layercli.engine.keras_objects import keras_object
from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Shape, ShapeError, Tensor
from tests.layers.explained import assert_explains
from tests.stateless import unallocated_weights

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
        with unallocated_weights():
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


def ran(
    value: Any, *inputs: Tensor, call: Callable[[Any, list[Any]], Any] | None = None
) -> list[list[tuple[Shape, str]]] | str:
    """Return the real outputs of a Keras layer, in a model that is and that is not training, or its error.

    A symbolic call accepts shapes and dtypes that a real call rejects. Axes of unknown size have one of two sizes.
    """
    outcomes = (_run(value, inputs, call, length) for length in (8, 6))
    return next((each for each in outcomes if not isinstance(each, str)), f"keras: rejects {inputs}")


def _run(
    value: Any, inputs: tuple[Tensor, ...], call: Callable[..., Any] | None, length: int
) -> list[list[tuple[Shape, str]]] | str:
    try:
        name = LAYERS.find(value["type"]) or value["type"]
        in_call = LAYERS.load(name).call_arguments
        arguments = {key: item for key, item in value.items() if key not in ("type", *in_call)}
        layer = getattr(keras.layers, name)(**{key: _keras_argument(item) for key, item in arguments.items()})
        tensors = [keras.Input(shape=x.shape[1:], dtype=x.dtype) for x in inputs]
        options = {key: item for key, item in value.items() if key in in_call}
        if call is None:
            output = layer(tensors[0] if len(tensors) == 1 else tensors, **options)
        else:
            output = call(layer, tensors, **options)
        model = keras.Model(tensors, output)
        arrays = [_real_array(x, length) for x in inputs]
        if hasattr(layer, "adapt") and value.get("vocabulary") is None and "bin_boundaries" not in value:
            layer.adapt(arrays[0])
        # Outside a graph, some windows of adaptive pooling end the process in TensorFlow.
        run = tf.function(model, autograph=False) if "Adaptive" in name else model
        modes = (False,) if "Adaptive" in name else (False, True)  # it has no training mode; tracing is slow
        runs = [keras.tree.flatten(run(arrays, training=is_training)) for is_training in modes]
    except Exception as error:
        return f"keras: {type(error).__name__}: {error}"
    return [
        [(tuple(each.shape), keras.backend.standardize_dtype(each.dtype)) for each in run] for run in runs
    ]


def _fits(declared: Tensor, returned: tuple[Shape, str]) -> bool:
    shape = returned[0]
    return len(shape) == declared.rank and all(
        a is None or a == b for a, b in zip(declared.shape, shape, strict=True)
    )


def _real_array(x: Tensor, length: int) -> Any:
    shape = (2, *(length if size is None else size for size in x.shape[1:]))
    if x.dtype == "string":
        return tf.constant(np.resize(np.array(["a", "b c"], dtype=object), shape))
    numbers = (
        np.random.default_rng(0).random(shape)
        if "float" in x.dtype
        else np.arange(np.prod(shape)).reshape(shape) % 2
    )
    return tf.cast(numbers, x.dtype)


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
    is_real: bool = False,
) -> None:
    """The static engine and Keras agree on shape, dtype and weights, or both refuse; so does the printed arithmetic.

    If they disagree, or with ``is_real``, the layer also runs: a symbolic call can accept what a real call rejects.
    """
    inputs = tuple(Tensor(shape, dtype) for shape in shapes)
    ours, theirs = static(value, *inputs), judged(value, *inputs, call=call)
    if isinstance(ours, str) and isinstance(theirs, str):
        return
    if ours != theirs or is_real:
        theirs = _really(value, inputs, call, ours, theirs)
    if isinstance(ours, str) and isinstance(theirs, str):
        return
    assert ours == theirs, f"{value} on {shapes}:\n  layercli {ours}\n  keras    {theirs}"
    outputs, weights = theirs
    parameters = sum(math.prod(shape) for shape, _ in weights)
    assert_explains(LAYERS.parse(value), inputs, [x.shape for x in outputs], parameters)


def _really(
    value: Any,
    inputs: tuple[Tensor, ...],
    call: Callable[..., Any] | None,
    ours: Outcome | str,
    theirs: Outcome | str,
) -> Outcome | str:
    """Return Keras's result for real inputs: a symbolic call can declare other shapes, or accept what a real call rejects."""
    outputs = theirs if isinstance(theirs, str) else ran(value, *inputs, call=call)
    if isinstance(outputs, str) or isinstance(theirs, str):
        return outputs if isinstance(outputs, str) else theirs
    if not isinstance(ours, str) and all(all(map(_fits, ours[0], run)) for run in outputs):
        return ours[0], theirs[1]
    if not all(all(map(_fits, theirs[0], run)) for run in outputs):
        return f"keras: declares {theirs[0]}, returns {outputs}"
    return theirs


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
