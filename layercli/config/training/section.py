"""The ``train`` section: how the model learns."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from layercli.config.training.execution import CheckpointsConfig, ExecutionConfig, ExecutionField
from layercli.config.training.types import (
    CallbackField,
    ClassWeightField,
    LossesField,
    MetricsField,
    OptimizerField,
)
from layercli.schema.field_types import NameOrComponent, PositiveInt
from layercli.schema.strict_model import StrictModel


class TrainSection(StrictModel):
    """How the model learns."""

    example: ClassVar[str | None] = "train: {epochs: 5, loss: sparse_categorical_crossentropy}"
    hints: ClassVar[dict[str, str]] = {
        **dict.fromkeys(
            ("learning_rate", "lr"),
            "It belongs to the optimizer: `optimizer: {type: Adam, learning_rate: 0.001}`.",
        ),
        "validation_split": "It is declared with the data: `data: {split: {validation: 0.1}}`.",
        "shuffle": "It belongs under `data:`.",
        "seed": "It belongs to the config, beside `train:`.",
    }

    epochs: Annotated[
        PositiveInt, Field(description="How often the training examples are passed through.", examples=[20])
    ] = 1
    batch_size: Annotated[PositiveInt, Field(description="Examples in each step.", examples=[32])] = 32
    optimizer: Annotated[OptimizerField, Field(description="How weights follow their gradients.")] = "RMSprop"
    loss: Annotated[
        LossesField,
        Field(
            description="What training makes smaller.",
            examples=["sparse_categorical_crossentropy"],
        ),
    ]
    loss_weights: Annotated[
        dict[str, Annotated[float, Field(ge=0)]] | None,
        Field(
            description="How much the loss of each output counts, by the output's name; null: all the same.",
            examples=[{"label": 1.0, "score": 0.2}],
        ),
    ] = None
    class_weight: Annotated[
        ClassWeightField,
        Field(
            description="How much a training example of each class counts, by the class's name or label: a class that is "
            "not named counts 1; balanced: all classes count the same.",
            examples=["balanced"],
        ),
    ] = None
    metrics: Annotated[
        MetricsField,
        Field(
            description="What else is measured, each epoch; of several outputs, a list for each by the output's name.",
            examples=[["accuracy"]],
        ),
    ] = []  # noqa: RUF012
    weighted_metrics: Annotated[
        MetricsField,
        Field(description="Metrics in which examples count by their weights.", examples=[["accuracy"]]),
    ] = []  # noqa: RUF012
    callbacks: Annotated[
        list[CallbackField], Field(description="What watches and steers training.", max_length=100)
    ] = []  # noqa: RUF012

    distribution: Annotated[
        Literal["auto", "none", "mirrored", "multi_worker"],
        Field(
            description="Over which devices a batch is divided: all GPUs of this machine (mirrored), the processes that "
            "TF_CONFIG names (multi_worker), whichever there are (auto), or one device (none)."
        ),
    ] = "auto"
    execution: ExecutionField = ExecutionConfig.model_construct()
    checkpoints: Annotated[
        CheckpointsConfig, Field(description="When the state is kept, so that training can go on from there.")
    ] = CheckpointsConfig.model_construct()

    def loss_of(self, output: str) -> NameOrComponent | None:
        """The loss of one of the outputs; None where it has none."""
        return self.loss.get(output) if isinstance(self.loss, dict) else self.loss

    @classmethod
    def title(cls) -> str:
        return "`train`"
