"""``train.batch_size``: a number, or ``auto``."""

from typing import Annotated, Any, Final, TypeAlias

from pydantic import PlainValidator, WithJsonSchema

from layercli.config.training.execution import AUTO
from layercli.schema.field_types import MAX_INT32
from layercli.schema.strict_model import ExpectedText, mismatch_error

DEFAULT_BATCH_SIZE: Final = 32
_EXPECTED: Final = "a positive integer or auto"


class AutoBatchSize(int):
    """The word ``auto``: the size is found when a training starts. Until then, it counts as Keras's default, 32."""

    def to_plain(self) -> str:
        """Return the value of the config."""
        return AUTO


def parse_batch_size(value: Any) -> int:
    """Return a positive integer, or ``AutoBatchSize``.

    Raises:
        PydanticCustomError: It is neither.
    """
    if isinstance(value, AutoBatchSize) or value == AUTO:
        return AutoBatchSize(DEFAULT_BATCH_SIZE)
    if isinstance(value, bool) or not isinstance(value, int):
        text = value.strip() if isinstance(value, str) else ""
        advice = (
            f"Remove the quotes: `{text[:20]}`." if text.isdigit() else "Write auto, or a number such as 32."
        )
        raise mismatch_error("wrong-type", _EXPECTED, value, advice)
    if not 1 <= value <= MAX_INT32:
        hint = (
            f"The largest valid integer is {MAX_INT32:,}." if value > 0 else "For example `batch_size: 32`."
        )
        raise mismatch_error("out-of-range", _EXPECTED, value, hint)
    return value


BatchSizeField: TypeAlias = Annotated[
    int,
    PlainValidator(parse_batch_size),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"enum": [AUTO]}]}),
    ExpectedText(_EXPECTED),
]
