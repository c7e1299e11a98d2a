"""Create Keras objects from components of the config."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import keras

from layercli.config.training.custom_objects import CustomObject
from layercli.layers.custom_layers import CustomLayer
from layercli.schema.component import Component

_NAMESPACES = (
    keras.layers,
    keras.initializers,
    keras.regularizers,
    keras.constraints,
    keras.optimizers,
    keras.optimizers.schedules,
    keras.losses,
    keras.metrics,
    keras.callbacks,
)


CreateCustomLayer: TypeAlias = Callable[[Any, dict[str, Any]], Any]
"""Returns the Keras object of a custom layer or custom object with its arguments."""


def keras_object(
    component: Component,
    *,
    namespace: Any = None,
    name: str | None = None,
    create_custom_layer: CreateCustomLayer | None = None,
) -> Any:
    """Create the Keras object that a component declares, after the components among its arguments."""
    arguments = {
        key: keras_value(value, create_custom_layer) for key, value in component.keras_arguments().items()
    }
    if name is not None:
        arguments["name"] = name
    if isinstance(component, (CustomLayer, CustomObject)):
        assert create_custom_layer is not None
        return create_custom_layer(component, arguments)
    created = _find_keras_class(type(component), namespace)(**arguments)
    if component.type_name() == "RandomShear":
        _make_shear_loadable(created, component)
    return created


def _make_shear_loadable(layer: Any, component: Component) -> None:
    """Let the layer's config have its own factors: Keras writes 0.2 as (-0.2, 0.2), and does not load a negative one."""
    config = layer.get_config()
    refused = [key for key in ("x_factor", "y_factor") if config[key][0] < 0]
    if refused:
        config |= {key: component.arguments()[key] for key in refused}
        layer.get_config = lambda: dict(config)


def keras_value(value: Any, create_custom_layer: CreateCustomLayer | None = None) -> Any:
    """Return an argument in the form that Keras accepts."""
    if isinstance(value, Component):
        return keras_object(value, create_custom_layer=create_custom_layer)
    if isinstance(value, list):
        return [keras_value(item, create_custom_layer) for item in value]
    if isinstance(value, dict):
        return {
            key: keras_value(item, create_custom_layer) for key, item in value.items()
        }  # a copy: Keras removes items from some of them
    return value


def _find_keras_class(cls: type[Component], namespace: Any) -> Any:
    name = cls.type_name()
    kind = cls.__module__.rpartition(".")[2]
    for candidate in [namespace] if namespace is not None else [getattr(keras, kind, None), *_NAMESPACES]:
        if candidate is not None and hasattr(candidate, name):
            return getattr(candidate, name)
    raise LookupError(f"Keras has no {name}")
