"""Losses, metrics, optimizers, schedules and callbacks from custom code, named by file or module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, ClassVar, Final, Literal, Self, TypeVar

from layercli.layers.custom_layers import split_reference
from layercli.schema.component import Component, parse_at_key, snake_case
from layercli.schema.strict_model import StrictModel, to_plain, value_error
from layercli.schema.suggestions import suggest_space
from layercli.source.nodes import KeyPath, quote_value

_EXAMPLES: Final = {
    "loss": "losses.py:Focal",
    "metric": "metrics.py:Recall",
    "optimizer": "optimizers.py:MySGD",
    "learning-rate schedule": "schedules.py:Warmup",
    "callback": "callbacks.py:Tracker",
}
"""The kinds of objects -> an example of a `type`."""
CUSTOM_NOUNS: Final = ("layer", *_EXAMPLES)
"""The kinds of objects that can be custom code."""
NON_METRIC_KEYS: Final = ("epoch", "stage", "seconds", "examples_per_second")
"""Keys in a line of the history that are not metrics."""
RESERVED_METRIC_NAMES: Final = frozenset({"loss", "learning_rate", *NON_METRIC_KEYS})
"""Column names of the history that a metric must not have."""
_MAX_CLASSES: Final = 1000
T = TypeVar("T")


class CustomObject(Component):
    """An object whose class or function is in custom code; its arguments are not validated."""

    noun: ClassVar[str]
    kind: ClassVar[Literal["file", "module"]]
    module: ClassVar[str]
    """The file or module."""
    class_name: ClassVar[str]
    """The name of the class, or of the function."""
    constructor_arguments: dict[str, Any]

    @classmethod
    def create(cls, arguments: dict[str, Any]) -> Self:
        """Return the object with these arguments."""
        new = cls.__new__(cls)
        new.constructor_arguments = arguments
        return new

    @classmethod
    def type_name(cls) -> str:
        """Return the ``type`` as a config writes it."""
        return f"{cls.module}:{cls.class_name}"

    @property
    def is_function(self) -> bool:
        """Whether this is a loss or metric with the usual name of a function: in lower case."""
        return self.noun in ("loss", "metric") and self.class_name.islower()

    @property
    def log_name(self) -> str:
        """The name of a metric in the history: its argument ``name``, otherwise the name of the class in snake case."""
        name = self.constructor_arguments.get("name")
        if isinstance(name, str):
            return name
        default = snake_case(self.class_name)
        return f"{default}_metric" if default in RESERVED_METRIC_NAMES else default

    @property
    def from_logits(self) -> bool:
        """Whether a loss takes logits, if it has this argument."""
        return self.constructor_arguments.get("from_logits") is True

    @property
    def use_ema(self) -> bool:
        """Whether an optimizer averages weights, if it has this argument."""
        return self.constructor_arguments.get("use_ema") is True

    @property
    def learning_rate(self) -> Any:
        """The learning rate of an optimizer, if it has this argument."""
        return self.constructor_arguments.get("learning_rate")

    def arguments(self) -> dict[str, Any]:
        name = {"name": self.log_name} if self.noun == "metric" else {}
        return self.constructor_arguments | name

    def keras_arguments(self) -> dict[str, Any]:
        return self.constructor_arguments

    def to_plain(self) -> dict[str, Any]:
        return {"type": self.type_name(), **to_plain(self.constructor_arguments)}

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, CustomObject)
            and (self.noun, self.type_name()) == (other.noun, other.type_name())
            and self.constructor_arguments == other.constructor_arguments
        )

    __hash__ = None


@lru_cache(_MAX_CLASSES)
def _make_custom_class(noun: str, kind: str, module: str, class_name: str) -> type[CustomObject]:
    """Return the class of the objects with a ``type``: components of a type share a class."""
    return type(
        class_name, (CustomObject,), {"noun": noun, "kind": kind, "module": module, "class_name": class_name}
    )


def is_custom_reference(value: object) -> bool:
    """Return whether a value, or its ``type``, names custom code instead of an entry of a catalogue."""
    type_name = value.get("type") if isinstance(value, dict) else value
    return isinstance(type_name, str) and ":" in type_name


def accept_custom(
    noun: str,
    parse: Callable[[Any], T],
    *,
    parse_schedule: Callable[[Any], Component] | None = None,
    parse_name: Callable[[Any], Any] | None = None,
) -> Callable[[Any], T | CustomObject]:
    """Return a function that parses custom objects of a kind, and all others with ``parse``.

    ``parse_schedule`` parses the learning rate of an optimizer, if that is a mapping, and ``parse_name`` checks the name of a
    loss or metric.
    """

    def parse_any(value: Any) -> T | CustomObject:
        if not is_custom_reference(value):
            return parse(value)
        arguments = dict(value) if isinstance(value, dict) else {"type": value}
        type_name = arguments.pop("type")
        cls = parse_at_key("type", lambda name: _find_class(noun, name), type_name)
        if parse_schedule is not None and isinstance(arguments.get("learning_rate"), dict):
            arguments["learning_rate"] = parse_at_key(
                "learning_rate", parse_schedule, arguments["learning_rate"]
            )
        if parse_name is not None and "name" in arguments:
            parse_at_key("name", parse_name, arguments["name"])
        return cls.create(arguments)

    return parse_any


def _find_class(noun: str, type_name: str) -> type[CustomObject]:
    """Return the class for ``file.py:Name`` or ``module:Name`` without loading code.

    Raises:
        PydanticCustomError: the name is malformed.
    """
    found = split_reference(type_name)
    if found is None:
        raise value_error(
            "bad-custom-type",
            f"`type` must name a file relative to the config, or a module, and a class, got {quote_value(type_name)}.",
            suggest_space({type_name: None}, ["type"])
            or f"For example `type: {_EXAMPLES[noun]}` or `type: mypackage.{_EXAMPLES[noun].replace('.py', '')}`.",
        )
    return _make_custom_class(noun, *found)


def find_custom_objects(value: object, path: KeyPath = ()) -> Iterator[tuple[CustomObject, KeyPath]]:
    """Yield the custom objects in a section or value, with their paths."""
    if isinstance(value, CustomObject):
        yield value, path
    if isinstance(value, Component):
        value = value.keras_arguments()
    elif isinstance(value, StrictModel):
        value = value.arguments()
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from find_custom_objects(item, (*path, key))
