"""Create the Keras layers of nodes, with custom classes from files and modules; the caller must require trust first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import keras

from layercli.check import ValidConfig
from layercli.data.user_code import import_user_module
from layercli.engine.custom_layer_mistakes import LayerCode
from layercli.engine.keras_errors import layer_error, suggest_import_fix, summarize_error
from layercli.engine.keras_objects import keras_object
from layercli.errors import LayercliError
from layercli.graph.build import CustomPart, GraphNode
from layercli.layers.custom_layers import CustomLayer
from layercli.schema.suggestions import did_you_mean


def create_layer(node: GraphNode, valid: ValidConfig) -> tuple[Any, list[LayerCode]]:
    """Return the Keras layer of a node, and the code of the custom layers in it, outermost first; runs that code.

    Raises:
        LayercliError: a class cannot be loaded or created.
    """
    codes = {id(part.layer): LayerCode(part, load_layer_class(part, valid)) for part in node.custom_parts}

    def create_custom_layer(layer: CustomLayer, arguments: dict[str, Any]) -> Any:
        code = codes[id(layer)]
        try:
            instance = code.layer_class(**arguments)
        except (Exception, SystemExit) as error:
            summary = f"{layer.class_name} cannot be created with these arguments"
            unnamed = _create_unnamed(code.layer_class, arguments)
            raise layer_error(node, valid, summary, error, [replace(code, instance=unnamed)]) from error
        codes[id(layer)] = replace(code, instance=instance)
        return instance

    with custom_classes_scope(codes.values()):
        try:
            keras_layer = keras_object(
                node.layer,
                namespace=keras.layers,
                name=node.name,
                create_custom_layer=create_custom_layer,
            )
        except LayercliError:
            raise
        except Exception as error:
            if not codes:
                raise
            summary = f"`{node.name}` cannot be created with these arguments"
            raise layer_error(node, valid, summary, error, codes.values()) from error
    return keras_layer, list(codes.values())


def custom_classes_scope(codes: Iterable[LayerCode]) -> Any:
    """Return a context in which Keras knows the classes of custom layers by their names."""
    return keras.saving.custom_object_scope({code.layer_class.__name__: code.layer_class for code in codes})


def _create_unnamed(cls: Any, arguments: dict[str, Any]) -> Any:
    """Return the layer without a name, to search it for mistakes; None if that fails too."""
    try:
        return cls(**{key: value for key, value in arguments.items() if key != "name"})
    except (Exception, SystemExit):
        return None


def load_layer_class(part: CustomPart, valid: ValidConfig) -> Any:
    """Return the layer class that a config names; runs the user's code.

    Raises:
        LayercliError: the class cannot be loaded, or is not a Keras layer.
    """
    layer = part.layer
    if layer.kind == "keras":
        layer_class = getattr(keras.layers, layer.class_name, None)
        if not (isinstance(layer_class, type) and issubclass(layer_class, keras.layers.Layer)):
            raise _custom_layer_error(
                part, valid, f"Keras {keras.__version__} has no layer {layer.class_name}.", None
            )
        return layer_class
    directory = valid.custom_layer_file(part).parent
    file = valid.custom_layer_file(part) if layer.kind == "file" else None
    try:
        module = import_user_module(file, layer.module)
    except (Exception, SystemExit) as error:
        raise _custom_layer_error(
            part,
            valid,
            f"Cannot import {layer.module}: {summarize_error(error)}",
            suggest_import_fix(error, file, layer, directory),
        ) from error
    layer_class = getattr(module, layer.class_name, None)
    if layer_class is None:
        classes = [name for name, item in vars(module).items() if isinstance(item, type)]
        hint = did_you_mean(
            layer.class_name, classes, otherwise=f"The module defines {', '.join(classes) or 'no classes'}."
        )
        raise _custom_layer_error(part, valid, f"{layer.module} has no class {layer.class_name}.", hint)
    if not (isinstance(layer_class, type) and issubclass(layer_class, keras.layers.Layer)):
        raise _custom_layer_error(
            part,
            valid,
            f"{layer.type_reference()} is not a Keras layer.",
            "Derive it from keras.layers.Layer.",
        )
    return layer_class


def _custom_layer_error(
    part: CustomPart, valid: ValidConfig, message: str, hint: str | None
) -> LayercliError:
    return LayercliError(valid.make_problem((*part.path, "type"), "custom-layer", message, hint))
