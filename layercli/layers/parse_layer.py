"""Parse layers that a config declares: those of the catalogue, custom layers, and layers nested in others."""

import re
from functools import cache, partial
from typing import Annotated, Any, Final

from pydantic import Field, PlainValidator, StringConstraints, ValidationError
from pydantic_core import InitErrorDetails

from layercli.layers.base import Layer
from layercli.layers.custom_layers import KERAS_PREFIX, CustomLayer, is_custom_type, split_reference
from layercli.layers.object_registry import CONSTRAINTS, INITIALIZERS, REGULARIZERS
from layercli.layers.registry import LAYERS
from layercli.schema.component import parse_at_key
from layercli.schema.field_types import reference_schema
from layercli.schema.strict_model import ExpectedText, copy_value_error, value_error
from layercli.schema.suggestions import suggest_space
from layercli.source.nodes import quote_value

_KERAS_CLASS_PATTERN: Final = re.compile(r"[A-Z][A-Za-z0-9]*")
_INNER_NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
_INNER_NAME_TEXT: Final = "a name of letters, digits, `_`, `-` and `.`"
_MAX_INNER_NAME_LENGTH: Final = 200

InnerLayerName = Annotated[
    str,
    StringConstraints(pattern=_INNER_NAME_PATTERN, max_length=_MAX_INNER_NAME_LENGTH),
    Field(description="Name of the nested layer."),
    ExpectedText(_INNER_NAME_TEXT),
]


def parse_custom_entry(type_name: str, arguments: dict[str, Any]) -> Layer:
    """Return a custom layer; a malformed name is an error at ``type``, an invalid argument at its key.

    Raises:
        ValidationError: the name or an argument is invalid.
    """
    try:
        return parse_custom_layer(type_name, arguments)
    except ValidationError:
        raise
    except ValueError:
        return parse_at_key("type", lambda name: parse_custom_layer(name, arguments), type_name)


def parse_custom_layer(type_name: str, arguments: dict[str, Any]) -> Layer:
    """Return the layer for ``file.py:Class``, ``module:Class`` or ``keras.layers.Class`` without loading code.

    Raises:
        ValidationError | PydanticCustomError: the name or an argument is invalid.
    """
    if type_name.startswith(KERAS_PREFIX):
        cls = type_name.removeprefix(KERAS_PREFIX)
        if LAYERS.find(cls) or any(cls.lower() == refused.lower() for refused in LAYERS.unavailable):
            return _parse_inner_entry({"type": cls, **arguments})
        if _KERAS_CLASS_PATTERN.fullmatch(cls):
            return _make_custom_layer("keras", "keras.layers", cls, arguments)
        if cls.endswith(")"):
            LAYERS.look_up(cls)  # raises the error for a call in Python
        hint = "For example `type: keras.layers.Dense`."
        raise value_error(
            "bad-custom-type",
            f"`type` must name a class of keras.layers, got {quote_value(type_name)}.",
            hint,
        )
    if (reference := split_reference(type_name)) is not None:
        return _make_custom_layer(*reference, arguments)
    raise value_error(
        "bad-custom-type",
        f"`type` must name a file relative to the config, or a module, and a class, got {quote_value(type_name)}.",
        suggest_space({type_name: None}, ["type"])
        or "For example `type: my_layers.py:MyLayer` or `type: mypackage.layers:MyLayer`.",
    )


def _make_custom_layer(kind: str, module: str, class_name: str, arguments: dict[str, Any]) -> CustomLayer:
    layer_fields = {key: arguments[key] for key in ("output_shape", "dtype") if key in arguments}
    constructor_arguments = _parse_arguments(
        {key: item for key, item in arguments.items() if key not in layer_fields}
    )
    return CustomLayer.model_validate(
        {
            **layer_fields,
            "kind": kind,
            "module": module,
            "class_name": class_name,
            "constructor_arguments": constructor_arguments,
        }
    )


_CATALOGUES_BY_KEY: Final = {
    "initializer": INITIALIZERS,
    "regularizer": REGULARIZERS,
    "constraint": CONSTRAINTS,
}
"""The last word of an argument of a custom layer -> the catalogue of its objects."""
_LAYER_KEYS: Final = ("layer", "cell")
"""The last words of arguments of a custom layer that are layers."""


def _parse_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a custom layer, with the objects and layers that they declare.

    Raises:
        ValidationError: arguments are invalid; it lists all of them.
    """
    parsed, errors = {}, []
    for key, value in arguments.items():
        try:
            parsed[key] = parse_at_key(key, partial(_parse_argument, key), value)
        except ValidationError as error:
            errors += [
                InitErrorDetails(type=copy_value_error(item), loc=item["loc"], input=None)
                for item in error.errors(include_url=False)
            ]
    if errors:
        raise ValidationError.from_exception_data("layer", errors)
    return parsed


def _parse_argument(key: str, value: Any) -> Any:
    """Return an argument of a custom layer, with the object or the layers that it declares in place of mappings."""
    if isinstance(value, list):
        return [parse_at_key(index, partial(_parse_argument, key), item) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    word = str(key).rpartition("_")[2].removesuffix("s")
    catalogue: Any = _CATALOGUES_BY_KEY.get(word)
    type_name = value.get("type")
    if not isinstance(type_name, str):
        return _parse_arguments(value)
    if catalogue is None and (word in _LAYER_KEYS or is_custom_type(type_name) or LAYERS.find(type_name)):
        return parse_inner_layer(value)
    catalogue = catalogue or next((one for one in _CATALOGUES_BY_KEY.values() if one.find(type_name)), None)
    return _parse_arguments(value) if catalogue is None else catalogue.parse(value)


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
    if isinstance(value, str) and is_custom_type(value):
        value = {"type": value}
    if not isinstance(value, dict) or "type" not in value:
        return _require_nestable(LAYERS.parse(value))
    type_name = value["type"]
    if isinstance(type_name, str) and is_custom_type(type_name):
        arguments = {key: item for key, item in value.items() if key != "type"}
        if arguments.get("name", "") is None:
            del arguments["name"]
        if "name" in arguments:
            parse_at_key("name", _check_inner_name, arguments["name"])
        return _require_nestable(parse_custom_entry(type_name, arguments))
    return _require_nestable(_parse_inner_entry(value))


def _require_nestable(layer: Layer) -> Layer:
    """Return the layer.

    Raises:
        PydanticCustomError: it cannot be an argument of another layer.
    """
    if layer.can_be_nested:
        return layer
    message = f"{layer.title()} is a pretrained model and cannot be nested in another layer."
    raise value_error("wrong-type", message, "Make it an entry of `model.layers`.")


def _parse_inner_entry(value: dict[str, Any]) -> Layer:
    """Parse a layer of the catalogue that may have the argument ``name``."""
    if "name" not in value:
        return LAYERS.parse(value)
    cls = parse_at_key("type", partial(LAYERS.look_up, entry=value), value["type"])
    layer_class = cls if value["name"] is None else _with_name_argument(cls)  # type: ignore[arg-type]  # classes are hashable
    removed_keys = ("type", "name") if layer_class is cls else ("type",)
    return layer_class.model_validate({key: item for key, item in value.items() if key not in removed_keys})


def _check_inner_name(name: object) -> None:
    is_valid = isinstance(name, str) and len(name) <= _MAX_INNER_NAME_LENGTH
    if not is_valid or re.match(_INNER_NAME_PATTERN, str(name)) is None:
        raise value_error("wrong-type", f"`name` must be {_INNER_NAME_TEXT}, got {quote_value(name)}.")


InnerLayer = Annotated[
    Layer, PlainValidator(parse_inner_layer), reference_schema("layer"), ExpectedText("a layer")
]
