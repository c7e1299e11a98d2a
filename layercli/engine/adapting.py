"""Layers that learn from data before training, and inputs as TensorFlow takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from layercli.check import Valid
from layercli.data.arrays import Inputs, whole
from layercli.data.part import Part
from layercli.engine.assemble import Assembled, learns_before_training, picked


def adapt(assembled: Assembled, valid: Valid, part: Part) -> None:
    """Let each layer that learns from data before training learn from these examples alone."""
    for node in valid.graph.nodes:
        if not learns_before_training(node):
            continue
        layer = assembled.layers[node.name]
        source, pick = node.inputs[0], node.picks[0]
        data: Any = fed(whole(part).x)
        if source not in valid.graph.inputs:
            before = keras.Model(assembled.model.inputs, picked(assembled.tensors[source], pick))
            data = before.predict(data, verbose=0)
        elif isinstance(data, Mapping):
            data = data[source]
        layer.adapt(data)


def fed(x: Inputs) -> Any:
    """Inputs as Keras takes them; text as TensorFlow's."""
    if isinstance(x, Mapping):
        given = {name: fed(array) for name, array in x.items()}
        return given if len(given) > 1 else next(iter(given.values()))
    return tf.constant(x.tolist(), dtype=tf.string) if x.dtype.kind == "O" else x
