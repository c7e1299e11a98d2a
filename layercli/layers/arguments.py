"""Types of layer arguments: bounded numbers, sizes for one or more axes, names of Keras objects."""

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from layercli.layers.registry import ACTIVATIONS, CONSTRAINTS, INITIALIZERS, REGULARIZERS
from layercli.schema.component import Component
from layercli.schema.strict_model import Expected, refuse
from layercli.schema.suggestions import closest
from layercli.source.nodes import quoted

if TYPE_CHECKING:
    Declared: TypeAlias = str | Component
else:
    Declared = Any  # what is validated by a function alone needs no schema, which takes time to make

LARGEST = 2**31 - 1
"""No axis, unit count or window is larger: TensorFlow's kernels count in 32 bits."""

_Sizes = WithJsonSchema({"type": ["integer", "array"]})
_Values = WithJsonSchema({"type": ["number", "array"]})
"""What an editor is told of values that a function checks: at least as much as that takes."""


def one_of(kind: str) -> WithJsonSchema:
    """Tell an editor that a value is one of a catalogue, such as an "optimizer"."""
    return WithJsonSchema({"$ref": f"#/$defs/{kind}"})


PositiveInt: TypeAlias = Annotated[int, Field(gt=0, le=LARGEST)]
NonNegativeInt: TypeAlias = Annotated[int, Field(ge=0, le=LARGEST)]
AnyInt: TypeAlias = Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
Rate: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Axis: TypeAlias = Annotated[int, Field(ge=-16, le=16)]
Seed: TypeAlias = Annotated[
    int | None,
    Field(ge=0, le=LARGEST, description="Seed of the layer's random numbers; null: taken from `seed`."),
]

DType: TypeAlias = Literal[
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "mixed_float16",
    "mixed_bfloat16",
]
AnyCase = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
"""Metadata of a field whose words Keras takes in capitals too."""
ExactDataFormat: TypeAlias = Annotated[
    Literal["channels_last", "channels_first"] | None,
    Field(description="Where the channels stand; null: Keras's default, channels_last."),
]
DataFormat: TypeAlias = Annotated[ExactDataFormat, AnyCase]
_PADDING = "valid: no padding; same: the output is as long as the input / strides."
ExactPadding: TypeAlias = Annotated[Literal["valid", "same"], Field(description=_PADDING)]
Padding: TypeAlias = Annotated[ExactPadding, AnyCase]


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _sizes(count: int, low: int) -> Callable[[Any], tuple[int, ...]]:
    what = "a positive whole number" if low == 1 else f"a whole number of at least {low}"
    expected = what if count == 1 else f"{what}, or a list of {count} of them"

    def parse(value: Any) -> tuple[int, ...]:
        items = list(value) if isinstance(value, (list, tuple)) else [value] * count
        if len(items) != count:
            sizes = "1 size" if len(items) == 1 else f"{len(items)} sizes"
            raise refuse("wrong-length", f"{quoted(value)} has {sizes}; expected {expected}.")
        for item in items:
            if not _whole(item) or not low <= item <= LARGEST:
                code = "out-of-range" if _whole(item) else "wrong-type"
                raise refuse(code, f"{quoted(item)} is no size; expected {expected}.", _number_hint(item))
        return tuple(items)

    return parse


def _number_hint(item: object) -> str | None:
    if isinstance(item, str) and item.startswith("("):
        return "Lists stand in square brackets, such as [3, 3]."
    if isinstance(item, str) and item.strip().isdigit():
        return f"Write it as a number, without quotes: {item.strip()[:20]}."
    return None


Size1D: TypeAlias = Annotated[
    tuple[int], PlainValidator(_sizes(1, 1)), _Sizes, Expected("a positive whole number")
]
Size2D: TypeAlias = Annotated[
    tuple[int, int],
    PlainValidator(_sizes(2, 1)),
    _Sizes,
    Expected("a positive whole number, or a list of 2 of them"),
]
Size3D: TypeAlias = Annotated[
    tuple[int, int, int],
    PlainValidator(_sizes(3, 1)),
    _Sizes,
    Expected("a positive whole number, or a list of 3 of them"),
]

Count1D: TypeAlias = Annotated[
    tuple[int], PlainValidator(_sizes(1, 0)), _Sizes, Expected("a whole number of at least 0")
]
Count2D: TypeAlias = Annotated[
    tuple[int, int],
    PlainValidator(_sizes(2, 0)),
    _Sizes,
    Expected("a whole number of at least 0, or a list of 2 of them"),
]
Count3D: TypeAlias = Annotated[
    tuple[int, int, int],
    PlainValidator(_sizes(3, 0)),
    _Sizes,
    Expected("a whole number of at least 0, or a list of 3 of them"),
]


def _whole_numbers(low: int, count: int | None = None) -> Callable[[Any], int | list[int]]:
    what = "a positive whole number" if low == 1 else "a whole number"
    expected = f"{what}, or a list of {count if count else 'them'}"
    high = LARGEST if low == 1 else -low

    def parse(value: Any) -> int | list[int]:
        items = list(value) if isinstance(value, (list, tuple)) else [value]
        for item in items:
            if not _whole(item) or not low <= item <= high:
                code = "out-of-range" if _whole(item) else "wrong-type"
                raise refuse(code, f"{quoted(item)} does not fit; expected {expected}.", _number_hint(item))
        if not isinstance(value, (list, tuple)):
            return int(value)
        if count is not None and len(items) != count:
            raise refuse("wrong-length", f"{quoted(value)} has {len(items)} items; expected {expected}.")
        return items

    return parse


AxisPair: TypeAlias = Annotated[
    int | list[int],
    PlainValidator(_whole_numbers(-16, 2)),
    _Sizes,
    Expected("a whole number, or a list of 2"),
]
PositiveInts: TypeAlias = Annotated[
    int | list[int],
    PlainValidator(_whole_numbers(1)),
    _Sizes,
    Expected("a positive whole number, or a list of them"),
]


def _activation(value: Any) -> str:
    if isinstance(value, str):
        name = value.strip().lower().replace("-", "_")
        if name in ACTIVATIONS:
            return name
        folded = {known.replace("_", ""): known for known in ACTIVATIONS}
        if name.replace("_", "") in folded:
            return folded[name.replace("_", "")]
        match = closest(value, ACTIVATIONS)
        hint = f"Did you mean `{match}`?" if match else f"Known are {', '.join(ACTIVATIONS)}."
        raise refuse("unknown-type", f"There is no activation {quoted(value)}.", hint)
    hint = (
        "An activation with arguments is a layer of its own, such as {type: LeakyReLU, negative_slope: 0.1}."
    )
    raise refuse("wrong-type", f"An activation is a name; received {quoted(value)}.", hint)


Activation: TypeAlias = Annotated[
    str, PlainValidator(_activation), one_of("activation"), Expected("the name of an activation")
]
Initializer: TypeAlias = Annotated[
    Declared, PlainValidator(INITIALIZERS.parse_or_name), one_of("initializer"), Expected("an initializer")
]
Regularizer: TypeAlias = Annotated[
    Declared, PlainValidator(REGULARIZERS.parse_or_name), one_of("regularizer"), Expected("a regularizer")
]
Constraint: TypeAlias = Annotated[
    Declared, PlainValidator(CONSTRAINTS.parse_or_name), one_of("constraint"), Expected("a constraint")
]


def _axes(value: Any) -> int | list[int]:
    for item in value if isinstance(value, (list, tuple)) else [value]:
        if not _whole(item) or abs(item) > 16:
            code = "out-of-range" if _whole(item) else "wrong-type"
            message = f"{quoted(item)} is no axis; expected a whole number, or a list of them."
            raise refuse(code, message, _number_hint(item))
    return list(value) if isinstance(value, (list, tuple)) else value


Axes: TypeAlias = Annotated[
    int | list[int], PlainValidator(_axes), _Sizes, Expected("an axis (a whole number), or a list of axes")
]


def extent(value: Any) -> tuple[int, ...]:
    """The shape of nested lists of numbers; of a number: ``()``.

    Raises:
        PydanticCustomError: not numbers, or lists that differ in length.
    """
    if isinstance(value, (list, tuple)):
        inner = {extent(item) for item in value}
        if len(inner) > 1:
            raise refuse("wrong-length", f"The lists in {quoted(value)} differ in length.")
        return (len(value), *(inner.pop() if inner else ()))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        message = f"{quoted(value)} is no number; expected a number, or a list of numbers."
        raise refuse("wrong-type", message, _fraction_hint(value))
    return ()


def _fraction_hint(value: object) -> str | None:
    match = _FRACTION.fullmatch(value) if isinstance(value, str) else None
    if match is None or float(match[2] or 1) == 0:
        return None
    if match[2] is None:
        return f"Write it as a number, without quotes: {match[1]}."
    return f"A config does no arithmetic: write {float(match[1]) / float(match[2])}."


_FRACTION = re.compile(r"\s*(-?\d{1,20}(?:\.\d{0,20})?)\s*(?:/\s*(\d{1,20}(?:\.\d{0,20})?)\s*)?")


def _numbers(value: Any) -> Any:
    extent(value)
    return value


Numbers: TypeAlias = Annotated[
    float | list[Any], PlainValidator(_numbers), _Values, Expected("a number, or a list of numbers")
]


def _sides(count: int) -> Callable[[Any], tuple[tuple[int, ...], ...]]:
    pair = _sizes(2, 0)

    def parse(value: Any) -> tuple[tuple[int, ...], ...]:
        items = list(value) if isinstance(value, (list, tuple)) else [value] * count
        if len(items) != count:
            expected = f"a whole number of at least 0, or a list of {count}, one for each axis"
            raise refuse("wrong-length", f"{quoted(value)} has {len(items)} entries; expected {expected}.")
        return tuple(pair(item) for item in items)

    return parse


Sides1D: TypeAlias = Annotated[
    tuple[int, int],
    PlainValidator(_sizes(2, 0)),
    _Sizes,
    Expected("a whole number of at least 0, or a list of 2: before and after"),
]
Sides2D: TypeAlias = Annotated[
    tuple[tuple[int, int], tuple[int, int]],
    PlainValidator(_sides(2)),
    _Sizes,
    Expected("a whole number of at least 0, or a list of 2 of them or of pairs"),
]
Sides3D: TypeAlias = Annotated[
    tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
    PlainValidator(_sides(3)),
    _Sizes,
    Expected("a whole number of at least 0, or a list of 3 of them or of pairs"),
]
