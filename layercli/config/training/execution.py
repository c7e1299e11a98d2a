"""``train.execution`` and ``train.checkpoints``."""

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from layercli.schema.field_types import PositiveInt
from layercli.schema.strict_model import ArgumentError, ExpectedText, StrictModel, value_error
from layercli.source.nodes import quote_value

AUTO = "auto"


def _accept_auto(expected: str, example: str) -> BeforeValidator:
    """Return a validator that accepts the word ``auto`` as an empty mapping."""

    def expand_auto(value: Any) -> Any:
        if isinstance(value, str):
            if value == AUTO:
                return {}
            raise value_error("wrong-type", f"Expected {expected}, got {quote_value(value)}.", example)
        return value

    return BeforeValidator(expand_auto)


class ExecutionConfig(StrictModel):
    """Execution of training steps; every setting gives the same weights, up to rounding under XLA."""

    example: ClassVar[str | None] = "execution: {steps_per_execution: 100, jit_compile: false}"
    hints: ClassVar[dict[str, str]] = {
        "steps": "Keras calls it `steps_per_execution`.",
    }

    feed: Annotated[
        Literal["memory", "stream"] | None,
        Field(
            description="Source of batches: all examples are on the device (memory), or batches are copied to it one by one "
            "(stream); null: depends on their size."
        ),
    ] = None
    steps_per_execution: Annotated[
        PositiveInt | None,
        Field(
            description="Training steps per call, without Python between them; null: about 0.3 seconds.",
            examples=[100],
        ),
    ] = None
    jit_compile: Annotated[
        bool | None,
        Field(description="Whether XLA compiles the steps; null: if it saves time.", examples=[True]),
    ] = None

    @classmethod
    def title(cls) -> str:
        return "`execution`"


class CheckpointsConfig(StrictModel):
    """Intervals of checkpoints; a resumed training repeats the steps since the last checkpoint."""

    example: ClassVar[str | None] = "checkpoints: {epochs: 1, keep: 3}"
    hints: ClassVar[dict[str, str]] = {
        "every": "Write `epochs: 1`, `steps: 500` or `minutes: 10`.",
        "monitor": "`EarlyStopping` with `restore_best_weights: true` keeps the best epoch's weights.",
    }

    epochs: Annotated[
        PositiveInt | None,
        Field(
            description="Epochs between checkpoints; null without `steps` and `minutes`: 1, but at most a twentieth of the "
            "time is spent on checkpoints.",
            examples=[1],
        ),
    ] = None
    steps: Annotated[
        PositiveInt | None,
        Field(description="Training steps between checkpoints; null: no limit.", examples=[500]),
    ] = None
    minutes: Annotated[
        float | None, Field(gt=0, description="Minutes between checkpoints; null: no limit.", examples=[10])
    ] = None
    keep: Annotated[
        int, Field(gt=0, le=10_000, description="Number of checkpoints to keep.", examples=[3])
    ] = 3

    @classmethod
    def title(cls) -> str:
        return "`checkpoints`"


class UntilConfig(StrictModel):
    """Limits on a training, in addition to `epochs`; the first one that is reached ends it."""

    example: ClassVar[str | None] = "until: {minutes: 30}"
    hints: ClassVar[dict[str, str]] = {
        "epochs": "It belongs to `train`, next to `until`.",
        "hours": "Write `minutes: 60` for an hour.",
        "seconds": "Write `minutes: 0.5` for half a minute.",
    }

    minutes: Annotated[
        float | None,
        Field(
            gt=0,
            description="Minutes of training and validation, without the time in which the data is loaded; null: no limit.",
            examples=[30],
        ),
    ] = None
    steps: Annotated[
        PositiveInt | None,
        Field(description="Training steps (batches); null: no limit.", examples=[10000]),
    ] = None

    @classmethod
    def title(cls) -> str:
        return "`until`"

    def check(self) -> None:
        """Check that there is a limit."""
        if self.minutes is None and self.steps is None:
            message = "`until` must have `minutes` or `steps`."
            raise ArgumentError("minutes", message, "For example `until: {minutes: 30}`.")


ExecutionField: TypeAlias = Annotated[
    ExecutionConfig,
    _accept_auto("auto or a mapping", "For example `execution: {jit_compile: false}`."),
    ExpectedText("auto or a mapping"),
    Field(description="How to execute training steps; auto: depends on the model, the data and the device."),
]
