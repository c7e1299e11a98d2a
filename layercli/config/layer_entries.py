"""One entry of ``model.layers``: a layer, its name and where its input comes from."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any

from pydantic import PlainValidator, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from layercli.config.custom_layers import CustomLayer, is_custom, parse_custom
from layercli.config.names import layer_name
from layercli.layers.base import Layer
from layercli.layers.registry import LAYERS
from layercli.schema.component import at, snake_case
from layercli.schema.strict_model import explained, refuse
from layercli.schema.suggestions import closest, did_you_mean
from layercli.source.nodes import quoted


class Doubt(IntEnum):
    """What may be wrong with a layer that stands in for a malformed one."""

    NONE = 0
    SIZES = 1
    RANK = 2  # and sizes


@dataclass(frozen=True)
class LayerEntry:
    """A layer as declared, or one that is called again; ``name`` is None where the person gave none."""

    layer: Layer | None
    """None: the one that ``reuse`` names."""
    name: str | None = None
    doubt: Doubt = Doubt.NONE
    inputs: tuple[str, ...] | None = None
    """Names of what feeds it; None: the layer before."""
    keys: tuple[str, ...] | None = None
    """Where each input goes, as in ``inputs: {query: a, value: b}``; None: by their order."""
    reuse: str | None = None
    """The layer above that is called again, with the same weights."""

    @property
    def base_name(self) -> str:
        """What an unnamed layer is named after."""
        if self.layer is None:
            return str(self.reuse).rpartition(".")[2]
        return snake_case(
            self.layer.class_name if isinstance(self.layer, CustomLayer) else self.layer.type_name()
        )

    def plain(self) -> dict[str, Any]:
        """The mapping that declares this entry, every default written out."""
        named = {"name": self.name} if self.name else {}
        if self.layer is None:
            return {"reuse": self.reuse, **named, **self._wiring()}
        declared = self.layer.plain()
        return {"type": declared.pop("type"), **named, **self._wiring(), **declared}

    def _wiring(self) -> dict[str, Any]:
        if self.inputs is None:
            return {}
        keyed = dict(zip(self.keys, self.inputs, strict=True)) if self.keys else list(self.inputs)
        return {"inputs": keyed}


def parse_entry(value: Any) -> LayerEntry:
    """The entry that an item of ``model.layers`` declares.

    Raises:
        ValidationError | PydanticCustomError: all that is wrong with it.
    """
    if isinstance(value, LayerEntry):
        return value
    if isinstance(value, str):
        value = {"type": value}
    if not isinstance(value, dict):
        message = f"{quoted(value)} is no layer; write its type, or {{type: Dense, units: 10}}."
        raise refuse("wrong-type", message)
    if "reuse" in value and "type" not in value:
        return _parse_reuse(value)
    if "type" not in value:
        _refuse_nested(value)
    arguments = dict(value)
    if arguments.get("name", "") is None:
        del arguments["name"]
    errors: list[InitErrorDetails] = []
    named = "name" in arguments
    name = _collect(errors, lambda: at("name", layer_name, arguments.pop("name"))) if named else None
    wired = arguments.pop("inputs", None)
    sources = None if wired is None else _collect(errors, lambda: at("inputs", parse_sources, wired))
    layer = _collect(errors, lambda: _parse_layer(arguments))
    errors = [_named(error) for error in errors]
    if errors or layer is None:
        raise ValidationError.from_exception_data("layer", errors)
    keys, inputs = (tuple(wired), sources) if isinstance(wired, dict) else (None, sources)
    if keys is not None and layer.input_names:
        keys, inputs = in_order(keys, dict(wired), layer)
    return LayerEntry(layer, name, inputs=inputs, keys=keys)


_REUSE_KEYS = ("reuse", "name", "inputs")


def _parse_reuse(value: dict[str, Any]) -> LayerEntry:
    """The entry that calls a layer above again.

    Raises:
        ValidationError: all that is wrong with it.
    """
    errors: list[InitErrorDetails] = []
    for key in value:
        if key not in _REUSE_KEYS:
            message = f"A layer that is called again takes no arguments; it has {quoted(key)}."
            hint = did_you_mean(
                key, _REUSE_KEYS, otherwise="Remove it, or give it to the layer where it is declared."
            )
            error = refuse("unknown-key", message, hint, at_key=True)
            errors.append(InitErrorDetails(type=error, loc=(key,), input=None))
    reuse, wired, given = value["reuse"], value.get("inputs"), value.get("name")
    if not isinstance(reuse, str) or not reuse:
        message = f"`reuse` is {quoted(reuse)}; it must be the name of a layer above."
        error = refuse("wrong-type", message, "For example {reuse: encoder, inputs: other}.")
        errors.append(InitErrorDetails(type=error, loc=("reuse",), input=None))
    name = None if given is None else _collect(errors, lambda: at("name", layer_name, given))
    sources = None if wired is None else _collect(errors, lambda: at("inputs", parse_sources, wired))
    if errors:
        raise ValidationError.from_exception_data("layer", errors)
    keys = tuple(wired) if isinstance(wired, dict) else None
    return LayerEntry(None, name, inputs=sources, keys=keys, reuse=reuse)


def parse_sources(value: Any) -> tuple[str, ...]:
    """The names that ``inputs`` gives: one, a list, or a mapping of what the layer calls them.

    Raises:
        PydanticCustomError: it gives none.
    """
    listed = [value] if isinstance(value, str) else list(value.values()) if isinstance(value, dict) else value
    if isinstance(listed, list) and listed and all(isinstance(name, str) for name in listed):
        return tuple(listed)
    raise refuse(
        "wrong-type",
        f"`inputs` is {quoted(value)}; it must be the name of a layer, or a list of names.",
        "For example `inputs: stem`, or `inputs: [left, right]`.",
    )


def in_order(
    keys: tuple[str, ...], wired: dict[str, str], layer: Layer
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keyed inputs in the order in which the layer takes them.

    Raises:
        ValidationError: the layer takes no such input.
    """
    unknown = [key for key in keys if key not in layer.input_names]
    if unknown:
        listed = ", ".join(f"`{name}`" for name in layer.input_names)
        message = f"{layer.title()} has no input {quoted(unknown[0])}."
        hint = did_you_mean(unknown[0], layer.input_names, otherwise=f"It takes {listed}.")
        error = refuse("unknown-key", message, hint, at_key=True)
        raise ValidationError.from_exception_data(
            "layer", [InitErrorDetails(type=error, loc=("inputs", unknown[0]), input=None)]
        )
    ordered = tuple(name for name in layer.input_names if name in wired)
    return ordered, tuple(wired[name] for name in ordered)


def _refuse_nested(layer: dict[str, Any]) -> None:
    """The slip of writing a layer's type as its key: ``- Dense: {units: 10}``."""
    for key, inner in layer.items():
        name = key if key in LAYERS.modules else None
        if len(layer) == 1 and name is None:
            name = LAYERS.find(key) or (closest(key, LAYERS.names) if isinstance(inner, dict) else None)
        if name is None:
            continue
        given = inner if isinstance(inner, dict) else {} if inner is None else {"...": "..."}
        others = {other: item for other, item in layer.items() if other != key}
        written = "".join(f", {_short(other)}: {_short(item)}" for other, item in {**others, **given}.items())
        hint = f"Write {{type: {name}{written}}}.".replace("...: ...", "...")
        raise refuse("missing-key", f"This layer has no `type`; {quoted(key)} stands as a key.", hint)


def _short(value: Any) -> str:
    """A scalar as it may stand in a config; a list or mapping as dots."""
    plain = isinstance(value, str) and re.fullmatch(r"[\w.]+", value)
    return value if plain else "..." if isinstance(value, (dict, list)) else quoted(value)


def _named(error: InitErrorDetails) -> InitErrorDetails:
    """The error, with the hint that a key was meant to be one that every entry takes beside its arguments."""
    kind, loc = error["type"], error.get("loc", ())
    if not isinstance(kind, PydanticCustomError) or kind.type != "unknown-key" or len(loc) != 1:
        return error
    context = kind.context or {}
    meant_key = closest(str(loc[0]), ["name", "inputs", "repeat"])
    if " takes " not in str(context["hint"]) or meant_key is None:  # there is better advice
        return error
    meant = refuse("unknown-key", context["message"], f"Did you mean `{meant_key}`?", at_key=True)
    return InitErrorDetails(type=meant, loc=loc, input=None)


def _parse_layer(arguments: dict[str, Any]) -> Layer:
    kind = arguments.get("type")
    if isinstance(kind, str) and is_custom(kind):
        others = {key: item for key, item in arguments.items() if key != "type"}
        return at_type_or_argument(kind, others)
    return LAYERS.parse(arguments)


def at_type_or_argument(kind: str, arguments: dict[str, Any]) -> Layer:
    """A custom layer; a malformed name is an error at ``type``, a bad argument at its own key."""
    try:
        return parse_custom(kind, arguments)
    except ValidationError:
        raise
    except ValueError:
        return at("type", lambda name: parse_custom(name, arguments), kind)


def _collect(errors: list[InitErrorDetails], parse: Callable[[], Any]) -> Any:
    """The result, or None with what was wrong added to ``errors``."""
    try:
        return parse()
    except ValidationError as error:
        for item in error.errors(include_url=False):
            errors.append(InitErrorDetails(type=explained(item), loc=item["loc"], input=None))
    except ValueError as error:
        errors.append(InitErrorDetails(type=error, loc=(), input=None))  # type: ignore[typeddict-item]
    return None


Entry = Annotated[LayerEntry, PlainValidator(parse_entry)]
