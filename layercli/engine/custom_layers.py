"""Load custom layer classes from a file or module; the caller must require trust first."""

from __future__ import annotations

from typing import Any

import keras

from layercli.check import ValidConfig
from layercli.config.custom_layers import CustomLayer
from layercli.data.user_code import import_user_module
from layercli.engine.keras_errors import summarize_error
from layercli.errors import LayercliError
from layercli.graph.build import GraphNode
from layercli.schema.suggestions import did_you_mean


def load_layer_class(layer: CustomLayer, node: GraphNode, valid: ValidConfig) -> Any:
    """Return the layer class that a config names; runs the user's code.

    Raises:
        LayercliError: the class cannot be loaded, or is not a Keras layer.
    """
    if layer.kind == "keras":
        layer_class = getattr(keras.layers, layer.class_name, None)
        if not (isinstance(layer_class, type) and issubclass(layer_class, keras.layers.Layer)):
            raise _custom_layer_error(
                node, valid, f"Keras {keras.__version__} has no layer {layer.class_name}.", None
            )
        return layer_class
    try:
        module = import_user_module(
            valid.custom_layer_file(node) if layer.kind == "file" else None, layer.module
        )
    except (Exception, SystemExit) as error:
        raise _custom_layer_error(
            node,
            valid,
            f"Cannot import {layer.module}: {summarize_error(error)}",
            "Fix the error in that code.",
        ) from error
    layer_class = getattr(module, layer.class_name, None)
    if layer_class is None:
        classes = [name for name, item in vars(module).items() if isinstance(item, type)]
        hint = did_you_mean(
            layer.class_name, classes, otherwise=f"The module defines {', '.join(classes) or 'no classes'}."
        )
        raise _custom_layer_error(node, valid, f"{layer.module} has no class {layer.class_name}.", hint)
    if not (isinstance(layer_class, type) and issubclass(layer_class, keras.layers.Layer)):
        raise _custom_layer_error(
            node,
            valid,
            f"{layer.type_reference()} is not a Keras layer.",
            "Derive it from keras.layers.Layer.",
        )
    return layer_class


def _custom_layer_error(node: GraphNode, valid: ValidConfig, message: str, hint: str | None) -> LayercliError:
    return LayercliError(valid.make_problem((*node.path, "type"), "custom-layer", message, hint))
