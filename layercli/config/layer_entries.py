"""An entry of ``model.layers``: a layer, its name and its inputs."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any

from pydantic import PlainValidator, ValidationError, ValidationInfo
from pydantic_core import InitErrorDetails, PydanticCustomError, PydanticOmit

from layercli import runtime
from layercli.config.names import parse_layer_name
from layercli.layers.base import Layer
from layercli.layers.custom_layers import CustomLayer, is_custom_type
from layercli.layers.parse_layer import parse_custom_entry
from layercli.layers.registry import LAYERS
from layercli.schema.component import OTHER_TYPE_KEYS, parse_at_key, snake_case
from layercli.schema.other_names import strip_module
from layercli.schema.strict_model import copy_value_error, value_error
from layercli.schema.suggestions import did_you_mean, find_closest, list_names, suggest_space
from layercli.source.nodes import YamlNode, normalize_type_name, quote_value


class Uncertainty(IntEnum):
    """The possible errors of a placeholder for a malformed layer."""

    NONE = 0
    SIZES = 1
    RANK = 2  # and sizes


@dataclass(frozen=True)
class LayerEntry:
    """A declared or reused layer; ``name`` is None without an explicit name."""

    layer: Layer | None
    """The layer; None for the layer that ``reuse`` names."""
    name: str | None = None
    uncertainty: Uncertainty = Uncertainty.NONE
    inputs: tuple[str, ...] | None = None
    """Names of its inputs; None for the previous layer."""
    input_keys: tuple[str, ...] | None = None
    """Keras's names of the inputs, as in ``inputs: {query: a, value: b}``; None assigns inputs by order."""
    reuse: str | None = None
    """The name of the layer above to reuse with the same weights."""

    @property
    def base_name(self) -> str:
        """Return the base of an automatic name."""
        if self.layer is None:
            return str(self.reuse).rpartition(".")[2]
        return snake_case(
            self.layer.class_name if isinstance(self.layer, CustomLayer) else self.layer.type_name()
        )

    def to_plain(self) -> dict[str, Any]:
        """Return the mapping that declares this entry, including defaults."""
        name_mapping = {"name": self.name} if self.name else {}
        if self.layer is None:
            return {"reuse": self.reuse, **name_mapping, **self._inputs_mapping()}
        declared = self.layer.to_plain()
        return {"type": declared.pop("type"), **name_mapping, **self._inputs_mapping(), **declared}

    def _inputs_mapping(self) -> dict[str, Any]:
        if self.inputs is None:
            return {}
        inputs = (
            dict(zip(self.input_keys, self.inputs, strict=True)) if self.input_keys else list(self.inputs)
        )
        return {"inputs": inputs}


def is_feature_space(entry: YamlNode) -> bool:
    """Return whether an entry is a FeatureSpace, by its type."""
    kind = entry.value.get("type") if isinstance(entry.value, dict) else entry
    text = kind.value if kind is not None else None
    return isinstance(text, str) and normalize_type_name(text.rpartition(".")[2]) == "featurespace"


def parse_layer_entry(value: Any) -> LayerEntry:
    """Return the entry that an item of ``model.layers`` declares.

    Raises:
        ValidationError | PydanticCustomError: the item is invalid, with all its errors.
    """
    if isinstance(value, LayerEntry):
        return value
    if isinstance(value, str):
        value = {"type": value}
    if not isinstance(value, dict):
        message = f"A layer must be a type or a mapping such as {{type: Dense, units: 10}}, got {quote_value(value)}."
        raise value_error("wrong-type", message)
    if "reuse" in value and "type" not in value:
        return _parse_reuse(value)
    if "type" not in value:
        _reject_type_as_key(value)
    arguments = dict(value)
    if arguments.get("name", "") is None:
        del arguments["name"]
    errors: list[InitErrorDetails] = []
    has_name = "name" in arguments
    name = (
        _collect_errors(errors, lambda: parse_at_key("name", parse_layer_name, arguments.pop("name")))
        if has_name
        else None
    )
    raw_inputs = arguments.pop("inputs", None)
    sources = (
        None
        if raw_inputs is None
        else _collect_errors(errors, lambda: parse_at_key("inputs", parse_input_names, raw_inputs))
    )
    if "type" not in arguments and (hint := _suggest_type_for_name(name, arguments)) is not None:
        raise value_error("missing-key", "The layer is missing `type`.", hint)
    layer = _collect_errors(errors, lambda: _parse_layer(arguments))
    errors = [_with_entry_key_hint(error) for error in errors]
    if errors or layer is None:
        raise ValidationError.from_exception_data("layer", errors)
    keys, inputs = (tuple(raw_inputs), sources) if isinstance(raw_inputs, dict) else (None, sources)
    if keys is not None and layer.input_names:
        keys, inputs = order_inputs(keys, dict(raw_inputs), layer)
    return LayerEntry(layer, name, inputs=inputs, input_keys=keys)


_REUSE_KEYS = ("reuse", "name", "inputs")


def _parse_reuse(value: dict[str, Any]) -> LayerEntry:
    """Return an entry with ``reuse``.

    Raises:
        ValidationError: the entry is invalid, with all its errors.
    """
    errors: list[InitErrorDetails] = []
    for key in value:
        if key not in _REUSE_KEYS:
            message = f"A reused layer must not have arguments, got {quote_value(key)}."
            hint = did_you_mean(
                key, _REUSE_KEYS, otherwise="Remove it, or set it where the layer is declared."
            )
            error = value_error("unknown-key", message, hint, at_key=True)
            errors.append(InitErrorDetails(type=error, loc=(key,), input=None))
    reuse, raw_inputs, raw_name = value["reuse"], value.get("inputs"), value.get("name")
    if not isinstance(reuse, str) or not reuse:
        message = f"`reuse` must be the name of a layer above, got {quote_value(reuse)}."
        error = value_error("wrong-type", message, "For example {reuse: encoder, inputs: other}.")
        errors.append(InitErrorDetails(type=error, loc=("reuse",), input=None))
    name = (
        None
        if raw_name is None
        else _collect_errors(errors, lambda: parse_at_key("name", parse_layer_name, raw_name))
    )
    sources = (
        None
        if raw_inputs is None
        else _collect_errors(errors, lambda: parse_at_key("inputs", parse_input_names, raw_inputs))
    )
    if errors:
        raise ValidationError.from_exception_data("layer", errors)
    keys = tuple(raw_inputs) if isinstance(raw_inputs, dict) else None
    return LayerEntry(None, name, inputs=sources, input_keys=keys, reuse=reuse)


def parse_input_names(value: Any) -> tuple[str, ...]:
    """Return the names in ``inputs``: a name, a list of names, or a mapping of Keras's input names to names.

    Raises:
        PydanticCustomError: the value is invalid.
    """
    names = [value] if isinstance(value, str) else list(value.values()) if isinstance(value, dict) else value
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        return tuple(names)
    raise value_error(
        "wrong-type",
        f"`inputs` must be a layer name or a list of layer names, got {quote_value(value)}.",
        "For example `inputs: stem`, or `inputs: [left, right]`.",
    )


def order_inputs(
    keys: tuple[str, ...], names_by_key: dict[str, str], layer: Layer
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return keyed inputs in the order of the layer's inputs.

    Raises:
        ValidationError: the layer does not have an input of that name.
    """
    unknown = [key for key in keys if key not in layer.input_names]
    if unknown:
        message = f"{layer.title()} has no input {quote_value(unknown[0])}."
        hint = did_you_mean(
            unknown[0], layer.input_names, otherwise=f"Its inputs: {list_names(layer.input_names)}."
        )
        error = value_error("unknown-key", message, hint, at_key=True)
        raise ValidationError.from_exception_data(
            "layer", [InitErrorDetails(type=error, loc=("inputs", unknown[0]), input=None)]
        )
    ordered_keys = tuple(name for name in layer.input_names if name in names_by_key)
    return ordered_keys, tuple(names_by_key[name] for name in ordered_keys)


def _suggest_type_for_name(name: str | None, arguments: Mapping[str, object]) -> str | None:
    """Return the hint for a type that is written as `name`; None if the name is not a type or another key has the type."""
    class_name = LAYERS.find(strip_module(name)) if name is not None else None
    if class_name is None or any(key in arguments for key in OTHER_TYPE_KEYS if key != "name"):
        return None
    return f"Write `type: {class_name}` instead of `name`."


def _reject_type_as_key(layer: dict[str, Any]) -> None:
    """Raise an error if a layer's type is its key, as in ``- Dense: {units: 10}``."""
    for key, inner in layer.items():
        name = key if key in LAYERS.modules else None
        if len(layer) == 1 and name is None:
            name = LAYERS.find(key) or (find_closest(key, LAYERS.names) if isinstance(inner, dict) else None)
        if name is None:
            continue
        arguments = inner if isinstance(inner, dict) else {} if inner is None else {"...": "..."}
        others = {other: item for other, item in layer.items() if other != key}
        suffix = "".join(
            f", {_format_scalar(other)}: {_format_scalar(item)}"
            for other, item in {**others, **arguments}.items()
        )
        hint = f"Write {{type: {name}{suffix}}}.".replace("...: ...", "...")
        raise value_error(
            "missing-key", f"Layer is missing `type`; {quote_value(key)} was used as a key.", hint
        )


def _format_scalar(value: Any) -> str:
    """Return a scalar as it is written in a config; dots for a list or mapping."""
    is_plain = isinstance(value, str) and re.fullmatch(r"[\w.]+", value)
    return value if is_plain else "..." if isinstance(value, (dict, list)) else quote_value(value)


def _with_entry_key_hint(error: InitErrorDetails) -> InitErrorDetails:
    """Return the error, with a better hint if a key is similar to one that every entry accepts."""
    original, loc = error["type"], error.get("loc", ())
    if not isinstance(original, PydanticCustomError) or original.type != "unknown-key" or len(loc) != 1:
        return error
    context = original.context or {}
    keys = ["name", "inputs", "repeat"]
    hint: str | None = suggest_space({loc[0]: None}, keys)
    if hint is None and " takes " in str(context["hint"]):  # it only lists what the layer takes
        meant_key = find_closest(str(loc[0]), keys)
        hint = f"Did you mean `{meant_key}`?" if meant_key is not None else None
    if hint is None:
        return error
    replacement = value_error("unknown-key", context["message"], hint, at_key=True)
    return InitErrorDetails(type=replacement, loc=loc, input=None)


def _parse_layer(arguments: dict[str, Any]) -> Layer:
    type_name = arguments.get("type")
    if isinstance(type_name, str) and is_custom_type(type_name):
        custom_arguments = {key: item for key, item in arguments.items() if key != "type"}
        return parse_custom_entry(type_name, custom_arguments)
    return LAYERS.parse(arguments)


def _collect_errors(errors: list[InitErrorDetails], parse: Callable[[], Any]) -> Any:
    """Return the result of ``parse``, or None after adding its errors to ``errors``."""
    try:
        return parse()
    except ValidationError as error:
        for item in error.errors(include_url=False):
            errors.append(InitErrorDetails(type=copy_value_error(item), loc=item["loc"], input=None))
    except ValueError as error:
        errors.append(InitErrorDetails(type=error, loc=(), input=None))  # type: ignore[typeddict-item]
    return None


class ErrorLimit:
    """The number of errors in entries after which the others are not validated; a context for Pydantic."""

    def __init__(self, maximum: int) -> None:
        self._remaining = maximum

    @property
    def is_reached(self) -> bool:
        """Whether the limit is reached."""
        return self._remaining <= 0

    def count(self, error: ValueError) -> None:
        """Count the errors of an entry."""
        self._remaining -= error.error_count() if isinstance(error, ValidationError) else 1


def _parse_within_limit(value: Any, info: ValidationInfo) -> LayerEntry:
    """Return the entry as ``parse_layer_entry``; leave it out after too many errors in others."""
    runtime.stop_if_cancelled()
    limit = info.context
    if not isinstance(limit, ErrorLimit):
        return parse_layer_entry(value)
    if limit.is_reached:
        raise PydanticOmit
    try:
        return parse_layer_entry(value)
    except ValueError as error:
        limit.count(error)
        raise


LayerEntryField = Annotated[LayerEntry, PlainValidator(_parse_within_limit)]
