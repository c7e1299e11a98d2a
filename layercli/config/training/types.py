"""Types of what the ``train`` section declares, and of what losses and metrics share."""

import math
import re
from functools import cache, partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field, PlainValidator, TypeAdapter, WithJsonSchema

from layercli.config.training.registry import CALLBACKS, OPTIMIZERS, parse_loss, parse_metric
from layercli.layers.arguments import Declared, one_of
from layercli.schema.component import Component
from layercli.schema.strict_model import Expected, refuse
from layercli.source.nodes import printable, quoted

Optimizer: TypeAlias = Annotated[
    Declared, PlainValidator(OPTIMIZERS.parse), one_of("optimizer"), Expected("an optimizer")
]
Loss: TypeAlias = Annotated[Declared, PlainValidator(parse_loss), one_of("loss"), Expected("a loss")]
Metric: TypeAlias = Annotated[Declared, PlainValidator(parse_metric), one_of("metric"), Expected("a metric")]
Callback: TypeAlias = Annotated[
    Component, PlainValidator(CALLBACKS.parse), one_of("callback"), Expected("a callback")
]


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind, config=ConfigDict(strict=True))


def _by_output(one: Any, value: Any) -> Any:
    """The value as of the type ``one``, or a mapping of outputs to such values."""
    several = isinstance(value, dict) and "type" not in value
    return _adapter(Annotated[dict[str, one], Field(min_length=1)] if several else one).validate_python(value)


def _schema(one: dict[str, Any]) -> WithJsonSchema:
    by_output = {
        "type": "object",
        "additionalProperties": one,
        "not": {"required": ["type"]},
        "minProperties": 1,
    }
    return WithJsonSchema({"anyOf": [one, by_output]})


if TYPE_CHECKING:
    Losses: TypeAlias = Declared | dict[str, Declared]
    Metrics: TypeAlias = list[Declared] | dict[str, list[Declared]]
else:
    _LIST = Annotated[list[Metric], Field(max_length=100)]
    Losses = Annotated[
        Any,
        PlainValidator(partial(_by_output, Loss)),
        _schema({"$ref": "#/$defs/loss"}),
        Expected("a loss, or a mapping of outputs to losses"),
    ]
    Metrics = Annotated[
        Any,
        PlainValidator(partial(_by_output, _LIST)),
        _schema({"type": "array", "items": {"$ref": "#/$defs/metric"}, "maxItems": 100}),
        Expected("a list of metrics, or a mapping of outputs to lists of metrics"),
    ]


Unit: TypeAlias = Annotated[float, Field(ge=0, le=1)]
FromLogits: TypeAlias = Annotated[
    bool, Field(description="Whether predictions are logits, not probabilities.")
]
Smoothing: TypeAlias = Annotated[Unit, Field(description="How far targets are drawn towards uniform ones.")]
ClassAxis: TypeAlias = Annotated[int, Field(ge=-16, le=16, description="The axis of the classes.")]
ComputeDType: TypeAlias = Annotated[
    Literal["float16", "bfloat16", "float32", "float64"] | None,
    Field(description="Dtype of the computation; null: Keras's default."),
]


def _class_weight(value: Any) -> Literal["balanced"] | dict[str, float] | None:
    if value is None:
        return None
    if value == "balanced":
        return "balanced"
    if isinstance(value, dict) and value:
        for name, weight in value.items():
            if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < math.inf:
                message = f"`{printable(name, limit=60)}` has the weight {quoted(weight)}; it must be a number of at least 0."
                raise refuse("wrong-type", message, f"For example `{printable(name, limit=60)}: 2.5`.")
        return {name: float(weight) for name, weight in value.items()}
    message = f"`class_weight` is {quoted(value)}; it must be balanced, or map classes to weights."
    raise refuse("wrong-type", message, "For example `class_weight: {rare: 5, common: 1}`.")


ClassWeight: TypeAlias = Annotated[
    Literal["balanced"] | dict[str, float] | None,
    PlainValidator(_class_weight),
    WithJsonSchema({
        "anyOf": [
            {"const": "balanced"},
            {"type": "object", "additionalProperties": {"type": "number", "minimum": 0}},
            {"type": "null"},
        ]
    }),
    Expected("balanced, or a mapping of classes to weights"),
]  # fmt: skip

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_LONGEST = 100


def plain_name(value: Any) -> str | None:
    """The name of a loss or metric, if it can stand in any file and log.

    Raises:
        PydanticCustomError: it cannot.
    """
    if value is None or (isinstance(value, str) and len(value) <= _LONGEST and _NAME.fullmatch(value)):
        return value
    raise refuse(
        "bad-name",
        f"`name` is {quoted(value)}; it must be of letters, digits, `_`, `-` and dots, "
        "and begin with a letter or digit.",
        "For example `name: score`.",
    )


LossName: TypeAlias = Annotated[
    str | None,
    PlainValidator(plain_name),
    Expected("a name of letters, digits, `_`, `-` and dots"),
    Field(description="Name of the loss; null: by its type."),
]
