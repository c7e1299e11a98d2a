"""Field types of the ``train`` section, losses and metrics."""

import math
import re
from functools import cache, partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from pydantic import ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError, WithJsonSchema
from pydantic_core import InitErrorDetails

from layercli.config.training.custom_objects import RESERVED_METRIC_NAMES, accept_custom
from layercli.config.training.registry import CALLBACKS, OPTIMIZERS, parse_loss, parse_metric, parse_schedule
from layercli.schema.component import Component
from layercli.schema.field_types import NameOrComponent, reference_schema
from layercli.schema.strict_model import ExpectedText, value_error
from layercli.source.nodes import quote_value, sanitize_text
from layercli.source.scalars import is_number

_LOG_NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MAX_NAME_LENGTH = 100


def parse_log_name(value: Any) -> str | None:
    """Return the name of a loss or metric if it is valid in every file and log.

    Raises:
        PydanticCustomError: the name is invalid.
    """
    if value is None or (
        isinstance(value, str) and len(value) <= _MAX_NAME_LENGTH and _LOG_NAME_PATTERN.fullmatch(value)
    ):
        return value
    raise value_error(
        "bad-name",
        "`name` must consist of letters, digits, `_`, `-` and dots and start with a letter or digit, "
        f"got {quote_value(value)}.",
        "For example `name: score`.",
    )


def parse_metric_name(value: Any) -> str | None:
    """Return the name of a metric if the history does not use it for another column.

    Raises:
        PydanticCustomError: the name is invalid.
    """
    name = parse_log_name(value)
    if name is not None and (name in RESERVED_METRIC_NAMES or name.startswith("val_")):
        message = f"`name` must not be {quote_value(name)}: the history uses this name for another column."
        raise value_error("bad-name", message, f"For example `name: my_{name}`.")
    return name


OptimizerField: TypeAlias = Annotated[
    NameOrComponent,
    PlainValidator(accept_custom("optimizer", OPTIMIZERS.parse, parse_schedule=parse_schedule)),
    reference_schema("optimizer"),
    ExpectedText("an optimizer"),
]
LossField: TypeAlias = Annotated[
    NameOrComponent,
    PlainValidator(accept_custom("loss", parse_loss, parse_name=parse_log_name)),
    reference_schema("loss"),
    ExpectedText("a loss"),
]
MetricField: TypeAlias = Annotated[
    NameOrComponent,
    PlainValidator(accept_custom("metric", parse_metric, parse_name=parse_metric_name)),
    reference_schema("metric"),
    ExpectedText("a metric"),
]
CallbackField: TypeAlias = Annotated[
    Component,
    PlainValidator(accept_custom("callback", CALLBACKS.parse)),
    reference_schema("callback"),
    ExpectedText("a callback"),
]


_METRIC_LIST: Any = Annotated[list[MetricField], Field(max_length=100)]


@cache
def _type_adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind, config=ConfigDict(strict=True))


_COMPONENT_KEYS: Final = {"type", "class_name"}
"""Keys of one loss or metric, including the key of Keras's JSON; a mapping without them has a value for each output."""


def _validate_by_output(value_type: Any, value: Any) -> Any:
    """Validate a value of the type, or a mapping of outputs to such values."""
    is_by_output = isinstance(value, dict) and not _COMPONENT_KEYS & value.keys()
    if is_by_output and value_type is _METRIC_LIST:
        _require_lists(value)
    return _type_adapter(
        Annotated[dict[str, value_type], Field(min_length=1)] if is_by_output else value_type
    ).validate_python(value)


def _require_lists(metrics_by_output: dict[str, Any]) -> None:
    """Check that the metrics of each output are a list.

    Raises:
        ValidationError: one is a single metric, which the hint puts into a list.
    """
    for name, metrics in metrics_by_output.items():
        if isinstance(metrics, str):
            shown, key = sanitize_text(metrics, limit=60), sanitize_text(name, limit=60)
            hint = f"Write `metrics: [{shown}]` if the model has one output, or `{key}: [{shown}]` for the output `{key}`."
            message = f"The metrics of `{key}` must be a list, got {quote_value(metrics)}."
            error = value_error("wrong-type", message, hint)
            raise ValidationError.from_exception_data(
                "metrics", [InitErrorDetails(type=error, loc=(name,), input=None)]
            )


def _by_output_schema(value_schema: dict[str, Any]) -> WithJsonSchema:
    by_output = {
        "type": "object",
        "additionalProperties": value_schema,
        "not": {"required": ["type"]},
        "minProperties": 1,
    }
    return WithJsonSchema({"anyOf": [value_schema, by_output]})


if TYPE_CHECKING:
    LossesField: TypeAlias = NameOrComponent | dict[str, NameOrComponent]
    MetricsField: TypeAlias = list[NameOrComponent] | dict[str, list[NameOrComponent]]
else:
    LossesField = Annotated[
        Any,
        PlainValidator(partial(_validate_by_output, LossField)),
        _by_output_schema({"$ref": "#/$defs/loss"}),
        ExpectedText("a loss or a mapping of outputs to losses"),
    ]
    MetricsField = Annotated[
        Any,
        PlainValidator(partial(_validate_by_output, _METRIC_LIST)),
        _by_output_schema({"type": "array", "items": {"$ref": "#/$defs/metric"}, "maxItems": 100}),
        ExpectedText("a list of metrics or a mapping of outputs to lists of metrics"),
    ]


UnitFloat: TypeAlias = Annotated[float, Field(ge=0, le=1)]
FromLogits: TypeAlias = Annotated[
    bool, Field(description="Whether predictions are logits, not probabilities.")
]
LabelSmoothing: TypeAlias = Annotated[
    UnitFloat, Field(description="How far targets move towards a uniform distribution.")
]
ClassAxis: TypeAlias = Annotated[int, Field(ge=-16, le=16, description="The axis of the classes.")]
ComputeDType: TypeAlias = Annotated[
    Literal["float16", "bfloat16", "float32", "float64"] | None,
    Field(description="Dtype of the computation; null: Keras's default."),
]


def _parse_class_weight(value: Any) -> Literal["balanced"] | dict[str, float] | None:
    if value is None:
        return None
    if value == "balanced":
        return "balanced"
    if isinstance(value, dict) and value:
        for name, weight in value.items():
            if isinstance(weight, dict):
                key = sanitize_text(name, limit=60)
                message = f"`class_weight` must map classes to weights, got a mapping for `{key}`."
                hint = "Weights for each output are not supported: give each example a weight in the data with `weights`."
                raise value_error("wrong-type", message, hint)
            if not is_number(weight) or not 0 <= weight < math.inf:
                key = sanitize_text(name, limit=60)
                message = f"The weight of `{key}` must be a number of at least 0, got {quote_value(weight)}."
                raise value_error("wrong-type", message, f"For example `{key}: 2.5`.")
        return {name: float(weight) for name, weight in value.items()}
    message = f"`class_weight` must be balanced or a mapping of classes to weights, got {quote_value(value)}."
    raise value_error("wrong-type", message, "For example `class_weight: {rare: 5, common: 1}`.")


ClassWeightField: TypeAlias = Annotated[
    Literal["balanced"] | dict[str, float] | None,
    PlainValidator(_parse_class_weight),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "balanced"},
                {"type": "object", "additionalProperties": {"type": "number", "minimum": 0}},
                {"type": "null"},
            ]
        }
    ),
    ExpectedText("balanced or a mapping of classes to weights"),
]

LossName: TypeAlias = Annotated[
    str | None,
    PlainValidator(parse_log_name),
    ExpectedText("a name of letters, digits, `_`, `-` and dots"),
    Field(description="Name of the loss; null: derived from its type."),
]
