"""One entry of ``model.layers``: a layer, its name and where its input comes from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainValidator, ValidationError
from pydantic_core import InitErrorDetails

from layercli.config.custom import is_custom, parse_custom
from layercli.config.names import layer_name
from layercli.layers.base import Layer
from layercli.layers.component import at
from layercli.layers.registry import LAYERS
from layercli.layers.strict import refuse
from layercli.source.nodes import quoted

_LATER = ("repeat", "block", "with", "reuse", "inputs")


@dataclass(frozen=True)
class LayerEntry:
    """A layer as declared; ``name`` is None where the person gave none."""

    layer: Layer
    name: str | None = None

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
    if len(value) == 1 and "type" not in value:
        _refuse_nested(*next(iter(value.items())))
    arguments = dict(value)
    errors: list[InitErrorDetails] = []
    for key in _LATER:
        if key in arguments:
            arguments.pop(key)
            error = refuse("not-available", f"`{key}` is not available in this version of layercli.", at_key=True)
            errors.append(InitErrorDetails(type=error, loc=(key,), input=None))
    if len(errors) == 1 and "type" not in arguments:
        raise ValidationError.from_exception_data("layer", errors)
    named = "name" in arguments
    name = _collect(errors, lambda: at("name", layer_name, arguments.pop("name"))) if named else None
    layer = _collect(errors, lambda: _parse_layer(arguments))
    if errors or layer is None:
        raise ValidationError.from_exception_data("layer", errors)
    return LayerEntry(layer, name)


def _refuse_nested(key: str, arguments: Any) -> None:
    """The slip of writing a layer's type as its key: ``- Dense: {units: 10}``."""
    name = LAYERS.find(key)
    if name is None:
        return
    inner = "".join(f", {item}: ..." for item in arguments) if isinstance(arguments, dict) else ""
    hint = f"Write {{type: {name}{inner}}}."
    raise refuse("missing-key", f"This layer has no `type`; `{name}` stands as a key.", hint)


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
