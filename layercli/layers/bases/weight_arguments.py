"""Arguments that layers with a kernel and a bias share."""

from typing import Annotated

from pydantic import Field

from layercli.layers.arguments import ActivationName, Constraint, Initializer, Regularizer
from layercli.schema.field_types import PositiveInt
from layercli.schema.strict_model import ArgumentError

UseBias = Annotated[bool, Field(description="Whether the layer adds a bias.")]
KernelInitializer = Annotated[Initializer, Field(description="Initializer of the kernel.")]
BiasInitializer = Annotated[Initializer, Field(description="Initializer of the bias.")]
KernelRegularizer = Annotated[
    Regularizer | None, Field(description="Penalty on the kernel, added to the loss.")
]
BiasRegularizer = Annotated[Regularizer | None, Field(description="Penalty on the bias, added to the loss.")]
KernelConstraint = Annotated[
    Constraint | None, Field(description="Constraint on the kernel, applied after each step.")
]
BiasConstraint = Annotated[
    Constraint | None, Field(description="Constraint on the bias, applied after each step.")
]
ActivationArgument = Annotated[
    ActivationName | None, Field(description="Function applied to the output; null: none.")
]
LoraRank = Annotated[
    PositiveInt | None, Field(description="Train a low-rank update of this rank; null: the kernel.")
]
LoraAlpha = Annotated[float | None, Field(description="Scale of the low-rank update; null: the rank.")]


def check_lora(rank: int | None, constraint: object, argument: str) -> None:
    """Check that a low-rank update is not combined with a constraint.

    Raises:
        ArgumentError: both are set.
    """
    if rank is not None and constraint is not None:
        message = f"`lora_rank` cannot be combined with `{argument}`."
        raise ArgumentError(argument, message, f"Remove `{argument}` or `lora_rank`.")
