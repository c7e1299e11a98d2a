"""The ``model`` section: inputs, layers and outputs."""

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, PlainValidator

from layercli.config.layer_entries import LayerEntryField
from layercli.config.name_patterns import require_little_matching, require_short_patterns
from layercli.config.names import parse_layer_name
from layercli.config.training.section import TrainSection
from layercli.layers.shapes import Shape, Tensor
from layercli.schema.addresses import require_local_weights
from layercli.schema.component import parse_at_key
from layercli.schema.field_types import MAX_INT32, PositiveInt
from layercli.schema.section_hints import MODEL_HINTS
from layercli.schema.strict_model import ArgumentError, ExpectedText, StrictModel, value_error
from layercli.source.nodes import KeyPath, quote_value

_DTYPE_NAMES = """
    float32 float16 bfloat16 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool string
"""
LAYERS_PATH: Final[KeyPath] = ("model", "layers")
DTYPES: Final = tuple(_DTYPE_NAMES.split())
MAX_RANK: Final = 8
MAX_LAYERS: Final = 10_000
MAX_ELEMENTS: Final = 2**63 - 1
"""Maximum number of elements of a tensor."""
_INPUT_EXAMPLE = "For example `input: [28, 28, 1]`, without the batch axis."


class InputSpec(StrictModel):
    """One input of the model."""

    shape: Annotated[
        Shape,
        Field(
            description="Shape of one example, without the batch axis; null: any length.",
            examples=[[28, 28, 1]],
        ),
    ]
    dtype: Annotated[
        Literal[DTYPES],  # type: ignore[valid-type]
        Field(description="Dtype of the input's values."),
    ] = "float32"

    @classmethod
    def title(cls) -> str:
        return "An input"

    def to_tensor(self) -> Tensor:
        """Return the input as a tensor with a batch axis."""
        return Tensor((None, *self.shape), self.dtype)

    def to_plain(self) -> dict[str, Any]:
        return {"shape": list(self.shape), "dtype": self.dtype}


def _parse_shape(value: Any) -> Shape:
    if not isinstance(value, (list, tuple)):
        raise value_error(
            "wrong-type", f"Expected a list of sizes, got {quote_value(value)}.", _list_hint(value)
        )
    for dim in value:
        if dim is None:
            continue
        if not isinstance(dim, int) or isinstance(dim, bool):
            raise value_error(
                "wrong-type",
                f"Invalid size: expected a positive integer or null, got {quote_value(dim)}.",
                "Write `null`." if dim in ("None", "null", "none") else _INPUT_EXAMPLE,
            )
        if not 1 <= dim <= MAX_INT32:
            any_length = "Remove the batch axis. For another axis of any length, write null."
            most = f" of at most {MAX_INT32:,}" if dim > 0 else ""
            message = f"Invalid size: expected a positive integer{most} or null, got {quote_value(dim)}."
            raise value_error("out-of-range", message, any_length if dim == -1 else _INPUT_EXAMPLE)
    if len(value) > MAX_RANK:
        message = f"Expected at most {MAX_RANK} axes, the limit of TensorFlow's layers, got {len(value)}."
        raise value_error("out-of-range", message, "Merge some axes.")
    if math.prod(dim or 1 for dim in value) > MAX_ELEMENTS:
        message = "One example must have less than 2**63 elements, the limit of TensorFlow."
        raise value_error("out-of-range", message, "Use smaller sizes.")
    return tuple(value)


def _list_hint(value: Any) -> str:
    """Return a hint with the list that a number or a string such as (28, 28) means."""
    text = (
        str(value)
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
        else ""
    )
    sizes = re.findall(r"\d{1,9}", text) if re.fullmatch(r"[\s\d,x*()\[\]]+", text) else []
    return f"Write `[{', '.join(sizes)}]`." if sizes else _INPUT_EXAMPLE


def parse_input_spec(value: Any) -> InputSpec:
    """Return the input that a shape or a mapping declares.

    Raises:
        ValidationError | PydanticCustomError: the value is invalid.
    """
    if isinstance(value, InputSpec):
        return value
    if isinstance(value, dict):
        checked = (
            {**value, "shape": parse_at_key("shape", _parse_shape, value["shape"])}
            if "shape" in value
            else value
        )
        return InputSpec.model_validate(checked)
    return InputSpec.model_construct(shape=_parse_shape(value), dtype="float32")


InputField = Annotated[
    InputSpec,
    PlainValidator(parse_input_spec),
    ExpectedText("a list of sizes, or {shape: [...], dtype: ...}"),
]


def _check_layer_list(value: Any) -> Any:
    if not isinstance(value, list):
        hint = "Start each layer with a dash, as in `- {type: Dense, units: 10}`."
        if isinstance(value, str) and value.startswith("-"):
            hint = "Write a space after each dash, as in `- Flatten`."
        raise value_error("wrong-type", f"`layers` must be a list, got {quote_value(value)}.", hint)
    if not value:
        raise value_error(
            "empty",
            "`layers` must contain at least one layer, got an empty list.",
            "Add `- {type: Dense, units: 10}`.",
        )
    if len(value) > MAX_LAYERS:
        raise value_error(
            "out-of-range", f"`layers` must contain at most {MAX_LAYERS:,} layers, got {len(value):,}."
        )
    return value


def parse_input_specs(value: Any) -> dict[str, InputSpec] | None:
    """Return the inputs that ``model.inputs`` declares, by name; None for null.

    Raises:
        ValidationError | PydanticCustomError: the value is invalid.
    """
    if value is None:
        return None
    if not isinstance(value, dict) or not value:
        hint = "For example `inputs: {image: [28, 28, 1], meta: {shape: [4]}}`. For one input, write `input: [4]`."
        raise value_error(
            "wrong-type", f"`inputs` must be a mapping of names to shapes, got {quote_value(value)}.", hint
        )
    return {
        parse_at_key(name, parse_layer_name, name): parse_at_key(name, parse_input_spec, shape)
        for name, shape in value.items()
    }


def parse_output_names(value: Any) -> tuple[str, ...] | None:
    """Return the names that ``model.outputs`` lists; None for null.

    Raises:
        PydanticCustomError: the value is not a name or a list of names.
    """
    names = [value] if isinstance(value, str) else value
    if names is None or (names and isinstance(names, list) and all(isinstance(name, str) for name in names)):
        return None if names is None else tuple(names)
    hint = "For example `outputs: [left, right]`."
    message = f"`outputs` must be a layer name or a list of layer names, got {quote_value(value)}."
    raise value_error("wrong-type", message, hint)


class ModelSection(StrictModel):
    """The ``model`` section: inputs, layers in topological order, and outputs."""

    hints: ClassVar[dict[str, str]] = {
        "name": "The model's name is the config's `name`, next to `model:`.",
        **dict.fromkeys(("data", "seed", "train"), "It belongs to the config, next to `model:`."),
        **dict.fromkeys(("path", "shuffle", "split", "target"), "It belongs under `data:`."),
        **dict.fromkeys(TrainSection.model_fields, "It belongs under `train:`."),
        **MODEL_HINTS,
    }

    example: ClassVar[str | None] = "model: {input: [4], layers: [{type: Dense, units: 3}]}"

    input: Annotated[
        InputField | None,
        Field(description="Shape of one example, without the batch axis; null: the shape of the data."),
    ] = None
    inputs: Annotated[
        dict[str, InputField] | None,
        PlainValidator(parse_input_specs),
        ExpectedText("a mapping of names to shapes"),
        Field(description="Several inputs by name, each a shape or {shape, dtype}; null: only `input`."),
    ] = None
    layers: Annotated[
        list[LayerEntryField],
        BeforeValidator(_check_layer_list),
        Field(description="The stack of layers.", examples=[[{"type": "Dense", "units": 10}]]),
    ]
    outputs: Annotated[
        tuple[str, ...] | None,
        PlainValidator(parse_output_names),
        ExpectedText("a layer name or a list of layer names"),
        Field(description="Layers whose outputs are the model's outputs; null: the last layer."),
    ] = None
    dtype: Annotated[
        Literal["float32", "mixed_float16", "mixed_bfloat16"] | None,
        Field(description="Dtype policy of layers without a `dtype`; null: Keras's default, float32."),
    ] = None
    weights: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Source of initial weights, matched by layer name: a run, or a .keras or .weights.h5 file, relative to "
            "the config; null: random weights.",
            examples=["runs/digits/1"],
        ),
    ] = None
    freeze: Annotated[
        list[str],
        Field(
            description="Names of layers whose weights stay fixed in training; * and ? match any text.",
            examples=[["conv*"]],
        ),
    ] = []  # noqa: RUF012

    lora_rank: Annotated[
        dict[str, PositiveInt],
        Field(
            description="Names of layers that train a low-rank update (LoRA) instead of their kernel, each with its rank; "
            "* and ? match any text.",
            examples=[{"hidden*": 4}],
        ),
    ] = {}  # noqa: RUF012

    @property
    def layer_names(self) -> Iterator[str]:
        """The name of each entry, without the number that makes an automatic name unique."""
        return (entry.name or entry.base_name for entry in self.layers)

    def check(self) -> None:
        if self.weights is not None:
            require_local_weights(self.weights)
        for key, patterns in (("freeze", self.freeze), ("lora_rank", self.lora_rank)):
            require_short_patterns(key, patterns)
            require_little_matching(key, patterns, self.layer_names)
        if self.input is not None and self.inputs is not None:
            message = "`model` must have `input` or `inputs`, not both."
            raise ArgumentError("inputs", message, "Put all inputs under `inputs`.")

    @classmethod
    def title(cls) -> str:
        return "`model`"
