"""How a training is carried out and kept: ``train.execution`` and ``train.checkpoints``."""

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from layercli.schema.field_types import PositiveInt
from layercli.schema.strict_model import ExpectedText, StrictModel, value_error
from layercli.source.nodes import quote_value

AUTO = "auto"


def _accept_auto(expected: str, example: str) -> BeforeValidator:
    """Let the word ``auto`` stand for a mapping in which everything is left to layercli."""

    def expand_auto(value: Any) -> Any:
        if isinstance(value, str):
            if value == AUTO:
                return {}
            raise value_error("wrong-type", f"This is {quote_value(value)}; it must be {expected}.", example)
        return value

    return BeforeValidator(expand_auto)


class ExecutionConfig(StrictModel):
    """How training steps are carried out; the weights are the same in every way, to rounding under XLA."""

    example: ClassVar[str | None] = "execution: {steps_per_execution: 100, jit_compile: false}"
    hints: ClassVar[dict[str, str]] = {
        "jit": "Keras calls it `jit_compile`.",
        "xla": "Keras calls it `jit_compile`.",
        "steps": "Keras calls it `steps_per_execution`.",
    }

    feed: Annotated[
        Literal["memory", "stream"] | None,
        Field(
            description="Where batches come from: all examples lie on the device (memory), or batches are sent there "
            "one after the other (stream); null: by their size."
        ),
    ] = None
    steps_per_execution: Annotated[
        PositiveInt | None,
        Field(
            description="Training steps that run as one call, without Python between them; null: about a tenth of "
            "a second.",
            examples=[100],
        ),
    ] = None
    jit_compile: Annotated[
        bool | None,
        Field(description="Whether XLA compiles the steps; null: where it pays.", examples=[True]),
    ] = None

    @classmethod
    def title(cls) -> str:
        return "`execution`"


class CheckpointsConfig(StrictModel):
    """When the state of a training is kept, to go on from there; what was done since the last one is done again."""

    example: ClassVar[str | None] = "checkpoints: {epochs: 1, keep: 3}"
    hints: ClassVar[dict[str, str]] = {
        "every": "Write `epochs: 1`, `steps: 500` or `minutes: 10`.",
        "monitor": "`EarlyStopping` with `restore_best_weights: true` keeps the best epoch's weights.",
    }

    epochs: Annotated[
        PositiveInt | None,
        Field(
            description="Epochs between two checkpoints; null, and no `steps` or `minutes`: 1, as long as that takes "
            "at most a twentieth of the time.",
            examples=[1],
        ),
    ] = None
    steps: Annotated[
        PositiveInt | None, Field(description="Training steps between two; null: any.", examples=[500])
    ] = None
    minutes: Annotated[
        float | None, Field(gt=0, description="Minutes between two; null: any.", examples=[10])
    ] = None
    keep: Annotated[PositiveInt, Field(description="How many are kept.", examples=[3])] = 3

    @classmethod
    def title(cls) -> str:
        return "`checkpoints`"


ExecutionField: TypeAlias = Annotated[
    ExecutionConfig,
    _accept_auto("auto, or a mapping", "For example `execution: {jit_compile: false}`."),
    ExpectedText("auto, or a mapping of keys to values"),
    Field(description="How steps are carried out; auto: by the model, the data and the device."),
]
