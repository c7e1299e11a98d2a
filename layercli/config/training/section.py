"""The ``train`` section."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from layercli.config.training.execution import (
    CheckpointsConfig,
    ExecutionConfig,
    ExecutionField,
    UntilConfig,
)
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
    """The ``train`` section: epochs, optimizer, loss, metrics, callbacks and execution."""

    example: ClassVar[str | None] = "train: {epochs: 5, loss: sparse_categorical_crossentropy}"
    hints: ClassVar[dict[str, str]] = {
        "shuffle": "It belongs under `data:`.",
        "seed": "It belongs to the config, next to `train:`.",
    }

    epochs: Annotated[
        PositiveInt, Field(description="Number of passes over the training examples.", examples=[20])
    ] = 1
    batch_size: Annotated[PositiveInt, Field(description="Examples per training step.", examples=[32])] = 32
    optimizer: Annotated[OptimizerField, Field(description="The optimizer.")] = "RMSprop"
    loss: Annotated[
        LossesField,
        Field(
            description="The loss that training minimizes.",
            examples=["sparse_categorical_crossentropy"],
        ),
    ]
    loss_weights: Annotated[
        dict[str, Annotated[float, Field(ge=0)]] | None,
        Field(
            description="Weight of each output's loss, by output name; null: equal weights.",
            examples=[{"label": 1.0, "score": 0.2}],
        ),
    ] = None
    class_weight: Annotated[
        ClassWeightField,
        Field(
            description="Weight of the training examples of each class, by class name or label: other classes have weight 1; "
            "balanced: equal total weight for all classes.",
            examples=["balanced"],
        ),
    ] = None
    metrics: Annotated[
        MetricsField,
        Field(
            description="Metrics to compute in each epoch; for several outputs, a list for each output name.",
            examples=[["accuracy"]],
        ),
    ] = []  # noqa: RUF012
    weighted_metrics: Annotated[
        MetricsField,
        Field(description="Metrics that apply the weights of the examples.", examples=[["accuracy"]]),
    ] = []  # noqa: RUF012
    callbacks: Annotated[
        list[CallbackField], Field(description="Callbacks that monitor and control training.", max_length=100)
    ] = []  # noqa: RUF012

    distribution: Annotated[
        Literal["auto", "none", "mirrored", "multi_worker"],
        Field(
            description="Devices that share a batch: all GPUs of this machine (mirrored), the processes in TF_CONFIG "
            "(multi_worker), the available ones (auto), or one device (none)."
        ),
    ] = "auto"
    diagnostics: Annotated[
        bool,
        Field(
            description="Whether to record activations, gradients and updates of each layer after each epoch in "
            "`diagnostics.jsonl`, and to warn about what they show.",
            examples=[True],
        ),
    ] = False
    until: Annotated[
        UntilConfig | None,
        Field(
            description="Limits on the minutes and steps of the training, in addition to `epochs`; null: none.",
            examples=[{"minutes": 30}],
        ),
    ] = None
    execution: ExecutionField = ExecutionConfig.model_construct()
    checkpoints: Annotated[
        CheckpointsConfig, Field(description="When to save checkpoints, from which training can resume.")
    ] = CheckpointsConfig.model_construct()

    def loss_of(self, output: str) -> NameOrComponent | None:
        """Return the loss of an output, or None if it does not have one."""
        return self.loss.get(output) if isinstance(self.loss, dict) else self.loss

    @classmethod
    def title(cls) -> str:
        return "`train`"
