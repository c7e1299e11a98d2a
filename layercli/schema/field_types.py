"""Field types of configs: bounded numbers, sizes for one or more axes, nested numbers."""

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from layercli.schema.component import Component
from layercli.schema.strict_model import ExpectedText, mismatch_error, value_error
from layercli.source.nodes import quote_value
from layercli.source.scalars import is_number

if TYPE_CHECKING:
    NameOrComponent: TypeAlias = str | Component
else:
    NameOrComponent = Any  # a validator function checks it; building a Pydantic schema would take time

IDENTIFIER = r"[A-Za-z_]\w*"
DOTTED_NAME = rf"{IDENTIFIER}(?:\.{IDENTIFIER})*"
"""Patterns of a name in Python, and of a module with its packages."""
MAX_INT32 = 2**31 - 1
"""Largest size of an axis or a window: TensorFlow's kernels count in 32 bits."""
MAX_FLOAT32 = 3.4028234663852886e38
"""Largest number that TensorFlow converts to float32."""

_SizesSchema = WithJsonSchema({"type": ["integer", "array"]})
_NumbersSchema = WithJsonSchema({"type": ["number", "array"]})
"""JSON schemas for editors; they accept at least what the validator functions accept."""


def reference_schema(kind: str) -> WithJsonSchema:
    """Return the JSON schema of a component of one kind, such as "optimizer"."""
    return WithJsonSchema({"$ref": f"#/$defs/{kind}"})


PositiveInt: TypeAlias = Annotated[int, Field(gt=0, le=MAX_INT32)]
NonNegative: TypeAlias = Annotated[float, Field(ge=0)]
NonNegativeInt: TypeAlias = Annotated[int, Field(ge=0, le=MAX_INT32)]
AnyInt: TypeAlias = Annotated[int, Field(ge=-MAX_INT32, le=MAX_INT32)]
Rate: TypeAlias = Annotated[float, Field(ge=0, le=1)]
_MAX_AXIS = 16
Axis: TypeAlias = Annotated[int, Field(ge=-_MAX_AXIS, le=_MAX_AXIS)]
CaseInsensitive = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
"""Metadata of a field whose options Keras also accepts in capitals."""

Parser: TypeAlias = Callable[[Any], Any]


def _check_integers(items: list[Any], low: int, high: int, expected: str, value: Any) -> None:
    """Check that the items of a value are integers within bounds, both included.

    Raises:
        PydanticCustomError: an item is not an integer or out of range.
    """
    for item in items:
        if isinstance(item, bool) or not isinstance(item, int):
            raise mismatch_error(
                "wrong-type", expected, item, _suggest_number(item, len(items)), container=value
            )
        if not low <= item <= high:
            hint = f"The largest valid integer is {high:,}." if item > high else None
            raise mismatch_error("out-of-range", expected, item, hint, container=value)


def _suggest_number(item: object, count: int) -> str | None:
    """Return a hint for text in place of one of ``count`` integers."""
    if isinstance(item, str) and (whole := _TUPLE.fullmatch(item.strip())):
        return f"Write a list in square brackets: [{whole[1]}]." if "," in whole[1] else f"Write {whole[1]}."
    if isinstance(item, str) and (start := _TUPLE_START.match(item.strip())):
        return f"Write a list in square brackets, such as {quote_value([int(start[1] or 3)] * count)}."
    if isinstance(item, str) and (sizes := _SIZES.fullmatch(item.strip())):
        return f"Write a list in square brackets: [{', '.join(sizes[0].split('x'))}]."
    if isinstance(item, str) and item.strip().isdigit():
        return f"Remove the quotes: `{item.strip()[:20]}`."
    return None


_TUPLE: Final = re.compile(r"\((\d{1,9}(?:, ?\d{1,9}){0,5})\)", re.ASCII)
_SIZES: Final = re.compile(r"\d{1,9}(?:x\d{1,9}){1,5}", re.ASCII)
_TUPLE_START: Final = re.compile(r"\((\d{1,9})?", re.ASCII)


def _describe_sizes(count: int, low: int) -> str:
    if low == 1:
        return "a positive integer" + (f" or a list of {count} positive integers" if count > 1 else "")
    return f"an integer of at least {low}" + (f" or a list of {count} such integers" if count > 1 else "")


def _make_sizes_parser(count: int, low: int, expected: str | None = None) -> Parser:
    """Return a parser of one integer for each of ``count`` axes; a single integer counts for all axes."""
    expected = expected or _describe_sizes(count, low)

    def parse(value: Any) -> tuple[int, ...]:
        items = list(value) if isinstance(value, (list, tuple)) else [value] * count
        if len(items) != count:
            example = [*items, *items[-1:] * count][:count] or [low] * count
            hint = f"For example {quote_value(example)}, one integer for each axis."
            raise mismatch_error("wrong-length", expected, value, hint)
        _check_integers(items, low, MAX_INT32, expected, value)
        return tuple(items)

    return parse


Size1D: TypeAlias = Annotated[
    tuple[int],
    PlainValidator(_make_sizes_parser(1, 1)),
    _SizesSchema,
    ExpectedText(_describe_sizes(1, 1)),
]
Size2D: TypeAlias = Annotated[
    tuple[int, int],
    PlainValidator(_make_sizes_parser(2, 1)),
    _SizesSchema,
    ExpectedText(_describe_sizes(2, 1)),
]
Size3D: TypeAlias = Annotated[
    tuple[int, int, int],
    PlainValidator(_make_sizes_parser(3, 1)),
    _SizesSchema,
    ExpectedText(_describe_sizes(3, 1)),
]

Count1D: TypeAlias = Annotated[
    tuple[int],
    PlainValidator(_make_sizes_parser(1, 0)),
    _SizesSchema,
    ExpectedText(_describe_sizes(1, 0)),
]
Count2D: TypeAlias = Annotated[
    tuple[int, int],
    PlainValidator(_make_sizes_parser(2, 0)),
    _SizesSchema,
    ExpectedText(_describe_sizes(2, 0)),
]
Count3D: TypeAlias = Annotated[
    tuple[int, int, int],
    PlainValidator(_make_sizes_parser(3, 0)),
    _SizesSchema,
    ExpectedText(_describe_sizes(3, 0)),
]


def _make_integers_parser(low: int, high: int, expected: str, count: int | None = None) -> Parser:
    """Return a parser of an integer or a list of integers, of ``count`` items if it is given."""

    def parse(value: Any) -> int | list[int]:
        is_list = isinstance(value, (list, tuple))
        items = list(value) if is_list else [value]
        _check_integers(items, low, high, expected, value)
        if is_list and count is not None and len(items) != count:
            raise mismatch_error("wrong-length", expected, value)
        return items if is_list else items[0]

    return parse


_AXIS_PAIR_TEXT = "an integer or a list of 2 integers"
_POSITIVE_INTS_TEXT = "a positive integer or a list of positive integers"
_AXES_TEXT = "an axis (an integer) or a list of axes"
AxisPair: TypeAlias = Annotated[
    int | list[int],
    PlainValidator(_make_integers_parser(-_MAX_AXIS, _MAX_AXIS, _AXIS_PAIR_TEXT, count=2)),
    _SizesSchema,
    ExpectedText(_AXIS_PAIR_TEXT),
]
PositiveInts: TypeAlias = Annotated[
    int | list[int],
    PlainValidator(_make_integers_parser(1, MAX_INT32, _POSITIVE_INTS_TEXT)),
    _SizesSchema,
    ExpectedText(_POSITIVE_INTS_TEXT),
]
Axes: TypeAlias = Annotated[
    int | list[int],
    PlainValidator(_make_integers_parser(-_MAX_AXIS, _MAX_AXIS, _AXES_TEXT)),
    _SizesSchema,
    ExpectedText(_AXES_TEXT),
]

_NUMBERS_TEXT = "a number or a list of numbers"


def measure_shape(value: Any) -> tuple[int, ...]:
    """Return the shape of nested lists of numbers; ``()`` for a number.

    Raises:
        PydanticCustomError: an item is not a number, or the lists differ in length.
    """
    if isinstance(value, (list, tuple)):
        inner = {measure_shape(item) for item in value}
        if len(inner) > 1:
            raise value_error("wrong-length", f"The lists in {quote_value(value)} differ in length.")
        return (len(value), *(inner.pop() if inner else ()))
    if not is_number(value) or not math.isfinite(value):
        raise mismatch_error("wrong-type", _NUMBERS_TEXT, value, _suggest_fraction(value))
    if abs(value) > MAX_FLOAT32:
        raise mismatch_error("out-of-range", f"{_NUMBERS_TEXT} up to {MAX_FLOAT32:.2e}", value)
    return ()


def _suggest_fraction(value: object) -> str | None:
    match = _FRACTION_PATTERN.fullmatch(value) if isinstance(value, str) else None
    if match is None or float(match[2] or 1) == 0:
        return None
    if match[2] is None:
        return f"Remove the quotes: `{match[1]}`."
    return f"Write {float(match[1]) / float(match[2])}: a config can calculate only with integers."


_FRACTION_PATTERN = re.compile(r"\s*(-?\d{1,20}(?:\.\d{0,20})?)\s*(?:/\s*(\d{1,20}(?:\.\d{0,20})?)\s*)?")


def _check_numbers(value: Any) -> Any:
    measure_shape(value)
    return value


NestedNumbers: TypeAlias = Annotated[
    float | list[Any],
    PlainValidator(_check_numbers),
    _NumbersSchema,
    ExpectedText(_NUMBERS_TEXT),
]


def _describe_sides(count: int) -> str:
    if count == 1:
        return "an integer of at least 0 or a list of 2: before and after"
    return f"an integer of at least 0 or a list of {count} integers or pairs, one for each axis"


def _make_sides_parser(count: int) -> Parser:
    """Return a parser of a pair (before, after) for each of ``count`` axes."""
    parse_pair = _make_sizes_parser(2, 0, expected=_describe_sides(count))

    def parse(value: Any) -> tuple[tuple[int, ...], ...]:
        items = list(value) if isinstance(value, (list, tuple)) else [value] * count
        if len(items) != count:
            raise mismatch_error("wrong-length", _describe_sides(count), value)
        return tuple(parse_pair(item) for item in items)

    return parse


Sides1D: TypeAlias = Annotated[
    tuple[int, int],
    PlainValidator(_make_sizes_parser(2, 0, expected=_describe_sides(1))),
    _SizesSchema,
    ExpectedText(_describe_sides(1)),
]
Sides2D: TypeAlias = Annotated[
    tuple[tuple[int, int], tuple[int, int]],
    PlainValidator(_make_sides_parser(2)),
    _SizesSchema,
    ExpectedText(_describe_sides(2)),
]
Sides3D: TypeAlias = Annotated[
    tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
    PlainValidator(_make_sides_parser(3)),
    _SizesSchema,
    ExpectedText(_describe_sides(3)),
]
