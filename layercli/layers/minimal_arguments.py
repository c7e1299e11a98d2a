"""The arguments of a component that a config or a script must write: no defaults, each value in its shortest form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from layercli.layers.object_registry import CONSTRAINTS, INITIALIZERS, REGULARIZERS
from layercli.layers.registry import LAYERS
from layercli.schema.component import Catalogue, Component
from layercli.schema.strict_model import to_plain


def minimal_arguments(component: Component) -> dict[str, Any]:
    """Return the arguments that differ from their defaults, in their shortest form; components stay components."""
    return {
        name: _shorten_argument(component, name)
        for name in component.arguments()
        if not is_default_argument(component, name)
    }


def minimal_config(component: Component) -> dict[str, Any]:
    """Return the arguments that differ from their defaults as a config writes them: mappings, lists and scalars."""
    return {name: _to_config_value(name, value) for name, value in minimal_arguments(component).items()}


def simplify_custom_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a custom layer, with each object and layer among them in its shortest form."""
    return {name: _simplify_value(to_plain(value)) for name, value in arguments.items()}


def is_required_argument(component: Component, name: str) -> bool:
    """Return whether the argument has no default."""
    return type(component)._find_default(name) is ...


def is_default_argument(component: Component, name: str) -> bool:
    """Return whether the argument has its default value, in any spelling."""
    default = type(component)._find_default(name)
    return default is not ... and _is_same_argument(component, name, default)


def _shorten_argument(component: Component, name: str) -> Any:
    """Return the argument's value, with one size instead of equal sizes for every direction."""
    value = component.arguments()[name]
    shorter_values = reversed([*_shorter_values(value)])
    return next((shorter for shorter in shorter_values if _is_same_argument(component, name, shorter)), value)


def _shorter_values(value: Any) -> Iterator[Any]:
    """Yield the first item of a short list of equal items, then the first item of that item."""
    while (
        isinstance(value, (list, tuple)) and 0 < len(value) <= 3 and all(item == value[0] for item in value)
    ):
        value = value[0]
        yield value


def _is_same_argument(component: Component, name: str, other: Any) -> bool:
    """Return whether the argument means the same with the value ``other``."""
    arguments = component.arguments()
    value = arguments[name]
    if _is_equal(value, other):
        return True
    try:
        changed = type(component).model_validate({**arguments, name: other}).arguments()[name]
    except (ValidationError, ValueError):
        return False
    return _is_equal(_to_config_value(name, value), _to_config_value(name, changed))


def _is_equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _to_config_value(name: str, value: Any) -> Any:
    """Return an argument as a config writes it, with the first of Keras's names for an initializer."""
    plain = _simplify_value(to_plain(value))
    is_initializer_name = name.endswith("_initializer") and isinstance(plain, str)
    class_name = INITIALIZERS.find(plain) if is_initializer_name else None
    if class_name is None or class_name in INITIALIZERS.not_by_name:
        return plain
    return INITIALIZERS.parse_or_name(class_name)


def _simplify_value(value: Any) -> Any:
    """Return the value with components without arguments as their names, and tuples as lists."""
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        catalogues = (INITIALIZERS, REGULARIZERS, CONSTRAINTS)
        catalogue = next((each for each in catalogues if each.find(value["type"])), None)
        if catalogue is not None:
            return _simplify_component(catalogue, value)
        if LAYERS.find(value["type"]):
            arguments = {key: item for key, item in value.items() if key not in ("type", "name")}
            layer = LAYERS.load(value["type"]).model_validate(arguments)
            name_entry = {"name": value["name"]} if value.get("name") else {}
            return {"type": value["type"], **name_entry, **minimal_config(layer)}
    if isinstance(value, dict):
        return {key: _simplify_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_simplify_value(item) for item in value]
    return value


def _simplify_component(catalogue: Catalogue[Any], value: dict[str, Any]) -> Any:
    """Return a name where the component has only defaults and Keras knows its bare name; else a mapping."""
    arguments = minimal_config(catalogue.parse(value))
    name = None if arguments else catalogue.parse_or_name(value["type"])
    return name if isinstance(name, str) else {"type": value["type"], **arguments}
