"""Keras's core layers."""

from typing import Annotated, ClassVar

from pydantic import Field

from layercli.layers.arguments import Activation, Constraint, Initializer, PositiveInt, Regularizer
from layercli.layers.base import StandardLayer, Weight
from layercli.layers.shapes import Tensor, times

UseBias = Annotated[bool, Field(description="Whether the layer adds a bias.")]
KernelInitializer = Annotated[Initializer, Field(description="How the kernel is drawn before training.")]
BiasInitializer = Annotated[Initializer, Field(description="How the bias is drawn before training.")]
KernelRegularizer = Annotated[Regularizer | None, Field(description="Penalty on the kernel, added to the loss.")]
BiasRegularizer = Annotated[Regularizer | None, Field(description="Penalty on the bias, added to the loss.")]
KernelConstraint = Annotated[Constraint | None, Field(description="What the kernel is held to after each step.")]
BiasConstraint = Annotated[Constraint | None, Field(description="What the bias is held to after each step.")]
ActivationArgument = Annotated[Activation | None, Field(description="Function applied to the output; null: none.")]
LoraRank = Annotated[PositiveInt | None, Field(description="Train a low-rank update of this rank; null: the kernel.")]
LoraAlpha = Annotated[float | None, Field(description="Scale of the low-rank update; null: the rank.")]


class Dense(StandardLayer):
    """A fully connected layer: ``activation(x W + b)`` along the last axis.

    Input: (batch, ..., features). Output: (batch, ..., units).

    Example:
        {type: Dense, units: 64, activation: relu}
    """

    family: ClassVar[str] = "core"
    takes: ClassVar[str] = "vectors of shape (batch, ..., features), rank 2 or more"
    ranks: ClassVar[tuple[int, int | None]] = (2, None)

    units: Annotated[PositiveInt, Field(description="Size of the output's last axis.", examples=[64])]
    activation: ActivationArgument = None
    use_bias: UseBias = True
    kernel_initializer: KernelInitializer = "glorot_uniform"
    bias_initializer: BiasInitializer = "zeros"
    kernel_regularizer: KernelRegularizer = None
    bias_regularizer: BiasRegularizer = None
    kernel_constraint: KernelConstraint = None
    bias_constraint: BiasConstraint = None
    lora_rank: LoraRank = None
    lora_alpha: LoraAlpha = None

    def output(self, x: Tensor) -> Tensor:
        return Tensor((*x.shape[:-1], self.units), self.compute_dtype)

    def weights(self, x: Tensor) -> list[Weight]:
        features = self.known(x, -1)
        lora = self.lora_rank is not None
        weights = [Weight("kernel", (features, self.units), trainable=not lora)]
        if self.use_bias:
            weights.append(Weight("bias", (self.units,)))
        if self.lora_rank is not None:
            weights.append(Weight("lora_kernel_a", (features, self.lora_rank)))
            weights.append(Weight("lora_kernel_b", (self.lora_rank, self.units)))
        return weights

    def multiply_adds(self, x: Tensor) -> int | None:
        return times(*x.shape[1:], self.units)


class Embedding(StandardLayer):
    """A table of vectors, looked up by index.

    Input: (batch, ...), whole numbers below ``input_dim``. Output: (batch, ..., output_dim).

    Example:
        {type: Embedding, input_dim: 10000, output_dim: 64}
    """

    family: ClassVar[str] = "core"
    takes: ClassVar[str] = "indices of shape (batch, ...)"

    input_dim: Annotated[
        PositiveInt, Field(description="Size of the vocabulary: the largest index plus 1.", examples=[10000])
    ]
    output_dim: Annotated[PositiveInt, Field(description="Length of each vector.", examples=[64])]
    embeddings_initializer: Annotated[Initializer, Field(description="How the table is drawn before training.")] = (
        "uniform"
    )
    embeddings_regularizer: Annotated[Regularizer | None, Field(description="Penalty on the table.")] = None
    embeddings_constraint: Annotated[Constraint | None, Field(description="What the table is held to.")] = None
    mask_zero: Annotated[bool, Field(description="Whether index 0 is padding that later layers skip.")] = False
    lora_rank: LoraRank = None
    lora_alpha: LoraAlpha = None

    def cast(self, x: Tensor) -> Tensor:
        return x  # indices are never cast

    def output(self, x: Tensor) -> Tensor:
        return Tensor((*x.shape, self.output_dim), self.compute_dtype)

    def weights(self, x: Tensor) -> list[Weight]:
        lora = self.lora_rank is not None
        weights = [Weight("embeddings", (self.input_dim, self.output_dim), trainable=not lora)]
        if self.lora_rank is not None:
            weights.append(Weight("lora_embeddings_a", (self.input_dim, self.lora_rank)))
            weights.append(Weight("lora_embeddings_b", (self.lora_rank, self.output_dim)))
        return weights


class Masking(StandardLayer):
    """Marks the timesteps whose features all equal ``mask_value``, so that later layers skip them.

    Input: (batch, timesteps, features). Output: the same.

    Example:
        {type: Masking, mask_value: 0.0}
    """

    family: ClassVar[str] = "core"
    takes: ClassVar[str] = "sequences of shape (batch, timesteps, features)"

    mask_value: Annotated[float, Field(description="The value that marks a timestep to skip.")] = 0.0

    def output(self, x: Tensor) -> Tensor:
        return Tensor(x.shape, self.compute_dtype)


class Identity(StandardLayer):
    """Gives its input unchanged.

    Example:
        {type: Identity}
    """

    family: ClassVar[str] = "core"
    takes: ClassVar[str] = "any tensor"
