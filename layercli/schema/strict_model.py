"""Pydantic models that refuse what they do not know, and say so in words a person can act on."""

import re
import types
import typing
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, ClassVar, Literal, Self, Union

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from layercli.schema.suggestions import did_you_mean, find_closest
from layercli.source.nodes import quote_value, sanitize_text

_REWORDED = "explained"
_ARITHMETIC_PATTERN = re.compile(r"[\d\s.+*/()^-]*\d[\d\s.+*/()^-]*")


def value_error(
    code: str, message: str, hint: str | None = None, *, at_key: bool = False
) -> PydanticCustomError:
    """The error that a validator raises: what was received, what was expected, and how to mend it."""
    return PydanticCustomError(
        code,
        "{message}",
        {"message": message, "hint": hint, "at_key": at_key, _REWORDED: True},
    )


def copy_value_error(error: Any) -> PydanticCustomError:
    """An error of ``refuse`` once more, to be raised around the place where it arose."""
    context = error["ctx"]
    return value_error(error["type"], context["message"], context["hint"], at_key=context["at_key"])


class ArgumentError(ValueError):
    """Arguments that are well formed each, but not together; ``argument`` is the one to change."""

    def __init__(self, argument: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument
        self.hint = hint


class StrictModel(BaseModel):
    """A mapping of a config: known keys only, scalars of exactly their type, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)

    example: ClassVar[str | None] = None
    """What to write where something else than a mapping stands."""
    noun: ClassVar[str] = "key"
    """What a key is called here."""
    hints: ClassVar[dict[str, str]] = {}
    """Keys that people try, with what to write instead."""
    extra_keys: ClassVar[tuple[str, ...]] = ()
    """Keys that may stand here and are resolved before."""

    @classmethod
    def title(cls) -> str:
        """What messages call this mapping."""
        return cls.__name__

    def check(self) -> None:
        """Rules that bind several arguments.

        Raises:
            ArgumentError: a rule is broken.
        """

    def arguments(self) -> dict[str, Any]:
        """Every field with its value; models inside stay models."""
        return {name: getattr(self, name) for name in type(self).model_fields}

    def to_plain(self) -> dict[str, Any]:
        """Mappings, lists and scalars that validate to this again, every default written out."""
        return {name: to_plain(value) for name, value in self.arguments().items()}

    @model_validator(mode="wrap")
    @classmethod
    def _validate_and_reword(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(value, BaseModel) and type(value) is not cls:
            raise value_error("wrong-type", f"{cls.title()} cannot be made of {type(value).__name__}.")
        try:
            model = handler(value)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            details = [_reword_error(cls, item) for item in _filter_errors(cls, errors)]
            raise ValidationError.from_exception_data(cls.__name__, details) from None
        try:
            model.check()
        except ArgumentError as error:
            detail = InitErrorDetails(
                type=value_error("bad-argument", str(error), error.hint), loc=(error.argument,), input=value
            )
            raise ValidationError.from_exception_data(cls.__name__, [detail]) from None
        return model


def to_plain(value: Any) -> Any:
    """Mappings, lists and scalars, all the way down."""
    if hasattr(value, "to_plain"):
        return value.to_plain()
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    return value


_MAX_UNKNOWN_KEYS = 200
"""Unknown keys of one mapping that are told one by one."""


def _filter_errors(cls: type[StrictModel], errors: Sequence[Any]) -> list[Any]:
    """The errors without those that follow from others; of unknown keys without number, the first and how many."""
    unknown = [item for item in errors if item["type"] == "extra_forbidden"]
    if len(unknown) > _MAX_UNKNOWN_KEYS:
        rest = {id(item) for item in unknown[_MAX_UNKNOWN_KEYS:]}
        message = f"{cls.title()} has {len(rest):,} more {cls.noun}s that are unknown."
        errors = [item for item in errors if id(item) not in rest]
        context = {"message": message, "hint": None, "at_key": True, _REWORDED: True}
        errors.append(
            {"type": "unknown-key", "loc": unknown[_MAX_UNKNOWN_KEYS]["loc"], "ctx": context, "input": None}
        )
    return [item for item in errors if not _is_misspelt(item, errors)]


def _reword_error(cls: type[StrictModel], error: Any) -> InitErrorDetails:
    """One of Pydantic's errors in our words; what an inner model has explained already passes through."""
    context = error.get("ctx") or {}
    location, received = error["loc"], error["input"]
    kind = (
        copy_value_error(error)
        if context.get(_REWORDED)
        else _describe_error(cls, error["type"], location, received, context)
    )
    return InitErrorDetails(type=kind, loc=location, input=None)


def _describe_error(
    cls: type[StrictModel], code: str, location: tuple[Any, ...], received: Any, context: dict[str, Any]
) -> PydanticCustomError:
    name = str(location[0]) if location else ""
    field = cls.model_fields.get(name)
    if code == "extra_forbidden":
        return _unknown_key_error(cls, name)
    if code == "missing" and field is not None:
        example = (
            f"Add `{name}: {format_value(field.examples[0])}`" if field.examples else f"Add `{name}: ...`"
        )
        meaning = f": {field.description[0].lower()}{field.description[1:]}" if field.description else "."
        return value_error(
            "missing-key", f"{cls.title()} needs `{name}`{_end_sentence(meaning)}", f"{example}, for example."
        )
    field_text = f"`{name}`" + "".join(f"[{step}]" for step in location[1:] if isinstance(step, int))
    if field is None:
        message = f"{cls.title()} is {quote_value(received)}; it must be a mapping of keys to values."
        return value_error("wrong-type", message, f"For example `{cls.example}`." if cls.example else None)
    expected = _describe_expected(field, code, context, nested=len(location) > 1)
    return value_error(
        _PROBLEM_CODES.get(code, "wrong-type"),
        f"{field_text} is {quote_value(received)}; it must be {expected}.",
        _suggest_value(code, name, received, field),
    )


_PROBLEM_CODES = {
    "greater_than": "out-of-range",
    "greater_than_equal": "out-of-range",
    "less_than": "out-of-range",
    "less_than_equal": "out-of-range",
    "finite_number": "not-finite",
    "literal_error": "unknown-value",
    "too_short": "wrong-length",
    "too_long": "wrong-length",
}

_EXPECTED_TEXTS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "finite_number": "a finite number",
    "none_required": "null",
}


def _is_misspelt(item: Any, errors: Sequence[Any]) -> bool:
    """Whether a missing key is there under a name that is nearly right, which is reported already."""
    if item["type"] != "missing":
        return False
    others = [str(other["loc"][0]) for other in errors if other["type"] == "extra_forbidden"]
    return any(find_closest(other, [str(item["loc"][0])]) is not None for other in others)


def _unknown_key_error(cls: type[StrictModel], name: str) -> PydanticCustomError:
    known_keys = _list_keys(cls)
    listed = ", ".join(f"`{key}`" for key in known_keys)
    otherwise = f"{cls.title()} takes {listed}." if known_keys else f"{cls.title()} takes no {cls.noun}s."
    hint = cls.hints.get(name) or did_you_mean(name, known_keys, otherwise=otherwise)
    return value_error(
        "unknown-key", f"{cls.title()} has no {cls.noun} {quote_value(name)}.", hint, at_key=True
    )


@cache
def _list_keys(cls: type[StrictModel]) -> list[str]:
    """The keys: those without a default, then the class's own, then those of its bases."""
    bases = reversed([*enumerate(getattr(cls, "component", cls).__mro__)])
    depth = {key: depth for depth, base in bases for key in vars(base).get("__annotations__", ())}
    fields = cls.model_fields
    return [
        *sorted(fields, key=lambda key: (not fields[key].is_required(), depth.get(key, 0))),
        *cls.extra_keys,
    ]


def _describe_expected(field: FieldInfo, code: str, context: dict[str, Any], *, nested: bool) -> str:
    if nested:
        return _EXPECTED_TEXTS.get(code) or (
            f"one of {context['expected']}" if "expected" in context else "of another type"
        )
    text = describe_type(field)
    if code == "too_long":
        return f"{text} of at most {context['max_length']} items"
    has_upper_bound = "at most" in text or "between" in text
    return (
        f"{text}, and at most {context['le']:,}"
        if code == "less_than_equal" and not has_upper_bound
        else text
    )


def describe_type(field: FieldInfo) -> str:
    """What a field takes, in words: "a positive whole number, or null"."""
    optional = _is_nullable(field.annotation)
    text = _describe_annotation(field.annotation, list(field.metadata))
    return f"{text}, or null" if optional and text != "null" else text


def _is_nullable(annotation: Any) -> bool:
    return annotation is None or type(None) in typing.get_args(annotation)


def _describe_annotation(annotation: Any, metadata: list[Any]) -> str:
    origin = typing.get_origin(annotation)
    for item in metadata:
        if isinstance(item, ExpectedText):
            return item.text
    if origin is typing.Annotated:
        inner, *extra = typing.get_args(annotation)
        return _describe_annotation(inner, [*metadata, *_flatten_metadata(extra)])
    if origin in (Union, types.UnionType):
        options = [option for option in typing.get_args(annotation) if option is not type(None)]
        return " or ".join(_describe_annotation(option, metadata) for option in options)
    if origin is Literal:
        return "one of " + ", ".join(format_value(option) for option in typing.get_args(annotation))
    if annotation in (int, float):
        return _describe_bounds("whole number" if annotation is int else "number", metadata)
    names = {
        bool: "true or false",
        str: "text",
        list: "a list",
        tuple: "a list",
        dict: "a mapping of keys to values",
    }
    return names.get(origin or annotation, "a mapping of keys to values")


def _flatten_metadata(metadata: Iterable[Any]) -> list[Any]:
    flat: list[Any] = []
    for item in metadata:
        flat.extend(item.metadata if isinstance(item, FieldInfo) else [item])
    return flat


def _describe_bounds(noun: str, metadata: list[Any]) -> str:
    limits = {
        name: getattr(item, name)
        for item in metadata
        for name in ("gt", "ge", "lt", "le")
        if getattr(item, name, None) is not None
    }
    low, high = limits.get("ge"), limits.get("le")
    if limits.get("gt") == 0:
        noun = f"positive {noun}"
    elif "gt" in limits:
        noun = f"{noun} above {limits['gt']}"
    has_shown_maximum = high is not None and abs(high) <= _MAX_SHOWN_BOUND
    if low is not None and abs(low) <= _MAX_SHOWN_BOUND:
        noun += f" between {low} and {high}" if has_shown_maximum else f" of at least {low}"
    elif has_shown_maximum:
        noun += f" of at most {high}"
    if "lt" in limits and abs(limits["lt"]) <= _MAX_SHOWN_BOUND:
        noun += f", below {limits['lt']}" if low is not None or "gt" in limits else f" below {limits['lt']}"
    return f"a {noun}"


_MAX_SHOWN_BOUND = 1_000_000
"""Bounds beyond this only keep numbers sane; they are named when one is broken."""


class ExpectedText:
    """Annotation metadata: what a field takes, in words, where its type alone does not tell."""

    def __init__(self, text: str) -> None:
        self.text = text


def _suggest_value(code: str, name: str, received: Any, field: FieldInfo) -> str | None:
    options = _literal_options(field.annotation)
    if isinstance(received, str):
        if options and (match := find_closest(received, [str(option) for option in options])):
            return f"Did you mean `{match}`?"
        if code.startswith(("int", "float")):
            number = received.strip().replace("_", "").replace(",", "")
            if re.fullmatch(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?", number):
                return f"Write it as a number, without quotes or separators: `{name}: {number[:40]}`."
            if _ARITHMETIC_PATTERN.fullmatch(received):
                return "A config does no arithmetic: write the result."
        if code == "list_type":
            return f"Write `{name}: [{sanitize_text(received, limit=60)}]`."
        if code == "bool_type" and received.lower() in ("yes", "no", "on", "off", "y", "n"):
            return f"Write `{name}: {'true' if received.lower() in ('yes', 'on', 'y') else 'false'}`."
    if isinstance(received, bool) and code.startswith(("int", "float")):
        return (
            f"Write a number, such as `{name}: {format_value(field.examples[0])}`."
            if field.examples
            else "Write a number."
        )
    if code in ("int_from_float", "int_type") and isinstance(received, float) and received.is_integer():
        return f"Write `{name}: {int(received)}`."
    return f"For example `{name}: {format_value(field.examples[0])}`." if field.examples else None


def _literal_options(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) is Literal:
        return typing.get_args(annotation)
    return tuple(option for part in typing.get_args(annotation) for option in _literal_options(part))


def format_value(value: Any) -> str:
    """A value as it stands in a config, on one line."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {format_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(format_value(item) for item in value) + "]"
    return (
        {True: "true", False: "false", None: "null"}[value]
        if value is None or value is True or value is False
        else str(value)
    )


def _end_sentence(sentence: str) -> str:
    return sentence if sentence.endswith(".") else f"{sentence}."
