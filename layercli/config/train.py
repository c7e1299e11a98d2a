"""The ``train`` section: how the model learns."""

from typing import Annotated

from pydantic import Field

from layercli.config.training_types import Callback, Loss, Metric, Optimizer
from layercli.layers.arguments import PositiveInt
from layercli.layers.strict import Strict


class TrainSection(Strict):
    """How the model learns."""

    epochs: Annotated[PositiveInt, Field(description="How often the training examples are passed through.")] = 1
    batch_size: Annotated[PositiveInt, Field(description="Examples in each step.")] = 32
    optimizer: Annotated[Optimizer, Field(description="How weights follow their gradients.")] = "RMSprop"
    loss: Annotated[
        Loss, Field(description="What training makes smaller.", examples=["sparse_categorical_crossentropy"])
    ]
    metrics: Annotated[list[Metric], Field(description="What else is measured, each epoch.")] = []  # noqa: RUF012
    callbacks: Annotated[list[Callback], Field(description="What watches and steers training.")] = []  # noqa: RUF012

    @classmethod
    def title(cls) -> str:
        return "`train`"
