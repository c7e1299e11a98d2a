"""One entry of ``model.layers``: a layer, its name and where its input comes from."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any

from pydantic import PlainValidator, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from layercli.config.custom import is_custom, parse_custom
from layercli.config.names import layer_name
from layercli.layers.base import Layer
from layercli.layers.component import at
from layercli.layers.registry import LAYERS
from layercli.layers.strict import closest, refuse
from layercli.source.nodes import quoted

_LATER = {
    "inputs": "Remove it: each layer takes the output of the one before.",
    "repeat": "Write the layer out as often as it is needed.",
    "block": "Write the layers of the block out.",
    "with": "Write the layers of the block out.",
    "reuse": "Declare a layer of its own here.",
}


class Doubt(IntEnum):
    """What may be wrong with a layer that stands in for a malformed one."""

    NONE = 0
    SIZES = 1
    RANK = 2  # and sizes


@dataclass(frozen=True)
class LayerEntry:
    """A layer as declared; ``name`` is None where the person gave none."""

    layer: Layer
    name: str | None = None
    doubt: Doubt = Doubt.NONE

    def plain(self) -> dict[str, Any]:
        """The mapping that declares this entry, every default written out."""
        declared = self.layer.plain()
        return {"type": declared.pop("type"), **({"name": self.name} if self.name else {}), **declared}


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
    if "type" not in value:
        _refuse_nested(value)
    arguments = dict(value)
    if arguments.get("name", "") is None:
        del arguments["name"]
    errors: list[InitErrorDetails] = []
    for key, hint in _LATER.items():
        if key in arguments:
            arguments.pop(key)
            error = refuse(
                "not-available", f"`{key}` is not available in this version of layercli.", hint, at_key=True
            )
            errors.append(InitErrorDetails(type=error, loc=(key,), input=None))
    if len(errors) == 1 and "type" not in arguments:
        raise ValidationError.from_exception_data("layer", errors)
    named = "name" in arguments
    name = _collect(errors, lambda: at("name", layer_name, arguments.pop("name"))) if named else None
    layer = _collect(errors, lambda: _parse_layer(arguments))
    errors = [_named(error) for error in errors]
    if errors or layer is None:
        raise ValidationError.from_exception_data("layer", errors)
    return LayerEntry(layer, name)


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
    """The error, with the hint that a key was meant to be `name`, which every entry takes beside its arguments."""
    kind, loc = error["type"], error.get("loc", ())
    if not isinstance(kind, PydanticCustomError) or kind.type != "unknown-key" or len(loc) != 1:
        return error
    context = kind.context or {}
    if str(context["hint"]).startswith("Did you mean") or closest(str(loc[0]), ["name"]) is None:
        return error
    meant = refuse("unknown-key", context["message"], "Did you mean `name`?", at_key=True)
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
            context = item["ctx"]
            kind = refuse(item["type"], context["message"], context["hint"], at_key=context["at_key"])
            errors.append(InitErrorDetails(type=kind, loc=item["loc"], input=None))
    except ValueError as error:
        errors.append(InitErrorDetails(type=error, loc=(), input=None))  # type: ignore[typeddict-item]
    return None


Entry = Annotated[LayerEntry, PlainValidator(parse_entry)]
