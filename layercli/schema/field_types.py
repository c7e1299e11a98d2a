"""Field types of configs: bounded numbers, sizes for one or more axes, nested numbers."""

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from layercli.schema.component import Component
from layercli.schema.strict_model import ExpectedText, value_error
from layercli.source.nodes import quote_value

if TYPE_CHECKING:
    NameOrComponent: TypeAlias = str | Component
else:
    NameOrComponent = Any  # what is validated by a function alone needs no schema, which takes time to make

MAX_INT32 = 2**31 - 1
"""No axis, unit count or window is larger: TensorFlow's kernels count in 32 bits."""

_SizesSchema = WithJsonSchema({"type": ["integer", "array"]})
_NumbersSchema = WithJsonSchema({"type": ["number", "array"]})
"""What an editor is told of values that a function checks: at least as much as that takes."""


def reference_schema(kind: str) -> WithJsonSchema:
    """Tell an editor that a value is one of a catalogue, such as an "optimizer"."""
    return WithJsonSchema({"$ref": f"#/$defs/{kind}"})


PositiveInt: TypeAlias = Annotated[int, Field(gt=0, le=MAX_INT32)]
NonNegativeInt: TypeAlias = Annotated[int, Field(ge=0, le=MAX_INT32)]
AnyInt: TypeAlias = Annotated[int, Field(ge=-MAX_INT32, le=MAX_INT32)]
Rate: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Axis: TypeAlias = Annotated[int, Field(ge=-16, le=16)]
CaseInsensitive = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
"""Metadata of a field whose words Keras takes in capitals too."""


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _make_sizes_parser(count: int, low: int) -> Callable[[Any], tuple[int, ...]]:
    item_text = "a positive whole number" if low == 1 else f"a whole number of at least {low}"
    expected = item_text if count == 1 else f"{item_text}, or a list of {count} of them"

    def parse(value: Any) -> tuple[int, ...]:
        items = list(value) if isinstance(value, (list, tuple)) else [value] * count
        if len(items) != count:
            sizes = "1 size" if len(items) == 1 else f"{len(items)} sizes"
            raise value_error("wrong-length", f"{quote_value(value)} has {sizes}; expected {expected}.")
        for item in items:
            if not _is_integer(item) or not low <= item <= MAX_INT32:
                code = "out-of-range" if _is_integer(item) else "wrong-type"
                raise value_error(
                    code, f"{quote_value(item)} is no size; expected {expected}.", _suggest_number(item)
                )
        return tuple(items)

    return parse


def _suggest_number(item: object) -> str | None:
    if isinstance(item, str) and item.startswith("("):
        return "Lists stand in square brackets, such as [3, 3]."
    if isinstance(item, str) and item.strip().isdigit():
        return f"Write it as a number, without quotes: {item.strip()[:20]}."
    return None


Size1D: TypeAlias = Annotated[
    tuple[int],
    PlainValidator(_make_sizes_parser(1, 1)),
    _SizesSchema,
    ExpectedText("a positive whole number"),
]
Size2D: TypeAlias = Annotated[
    tuple[int, int],
    PlainValidator(_make_sizes_parser(2, 1)),
    _SizesSchema,
    ExpectedText("a positive whole number, or a list of 2 of them"),
]
Size3D: TypeAlias = Annotated[
    tuple[int, int, int],
    PlainValidator(_make_sizes_parser(3, 1)),
    _SizesSchema,
    ExpectedText("a positive whole number, or a list of 3 of them"),
]

Count1D: TypeAlias = Annotated[
    tuple[int],
    PlainValidator(_make_sizes_parser(1, 0)),
    _SizesSchema,
    ExpectedText("a whole number of at least 0"),
]
Count2D: TypeAlias = Annotated[
    tuple[int, int],
    PlainValidator(_make_sizes_parser(2, 0)),
    _SizesSchema,
    ExpectedText("a whole number of at least 0, or a list of 2 of them"),
]
Count3D: TypeAlias = Annotated[
    tuple[int, int, int],
    PlainValidator(_make_sizes_parser(3, 0)),
    _SizesSchema,
    ExpectedText("a whole number of at least 0, or a list of 3 of them"),
]


def _make_integers_parser(low: int, count: int | None = None) -> Callable[[Any], int | list[int]]:
    item_text = "a positive whole number" if low == 1 else "a whole number"
    expected = f"{item_text}, or a list of {count if count else 'them'}"
    high = MAX_INT32 if low == 1 else -low

    def parse(value: Any) -> int | list[int]:
        items = list(value) if isinstance(value, (list, tuple)) else [value]
        for item in items:
            if not _is_integer(item) or not low <= item <= high:
                code = "out-of-range" if _is_integer(item) else "wrong-type"
                raise value_error(
                    code, f"{quote_value(item)} does not fit; expected {expected}.", _suggest_number(item)
                )
        if not isinstance(value, (list, tuple)):
            return int(value)
        if count is not None and len(items) != count:
            raise value_error(
                "wrong-length", f"{quote_value(value)} has {len(items)} items; expected {expected}."
            )
        return items

    return parse


AxisPair: TypeAlias = Annotated[
    int | list[int],
    PlainValidator(_make_integers_parser(-16, 2)),
    _SizesSchema,
    ExpectedText("a whole number, or a list of 2"),
]
PositiveInts: TypeAlias = Annotated[
    int | list[int],
    PlainValidator(_make_integers_parser(1)),
    _SizesSchema,
    ExpectedText("a positive whole number, or a list of them"),
]


def _parse_axes(value: Any) -> int | list[int]:
    for item in value if isinstance(value, (list, tuple)) else [value]:
        if not _is_integer(item) or abs(item) > 16:
            code = "out-of-range" if _is_integer(item) else "wrong-type"
            message = f"{quote_value(item)} is no axis; expected a whole number, or a list of them."
            raise value_error(code, message, _suggest_number(item))
    return list(value) if isinstance(value, (list, tuple)) else value


Axes: TypeAlias = Annotated[
    int | list[int],
    PlainValidator(_parse_axes),
    _SizesSchema,
    ExpectedText("an axis (a whole number), or a list of axes"),
]


def nested_shape(value: Any) -> tuple[int, ...]:
    """The shape of nested lists of numbers; of a number: ``()``.

    Raises:
        PydanticCustomError: not numbers, or lists that differ in length.
    """
    if isinstance(value, (list, tuple)):
        inner = {nested_shape(item) for item in value}
        if len(inner) > 1:
            raise value_error("wrong-length", f"The lists in {quote_value(value)} differ in length.")
        return (len(value), *(inner.pop() if inner else ()))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        message = f"{quote_value(value)} is no number; expected a number, or a list of numbers."
        raise value_error("wrong-type", message, _suggest_fraction(value))
    return ()


def _suggest_fraction(value: object) -> str | None:
    match = _FRACTION_PATTERN.fullmatch(value) if isinstance(value, str) else None
    if match is None or float(match[2] or 1) == 0:
        return None
    if match[2] is None:
        return f"Write it as a number, without quotes: {match[1]}."
    return f"A config does no arithmetic: write {float(match[1]) / float(match[2])}."


_FRACTION_PATTERN = re.compile(r"\s*(-?\d{1,20}(?:\.\d{0,20})?)\s*(?:/\s*(\d{1,20}(?:\.\d{0,20})?)\s*)?")


def _check_numbers(value: Any) -> Any:
    nested_shape(value)
    return value


NestedNumbers: TypeAlias = Annotated[
    float | list[Any],
    PlainValidator(_check_numbers),
    _NumbersSchema,
    ExpectedText("a number, or a list of numbers"),
]


def _make_sides_parser(count: int) -> Callable[[Any], tuple[tuple[int, ...], ...]]:
    parse_pair = _make_sizes_parser(2, 0)

    def parse(value: Any) -> tuple[tuple[int, ...], ...]:
        items = list(value) if isinstance(value, (list, tuple)) else [value] * count
        if len(items) != count:
            expected = f"a whole number of at least 0, or a list of {count}, one for each axis"
            raise value_error(
                "wrong-length", f"{quote_value(value)} has {len(items)} entries; expected {expected}."
            )
        return tuple(parse_pair(item) for item in items)

    return parse


Sides1D: TypeAlias = Annotated[
    tuple[int, int],
    PlainValidator(_make_sizes_parser(2, 0)),
    _SizesSchema,
    ExpectedText("a whole number of at least 0, or a list of 2: before and after"),
]
Sides2D: TypeAlias = Annotated[
    tuple[tuple[int, int], tuple[int, int]],
    PlainValidator(_make_sides_parser(2)),
    _SizesSchema,
    ExpectedText("a whole number of at least 0, or a list of 2 of them or of pairs"),
]
Sides3D: TypeAlias = Annotated[
    tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
    PlainValidator(_make_sides_parser(3)),
    _SizesSchema,
    ExpectedText("a whole number of at least 0, or a list of 3 of them or of pairs"),
]
