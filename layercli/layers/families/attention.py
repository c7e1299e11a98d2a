"""Keras's attention layers; their inputs are the query, the value and optionally the key, in that order."""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from layercli.layers.arguments import Seed
from layercli.layers.base import InferredLayer, StandardLayer, Weight
from layercli.layers.bases.weight_arguments import (
    BiasConstraint,
    BiasInitializer,
    BiasRegularizer,
    KernelConstraint,
    KernelInitializer,
    KernelRegularizer,
    UseBias,
)
from layercli.layers.shapes import Dim, Shape, ShapeError, Tensor, format_shape, multiply_dims
from layercli.schema.field_types import Axes, PositiveInt, PositiveInts, Rate
from layercli.schema.strict_model import ArgumentError

AttentionDropout = Annotated[
    Rate, Field(description="Share of the attention weights that is dropped in training.")
]
SlidingWindow = Annotated[
    PositiveInt | None, Field(description="Largest distance between a query and a key; null: no limit.")
]
FlashAttention = Annotated[
    bool | None, Field(description="Whether to use flash attention; null: Keras decides.")
]
UseGate = Annotated[bool, Field(description="Whether the output is multiplied by a gate made of the query.")]


class _AttentionLayer(StandardLayer):
    family: ClassVar[str] = "attention"
    input_description: ClassVar[str] = "query, value and key of shape (batch, timesteps, features)"
    input_names: ClassVar[tuple[str, ...]] = ("query", "value", "key")
    rank_range: ClassVar[tuple[int, int | None]] = (2, None)

    def infer(self, inputs: tuple[Tensor, ...]) -> InferredLayer:
        if len(inputs) not in (2, 3):
            hint = "For self-attention, name the same input twice." if len(inputs) == 1 else None
            count = f"got {len(inputs)}"
            raise ShapeError(
                f"{self.title()} expects a query, a value and optionally a key, {count} inputs.", hint=hint
            )
        for x in inputs:
            self.check_rank(x.shape)
        query, value = inputs[0].shape, inputs[1].shape
        key = inputs[2].shape if len(inputs) == 3 else value
        output = Tensor(self.infer_output_shape(query, value, key), self.compute_dtype)
        return InferredLayer(
            (output,),
            tuple(self.infer_weights(query, value, key)),
            self.count_multiply_adds(query, value, key),
        )

    def infer_output_shape(self, query: Shape, value: Shape, key: Shape) -> Shape:
        """Return the output's shape (with the batch axis)."""
        raise NotImplementedError

    def infer_weights(self, query: Shape, value: Shape, key: Shape) -> list[Weight]:
        """Return the weights."""
        raise NotImplementedError

    def count_multiply_adds(self, query: Shape, value: Shape, key: Shape) -> int | None:
        """Return the multiply-adds per example."""
        raise NotImplementedError

    def require_features(self, shape: Shape, role: str) -> int:
        """Return the size of the last axis.

        Raises:
            ShapeError: the size is unknown.
        """
        size = shape[-1]
        if size is None:
            raise ShapeError(
                f"{self.title()} needs the size of the last axis of its {role} to create its weights, "
                f"got {format_shape(shape)}.",
                hint="Declare the size of that axis in `model.input` or before this layer.",
            )
        return size

    def check_timesteps(self, value: Shape, key: Shape) -> None:
        """Check that key and value agree in the axes between batch and features.

        Raises:
            ShapeError: the axes differ.
        """
        if value[1:-1] != key[1:-1]:
            raise ShapeError(
                f"{self.title()} expects a key and a value with the same number of timesteps, "
                f"got a key {format_shape(key)} and a value {format_shape(value)}.",
                hint="List the inputs in the order query, value, key.",
            )


class Attention(_AttentionLayer):
    """Weights the values by the similarity of query and key: a dot product.

    Input: query (batch, Tq, features), value (batch, Tv, size), key (batch, Tv, features).
    Output: (batch, Tq, size).

    Example:
        {type: Attention}
    """

    use_scale: Annotated[bool, Field(description="Whether to train a factor on the scores.")] = False
    score_mode: Annotated[
        Literal["dot", "concat"],
        Field(description="Comparison of query and key: dot product, or tanh of the sum."),
    ] = "dot"
    dropout: AttentionDropout = 0.0
    seed: Seed = None

    def infer_output_shape(self, query: Shape, value: Shape, key: Shape) -> Shape:
        del key
        return (*query[:-1], value[-1])

    def infer_weights(self, query: Shape, value: Shape, key: Shape) -> list[Weight]:
        del query, value, key
        names = ["scale"] * self.use_scale + ["concat_score_weight"] * (self.score_mode == "concat")
        return [Weight(name, ()) for name in names]

    def count_multiply_adds(self, query: Shape, value: Shape, key: Shape) -> int | None:
        return _score_multiply_adds(query, value, key, has_product_scores=self.score_mode == "dot")


class AdditiveAttention(_AttentionLayer):
    """Weights the values by the similarity of query and key: the tanh of their sum.

    Input: query (batch, Tq, features), value (batch, Tv, size), key (batch, Tv, features).
    Output: (batch, Tq, size).

    Example:
        {type: AdditiveAttention}
    """

    use_scale: Annotated[bool, Field(description="Whether to train a factor for each feature.")] = True
    dropout: AttentionDropout = 0.0
    seed: Seed = None

    def infer_output_shape(self, query: Shape, value: Shape, key: Shape) -> Shape:
        del key
        return (*query[:-1], value[-1])

    def infer_weights(self, query: Shape, value: Shape, key: Shape) -> list[Weight]:
        del value, key
        return [Weight("scale", (self.require_features(query, "query"),))] if self.use_scale else []

    def count_multiply_adds(self, query: Shape, value: Shape, key: Shape) -> int | None:
        return _score_multiply_adds(query, value, key, has_product_scores=self.use_scale)


def _score_multiply_adds(query: Shape, value: Shape, key: Shape, *, has_product_scores: bool) -> Dim:
    """Return the multiply-adds of single-head attention: the scores, if they are products, and the weighted sum."""
    pairs = multiply_dims(*query[1:-1], key[-2])
    return _sum_costs(
        [multiply_dims(pairs, query[-1]) if has_product_scores else 0, multiply_dims(pairs, value[-1])]
    )


def _sum_costs(costs: Sequence[Dim]) -> Dim:
    return None if None in costs else sum(cost for cost in costs if cost is not None)


class _ProjectedAttention(_AttentionLayer):
    has_separate_inputs: ClassVar[bool] = True

    """Attention whose query, key and value are each projected to several heads."""

    dropout: AttentionDropout = 0.0
    use_bias: UseBias = True
    sliding_window: SlidingWindow = None
    flash_attention: FlashAttention = None
    kernel_initializer: KernelInitializer = "glorot_uniform"
    bias_initializer: BiasInitializer = "zeros"
    kernel_regularizer: KernelRegularizer = None
    bias_regularizer: BiasRegularizer = None
    kernel_constraint: KernelConstraint = None
    bias_constraint: BiasConstraint = None
    use_gate: UseGate = False
    seed: Seed = None

    def check(self) -> None:
        if self.flash_attention and self.dropout > 0:
            message = f"`flash_attention` cannot be combined with `dropout` {self.dropout:g}."
            raise ArgumentError("flash_attention", message, "Remove `flash_attention` or `dropout`.")

    def projections(self, query: Shape, value: Shape, key: Shape) -> list[tuple[str, Shape, Shape, Shape]]:
        """Return the name, the kept axes, the contracted axes and the new axes of every projection."""
        raise NotImplementedError

    def infer_weights(self, query: Shape, value: Shape, key: Shape) -> list[Weight]:
        for shape, role in ((query, "query"), (value, "value"), (key, "key")):
            self.require_features(shape, role)
        weights: list[Weight] = []
        for name, _, contracted_sizes, output_sizes in self.projections(query, value, key):
            bias = tuple(size for size in output_sizes if size is not None)
            kernel = tuple(size for size in contracted_sizes if size is not None) + bias
            weights.append(Weight(f"{name}/kernel", kernel))
            if self.use_bias:
                weights.append(Weight(f"{name}/bias", bias))
        return weights

    def projection_multiply_adds(self, query: Shape, value: Shape, key: Shape) -> list[Dim]:
        """Return the multiply-adds of every projection."""
        return [
            multiply_dims(*free_sizes, *contracted_sizes, *output_sizes)
            for _, free_sizes, contracted_sizes, output_sizes in self.projections(query, value, key)
        ]


class MultiHeadAttention(_ProjectedAttention):
    """Attention by several heads with separate projections of query, key and value.

    Input: query (batch, Tq, features), value (batch, Tv, ...), key (batch, Tv, ...).
    Output: (batch, Tq, features), or (batch, Tq, *output_shape).

    Example:
        {type: MultiHeadAttention, num_heads: 4, key_dim: 16}
    """

    num_heads: Annotated[PositiveInt, Field(description="Number of heads.", examples=[4])]
    key_dim: Annotated[PositiveInt, Field(description="Size of each head's query and key.", examples=[16])]
    value_dim: Annotated[
        PositiveInt | None, Field(description="Size of each head's value; null: `key_dim`.")
    ] = None
    output_shape: Annotated[
        PositiveInts | None, Field(description="Size of the output's features; null: that of the query.")
    ] = None
    attention_axes: Annotated[
        Axes | None, Field(description="Axes to attend over; null: all but batch and features.")
    ] = None

    @property
    def _output_features(self) -> Shape:
        shape = self.output_shape or ()
        return (shape,) if isinstance(shape, int) else tuple(shape)

    def _resolve_attention_axes(self, rank: int) -> list[int]:
        """Return the axes to attend over for values of this rank."""
        if self.attention_axes is None:
            return list(range(1, rank - 1))
        axes = self.attention_axes if isinstance(self.attention_axes, list) else [self.attention_axes]
        return [axis if axis >= 0 else rank + axis for axis in axes]

    def infer_output_shape(self, query: Shape, value: Shape, key: Shape) -> Shape:
        self.check_timesteps(value, key)
        rank = len(value)
        for axis in self._resolve_attention_axes(rank):
            # NumPy indexing of the axes of the projected values, which have one more axis.
            if not -rank - 1 <= axis <= rank:
                raise ShapeError(
                    f"MultiHeadAttention cannot attend over axis {axis}: its value is {format_shape(value)}.",
                    hint="Remove `attention_axes` to attend over all axes except batch and features.",
                    argument="attention_axes",
                )
        return (*query[:-1], *(self._output_features or query[-1:]))

    def projections(self, query: Shape, value: Shape, key: Shape) -> list[tuple[str, Shape, Shape, Shape]]:
        heads = self.num_heads
        key_heads, value_heads = (heads, self.key_dim), (heads, self.value_dim or self.key_dim)
        gate = [("gate", query[1:-1], query[-1:], value_heads)] if self.use_gate else []
        return [
            ("query", query[1:-1], query[-1:], key_heads),
            ("key", key[1:-1], key[-1:], key_heads),
            *gate,
            ("value", value[1:-1], value[-1:], value_heads),
            ("attention_output", query[1:-1], value_heads, self._output_features or query[-1:]),
        ]

    def count_multiply_adds(self, query: Shape, value: Shape, key: Shape) -> int | None:
        axes = set(self._resolve_attention_axes(len(value)))
        if len(query) != len(value) or not axes <= set(range(1, len(value) - 1)):
            return None
        free_sizes = [value[axis] for axis in range(1, len(value) - 1) if axis not in axes]
        pairs = multiply_dims(*free_sizes, *(query[axis] for axis in axes), *(key[axis] for axis in axes))
        width = self.num_heads * (self.key_dim + (self.value_dim or self.key_dim))
        return _sum_costs([*self.projection_multiply_adds(query, value, key), multiply_dims(pairs, width)])


class GroupQueryAttention(_ProjectedAttention):
    """Attention by several heads; groups of heads share their key and value.

    Input: query (batch, Tq, features), value (batch, Tv, features), key (batch, Tv, ...).
    Output: as the query.

    Example:
        {type: GroupQueryAttention, head_dim: 16, num_query_heads: 4, num_key_value_heads: 2}
    """

    input_description: ClassVar[str] = "query, value and key of shape (batch, timesteps, features), rank 3"
    rank_range: ClassVar[tuple[int, int | None]] = (3, 3)

    head_dim: Annotated[PositiveInt, Field(description="Size of each head.", examples=[16])]
    num_query_heads: Annotated[PositiveInt, Field(description="Number of heads for the query.", examples=[4])]
    num_key_value_heads: Annotated[
        PositiveInt,
        Field(description="Number of heads for key and value; divides `num_query_heads`.", examples=[2]),
    ]

    def check(self) -> None:
        super().check()
        queries, keys = self.num_query_heads, self.num_key_value_heads
        if queries % keys:
            message = f"`num_key_value_heads` must divide `num_query_heads` ({queries}), got {keys}."
            common_divisor = math.gcd(queries, keys)
            raise ArgumentError(
                "num_key_value_heads", message, f"Use `num_key_value_heads: {common_divisor}`, for example."
            )

    def infer_output_shape(self, query: Shape, value: Shape, key: Shape) -> Shape:
        if query[-1] != value[-1]:
            raise ShapeError(
                f"GroupQueryAttention expects a query and a value with the same number of features, "
                f"got a query {format_shape(query)} and a value {format_shape(value)}.",
                hint="Change the size of one of them with a Dense layer before this layer.",
            )
        self.check_timesteps(value, key)
        return query

    def projections(self, query: Shape, value: Shape, key: Shape) -> list[tuple[str, Shape, Shape, Shape]]:
        query_heads, key_value_heads = (
            (self.num_query_heads, self.head_dim),
            (self.num_key_value_heads, self.head_dim),
        )
        gate = [("gate", query[1:-1], query[-1:], query_heads)] if self.use_gate else []
        return [
            ("query", query[1:-1], query[-1:], query_heads),
            ("key", key[1:-1], key[-1:], key_value_heads),
            *gate,
            ("value", value[1:-1], value[-1:], key_value_heads),
            ("attention_output", query[1:-1], query_heads, query[-1:]),
        ]

    def count_multiply_adds(self, query: Shape, value: Shape, key: Shape) -> int | None:
        pairs = multiply_dims(query[1], key[1], 2 * self.num_query_heads * self.head_dim)
        return _sum_costs([*self.projection_multiply_adds(query, value, key), pairs])
