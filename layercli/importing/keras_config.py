"""Keras's record of a layer, an initializer or a loss as a config writes it, without defaults."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from layercli.layers.base import Layer
from layercli.layers.families.lookup import MIN_TOKENS
from layercli.layers.minimal_arguments import minimal_config
from layercli.layers.object_registry import CONSTRAINTS, INITIALIZERS, REGULARIZERS
from layercli.layers.registry import LAYERS
from layercli.schema.component import Component
from layercli.source.nodes import quote_value, sanitize_text


class InexpressibleError(Exception):
    """Raised for a part of a model that a config cannot express; the message names it."""


_NEUTRAL_VALUES = {"rms_scaling": False}
"""Arguments that the catalogue does not have, and the value other than null that changes nothing."""
_DERIVED_ARGUMENTS = ("name", "vocabulary_size")
"""Arguments that Keras records but derives from other values."""
_IMPLICIT_VALUES = {"dtype": "float32", "data_format": "channels_last", "activation": "linear"}
"""Values that Keras records for arguments that were not set."""


def is_keras_object(value: Any) -> bool:
    """Return whether the value is Keras's record of an object."""
    return isinstance(value, dict) and "class_name" in value and "config" in value


def config_arguments(cls: type[Component], config: Mapping[str, Any]) -> dict[str, Any]:
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
        arguments[key] = _convert_value(key, value)
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


def _convert_value(key: str, value: Any) -> Any:
    """Return an argument as a config writes it.

    Raises:
        InexpressibleError: the argument is an object that a config cannot express.
    """
    if is_keras_object(value):
        return _convert_object(key, value)
    if isinstance(value, dict):
        if value.get("class_name") == "__tuple__" or "items" in value:
            return [_convert_value(key, item) for item in value.get("items", [])]
        return {str(name): _convert_value(str(name), item) for name, item in value.items()}
    if isinstance(value, list):
        return [_convert_value(key, item) for item in value]
    if isinstance(value, float):
        return shorten_float(value)
    return value


def _convert_object(key: str, value: dict[str, Any]) -> Any:
    name, module, config = value["class_name"], str(value.get("module")), value["config"]
    if name == "DTypePolicy" and isinstance(config, dict):
        return config.get("name")
    if name == "function":
        if isinstance(config, str) and (module in ("builtins", "None") or module.startswith("keras")):
            return config
        raise InexpressibleError(f"`{sanitize_text(key)}` is the custom function {quote_value(config)}.")
    if not isinstance(config, dict) or not module.startswith("keras"):
        raise InexpressibleError(
            f"`{sanitize_text(key)}` is {quote_value(name)} of {quote_value(module)}, which is not part of Keras."
        )
    if module == "keras.layers" and key in ("activation", "recurrent_activation"):
        hint = f"make it a separate layer, {sanitize_text(str(name))}, after this one"
        raise InexpressibleError(
            f"`{key}` is the layer {sanitize_text(str(name))}, not the name of an activation; {hint}."
        )
    arguments = {field: item for field, item in config.items() if item is not None}
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
    cls = catalogue.load(catalogue.find(name))
    if catalogue is not LAYERS:
        return {"type": name, **{field: _convert_value(field, item) for field, item in arguments.items()}}
    name_entry = (
        {"name": config["name"]}
        if key in ("layer", "backward_layer") and isinstance(config.get("name"), str)
        else {}
    )
    return {"type": name, **name_entry, **config_arguments(cls, config)}


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
