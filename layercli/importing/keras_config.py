"""Keras's record of a layer, an initializer or a loss as a config writes it, without defaults."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from layercli.importing.custom_classes import ClassResolver, refuse_custom_class
from layercli.layers.base import Layer
from layercli.layers.families.lookup import MIN_TOKENS
from layercli.layers.minimal_arguments import minimal_config
from layercli.layers.object_registry import CONSTRAINTS, INITIALIZERS, REGULARIZERS
from layercli.layers.registry import LAYERS
from layercli.schema.component import Component
from layercli.source.nodes import quote_value, sanitize_text


class InexpressibleError(Exception):
    """Raised for a part of a model that a config cannot express; the message names it."""


class CustomClassError(InexpressibleError):
    """Raised for an object of a class that is not Keras's and not allowed."""


_NEUTRAL_VALUES = {"rms_scaling": False}
"""Arguments that the catalogue does not have, and the value other than null that changes nothing."""
_DERIVED_ARGUMENTS = ("name", "vocabulary_size")
"""Arguments that Keras records but derives from other values."""
_LAYER_KEYS: Final = ("layer", "backward_layer", "cell", "cells", "layers")
"""Arguments of Keras's layers that are layers, so that they can be custom layers."""
_IMPLICIT_VALUES = {"dtype": "float32", "data_format": "channels_last", "activation": "linear"}
"""Values that Keras records for arguments that were not set."""


def is_keras_object(value: Any) -> bool:
    """Return whether the value is Keras's record of an object."""
    return isinstance(value, dict) and "class_name" in value and "config" in value


def config_arguments(
    cls: type[Component], config: Mapping[str, Any], resolve_class: ClassResolver = refuse_custom_class
) -> dict[str, Any]:
    """Return a layer's arguments for a config: those that differ from their defaults, in their shortest form.

    Raises:
        InexpressibleError: the catalogue does not accept an argument.
    """
    fields = cls.model_fields
    arguments: dict[str, Any] = {}
    for key, value in config.items():
        if key not in fields and (
            key in _DERIVED_ARGUMENTS or value == _NEUTRAL_VALUES.get(key, ...) or value is None
        ):
            continue
        arguments[key] = _convert_value(key, value, resolve_class)
        if arguments[key] == _IMPLICIT_VALUES.get(key, ...) and key in fields and fields[key].default is None:
            del arguments[key]
        elif key == "axis" and isinstance(value, list) and len(value) == 1:
            arguments[key] = value[0]
    try:
        component = cls.model_validate(arguments)
    except ValidationError as error:
        messages = [item["ctx"]["message"] for item in error.errors(include_url=False)]
        raise InexpressibleError(" ".join(messages)) from None
    if isinstance(component, Layer) and component.learns_output_size:
        component = _declare_output_size(component, config.get("vocabulary_size"))
    shortest = minimal_config(component)
    return {key: shortest[key] for key in config if key in shortest}


def _declare_output_size(layer: Layer, vocabulary_size: Any) -> Layer:
    """Return a lookup whose output has the size of the vocabulary that it learned, if it did."""
    if isinstance(vocabulary_size, int) and vocabulary_size >= MIN_TOKENS:
        return layer.with_arguments(max_tokens=vocabulary_size, pad_to_max_tokens=True)
    return layer


def custom_arguments(config: Mapping[str, Any], resolve_class: ClassResolver) -> dict[str, Any]:
    """Return the arguments of a custom layer for a config, without its name and with objects and layers as mappings.

    Raises:
        InexpressibleError: a config cannot express an argument.
    """
    defaults: dict[str, Any] = {
        "name": ...,
        "trainable": True,
        "dtype": ...,
        "autocast": True,
        "activity_regularizer": None,
    }
    return {
        key: _convert_value(key, item, resolve_class, is_in_custom_class=True)
        for key, item in config.items()
        if key not in defaults or defaults[key] not in (..., item)
    }


def _convert_value(
    key: str, value: Any, resolve_class: ClassResolver, *, is_in_custom_class: bool = False
) -> Any:
    """Return an argument as a config writes it.

    Raises:
        InexpressibleError: the argument is an object that a config cannot express.
    """

    def convert(name: str, item: Any) -> Any:
        return _convert_value(name, item, resolve_class, is_in_custom_class=is_in_custom_class)

    if is_keras_object(value):
        return _convert_object(key, value, resolve_class, is_in_custom_class=is_in_custom_class)
    if isinstance(value, dict):
        if value.get("class_name") == "__tuple__" or "items" in value:
            return [convert(key, item) for item in value.get("items", [])]
        return {str(name): convert(str(name), item) for name, item in value.items()}
    if isinstance(value, list):
        return [convert(key, item) for item in value]
    if isinstance(value, float) and not is_in_custom_class:
        return shorten_float(value)
    return value


def _convert_object(
    key: str, value: dict[str, Any], resolve_class: ClassResolver, *, is_in_custom_class: bool
) -> Any:
    name, module, config = value["class_name"], str(value.get("module")), value["config"]
    if name == "DTypePolicy" and isinstance(config, dict):
        return config.get("name")
    if name == "function":
        if isinstance(config, str) and (module in ("builtins", "None") or module.startswith("keras")):
            return config
        raise InexpressibleError(f"`{sanitize_text(key)}` is the custom function {quote_value(config)}.")
    if not isinstance(config, dict):
        raise InexpressibleError(
            f"`{sanitize_text(key)}` is an object of {quote_value(name)} without arguments."
        )
    name_entry = (
        {"name": config["name"]}
        if key in ("layer", "backward_layer") and isinstance(config.get("name"), str)
        else {}
    )
    if module.partition(".")[0] != "keras":
        type_name = _find_custom_type(key, str(name), module, resolve_class, is_in_custom_class)
        return {"type": type_name, **name_entry, **custom_arguments(config, resolve_class)}
    if module == "keras.layers" and key in ("activation", "recurrent_activation") and not is_in_custom_class:
        hint = f"make it a separate layer, {sanitize_text(str(name))}, after this one"
        raise InexpressibleError(
            f"`{key}` is the layer {sanitize_text(str(name))}, not the name of an activation; {hint}."
        )
    catalogues = {
        "keras.initializers": INITIALIZERS,
        "keras.regularizers": REGULARIZERS,
        "keras.constraints": CONSTRAINTS,
    }
    catalogue: Any = catalogues.get(module, LAYERS if module == "keras.layers" else None)
    if catalogue is None or not isinstance(name, str) or catalogue.find(name) is None:
        raise InexpressibleError(
            f"`{sanitize_text(key)}` is {quote_value(name)} of {quote_value(module)}, which a config cannot express."
        )
    if catalogue is LAYERS:
        arguments = config_arguments(LAYERS.load(catalogue.find(name)), config, resolve_class)
        return {"type": name, **name_entry, **arguments}
    objects = {field: item for field, item in config.items() if item is not None}
    return {
        "type": name,
        **{field: _convert_value(field, item, resolve_class) for field, item in objects.items()},
    }


def _find_custom_type(
    key: str, name: str, module: str, resolve_class: ClassResolver, is_in_custom_class: bool
) -> str:
    """Return the `type` of a custom layer that is an argument.

    Raises:
        InexpressibleError: the argument must not be a custom layer, or its class cannot be used.
    """
    subject = f"`{sanitize_text(key)}` is {quote_value(name)} of {quote_value(module)}"
    if not is_in_custom_class and key not in _LAYER_KEYS:
        raise InexpressibleError(
            f"{subject}, but only layers can be custom classes; use an object of Keras, or write a custom layer that creates it"
        )
    type_name = resolve_class(module, name)
    if type_name is None:
        raise CustomClassError(f"{subject}, which is not a class of Keras.")
    return type_name


def shorten_float(value: float) -> float:
    """Return the shortest decimal that is the same number in 32 bits, as Keras keeps numbers such as 0.001."""
    if len(repr(value)) <= 12:
        return value
    try:
        packed = struct.pack("f", value)
    except OverflowError:
        return value
    if struct.unpack("f", packed)[0] != value:
        return value  # not a 32-bit value
    for digits in range(1, 9):
        shorter = float(f"{value:.{digits}g}")
        if struct.pack("f", shorter) == packed:
            return shorter
    return value
