"""Components as the calls that make them in Keras, with the arguments that are not Keras's defaults."""

from __future__ import annotations

from inspect import get_annotations
from typing import Any, Final

from pydantic import ValidationError

from layercli.config.custom_layers import CustomLayer
from layercli.layers.base import Layer
from layercli.schema.component import Component, snake_case
from layercli.script.python_source import Call, Expression, Items, Named, flat, literal, quoted

_HOMES: Final = {
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
"""Module of a component that is no layer -> where Keras has it."""
BY_NAME: Final = frozenset(
    {
        "Adam", "SGD", "RMSprop", "AdamW", "Adagrad", "Adamax", "Nadam", "Adadelta", "Lion", "MeanSquaredError",
        "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError", "BinaryCrossentropy",
        "CategoricalCrossentropy", "SparseCategoricalCrossentropy", "Huber", "Poisson", "Hinge", "SquaredHinge",
        "CategoricalHinge", "CosineSimilarity", "BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy",
    }
)  # fmt: skip
"""Classes that Keras also takes by their names in snake case, where they have no arguments."""
_POSITIONAL: Final = frozenset({"filters", "units", "rate"})
"""First arguments that Keras users write without their names, even where others are required, too."""


def made(component: Component, *, leave: tuple[str, ...] = ()) -> Call:
    """The call that makes it; ``leave`` names arguments that are told elsewhere."""
    given = [(name, value) for name, value in non_defaults(component).items() if name not in leave]
    required = [name for name, _ in given if _is_required(component, name)]
    arguments: list[Expression] = []
    for index, (name, value) in enumerate(given):
        alone = len(required) == 1 or name in _POSITIONAL
        bare = index == 0 and name in required and alone and isinstance(component, Layer)
        arguments.append(
            value if bare and not isinstance(component, CustomLayer) else Named(f"{name}=", value)
        )
    return Call(f"{home(component)}{type_name(component)}", tuple(arguments))


def type_name(component: Component) -> str:
    """The class, as the script names it."""
    return component.class_name if isinstance(component, CustomLayer) else component.type_name()


def home(component: Component) -> str:
    """What stands before the class: ``layers.``, ``keras.metrics.``, or nothing for a class of the user's."""
    if isinstance(component, CustomLayer):
        return "layers." if component.kind == "keras" else ""
    if isinstance(component, Layer):
        return "layers."
    return f"{_HOMES[type(component).__module__.rpartition('.')[2]]}."


def non_defaults(component: Component) -> dict[str, Expression]:
    """Arguments that differ from Keras's defaults: required ones first, then the class's own, then those of its bases."""
    arguments = component.arguments()
    if isinstance(component, CustomLayer):
        return {name: value_of(value) for name, value in arguments.items()}
    depths = {
        name: depth
        for depth, base in reversed([*enumerate(type(component).__mro__)])
        for name in get_annotations(base)
    }
    order = sorted(
        arguments,
        key=lambda name: (not _is_required(component, name), name not in _POSITIONAL, depths.get(name, 0)),
    )
    return {
        name: value_of(shortest(component, name))
        for name in order
        if _is_required(component, name) or not is_same(component, name, type(component)._find_default(name))
    }


def shortest(component: Component, name: str) -> Any:
    """The argument's value; one size where it stands for the same in every direction."""
    value = component.arguments()[name]
    short = value
    while isinstance(short, tuple) and short and all(item == short[0] for item in short):
        short = short[0]
    return short if short is not value and is_same(component, name, short) else value


def is_same(component: Component, name: str, other: Any) -> bool:
    """Whether another value for the argument means the same."""
    arguments = component.arguments()
    if arguments[name] == other:
        return True
    try:
        changed = type(component).model_validate({**arguments, name: other})
    except (ValidationError, ValueError):
        return False
    return bool(changed.arguments()[name] == arguments[name])


def _is_required(component: Component, name: str) -> bool:
    return not isinstance(component, CustomLayer) and type(component)._find_default(name) is ...


def value_of(value: Any) -> Expression:
    """A value of a config as Python writes it."""
    if isinstance(value, Component):
        return made(value)
    if isinstance(value, (list, tuple)):
        opening, closing = "[]" if isinstance(value, list) else "()"
        return Items(opening, tuple(map(value_of, value)), closing)
    if isinstance(value, dict):
        entries = (Named(f"{quoted(str(key))}: ", value_of(item)) for key, item in value.items())
        return Items("{", tuple(entries), "}")
    return literal(value)


def _is_named(argument: Expression, key: str, name: str | None = None) -> bool:
    return (
        isinstance(argument, Named)
        and argument.name == key
        and name in (None, flat(argument.value).strip('"'))
    )


def by_name(component: Component | str) -> Expression:
    """An optimizer, loss or metric: by its name where that is enough, else as the call that makes it."""
    if isinstance(component, str):
        return quoted(component)
    call = made(component)
    kind = component.type_name()
    name = kind.lower() if home(component) == "keras.optimizers." else snake_case(kind)
    told = [argument for argument in call.arguments if not _is_named(argument, "name=", name)]
    if component.type_name() in BY_NAME and not told:
        return quoted(name)
    named = component.arguments().get("name")  # Keras would number a name of its own
    others = [argument for argument in told if not _is_named(argument, "name=")]
    return Call(call.head, (*others, Named("name=", quoted(named)))) if named else call
