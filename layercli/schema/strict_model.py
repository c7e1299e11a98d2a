"""Strict Pydantic models with plain error messages and hints."""

import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Final, Literal, Self, Union

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from layercli.schema.flow_style import format_value
from layercli.schema.other_names import explain_key, explain_value, find_renamed_key
from layercli.schema.section_hints import fill_examples
from layercli.schema.suggestions import did_you_mean, find_closest, suggest_closest, suggest_space
from layercli.source.nodes import describe_received, quote_value, sanitize_text

_REWORDED = "reworded"
_ARITHMETIC_PATTERN = re.compile(r"[\d\s.+*/()^-]*\d[\d\s.+*/()^-]*")


def value_error(
    code: str, message: str, hint: str | None = None, *, at_key: bool = False, noun: str | None = None
) -> PydanticCustomError:
    """Return the error that a validator raises, with a message that names its own subject.

    ``noun`` is the kind of an unknown type, such as "layer".
    """
    return _make_error(code, {"message": message, "hint": hint, "at_key": at_key, "noun": noun})


def mismatch_error(
    code: str, expected: str, received: object, hint: str | None = None, *, container: object = None
) -> PydanticCustomError:
    """Return the error of a validator that does not know its field; the model around it names the field.

    Args:
        code: The problem's code.
        expected: A noun phrase, such as "a positive integer".
        received: The invalid value.
        hint: How to fix it.
        container: The list that contains ``received``, if the list is the field's value.
    """
    shown = describe_received(received)
    if code == "wrong-length" and isinstance(received, (list, tuple)):
        shown += f" of length {len(received)}"
    if container is not None and container is not received:
        shown += f" in {quote_value(container)}"
    context = {
        "message": f"Expected {expected}, got {shown}.",
        "requirement": f"must be {expected}, got {shown}.",
        "hint": hint,
        "at_key": False,
    }
    return _make_error(code, context)


def _make_error(code: str, context: dict[str, Any]) -> PydanticCustomError:
    return PydanticCustomError(code, "{message}", {**context, _REWORDED: True})


def copy_value_error(error: Any, subject: str | None = None) -> PydanticCustomError:
    """Return a copy of an error of ``value_error`` or ``mismatch_error``, for a model around the place of the error.

    Args:
        error: The error as Pydantic lists it.
        subject: The field to name in the message of a ``mismatch_error``; None keeps the message.
    """
    context = dict(error["ctx"])
    if subject is not None and "requirement" in context:
        context["message"] = f"{subject} {context.pop('requirement')}"
    return _make_error(error["type"], context)


class ArgumentError(ValueError):
    """Arguments that are valid separately but not together; ``argument`` is the one to change."""

    def __init__(self, argument: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument
        self.hint = hint


class StrictModel(BaseModel):
    """A mapping of a config: known keys only, scalars of exactly their type, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)

    example: ClassVar[str | None] = None
    """An example for the message about a value that is not a mapping."""
    noun: ClassVar[str] = "key"
    """The word for a key in messages."""
    hints: ClassVar[dict[str, str]] = {}
    """Common wrong keys -> a hint."""
    extra_keys: ClassVar[tuple[str, ...]] = ()
    """Allowed keys that are resolved before validation."""

    @classmethod
    def title(cls) -> str:
        """Return the mapping's name in messages."""
        return cls.__name__

    def check(self) -> None:
        """Check rules that involve several arguments.

        Raises:
            ArgumentError: an argument breaks a rule.
        """

    def arguments(self) -> dict[str, Any]:
        """Return every field with its value; nested models stay models."""
        return dict(self.__dict__)

    def to_plain(self) -> dict[str, Any]:
        """Return mappings, lists and scalars that validate to an equal object, with all defaults."""
        return {name: to_plain(value) for name, value in self.arguments().items()}

    @model_validator(mode="wrap")
    @classmethod
    def _validate_and_reword(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(value, BaseModel) and type(value) is not cls:
            raise value_error(
                "wrong-type", f"{cls.title()} must be a mapping, got an instance of {type(value).__name__}."
            )
        try:
            model = handler(value)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            details = [_reword_error(cls, item, value) for item in _filter_errors(cls, errors[:_MAX_ERRORS])]
            raise ValidationError.from_exception_data(cls.__name__, details) from None
        try:
            model.check()
        except ArgumentError as error:
            detail = InitErrorDetails(
                type=value_error("bad-argument", str(error), error.hint), loc=(error.argument,), input=value
            )
            raise ValidationError.from_exception_data(cls.__name__, [detail]) from None
        return model


_SCALARS: Final = frozenset({bool, int, float, str, type(None)})


def to_plain(value: Any) -> Any:
    """Return nested mappings, lists and scalars without models."""
    if type(value) in _SCALARS:
        return value  # nearly all values; `hasattr` is slow
    if hasattr(value, "to_plain"):
        return value.to_plain()
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    return value


_MAX_ERRORS = 5000
"""Largest number of errors of one mapping that are reported: a list can have very many wrong items."""
_MAX_UNKNOWN_KEYS = 200
"""Largest number of unknown keys of one mapping that are reported separately."""


def _filter_errors(cls: type[StrictModel], errors: Sequence[Any]) -> list[Any]:
    """Return the errors without those that follow from others, and at most ``_MAX_UNKNOWN_KEYS`` unknown keys."""
    unknown = [item for item in errors if item["type"] == "extra_forbidden"]
    if len(unknown) > _MAX_UNKNOWN_KEYS:
        rest = {id(item) for item in unknown[_MAX_UNKNOWN_KEYS:]}
        message = f"{cls.title()} has {len(rest):,} more unknown {cls.noun}s."
        errors = [item for item in errors if id(item) not in rest]
        context = {"message": message, "hint": None, "at_key": True, _REWORDED: True}
        errors.append(
            {"type": "unknown-key", "loc": unknown[_MAX_UNKNOWN_KEYS]["loc"], "ctx": context, "input": None}
        )
    return [item for item in errors if not _is_misspelt(item, errors)]


def _reword_error(cls: type[StrictModel], error: Any, value: Any) -> InitErrorDetails:
    """Return a Pydantic error with a plain message; keep the message of an inner model."""
    context = error.get("ctx") or {}
    location, received = error["loc"], error["input"]
    kind = (
        copy_value_error(error, _format_field(location) if location else None)
        if context.get(_REWORDED)
        else _unknown_key_error(cls, str(location[0]), value)
        if error["type"] == "extra_forbidden"
        else _describe_error(cls, error["type"], location, received, context)
    )
    return InitErrorDetails(type=kind, loc=location, input=None)


def _describe_error(
    cls: type[StrictModel], code: str, location: tuple[Any, ...], received: Any, context: dict[str, Any]
) -> PydanticCustomError:
    name = str(location[0]) if location else ""
    field = cls.model_fields.get(name)
    if code == "missing" and field is not None:
        example = (
            f"Add `{name}: {format_value(field.examples[0])}`" if field.examples else f"Add `{name}: ...`"
        )
        meaning = f": {field.description[0].lower()}{field.description[1:]}" if field.description else "."
        return value_error(
            "missing-key", f"{cls.title()} needs `{name}`{_end_sentence(meaning)}", f"{example}, for example."
        )
    if field is None:
        message = f"{cls.title()} must be a mapping, got {describe_received(received)}."
        return value_error("wrong-type", message, f"For example `{cls.example}`." if cls.example else None)
    expected = _describe_expected(field, code, context, nested=len(location) > 1)
    takes_strings = "expected" in context or code.startswith("string")
    shown = quote_value(received) if takes_strings else describe_received(received)
    return value_error(
        _PROBLEM_CODES.get(code, "wrong-type"),
        f"{_format_field(location)} must be {expected}, got {shown}.",
        _suggest_value(code, name, received, field, key=_last_key(location)),
    )


def _format_field(location: tuple[Any, ...]) -> str:
    """Return the subject of a message: the field in backticks, and the index of an item in it."""
    return f"`{location[0]}`" + "".join(f"[{step}]" for step in location[1:] if isinstance(step, int))


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
    "int_type": "an integer",
    "int_from_float": "an integer",
    "int_parsing": "an integer",
    "int_parsing_size": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "string_type": "a string",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "finite_number": "a finite number",
    "none_required": "null",
}


def _is_misspelt(item: Any, errors: Sequence[Any]) -> bool:
    """Return whether a missing key was misspelt, which is already reported as an unknown key."""
    if item["type"] != "missing":
        return False
    unknown = [other for other in errors if other["type"] == "extra_forbidden"]
    others, missing = [str(other["loc"][0]) for other in unknown], [str(item["loc"][0])]
    if any(isinstance(other.get("input"), dict) and missing[0] in other["input"] for other in unknown):
        return True
    return any(
        other.partition(":")[0] in missing or find_renamed_key(other, missing) or find_closest(other, missing)
        for other in others
    )


def _unknown_key_error(
    cls: type[StrictModel], name: str, mapping: Mapping[str, object]
) -> PydanticCustomError:
    known_keys = _list_keys(cls)
    listed = ", ".join(f"`{key}`" for key in known_keys)
    otherwise = f"{cls.title()} takes {listed}." if known_keys else f"{cls.title()} takes no {cls.noun}s."
    own_hint = cls.hints.get(name)
    hint = (
        (own_hint and fill_examples(own_hint, name, mapping))
        or suggest_space({name: mapping.get(name, "")}, known_keys)
        or explain_key(name, known_keys, mapping, cls.title())
        or did_you_mean(name, known_keys, otherwise=otherwise)
    )
    return value_error(
        "unknown-key", f"{cls.title()} has no {cls.noun} {quote_value(name)}.", hint, at_key=True
    )


@cache
def _list_keys(cls: type[StrictModel]) -> list[str]:
    """Return the keys: required ones, then those of the class, then those of its bases."""
    bases = reversed([*enumerate(getattr(cls, "component", cls).__mro__)])
    depth = {key: depth for depth, base in bases for key in vars(base).get("__annotations__", ())}
    fields = cls.model_fields
    return [
        *sorted(fields, key=lambda key: (not fields[key].is_required(), depth.get(key, 0))),
        *cls.extra_keys,
    ]


def _describe_expected(field: FieldInfo, code: str, context: dict[str, Any], *, nested: bool) -> str:
    if code == "string_too_short":
        length = context["min_length"]
        return "a non-empty string" if length == 1 else f"a string of at least {length:,} characters"
    if nested:
        return _describe_nested_expected(code, context)
    broken_bound = next((context[name] for name in _BOUND_NAMES if name in context), 0)
    text = describe_type(field, max_shown_bound=max(_MAX_SHOWN_BOUND, abs(broken_bound)))
    if code == "string_too_long":
        length = context["max_length"]
        return "one character" if length == 1 else f"{_without_null(text)} of at most {length:,} characters"
    if code == "too_long":
        return f"{_without_null(text)} of at most {context['max_length']:,} items"
    if code == "too_short":
        return f"{_without_null(text)} of at least {context['min_length']:,} item{'s' * (context['min_length'] != 1)}"
    return text


def _without_null(text: str) -> str:
    return text.removesuffix(" or null").removesuffix(",")


def _describe_nested_expected(code: str, context: dict[str, Any]) -> str:
    if "expected" in context:
        return f"one of {context['expected']}"
    for name, words in _BOUND_NAMES.items():
        if name in context:
            return f"{words} {context[name]:,}"
    return _EXPECTED_TEXTS.get(code, "of a different type")


_BOUND_NAMES = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
_MAX_SHOWN_BOUND = 1_000_000
"""Messages name a larger bound only if a value breaks it."""


def describe_type(field: FieldInfo, *, max_shown_bound: float = _MAX_SHOWN_BOUND) -> str:
    """Return the values that a field takes, in words: "a positive integer or null"."""
    text = _describe_annotation(field.annotation, list(field.metadata), max_shown_bound)
    if not _is_nullable(field.annotation) or text == "null":
        return text
    return f"{text}, or null" if ", " in text else f"{text} or null"


def _is_nullable(annotation: Any) -> bool:
    return annotation is None or type(None) in typing.get_args(annotation)


def _describe_annotation(annotation: Any, metadata: list[Any], max_shown_bound: float) -> str:
    origin = typing.get_origin(annotation)
    for item in metadata:
        if isinstance(item, ExpectedText):
            return item.text
    if origin is typing.Annotated:
        inner, *extra = typing.get_args(annotation)
        return _describe_annotation(inner, [*metadata, *flatten_metadata(extra)], max_shown_bound)
    if origin in (Union, types.UnionType):
        options = [option for option in typing.get_args(annotation) if option is not type(None)]
        return " or ".join(_describe_annotation(option, metadata, max_shown_bound) for option in options)
    if origin is Literal:
        return "one of " + ", ".join(format_value(option) for option in typing.get_args(annotation))
    if annotation in (int, float):
        return _describe_bounds("integer" if annotation is int else "number", metadata, max_shown_bound)
    names = {
        bool: "true or false",
        str: "a string",
        list: "a list",
        tuple: "a list",
        dict: "a mapping",
    }
    return names.get(origin or annotation, "a mapping")


def flatten_metadata(metadata: Iterable[Any]) -> list[Any]:
    """Return the metadata of an annotation with that of its Pydantic fields in their place."""
    flat: list[Any] = []
    for item in metadata:
        flat.extend(item.metadata if isinstance(item, FieldInfo) else [item])
    return flat


def _describe_bounds(noun: str, metadata: list[Any], max_shown_bound: float) -> str:
    limits = {
        name: getattr(item, name)
        for item in metadata
        for name in _BOUND_NAMES
        if getattr(item, name, None) is not None
    }
    shown = {name: limit for name, limit in limits.items() if abs(limit) <= max_shown_bound}
    if shown.get("gt") == 0:
        noun = f"positive {noun}"
    elif "gt" in shown:
        noun += f" above {shown['gt']:,}"
    if "ge" in shown and "le" in shown:
        noun += f" between {shown['ge']:,} and {shown['le']:,}"
    elif "ge" in shown:
        noun += f" of at least {shown['ge']:,}"
    elif "le" in shown:
        noun += f" of at most {shown['le']:,}"
    if "lt" in shown:
        separator = ", below" if "ge" in shown or "gt" in shown else " below"
        noun += f"{separator} {shown['lt']:,}"
    return f"{'an' if noun.startswith('integer') else 'a'} {noun}"


class ExpectedText:
    """Annotation metadata: a noun phrase for the values of a field whose type does not describe them."""

    def __init__(self, text: str) -> None:
        self.text = text


def _last_key(location: tuple[Any, ...]) -> str:
    """Return the key of the value: that of the field, or in a mapping such as `loss_weights` its own one."""
    return sanitize_text(str([step for step in location if isinstance(step, str)][-1]), limit=60)


def _suggest_value(code: str, name: str, received: Any, field: FieldInfo, *, key: str) -> str | None:
    """Return a hint for a value of a field; ``key`` is the key whose value it is."""
    options = _literal_options(field.annotation)
    if renamed := explain_value(name, received, options):
        return renamed
    if isinstance(received, str):
        closest = suggest_closest(received, {str(option): str(option) for option in options})
        if hint := closest or _suggest_for_text(code, key, received):
            return hint
    if code == "bool_type" and received in (0, 1) and isinstance(received, int):
        return f"Write `{name}: {'true' if received else 'false'}`."
    if isinstance(received, bool) and code.startswith(("int", "float")):
        return (
            f"Write a number, such as `{name}: {format_value(field.examples[0])}`."
            if field.examples
            else "Write a number."
        )
    if code == "list_type" and isinstance(received, dict):
        inner = f"{{type: {format_value(received['type'])}, ...}}" if "type" in received else "..."
        return f"Write a list: `{name}: [{sanitize_text(inner, limit=60)}]`."
    if code in ("int_from_float", "int_type") and isinstance(received, float) and received.is_integer():
        return f"Write `{key}: {int(received)}`."
    if field.examples or options:
        return f"For example `{name}: {format_value((field.examples or options)[0])}`."
    return None


def _suggest_for_text(code: str, name: str, received: str) -> str | None:
    """Return a hint for text in place of another type."""
    if code == "string_too_long" and re.fullmatch(r"\\\w", received, re.ASCII):
        return f'Write it in double quotes: `{name}: "{received}"`.'
    if variable := re.fullmatch(r"\$([A-Za-z_]\w{0,60})", received, re.ASCII):
        return f"Write `${{{variable[1]}}}` for the variable `{variable[1]}`."
    if code.startswith("bool") and received.strip().lower() in ("true", "false"):
        return f"Remove the quotes: `{name}: {received.strip().lower()}`."
    if code.startswith(("int", "float")):
        number = received.strip().replace("_", "").replace(",", "")
        if re.fullmatch(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?", number):
            separators = "" if number == received.strip() else " and separators"
            return f"Remove the quotes{separators}: `{name}: {number[:40]}`."
        if _ARITHMETIC_PATTERN.fullmatch(received):
            return "Write the result, or integer arithmetic inside of `${` and `}`."
    if code == "list_type":
        return f"Write `{name}: [{sanitize_text(received, limit=60)}]`."
    if code == "bool_type" and received.lower() in ("yes", "no", "on", "off", "y", "n"):
        return f"Write `{name}: {'true' if received.lower() in ('yes', 'on', 'y') else 'false'}`."
    return None


def _literal_options(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) is Literal:
        return typing.get_args(annotation)
    return tuple(option for part in typing.get_args(annotation) for option in _literal_options(part))


def _end_sentence(sentence: str) -> str:
    return sentence if sentence.endswith(".") else f"{sentence}."
