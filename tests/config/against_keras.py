"""Keras as the judge of the catalogue of training: same classes, same arguments, same defaults."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from layercli.engine.keras_objects import keras_object
from layercli.schema.component import Catalogue, Component

_BY_OTHER_MEANS = ("self", "kwargs")


def public_classes(home: Any) -> list[str]:
    """The names of a Keras module's classes."""
    return sorted(
        name for name, value in vars(home).items() if inspect.isclass(value) and not name.startswith("_")
    )


def assert_complete(catalogue: Catalogue[Component], home: Any) -> None:
    """Every class of Keras's is described or refused, and nothing else is."""
    known, refused = set(catalogue.names), set(catalogue.unavailable)
    missing = [name for name in public_classes(home) if name not in known | refused]
    assert not missing, f"Keras has {missing}, which layercli neither describes nor refuses"
    assert not known & refused
    assert not [name for name in known if not hasattr(home, name)]


def assert_same_arguments(
    catalogue: Catalogue[Component], home: Any, name: str, *, left_out: tuple[str, ...] = ()
) -> None:
    """The constructor's arguments are our fields, and their defaults our defaults."""
    parameters = inspect.signature(getattr(home, name).__init__).parameters
    theirs = {
        key: "required" if parameter.default is parameter.empty else _plain(parameter.default)
        for key, parameter in parameters.items()
        if key not in (*_BY_OTHER_MEANS, *left_out)
    }
    fields = catalogue.load(name).model_fields
    ours = {
        key: "required" if field.is_required() else _plain(field.default) for key, field in fields.items()
    }
    assert ours == theirs
    undescribed = [key for key, field in fields.items() if not field.description]
    assert not undescribed, f"{name} does not describe {undescribed}"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def required(cls: type[Component]) -> dict[str, Any]:
    """An example for each argument that has no default."""
    return {name: field.examples[0] for name, field in cls.model_fields.items() if field.is_required()}


def assert_built_alike(
    catalogue: Catalogue[Component], home: Any, name: str, *, apart_from: tuple[str, ...] = ()
) -> None:
    """Built from our defaults and from Keras's own, objects have the same config; without a ``home``, too."""
    arguments = required(catalogue.load(name))
    theirs = getattr(home, name)(**arguments).get_config()
    for place in (home, None):
        ours = keras_object(catalogue.parse({"type": name, **arguments}), namespace=place).get_config()
        for key in apart_from:
            ours.pop(key), theirs.pop(key, None)
        assert ours == theirs


def assert_round_trip(catalogue: Catalogue[Component], name: str) -> None:
    """What is written out of a component is read back as the same."""
    component = catalogue.parse({"type": name, **required(catalogue.load(name))})
    assert catalogue.parse(component.to_plain()).to_plain() == component.to_plain()


def refusal(kind: Any, value: Any) -> dict[str, Any]:
    """What is said of a value that a config may not have: code, place, message and hint."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    error = caught.value.errors()[0]
    return {"code": error["type"], "at": error["loc"], "message": error["msg"], "hint": error["ctx"]["hint"]}
