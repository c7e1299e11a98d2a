"""Types of layer arguments: dtypes, data formats, padding, names of Keras objects."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, PlainValidator

from layercli.layers.object_registry import (
    ACTIVATIONS,
    CONSTRAINTS,
    INITIALIZERS,
    REGULARIZERS,
    UNUSABLE_ACTIVATIONS,
)
from layercli.schema.field_types import MAX_INT32, CaseInsensitive, NameOrComponent, reference_schema
from layercli.schema.other_names import explain_type, strip_module
from layercli.schema.strict_model import ExpectedText, mismatch_error, value_error
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import quote_value

Seed: TypeAlias = Annotated[
    int | None,
    Field(ge=0, le=MAX_INT32, description="Seed of the layer's random numbers; null: taken from `seed`."),
]

DType: TypeAlias = Literal[
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "mixed_float16",
    "mixed_bfloat16",
]
ExactDataFormat: TypeAlias = Annotated[
    Literal["channels_last", "channels_first"] | None,
    Field(description="Position of the channel axis; null: Keras's default, channels_last."),
]
DataFormat: TypeAlias = Annotated[ExactDataFormat, CaseInsensitive]
_PADDING_TEXT = "valid: no padding; same: the output is as long as the input / strides."
ExactPadding: TypeAlias = Annotated[Literal["valid", "same"], Field(description=_PADDING_TEXT)]
Padding: TypeAlias = Annotated[ExactPadding, CaseInsensitive]
WindowFunction: TypeAlias = Literal[
    "hann",
    "hamming",
    "blackman",
    "bartlett",
    "barthann",
    "blackmanharris",
    "bohman",
    "boxcar",
    "cosine",
    "exponential",
    "flattop",
    "lanczos",
    "nuttall",
    "parzen",
    "taylor",
    "triang",
    "tukey",
]
"""The windows of ``scipy.signal.get_window`` that need no argument."""


_ACTIVATION_TEXT = "the name of an activation"


def parse_activation(value: Any) -> str:
    if isinstance(value, str):
        name = value.strip().lower().replace("-", "_")
        if name in ACTIVATIONS:
            return name
        if name in UNUSABLE_ACTIVATIONS:
            message = f"The activation `{name}` cannot be used in a layer: {UNUSABLE_ACTIVATIONS[name]}."
            raise value_error(
                "unknown-type",
                message,
                "Use a different one, such as `relu`, or a custom layer that calls it.",
            )
        folded = {known.replace("_", ""): known for known in ACTIVATIONS}
        if name.replace("_", "") in folded:
            return folded[name.replace("_", "")]
        bare_name = strip_module(value)
        hint = explain_type("activation", bare_name) or did_you_mean(
            bare_name, ACTIVATIONS, otherwise=f"Known names: {', '.join(ACTIVATIONS)}."
        )
        raise value_error("unknown-type", f"There is no activation {quote_value(value)}.", hint)
    hint = "Use a layer for an activation with arguments, such as {type: LeakyReLU, negative_slope: 0.1}."
    raise mismatch_error("wrong-type", _ACTIVATION_TEXT, value, hint)


ActivationName: TypeAlias = Annotated[
    str,
    PlainValidator(parse_activation),
    reference_schema("activation"),
    ExpectedText(_ACTIVATION_TEXT),
]
Initializer: TypeAlias = Annotated[
    NameOrComponent,
    PlainValidator(INITIALIZERS.parse_or_name),
    reference_schema("initializer"),
    ExpectedText("an initializer"),
]
Regularizer: TypeAlias = Annotated[
    NameOrComponent,
    PlainValidator(REGULARIZERS.parse_or_name),
    reference_schema("regularizer"),
    ExpectedText("a regularizer"),
]
Constraint: TypeAlias = Annotated[
    NameOrComponent,
    PlainValidator(CONSTRAINTS.parse_or_name),
    reference_schema("constraint"),
    ExpectedText("a constraint"),
]
