"""The ``model`` section: the input and the stack of layers."""

import re
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, PlainValidator

from layercli.config.layer_entries import LayerEntryField
from layercli.config.names import parse_layer_name
from layercli.layers.shapes import Shape, Tensor
from layercli.schema.component import parse_at_key
from layercli.schema.field_types import MAX_INT32
from layercli.schema.strict_model import ArgumentError, ExpectedText, StrictModel, value_error
from layercli.source.nodes import quote_value

DTYPES: Final = ("float32", "float16", "bfloat16", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16",
                 "uint32", "uint64", "bool", "string")  # fmt: skip
MAX_RANK: Final = 8
MAX_LAYERS: Final = 10_000
_INPUT_EXAMPLE = "For example `input: [28, 28, 1]`, without the batch axis."


class InputSpec(StrictModel):
    """One input of the model."""

    shape: Annotated[
        Shape,
        Field(
            description="Sizes of one example, without the batch axis; null: any length.",
            examples=[[28, 28, 1]],
        ),
    ]
    dtype: Annotated[
        Literal[DTYPES],  # type: ignore[valid-type]
        Field(description="What the input holds."),
    ] = "float32"

    @classmethod
    def title(cls) -> str:
        return "An input"

    def to_tensor(self) -> Tensor:
        """The input with its batch axis."""
        return Tensor((None, *self.shape), self.dtype)

    def to_plain(self) -> dict[str, Any]:
        return {"shape": list(self.shape), "dtype": self.dtype}


def _parse_shape(value: Any) -> Shape:
    if not isinstance(value, (list, tuple)):
        raise value_error(
            "wrong-type", f"{quote_value(value)} is no shape; it must be a list of sizes.", _list_hint(value)
        )
    for dim in value:
        if dim is None:
            continue
        if not isinstance(dim, int) or isinstance(dim, bool):
            raise value_error(
                "wrong-type",
                f"{quote_value(dim)} is no size; expected a positive whole number, or null.",
                _INPUT_EXAMPLE,
            )
        if not 1 <= dim <= MAX_INT32:
            any_length = "Leave the batch axis out; for another axis of any length write null."
            most = f" of at most {MAX_INT32:,}" if dim > 0 else ""
            message = f"{quote_value(dim)} is no size; expected a positive whole number{most}, or null."
            raise value_error("out-of-range", message, any_length if dim == -1 else _INPUT_EXAMPLE)
    if len(value) > MAX_RANK:
        message = f"{len(value)} axes are more than the {MAX_RANK} that TensorFlow's layers take."
        raise value_error("out-of-range", message, "Merge some of them.")
    return tuple(value)


def _list_hint(value: Any) -> str:
    """The list that a number, or text such as (28, 28), was meant to be."""
    text = (
        str(value)
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
        else ""
    )
    sizes = re.findall(r"\d{1,9}", text) if re.fullmatch(r"[\s\d,x*()\[\]]+", text) else []
    return f"Write `[{', '.join(sizes)}]`." if sizes else _INPUT_EXAMPLE


def parse_input_spec(value: Any) -> InputSpec:
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
        hint = "Begin each layer with a dash, as in `- {type: Dense, units: 10}`."
        raise value_error("wrong-type", f"`layers` is {quote_value(value)}; it must be a list.", hint)
    if not value:
        raise value_error(
            "empty", "`layers` is empty; a model has at least one layer.", "Add `- {type: Dense, units: 10}`."
        )
    if len(value) > MAX_LAYERS:
        raise value_error(
            "out-of-range", f"`layers` has {len(value):,} layers; at most {MAX_LAYERS:,} are taken."
        )
    return value


def parse_input_specs(value: Any) -> dict[str, InputSpec] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not value:
        hint = "For example `inputs: {image: [28, 28, 1], meta: {shape: [4]}}`; one alone is `input: [4]`."
        raise value_error(
            "wrong-type", f"`inputs` is {quote_value(value)}; it must map names to shapes.", hint
        )
    return {
        parse_at_key(name, parse_layer_name, name): parse_at_key(name, parse_input_spec, shape)
        for name, shape in value.items()
    }


def parse_output_names(value: Any) -> tuple[str, ...] | None:
    names = [value] if isinstance(value, str) else value
    if names is None or (names and isinstance(names, list) and all(isinstance(name, str) for name in names)):
        return None if names is None else tuple(names)
    hint = "For example `outputs: [left, right]`."
    message = f"`outputs` is {quote_value(value)}; it must be the name of a layer, or a list of names."
    raise value_error("wrong-type", message, hint)


class ModelSection(StrictModel):
    """The input and the layers, in the order in which data passes them."""

    hints: ClassVar[dict[str, str]] = {
        "name": "The model's name is the `name` of the config, beside `model:`.",
        **dict.fromkeys(
            ("epochs", "batch_size", "optimizer", "loss", "metrics", "callbacks"),
            "It belongs under `train:`.",
        ),
    }

    example: ClassVar[str | None] = "model: {input: [4], layers: [{type: Dense, units: 3}]}"

    input: Annotated[
        InputField | None,
        Field(description="Shape of one example, without the batch axis; null: as in data."),
    ] = None
    inputs: Annotated[
        dict[str, InputField] | None,
        PlainValidator(parse_input_specs),
        ExpectedText("a mapping of names to shapes"),
        Field(
            description="Several inputs by name, each a shape or {shape, dtype}; null: one, as `input` says."
        ),
    ] = None
    layers: Annotated[
        list[LayerEntryField],
        BeforeValidator(_check_layer_list),
        Field(description="The stack of layers.", examples=[[{"type": "Dense", "units": 10}]]),
    ]
    outputs: Annotated[
        tuple[str, ...] | None,
        PlainValidator(parse_output_names),
        ExpectedText("the name of a layer, or a list of names"),
        Field(description="Layers whose outputs are the model's; null: the last one."),
    ] = None
    dtype: Annotated[
        Literal["float32", "mixed_float16", "mixed_bfloat16"] | None,
        Field(
            description="Dtype policy of layers that have none of their own; null: Keras's default, float32."
        ),
    ] = None
    weights: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Where layers take their first weights from, by their names: a run, or a .keras or .weights.h5 "
            "file, relative to the config; null: all start anew.",
            examples=["runs/digits/1"],
        ),
    ] = None
    freeze: Annotated[
        list[str],
        Field(
            description="Names of layers whose weights training leaves alone; * and ? fit any text.",
            examples=[["conv*"]],
        ),
    ] = []  # noqa: RUF012

    def check(self) -> None:
        if self.input is not None and self.inputs is not None:
            message = "A model has `input` or `inputs`, not both."
            raise ArgumentError("inputs", message, "Put all of them under `inputs`.")

    @classmethod
    def title(cls) -> str:
        return "`model`"
