"""Keras objects that a config declares as a name or as ``{type: Name, ...arguments}``."""

import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from inspect import get_annotations
from typing import Any, ClassVar, Generic, Self, TypeVar, get_origin, get_type_hints

from pydantic import ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails

from layercli.schema.strict_model import Strict, explained, plain, refuse
from layercli.schema.suggestions import closest
from layercli.source.nodes import fold, quoted


class _Arguments(Strict):
    """Validates the arguments of one component; made when the component is first used."""

    noun: ClassVar[str] = "argument"
    component: ClassVar[type["Component"]]

    @classmethod
    def title(cls) -> str:
        return cls.component.title()

    def check(self) -> None:
        self.component._of(self).check()


class _Fields:
    """The fields of a component's class, as Pydantic describes them."""

    def __get__(self, instance: object, owner: type["Component"]) -> dict[str, FieldInfo]:
        return owner.schema().model_fields


class Component:
    """A Keras object; the class carries Keras's own name, the annotations are Keras's own arguments.

    The annotations are Pydantic's, but its model is made only of a class that a config uses: making one takes a
    millisecond, and there are some three hundred classes.
    """

    advice: ClassVar[dict[str, str]] = {}
    """Arguments that people try, with what to write instead."""
    model_fields: ClassVar[_Fields] = _Fields()

    @classmethod
    def type_name(cls) -> str:
        """What stands as ``type`` in a config: Keras's class name."""
        return cls.__name__

    @classmethod
    def title(cls) -> str:
        """What messages call it."""
        return cls.__name__

    @classmethod
    def schema(cls) -> type[Strict]:
        """The Pydantic model of the arguments."""
        made: type[Strict] | None = cls.__dict__.get("_schema")
        if made is None:
            fields = {name: (hint, cls._default(name)) for name, hint in _annotations(cls).items()}
            new: type[_Arguments] = create_model(cls.__name__, __base__=_Arguments, **fields)  # type: ignore[call-overload]
            new.component, new.advice = cls, cls.advice
            cls._schema = made = new  # type: ignore[attr-defined]  # one for each class, not inherited
        return made

    @classmethod
    def model_validate(cls, arguments: Any) -> Self:
        """The component with these arguments.

        Raises:
            ValidationError: all that is wrong with them.
        """
        return cls._of(cls.schema().model_validate(arguments))

    @classmethod
    def _of(cls, validated: Strict) -> Self:
        new = cls.__new__(cls)
        new.__dict__.update(validated.arguments())
        return new

    @classmethod
    def _default(cls, name: str) -> Any:
        """The default that the class which last declares the argument gives it, or Pydantic's mark for none."""
        owner = next(base for base in cls.__mro__ if name in get_annotations(base))
        return owner.__dict__.get(name, ...)

    def check(self) -> None:
        """Rules that bind several arguments.

        Raises:
            ArgumentError: a rule is broken.
        """

    def arguments(self) -> dict[str, Any]:
        """Every argument with its value; components inside stay components."""
        return dict(self.__dict__)

    def plain(self) -> dict[str, Any]:
        """Mappings, lists and scalars that validate to this again, every default written out."""
        return {"type": self.type_name(), **{name: plain(value) for name, value in self.arguments().items()}}

    def replace(self, **arguments: Any) -> Self:
        """The same with other values for some arguments; they are not validated."""
        new = copy(self)
        new.__dict__.update(arguments)
        return new

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({shown})"


def _annotations(cls: type) -> dict[str, Any]:
    """The annotated arguments of a component and its bases."""
    hints = get_type_hints(cls, include_extras=True)
    return {name: hint for name, hint in hints.items() if get_origin(hint) is not ClassVar}


C = TypeVar("C", bound=Component)


@dataclass(frozen=True)
class Catalogue(Generic[C]):
    """Every type of one kind of Keras object: a literal table, from which one type at a time is imported."""

    noun: str
    package: str
    modules: Mapping[str, str]
    """Keras's class name -> the module that describes it."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Keras's other names -> class name."""
    nameless: Sequence[str] = ()
    """Types that Keras does not know by their bare name."""
    refused: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Names that exist in Keras but not here -> why not, and the way out."""

    @cached_property
    def _by_key(self) -> dict[str, str]:
        keys = {fold(name): name for name in self.modules}
        return keys | {fold(alias): name for alias, name in self.aliases.items()}

    @property
    def names(self) -> list[str]:
        """Keras's class names."""
        return list(self.modules)

    def find(self, name: str) -> str | None:
        """Keras's class name for any spelling of it, or None."""
        return self._by_key.get(fold(name))

    def load(self, class_name: str) -> type[C]:
        """The class that describes a Keras class; imports just its module."""
        module = import_module(f"{self.package}.{self.modules[class_name]}")
        found: type[C] = getattr(module, class_name)
        return found

    def look_up(self, name: object) -> type[C]:
        """The class for a ``type`` as a person wrote it.

        Raises:
            PydanticCustomError: no such type, with the closest one.
        """
        if not isinstance(name, str):
            raise refuse("wrong-type", f"`type` is {quoted(name)}; it must be the name of {self._a_noun}.")
        class_name = self.find(name)
        if class_name is None:
            raise self._unknown(name)
        return self.load(class_name)

    def parse(self, value: object) -> C:
        """The component that a config's value declares.

        Raises:
            ValidationError | PydanticCustomError: the value declares none.
        """
        if isinstance(value, Component):
            return value  # type: ignore[return-value]  # built from Python
        if isinstance(value, str):
            return self.look_up(value).model_validate({})
        if not isinstance(value, dict):
            message = f"{quoted(value)} is no {self.noun}; write its name, or {{type: Name, ...arguments}}."
            raise refuse("wrong-type", message)
        if "type" not in value:
            hint = f"For example {{type: {next(iter(self.modules))}}}."
            raise refuse("missing-key", f"This {self.noun} has no `type`.", hint)
        cls = at("type", self.look_up, value["type"])
        return cls.model_validate({key: item for key, item in value.items() if key != "type"})

    def parse_or_name(self, value: object) -> str | C:
        """Like ``parse``, but a bare name stays Keras's name, so that nothing is imported for it."""
        if isinstance(value, str):
            class_name = self.find(value)
            if class_name is None:
                raise self._unknown(value)
            if class_name in self.nameless:
                return self.parse(value)
            # As Keras writes its defaults: glorot_uniform, and its own short names, such as uniform.
            return value.lower() if value.lower() in self.aliases else _WORDS.sub("_", class_name).lower()
        return self.parse(value)

    def _unknown(self, name: str) -> Exception:
        folded = fold(name)
        for refused, reason in self.refused.items():
            if fold(refused) == folded:
                return refuse(
                    "refused-type", f"{refused} is not available in a config: {reason[0]}.", reason[1]
                )
        keys = [f"{folded}{rank}d" for rank in (1, 2, 3)]
        by_rank = list(dict.fromkeys(self._by_key[key] for key in keys if key in self._by_key))
        if by_rank:  # such as Conv, for Conv1D, Conv2D and Conv3D
            listed = " or ".join(f"`{known}`" for known in by_rank)
            raise refuse("unknown-type", f"There is no {self.noun} {quoted(name)}.", f"Write {listed}.")
        match = closest(name, [*self.modules, *self.aliases])
        match = self._written(self.find(match) or match) if match else None
        names = ", ".join(self._written(name) for name in self.names[:12])
        known = f"Known are {names}" + (" and others." if len(self.modules) > 12 else ".")
        hint = f"Did you mean `{match}`?" if match else known
        return refuse("unknown-type", f"There is no {self.noun} {quoted(name)}.", hint)

    def _written(self, class_name: str) -> str:
        """How the type is written in a config."""
        return self.load(class_name).type_name()

    @property
    def _a_noun(self) -> str:
        return f"{'an' if self.noun[0] in 'aeiou' else 'a'} {self.noun}"


_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def snake_case(name: str) -> str:
    """``MaxPooling2D`` as ``max_pooling2d``: Keras's ``to_snake_case``."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


V = TypeVar("V")


def at(key: str, parse: Callable[[Any], V], value: object) -> V:
    """Call ``parse``; an error that it raises is placed at ``key``."""
    try:
        return parse(value)
    except ValidationError as error:
        details = [_prefixed(key, item) for item in error.errors(include_url=False)]
        raise ValidationError.from_exception_data(error.title, details) from None
    except ValueError as error:
        raise ValidationError.from_exception_data(
            key,
            [InitErrorDetails(type=error, loc=(key,), input=None)],  # type: ignore[typeddict-item]
        ) from None


def _prefixed(key: str, error: Any) -> InitErrorDetails:
    return InitErrorDetails(type=explained(error), loc=(key, *error["loc"]), input=None)
