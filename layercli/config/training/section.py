"""The ``train`` section."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from layercli.config.training.batch_size import DEFAULT_BATCH_SIZE, BatchSizeField
from layercli.config.training.execution import (
    CheckpointsConfig,
    ExecutionConfig,
    ExecutionField,
    UntilConfig,
)
from layercli.config.training.seeds import SeedsField
from layercli.config.training.stages import StageConfig
from layercli.config.training.types import (
    CallbackField,
    ClassWeightField,
    LossesField,
    MetricsField,
    OptimizerField,
)
from layercli.schema.component import Component
from layercli.schema.field_types import NameOrComponent, PositiveInt
from layercli.schema.section_hints import TRAIN_HINTS
from layercli.schema.strict_model import ArgumentError, StrictModel
from layercli.source.nodes import KeyPath


class TrainSection(StrictModel):
    """The ``train`` section: epochs, optimizer, loss, metrics, callbacks and execution."""

    example: ClassVar[str | None] = "train: {epochs: 5, loss: sparse_categorical_crossentropy}"
    hints: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("path", "shuffle", "split", "target"), "It belongs under `data:`."),
        **dict.fromkeys(("data", "model", "name", "seed"), "It belongs to the config, next to `train:`."),
        **dict.fromkeys(
            ("dtype", "freeze", "input", "inputs", "layers", "lora_rank", "outputs", "weights"),
            "It belongs under `model:`.",
        ),
        **TRAIN_HINTS,
    }

    epochs: Annotated[
        PositiveInt,
        Field(
            description="Number of passes over the training examples; with `stages`, the sum of their epochs.",
            examples=[20],
        ),
    ] = 1
    batch_size: Annotated[
        BatchSizeField,
        Field(
            description="Examples per training step; auto: the largest power of 2 that fits into memory, found at the start.",
            examples=[32],
        ),
    ] = DEFAULT_BATCH_SIZE
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

    stages: Annotated[
        list[StageConfig] | None,
        Field(
            description="Parts of the training, one after the other, with other frozen layers, optimizers and callbacks; "
            "null: one part.",
            min_length=1,
            max_length=20,
            examples=[[{"epochs": 3, "freeze": ["backbone"]}, {"epochs": 5}]],
        ),
    ] = None
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
    seeds: Annotated[
        SeedsField | None,
        Field(
            description="Seeds of several trainings: a number of seeds from `seed` on, or a list; null: one training.",
            examples=[5],
        ),
    ] = None
    execution: ExecutionField = ExecutionConfig.model_construct()
    checkpoints: Annotated[
        CheckpointsConfig, Field(description="When to save checkpoints, from which training can resume.")
    ] = CheckpointsConfig.model_construct()

    def check(self) -> None:
        """Check that `epochs` is the sum of the epochs of the stages, or set it."""
        if self.stages is None:
            return
        total = sum(stage.epochs for stage in self.stages)
        if "epochs" in self.model_fields_set and self.epochs != total:
            message = f"`epochs` must be {total}, the sum of the epochs of the stages, got {self.epochs}."
            raise ArgumentError("epochs", message, "Remove `epochs` of `train`: each stage has its own.")
        self.__dict__["epochs"] = total  # the section is frozen for all others

    def to_plain(self) -> dict[str, Any]:
        plain = super().to_plain()
        if self.stages is not None:
            del plain["epochs"]  # so that a change of a stage needs no second one
        return plain

    def optimizer_in_stage(self, index: int) -> tuple[NameOrComponent, KeyPath]:
        """Return the optimizer of a stage, counted from 0, and its path in the config."""
        for number in range(min(index, len(self.stages or ()) - 1), -1, -1):
            optimizer = (self.stages or [])[number].optimizer
            if optimizer is not None:
                return optimizer, ("train", "stages", number, "optimizer")
        return self.optimizer, ("train", "optimizer")

    def stages_with_optimizer_of(self, index: int) -> range:
        """Return the stages that share the optimizer of a stage, and its state; all counted from 0."""
        stages: Sequence[StageConfig] = self.stages or ()
        renewals = [
            number for number, stage in enumerate(stages) if number == 0 or stage.optimizer is not None
        ]
        first = max((number for number in renewals if number <= index), default=0)
        return range(first, next((number for number in renewals if number > index), len(stages)))

    @property
    def has_schedule(self) -> bool:
        """Whether a learning-rate schedule ends the training, so that it needs its last epochs."""
        optimizer, _ = self.optimizer_in_stage(len(self.stages or ()))
        return isinstance(getattr(optimizer, "learning_rate", None), Component)

    def iterate_callbacks(self) -> Iterator[tuple[Component, KeyPath, int | None]]:
        """Yield all callbacks with their paths, and their stages, counted from 0; None: of all stages."""
        for index, callback in enumerate(self.callbacks):
            yield callback, ("train", "callbacks", index), None
        for number, stage in enumerate(self.stages or ()):
            for index, callback in enumerate(stage.callbacks):
                yield callback, ("train", "stages", number, "callbacks", index), number

    def loss_of(self, output: str) -> NameOrComponent | None:
        """Return the loss of an output, or None if it does not have one."""
        return self.loss.get(output) if isinstance(self.loss, dict) else self.loss

    @classmethod
    def title(cls) -> str:
        return "`train`"
