"""Keras's FeatureSpace: the columns of a table as features, which a config writes as its first layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, WithJsonSchema

from layercli.schema.component import Component
from layercli.schema.field_types import PositiveInt

MAX_FEATURES: Final = 2000
"""Most features; each of them is an input of the model and some layers."""
MAX_CROSSES: Final = 5000
"""Most pairs of features; each of them is a layer."""


@dataclass(frozen=True, slots=True)
class FeatureKind:
    """A type of feature: the dtype of its column, and the layer that encodes it."""

    dtype: Literal["float32", "int64", "string"]
    layer: str
    """The layer's type."""
    arguments: tuple[str, ...] = ()
    """The arguments that a feature of this type accepts."""
    size_default: tuple[str, str] | None = None
    """An argument of the layer, and the argument of FeatureSpace that is its default."""
    is_category: bool = True
    """Whether the layer returns indices or one-hot vectors, as ``output_mode`` says."""


_LOOKUP_ARGUMENTS = ("max_tokens", "num_oov_indices", "output_mode")
_HASHING_SIZE = ("num_bins", "hashing_dim")
FEATURE_KINDS: Final[Mapping[str, FeatureKind]] = {
    "float": FeatureKind("float32", "Identity", is_category=False),
    "float_rescaled": FeatureKind("float32", "Rescaling", ("scale", "offset"), is_category=False),
    "float_normalized": FeatureKind("float32", "Normalization", is_category=False),
    "float_discretized": FeatureKind(
        "float32",
        "Discretization",
        ("num_bins", "bin_boundaries", "output_mode"),
        ("num_bins", "num_discretization_bins"),
    ),
    "integer_categorical": FeatureKind("int64", "IntegerLookup", _LOOKUP_ARGUMENTS),
    "string_categorical": FeatureKind("string", "StringLookup", _LOOKUP_ARGUMENTS),
    "integer_hashed": FeatureKind("int64", "Hashing", ("num_bins", "output_mode"), _HASHING_SIZE),
    "string_hashed": FeatureKind("string", "Hashing", ("num_bins", "output_mode"), _HASHING_SIZE),
}
"""Keras's types of features."""


_FEATURES_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": {
        "anyOf": [
            {"enum": list(FEATURE_KINDS)},
            {
                "type": "object",
                "properties": {"type": {"enum": list(FEATURE_KINDS)}},
                "required": ["type"],
            },
        ]
    },
}


class FeatureSpace(Component):
    """Encodes the columns of a table as one vector, or as one for each; it is written out as ordinary inputs and layers.

    Input: one of (batch, 1) for each column. Output: (batch, numbers), the features in the order of their names, then crosses;
    with ``output_mode: dict`` an output for each of them.

    Example:
        {type: FeatureSpace, features: {age: float_normalized, job: string_categorical}}
    """

    family: ClassVar[str] = "preprocessing"
    input_description: ClassVar[str] = "the columns that `features` names; it must be the first layer"

    features: Annotated[
        dict[str, Any],
        WithJsonSchema(_FEATURES_SCHEMA),
        Field(
            description=f"Column -> the type of the feature, or a mapping of `type` and its arguments. The types are "
            f"{', '.join(FEATURE_KINDS)}.",
            examples=[{"age": "float_normalized"}],
        ),
    ]
    output_mode: Annotated[
        Literal["concat", "dict"],
        Field(
            description="concat: all features are joined to one vector. dict: each feature and each cross is an output, which "
            "other layers name, as in `inputs: feature_space.age`."
        ),
    ] = "concat"
    crosses: Annotated[
        list[Any] | None,
        WithJsonSchema({"type": ["array", "null"], "items": {"type": ["array", "object"]}}),
        Field(
            description="Pairs of features that are also encoded together by a hash; or mappings of `feature_names`, "
            "`crossing_dim` and `output_mode`."
        ),
    ] = None
    crossing_dim: Annotated[PositiveInt, Field(description="Length of the vector of a cross.")] = 32
    hashing_dim: Annotated[PositiveInt, Field(description="Length of the vector of a hashed feature.")] = 32
    num_discretization_bins: Annotated[
        PositiveInt, Field(description="Number of bins of a float_discretized feature.")
    ] = 32
