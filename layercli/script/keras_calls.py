"""Components as calls of their constructors in Keras, with the arguments that differ from Keras's defaults."""

from __future__ import annotations

from inspect import get_annotations
from typing import Any, Final

from layercli.config.training.custom_objects import CustomObject
from layercli.config.training.metrics import Metric
from layercli.layers.base import Layer
from layercli.layers.custom_layers import CustomLayer
from layercli.layers.minimal_arguments import is_required_argument, minimal_arguments
from layercli.schema.component import Component, snake_case
from layercli.script.python_source import (
    Brackets,
    CallExpression,
    Expression,
    NamedValue,
    quote_string,
    render_inline,
    render_literal,
)

_NAMESPACES: Final = {
    "initializers": "keras.initializers",
    "regularizers": "keras.regularizers",
    "constraints": "keras.constraints",
    "optimizers": "keras.optimizers",
    "schedules": "keras.optimizers.schedules",
    "losses": "keras.losses",
    "metrics": "keras.metrics",
    "confusion_metrics": "keras.metrics",
    "segmentation_metrics": "keras.metrics",
    "callbacks": "keras.callbacks",
}
"""Module of a component, other than a layer -> its namespace in Keras."""
SNAKE_CASE_CLASSES: Final = frozenset(
    {
        "Adam",
        "SGD",
        "RMSprop",
        "AdamW",
        "Adagrad",
        "Adamax",
        "Nadam",
        "Adadelta",
        "Lion",
        "MeanSquaredError",
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "MeanSquaredLogarithmicError",
        "BinaryCrossentropy",
        "CategoricalCrossentropy",
        "SparseCategoricalCrossentropy",
        "Huber",
        "Poisson",
        "Hinge",
        "SquaredHinge",
        "CategoricalHinge",
        "CosineSimilarity",
        "BinaryAccuracy",
        "CategoricalAccuracy",
        "SparseCategoricalAccuracy",
    }
)
"""Classes that Keras also accepts by their names in snake case, without arguments."""
CONVERT_INPUTS: Final = "convert_inputs"
"""The function of a script that makes a metric convert its targets and predictions."""
_POSITIONAL_ARGUMENTS: Final = frozenset({"filters", "units", "rate"})
"""First arguments that users of Keras pass by position, even if other arguments are required."""


def constructor_call(component: Component, *, skip: tuple[str, ...] = ()) -> CallExpression:
    """Return the call of the component's constructor, without the arguments in ``skip``."""
    if isinstance(component, Layer):
        skip = (*skip, *component.call_arguments)
    values = [(name, value) for name, value in argument_expressions(component).items() if name not in skip]
    required = [name for name, _ in values if _is_required(component, name)]
    arguments: list[Expression] = []
    for index, (name, value) in enumerate(values):
        may_be_positional = len(required) == 1 or name in _POSITIONAL_ARGUMENTS
        is_positional = index == 0 and name in required and may_be_positional and isinstance(component, Layer)
        arguments.append(
            value
            if is_positional and not isinstance(component, CustomLayer)
            else NamedValue(f"{name}=", value)
        )
    return CallExpression(f"{keras_namespace(component)}{script_class_name(component)}", tuple(arguments))


def script_class_name(component: Component) -> str:
    """Return the class name in a script."""
    if isinstance(component, (CustomLayer, CustomObject)):
        return component.class_name
    return component.type_name()


def keras_namespace(component: Component) -> str:
    """Return the text before the class name: ``layers.``, ``keras.metrics.``, or nothing for a custom class."""
    if isinstance(component, CustomLayer):
        return "layers." if component.kind == "keras" else ""
    if isinstance(component, Layer):
        return "layers."
    if isinstance(component, CustomObject):
        return ""
    return f"{_NAMESPACES[type(component).__module__.rpartition('.')[2]]}."


def argument_expressions(component: Component) -> dict[str, Expression]:
    """Return the arguments that differ from Keras's defaults: required ones, then the class's, then those of its bases."""
    if isinstance(component, (CustomLayer, CustomObject)):
        return {name: value_expression(value) for name, value in component.keras_arguments().items()}
    depths = {
        name: depth
        for depth, base in reversed([*enumerate(type(component).__mro__)])
        for name in get_annotations(base)
    }
    known = component.keras_arguments()
    arguments = {name: value for name, value in minimal_arguments(component).items() if name in known}
    order = sorted(
        arguments,
        key=lambda name: (
            not is_required_argument(component, name),
            name not in _POSITIONAL_ARGUMENTS,
            depths.get(name, 0),
        ),
    )
    return {name: value_expression(arguments[name]) for name in order}


def _is_required(component: Component, name: str) -> bool:
    return not isinstance(component, (CustomLayer, CustomObject)) and is_required_argument(component, name)


def value_expression(value: Any) -> Expression:
    """Return the Python expression of a config's value."""
    if isinstance(value, Component):
        return constructor_call(value)
    if isinstance(value, (list, tuple)):
        opening, closing = "[]" if isinstance(value, list) else "()"
        return Brackets(opening, tuple(map(value_expression, value)), closing)
    if isinstance(value, dict):
        entries = (
            NamedValue(f"{quote_string(str(key))}: ", value_expression(item)) for key, item in value.items()
        )
        return Brackets("{", tuple(entries), "}")
    return render_literal(value)


def _is_keyword_argument(argument: Expression, key: str, name: str | None = None) -> bool:
    return (
        isinstance(argument, NamedValue)
        and argument.name == key
        and name in (None, render_inline(argument.value).strip('"'))
    )


def name_or_call(component: Component | str) -> Expression:
    """Return an optimizer, loss or metric as its name if that is sufficient, else as the call of its constructor."""
    if isinstance(component, str):
        return quote_string(component)
    if isinstance(component, Metric) and component.converts_inputs:
        return _convert_inputs_call(component)
    if isinstance(component, CustomObject):
        return _custom_call(component)
    call = constructor_call(component)
    kind = component.type_name()
    name = kind.lower() if keras_namespace(component) == "keras.optimizers." else snake_case(kind)
    significant_arguments = [
        argument for argument in call.arguments if not _is_keyword_argument(argument, "name=", name)
    ]
    if component.type_name() in SNAKE_CASE_CLASSES and not significant_arguments:
        return quote_string(name)
    return _name_call(component, CallExpression(call.head, tuple(significant_arguments)))


def _custom_call(custom: CustomObject) -> Expression:
    """Return the call that creates a custom object, or what Keras accepts for a function."""
    if not custom.is_function:
        return constructor_call(custom)
    arguments = tuple(
        NamedValue(f"{name}=", value)
        for name, value in argument_expressions(custom).items()
        if name != "name"
    )
    if custom.noun == "metric":
        name = NamedValue("name=", quote_string(custom.log_name))
        return CallExpression("keras.metrics.MeanMetricWrapper", (custom.class_name, name, *arguments))
    return CallExpression("partial", (custom.class_name, *arguments)) if arguments else custom.class_name


def _name_call(component: Component, call: CallExpression) -> CallExpression:
    """Return the call of a constructor with the name of the component, without which Keras would generate a numbered one."""
    name = component.arguments().get("name")
    other_arguments = [argument for argument in call.arguments if not _is_keyword_argument(argument, "name=")]
    return (
        CallExpression(call.head, (*other_arguments, NamedValue("name=", quote_string(name))))
        if name
        else call
    )


def _convert_inputs_call(metric: Metric) -> CallExpression:
    """Return the call that makes a metric convert its targets and predictions."""
    return CallExpression(
        CONVERT_INPUTS,
        (
            _name_call(metric, constructor_call(metric)),
            *(
                NamedValue(f"{name}=", render_literal(value))
                for name, value in metric.conversions.items()
                if value is not None
            ),
        ),
    )
