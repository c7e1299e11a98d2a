"""Comparison of the training catalogues with Keras: classes, arguments and defaults."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from layercli.engine.keras_objects import keras_object
from layercli.schema.component import Catalogue, Component

_BY_OTHER_MEANS = ("self", "kwargs")


def public_classes(home: Any) -> list[str]:
    """Return the names of a Keras module's classes."""
    return sorted(
        name for name, value in vars(home).items() if inspect.isclass(value) and not name.startswith("_")
    )


def assert_complete(catalogue: Catalogue[Component], home: Any) -> None:
    """Check that the catalogue describes or rejects exactly the classes of a Keras module."""
    known, refused = set(catalogue.names), set(catalogue.unavailable)
    missing = [name for name in public_classes(home) if name not in known | refused]
    assert not missing, f"Keras has {missing}, which layercli neither describes nor rejects"
    assert not known & refused
    assert not [name for name in known if not hasattr(home, name)]


def assert_same_arguments(
    catalogue: Catalogue[Component], home: Any, name: str, *, left_out: tuple[str, ...] = ()
) -> None:
    """Check that fields and defaults equal the constructor's arguments and defaults, apart from layercli's arguments."""
    parameters = inspect.signature(getattr(home, name).__init__).parameters
    theirs = {
        key: "required" if parameter.default is parameter.empty else _plain(parameter.default)
        for key, parameter in parameters.items()
        if key not in (*_BY_OTHER_MEANS, *left_out)
    }
    cls = catalogue.load(name)
    fields = cls.model_fields
    known_to_keras = cls.model_validate(required(cls)).keras_arguments()
    ours = {
        key: "required" if field.is_required() else _plain(field.default)
        for key, field in fields.items()
        if key in known_to_keras
    }
    assert ours == theirs
    undescribed = [key for key, field in fields.items() if not field.description]
    assert not undescribed, f"{name} does not describe {undescribed}"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def required(cls: type[Component]) -> dict[str, Any]:
    """Return an example for each argument without a default."""
    return {name: field.examples[0] for name, field in cls.model_fields.items() if field.is_required()}


def assert_built_alike(
    catalogue: Catalogue[Component], home: Any, name: str, *, apart_from: tuple[str, ...] = ()
) -> None:
    """Check that objects built from our defaults have the config of Keras's objects."""
    arguments = required(catalogue.load(name))
    theirs = getattr(home, name)(**arguments).get_config()
    for place in (home, None):
        ours = keras_object(catalogue.parse({"type": name, **arguments}), namespace=place).get_config()
        for key in apart_from:
            ours.pop(key), theirs.pop(key, None)
        assert ours == theirs


def assert_round_trip(catalogue: Catalogue[Component], name: str) -> None:
    """Check that the plain form of a component parses to the same component."""
    component = catalogue.parse({"type": name, **required(catalogue.load(name))})
    assert catalogue.parse(component.to_plain()).to_plain() == component.to_plain()


def refusal(kind: Any, value: Any) -> dict[str, Any]:
    """Return code, path, message and hint of the error for an invalid value."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    error = caught.value.errors()[0]
    return {"code": error["type"], "at": error["loc"], "message": error["msg"], "hint": error["ctx"]["hint"]}
