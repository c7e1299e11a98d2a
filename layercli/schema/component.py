"""Keras objects that a config declares as a name or as ``{type: Name, ...arguments}``."""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib import import_module
from inspect import get_annotations
from types import NoneType
from typing import Any, ClassVar, Final, Generic, Self, TypeVar, get_origin, get_type_hints

from pydantic import ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails

from layercli.schema.flow_style import format_value
from layercli.schema.other_names import explain_type, find_renamed_key, strip_module
from layercli.schema.strict_model import (
    StrictModel,
    copy_value_error,
    mismatch_error,
    to_plain,
    value_error,
)
from layercli.schema.suggestions import Suggestion, suggest_closest, suggest_space
from layercli.source.nodes import normalize_type_name, quote_value


class _ArgumentsModel(StrictModel):
    """Pydantic model of the arguments of one component, built when the component is first used."""

    noun: ClassVar[str] = "argument"
    component: ClassVar[type["Component"]]

    @classmethod
    def title(cls) -> str:
        return cls.component.title()

    def check(self) -> None:
        self.component._from_validated(self).check()


class _FieldsDescriptor:
    """The fields of a component's class, as Pydantic describes them."""

    def __get__(self, instance: object, owner: type["Component"]) -> dict[str, FieldInfo]:
        return owner.arguments_model().model_fields


class Component:
    """A Keras object; the class carries Keras's own name, the annotations are Keras's own arguments.

    The Pydantic model is built when a config first uses the class: building one takes 1 ms, and there are about 300
    classes.
    """

    hints: ClassVar[dict[str, str]] = {}
    """Common wrong arguments -> a hint."""
    model_fields: ClassVar[_FieldsDescriptor] = _FieldsDescriptor()

    @classmethod
    def type_name(cls) -> str:
        """Return the value of ``type`` in a config: Keras's class name."""
        return cls.__name__

    @classmethod
    def title(cls) -> str:
        """Return the component's name in messages."""
        return cls.__name__

    @classmethod
    def arguments_model(cls) -> type[StrictModel]:
        """Return the Pydantic model of the arguments; build it at the first call."""
        model: type[StrictModel] | None = cls.__dict__.get("_arguments_model")
        if model is None:
            fields = {
                name: (hint, cls._find_default(name)) for name, hint in _collect_annotations(cls).items()
            }
            new_model: type[_ArgumentsModel] = create_model(cls.__name__, __base__=_ArgumentsModel, **fields)  # type: ignore[call-overload]
            new_model.component, new_model.hints = cls, cls.hints
            cls._arguments_model = model = new_model  # type: ignore[attr-defined]  # one for each class, not inherited
        return model

    @classmethod
    def model_validate(cls, arguments: Any) -> Self:
        """Return the component with these arguments.

        Raises:
            ValidationError: arguments are invalid; it lists all of them.
        """
        return cls._from_validated(cls.arguments_model().model_validate(arguments))

    @classmethod
    def _from_validated(cls, validated: StrictModel) -> Self:
        new = cls.__new__(cls)
        new.__dict__.update(validated.arguments())
        return new

    @classmethod
    def _find_default(cls, name: str) -> Any:
        """Return the default from the class that declares the argument, or ``...`` if it is required."""
        owner = next(base for base in cls.__mro__ if name in get_annotations(base))
        return owner.__dict__.get(name, ...)

    def check(self) -> None:
        """Check rules that involve several arguments.

        Raises:
            ArgumentError: an argument breaks a rule.
        """

    def arguments(self) -> dict[str, Any]:
        """Return every argument with its value; nested components stay components."""
        return dict(self.__dict__)

    def keras_arguments(self) -> dict[str, Any]:
        """Return the arguments of Keras's constructor: all but those that only layercli has."""
        return self.arguments()

    def to_plain(self) -> dict[str, Any]:
        """Return mappings, lists and scalars that validate to an equal object, with all defaults."""
        return {
            "type": self.type_name(),
            **{name: to_plain(value) for name, value in self.arguments().items()},
        }

    def with_arguments(self, **arguments: Any) -> Self:
        """Return a copy with some arguments replaced, without validation."""
        new = copy(self)
        new.__dict__.update(arguments)
        return new

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({shown})"


CONTAINERS: Final = (Component, dict, list)
"""Arguments that can contain components."""


def _collect_annotations(cls: type) -> dict[str, Any]:
    """Return the annotated arguments of a component and its bases."""
    hints = get_type_hints(cls, include_extras=True)
    return {name: hint for name, hint in hints.items() if get_origin(hint) is not ClassVar}


C = TypeVar("C", bound=Component)


@dataclass(frozen=True)
class Catalogue(Generic[C]):
    """All types of one kind of Keras object; each type is imported when it is first used."""

    noun: str
    package: str
    modules: Mapping[str, str]
    """Keras's class name -> the module that describes it."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Keras's aliases -> class name."""
    not_by_name: Sequence[str] = ()
    """Types that Keras does not find by their bare name."""
    unavailable: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Keras names without a type here -> the reason and a hint."""

    @cached_property
    def _names_by_key(self) -> dict[str, str]:
        keys = {normalize_type_name(name): name for name in self.modules}
        return keys | {normalize_type_name(alias): name for alias, name in self.aliases.items()}

    @cached_property
    def _names_by_spelling(self) -> dict[str, str]:
        return {known: self.find(known) or known for known in (*self.modules, *self.aliases)}

    @cached_property
    def _unavailable_by_key(self) -> dict[str, str]:
        return {normalize_type_name(name): name for name in self.unavailable}

    @property
    def names(self) -> list[str]:
        """Keras's class names."""
        return list(self.modules)

    def find(self, name: str) -> str | None:
        """Return Keras's class name for any spelling of it, or None."""
        return self._names_by_key.get(normalize_type_name(name))

    def load(self, class_name: str) -> type[C]:
        """Import only the module of a Keras class and return the class that describes it."""
        module = import_module(f"{self.package}.{self.modules[class_name]}")
        component_class: type[C] = getattr(module, class_name)
        return component_class

    def look_up(self, name: object, entry: Mapping[str, object] | None = None) -> type[C]:
        """Return the class for the ``type`` in a config; hints for old types repeat values of the ``entry``.

        Raises:
            PydanticCustomError: the type is unknown; the hint names the closest one.
        """
        if not isinstance(name, str):
            raise value_error(
                "wrong-type",
                f"`type` must be the name of {self._noun_with_article}, got {quote_value(name)}.",
            )
        class_name = self.find(name)
        if class_name is None:
            raise self._unknown_type_error(name, entry)
        return self.load(class_name)

    def parse(self, value: object) -> C:
        """Return the component that a config's value declares.

        Raises:
            ValidationError | PydanticCustomError: the value does not declare a layer.
        """
        if isinstance(value, Component):
            return value  # type: ignore[return-value]  # built from Python
        if isinstance(value, str):
            return self.look_up(value).model_validate({})
        if not isinstance(value, dict):
            expected = f"the name of {self._noun_with_article} or {{type: Name, ...arguments}}"
            raise mismatch_error("wrong-type", expected, value)
        if "type" not in value:
            hint = (
                suggest_space(value, ["type"])
                or self._suggest_from_key(value)
                or self._suggest_from_value(value)
                or f"For example {{type: {next(iter(self.modules))}}}."
            )
            raise value_error("missing-key", f"The {self.noun} is missing `type`.", hint)
        cls = parse_at_key("type", partial(self.look_up, entry=value), value["type"])
        return cls.model_validate({key: item for key, item in value.items() if key != "type"})

    def _suggest_from_key(self, value: Mapping[str, object]) -> str | None:
        """Return a hint for a type that is written as the key of its arguments, as in ``{adam: {...}}``."""
        if len(value) != 1:
            return None
        (name, arguments), *_ = value.items()
        class_name = self.find(str(name))
        if class_name is None or not isinstance(arguments, dict | NoneType):
            return None
        known = self._config_name(class_name)
        return f"Write {{type: {known}, ...}} with the same arguments." if arguments else f"Write `{known}`."

    def _suggest_from_value(self, value: Mapping[str, object]) -> str | None:
        """Return a hint for a type under another key, as in Keras's ``{class_name: Adam, config: {...}}``."""
        for key in (*OTHER_TYPE_KEYS, self.noun):
            name = value.get(key)
            if isinstance(name, str) and (class_name := self.find(strip_module(name))) is not None:
                known, config = self._config_name(class_name), value.get("config")
                if isinstance(config, dict) and all(map(is_plain, config.values())):
                    written = format_value({"type": known, **config})
                    return f"Write {written if config else f'`{known}`'} instead of `{key}` and `config`."
                arguments = ", and the arguments of `config` next to it" if "config" in value else ""
                return f"Write `type: {known}` instead of `{key}`{arguments}."
        return None

    def parse_or_name(self, value: object) -> str | C:
        """Return the component, or Keras's name for a bare name, so that nothing is imported for it."""
        if isinstance(value, str):
            class_name = self.find(value)
            if class_name is None:
                raise self._unknown_type_error(value)
            if class_name in self.not_by_name:
                return self.parse(value)
            # Keras's spelling of defaults (glorot_uniform), or its short names (uniform).
            return (
                value.lower()
                if value.lower() in self.aliases
                else _WORD_BOUNDARY.sub("_", class_name).lower()
            )
        return self.parse(value)

    def _unknown_type_error(self, name: str, entry: Mapping[str, object] | None = None) -> Exception:
        folded = normalize_type_name(name)
        if (unavailable_name := self._unavailable_by_key.get(folded)) is not None:
            reason, hint = self.unavailable[unavailable_name]
            message = f"{unavailable_name} is not available in a config: {reason}."
            return value_error("refused-type", message, hint)
        keys = [f"{folded}{rank}d" for rank in (1, 2, 3)]
        by_rank = list(dict.fromkeys(self._names_by_key[key] for key in keys if key in self._names_by_key))
        if by_rank:  # such as Conv, for Conv1D, Conv2D and Conv3D
            listed = " or ".join(f"`{known}`" for known in by_rank)
            hint = f"Write {listed}."
        else:
            hint = self._suggest_entry(name) or self._suggest_type(strip_module(name), entry)
        message = f"There is no {self.noun} {quote_value(name)}."
        return value_error("unknown-type", message, hint, noun=self.noun)

    def _suggest_type(self, name: str, entry: Mapping[str, object] | None) -> str:
        """Return a hint for the name of an unknown type, without its module."""
        if (class_name := self.find(name)) is not None:  # its module was written before it
            known = self._config_name(class_name)
            return Suggestion(f"Keras calls it `{known}`.", known)
        names = ", ".join(self._config_name(known) for known in self.names[:12])
        otherwise = f"Known names: {names}" + (" and others." if len(self.modules) > 12 else ".")
        hint = explain_type(self.noun, name, entry) or suggest_closest(name, self._names_by_spelling)
        if isinstance(hint, Suggestion) and hint.replacement in self.modules:
            known = self._config_name(hint.replacement)
            return Suggestion(hint.replace(hint.replacement, known), known, hint.reason_against)
        return hint or otherwise

    def _suggest_entry(self, text: str) -> str | None:
        """Return a hint with the entry for a call in Python, such as ``Dense(64)``."""
        found = self._parse_call(text) if len(text) <= _MAX_CALL_LENGTH and text.endswith(")") else None
        if found is None:
            return None
        entry = self._entry_from_call(*found)
        if entry is None:
            return f"Write {{type: {self._config_name(found[0])}, ...}}, with each argument as a key."
        written = format_value(entry) if len(entry) > 1 else str(entry["type"])
        return Suggestion(f"Write {written if len(entry) > 1 else f'`{written}`'}.", written)

    def _parse_call(self, text: str) -> tuple[str, ast.Call] | None:
        """Return the class and the call in Python, such as ``Dense(64)`` or ``model.add(Dense(64))``; None for others."""
        try:
            call = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        if not isinstance(call, ast.Call):
            return None
        if isinstance(call.func, ast.Attribute) and call.func.attr == "add" and len(call.args) == 1:
            call = call.args[0] if isinstance(call.args[0], ast.Call) else call
        class_name = self.find(strip_module(ast.unparse(call.func)))
        return None if class_name is None else (class_name, call)

    def _entry_from_call(self, class_name: str, call: ast.Call) -> dict[str, Any] | None:
        """Return the entry for a call whose arguments are constants, or None."""
        positional = positional_arguments(self.load(class_name))
        if len(call.args) > len(positional) or any(keyword.arg is None for keyword in call.keywords):
            return None
        known = self.load(class_name).model_fields
        given = [
            *zip(positional, call.args, strict=False),
            *(
                (find_renamed_key(str(keyword.arg), known) or str(keyword.arg), keyword.value)
                for keyword in call.keywords
                if keyword.arg in known or keyword.arg not in _INPUT_SHAPE_KEYWORDS
            ),
        ]
        try:
            arguments = {name: ast.literal_eval(value) for name, value in given}
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return None
        if not all(_WORD.fullmatch(value) for value in arguments.values() if isinstance(value, str)):
            return None
        return {"type": self._config_name(class_name), **arguments}

    def _config_name(self, class_name: str) -> str:
        """Return the name of the type in a config."""
        return self.load(class_name).type_name()

    @property
    def _noun_with_article(self) -> str:
        return f"{'an' if self.noun[0] in 'aeiou' else 'a'} {self.noun}"


def positional_arguments(cls: type[Component]) -> list[str]:
    """Return the first arguments of Keras's constructor: the required ones, otherwise the first one.

    Losses and metrics, which have the argument ``name``, are called with keywords.
    """
    fields = cls.model_fields
    required = [name for name, field_info in fields.items() if field_info.is_required()]
    if required or "name" in fields:
        # the other ones are declared in Keras's order
        return sorted(required, key=lambda name: name != "filters")
    if "learning_rate" in fields:
        return ["learning_rate"]
    return [name for name in get_annotations(cls) if name in fields][:1]


_MAX_CALL_LENGTH = 200
_INPUT_SHAPE_KEYWORDS: Final = ("input_shape", "batch_input_shape", "input_dim")
"""Arguments that older versions of Keras give the first layer; the model declares its input."""
_WORD = re.compile(r"[A-Za-z][\w.]*", re.ASCII)
OTHER_TYPE_KEYS: Final = ("class_name", "class", "kind", "layer_type", "op", "_target_", "name")
"""Keys of other tools that name the type."""


def is_plain(value: object) -> bool:
    """Return whether a value can be repeated in a hint as it is."""
    is_word = isinstance(value, str) and _WORD.fullmatch(value) is not None
    return is_word or value is None or isinstance(value, bool | int | float)


_WORD_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def snake_case(name: str) -> str:
    """Return Keras's ``to_snake_case`` of a name: ``max_pooling2d`` for ``MaxPooling2D``."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


V = TypeVar("V")


def parse_at_key(key: str | int, parse: Callable[[Any], V], value: object) -> V:
    """Call ``parse`` and locate its error at ``key``."""
    try:
        return parse(value)
    except ValidationError as error:
        details = [_prefix_error(key, item) for item in error.errors(include_url=False)]
        raise ValidationError.from_exception_data(error.title, details) from None
    except ValueError as error:
        raise ValidationError.from_exception_data(
            str(key),
            [InitErrorDetails(type=error, loc=(key,), input=None)],  # type: ignore[typeddict-item]
        ) from None


def _prefix_error(key: str | int, error: Any) -> InitErrorDetails:
    return InitErrorDetails(type=copy_value_error(error), loc=(key, *error["loc"]), input=None)
