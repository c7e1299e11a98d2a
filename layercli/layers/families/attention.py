"""Keras's attention layers; their inputs are the query, the value and optionally the key, in that order."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from layercli.layers.arguments import Seed
from layercli.layers.base import CallInputs, InferredLayer, StandardLayer, Weight
from layercli.layers.bases.weight_arguments import (
    BiasConstraint,
    BiasInitializer,
    BiasRegularizer,
    KernelConstraint,
    KernelInitializer,
    KernelRegularizer,
    UseBias,
)
from layercli.layers.dtypes import FLOATS, INTEGERS, NUMBERS
from layercli.layers.shapes import (
    Dim,
    RankError,
    Shape,
    ShapeError,
    Tensor,
    UnknownSizeError,
    format_shape,
    multiply_dims,
)
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


UseCausalMask = Annotated[
    bool, Field(description="Whether a timestep of the query sees only the keys up to its own timestep.")
]
_TENSORS = ("query", "value", "key")


class _AttentionLayer(StandardLayer):
    family: ClassVar[str] = "attention"
    input_description: ClassVar[str] = "query, value and key of shape (batch, timesteps, features)"
    input_names: ClassVar[tuple[str, ...]] = (*_TENSORS, "query_mask", "value_mask")
    call_arguments: ClassVar[tuple[str, ...]] = ("use_causal_mask",)
    rank_range: ClassVar[tuple[int, int | None]] = (2, None)
    passes_mask: ClassVar[bool] = True

    def infer_named(self, inputs: tuple[Tensor, ...], names: tuple[str, ...] | None) -> InferredLayer:
        if names is None:
            return self.infer(inputs)
        named = dict(zip(names, inputs, strict=True))
        missing = next((name for name in ("query", "value") if name not in named), None)
        if missing is not None:
            message = f"{self.title()} requires the input `{missing}`."
            raise ShapeError(message, hint=f"Add it: `inputs: {{{missing}: ..., ...}}`.", argument="inputs")
        inferred = self.infer(tuple(named[name] for name in _TENSORS if name in named))
        for name, mask in named.items():
            if name not in _TENSORS:
                self._check_mask_input(name, mask, named)
        return inferred

    def _check_mask_input(self, name: str, mask: Tensor, inputs: dict[str, Tensor]) -> None:
        """Check the shape and the dtype of a mask that is an input.

        Raises:
            ShapeError: the mask does not fit the query, the value or the key.
        """
        query, key = inputs["query"].shape, inputs.get("key", inputs["value"]).shape
        expected = (query if name == "query_mask" else key)[:-1]
        allowed = [expected]
        if name == "attention_mask":
            expected = (query[0], query[1], key[1])
            allowed = [expected, (query[0], getattr(self, "num_heads", None), query[1], key[1])]
        is_broadcast = name == "attention_mask"
        if mask.dtype == "string" or not any(
            _fits_mask(mask.shape, each, is_broadcast=is_broadcast) for each in allowed
        ):
            received = "text" if mask.dtype == "string" else format_shape(mask.shape)
            raise ShapeError(
                f"`{name}` of {self.title()} must have shape {format_shape(expected)}, got {received}.",
                hint="A mask has a number or truth value for each timestep: 1 or true where attention is allowed."
                if name != "key_padding_mask"
                else "A padding mask has 1 or true for each timestep of the key that is padding.",
                argument="inputs",
            )

    def arrange_inputs(self, inputs: Sequence[Any], names: tuple[str, ...] | None) -> CallInputs:
        named = dict(zip(names or _TENSORS, inputs, strict=False))
        masks = {name: named[name] for name in ("query_mask", "value_mask") if name in named}
        listed = [named[name] for name in _TENSORS if name in named]
        mask = {"mask": [masks.get("query_mask"), masks.get("value_mask")]} if masks else {}
        return CallInputs([listed], mask)

    def find_accepted_dtypes(self) -> frozenset[str]:
        return FLOATS | INTEGERS

    def accepts_mask(self, x: Tensor, mask: Shape) -> bool:
        return (x.rank, len(mask)) == (3, 2)

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
        self.check_shapes(query, value, key)
        output = Tensor(self.infer_output_shape(query, value, key), self.compute_dtype)
        return InferredLayer(
            (output,),
            tuple(self.infer_weights(query, value, key)),
            self.count_multiply_adds(query, value, key),
        )

    def check_shapes(self, query: Shape, value: Shape, key: Shape) -> None:
        """Check that query, value and key fit together.

        Raises:
            ShapeError: a rank or a size differs.
        """
        if len({len(query), len(value), len(key)}) > 1:
            raise ShapeError(
                f"{self.title()} expects a query, a value and a key of the same rank, "
                f"got a query {format_shape(query)}, a value {format_shape(value)} and a key {format_shape(key)}.",
                hint="Add the missing axis with a Reshape layer before this layer.",
            )
        self.check_timesteps(value, key)

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
            UnknownSizeError: the size is unknown.
        """
        size = shape[-1]
        if size is None:
            raise UnknownSizeError(
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
        if any(map(_are_different, value[1:-1], key[1:-1])):
            raise ShapeError(
                f"{self.title()} expects a key and a value with the same number of timesteps, "
                f"got a key {format_shape(key)} and a value {format_shape(value)}.",
                hint="List the inputs in the order query, value, key.",
            )


class _SingleHeadAttention(_AttentionLayer):
    """Attention without projections; query and key are compared feature by feature."""

    dropout: AttentionDropout = 0.0
    seed: Seed = None
    use_causal_mask: UseCausalMask = False

    @property
    def _can_stretch_features(self) -> bool:
        """Return whether a query or key with one feature is stretched to the features of the other."""
        return True

    def check_shapes(self, query: Shape, value: Shape, key: Shape) -> None:
        super().check_shapes(query, value, key)
        if self._can_stretch_features and 1 in (query[-1], key[-1]):
            pass
        elif _are_different(query[-1], key[-1]):
            raise ShapeError(
                f"{self.title()} compares the features of query and key, so their last axes must have the same size, "
                f"got a query {format_shape(query)} and a key {format_shape(key)}.",
                hint=f"Put {{type: Dense, units: {key[-1]}}} between the query and this layer.",
            )
        if self.use_causal_mask and len(query) < 3:
            message = f"`use_causal_mask` requires timesteps, got a query {format_shape(query)}."
            raise ShapeError(message, hint="Remove `use_causal_mask`.", argument="use_causal_mask")
        for axis in range(1, len(query) - 2):
            for name, shape in (("value", value), ("key", key)):
                if _are_different(query[axis], shape[axis]) and shape[axis] != 1:
                    raise ShapeError(
                        f"{self.title()} expects a query and a {name} that are equal in axis {axis}, "
                        f"got a query {format_shape(query)} and a {name} {format_shape(shape)}.",
                        hint="Only the last but one axis, the timesteps, can differ.",
                    )

    def check_timesteps(self, value: Shape, key: Shape) -> None:
        super().check_timesteps((*value[:1], *value[-2:]), (*key[:1], *key[-2:]))

    def infer_output_shape(self, query: Shape, value: Shape, key: Shape) -> Shape:
        del key
        return (*query[:-1], value[-1])


class Attention(_SingleHeadAttention):
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

    @property
    def _can_stretch_features(self) -> bool:
        return self.score_mode == "concat"

    def find_accepted_dtypes(self) -> frozenset[str]:
        return FLOATS if self.score_mode == "dot" and not self.use_scale else super().find_accepted_dtypes()

    def infer_weights(self, query: Shape, value: Shape, key: Shape) -> list[Weight]:
        del query, value, key
        names = ["scale"] * self.use_scale + ["concat_score_weight"] * (self.score_mode == "concat")
        return [Weight(name, ()) for name in names]

    def count_multiply_adds(self, query: Shape, value: Shape, key: Shape) -> int | None:
        return _score_multiply_adds(query, value, key, has_product_scores=self.score_mode == "dot")


class AdditiveAttention(_SingleHeadAttention):
    """Weights the values by the similarity of query and key: the tanh of their sum.

    Input: query (batch, Tq, features), value (batch, Tv, size), key (batch, Tv, features).
    Output: (batch, Tq, size).

    Example:
        {type: AdditiveAttention}
    """

    use_scale: Annotated[bool, Field(description="Whether to train a factor for each feature.")] = True

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


def _are_different(one: Dim, other: Dim) -> bool:
    """Return whether two sizes are known and different."""
    return one is not None and other is not None and one != other


def _fits_mask(mask: Shape, expected: Shape, *, is_broadcast: bool) -> bool:
    """Return whether a mask has the expected shape; with ``is_broadcast``, axes of size 1 stretch."""
    return len(mask) == len(expected) and all(
        not _are_different(a, b) or (is_broadcast and a == 1)
        for a, b in zip(mask[1:], expected[1:], strict=True)
    )


class _ProjectedAttention(_AttentionLayer):
    """Attention whose query, key and value are each projected to several heads."""

    has_separate_inputs: ClassVar[bool] = True
    input_names: ClassVar[tuple[str, ...]] = (
        *_TENSORS,
        *("query_mask", "value_mask", "key_mask", "attention_mask", "key_padding_mask"),
    )

    def check_timesteps(self, value: Shape, key: Shape) -> None:
        super().check_timesteps(value, key)
        if value[1:-1] != key[1:-1]:  # Keras compares before it knows any size
            raise ShapeError(
                f"{self.title()} needs the number of timesteps of both the key and the value, or of neither, "
                f"got a key {format_shape(key)} and a value {format_shape(value)}.",
                hint="Declare that axis in both `model.inputs`, or write null in both.",
            )

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
    use_causal_mask: UseCausalMask = False

    def check(self) -> None:
        if self.flash_attention and self.dropout > 0:
            message = f"`flash_attention` cannot be combined with `dropout` {self.dropout:g}."
            raise ArgumentError("flash_attention", message, "Remove `flash_attention` or `dropout`.")

    def check_shapes(self, query: Shape, value: Shape, key: Shape) -> None:
        super().check_shapes(query, value, key)
        if self.flash_attention and len(query) == 3:  # Keras ignores it for other ranks
            message = "`flash_attention` is not available in TensorFlow."
            raise ShapeError(message, hint="Remove `flash_attention`.", argument="flash_attention")

    def find_accepted_dtypes(self) -> frozenset[str]:
        return NUMBERS

    def arrange_inputs(self, inputs: Sequence[Any], names: tuple[str, ...] | None) -> CallInputs:
        named = dict(zip(names or _TENSORS, inputs, strict=False))
        tensors = [named.pop(name) for name in _TENSORS if name in named]
        return CallInputs(tensors, named)

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

    def check_shapes(self, query: Shape, value: Shape, key: Shape) -> None:
        super().check_shapes(query, value, key)
        rank = len(query)
        if rank != 3 and not self._resolve_attention_axes(rank):
            raise RankError(f"{self.title()} expects {self.input_description}, got {format_shape(query)}.")
        axes = self._resolve_attention_axes(rank)
        is_one_step = rank == 3 and self.dropout == 0  # Keras then ignores which axis it is
        if rank == 2 or (axes != [1] and not (is_one_step and len(axes) == 1)):
            for argument, is_used in (
                ("sliding_window", self.sliding_window is not None),
                ("use_causal_mask", self.use_causal_mask),
            ):
                if is_used:
                    message = (
                        f"`{argument}` requires attention over axis 1, got a query {format_shape(query)}."
                    )
                    raise ShapeError(message, hint=f"Remove `{argument}`.", argument=argument)
        for axis in range(1, rank - 1):
            if axis not in axes and _are_different(query[axis], key[axis]) and not is_one_step:
                raise ShapeError(
                    f"MultiHeadAttention attends over other axes, so query and value must be equal in axis {axis}, "
                    f"got a query {format_shape(query)} and a value {format_shape(value)}.",
                    hint=f"Make that axis equal, or add {axis} to `attention_axes`.",
                )

    def infer_output_shape(self, query: Shape, value: Shape, key: Shape) -> Shape:
        rank = len(value)
        axes = self._resolve_attention_axes(rank)
        has_scores = self.dropout > 0 or rank != 3  # else Keras computes the attention in one step
        for axis in axes:
            # NumPy indexing of the axes of the projected values, which have one more axis.
            is_ambiguous = axes.count(axis) > 1 or axis in (-1, rank)
            if not -rank - 1 <= axis <= rank or (has_scores and is_ambiguous):
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
