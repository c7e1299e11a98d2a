"""Keras's core layers."""

import re
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import Field, PlainValidator

from layercli.layers.arguments import Constraint, DType, Initializer, Regularizer
from layercli.layers.base import StandardLayer, Weight, refuse_activity_regularizer
from layercli.layers.bases.weight_arguments import (
    ActivationArgument,
    BiasConstraint,
    BiasInitializer,
    BiasRegularizer,
    KernelConstraint,
    KernelInitializer,
    KernelRegularizer,
    LoraAlpha,
    LoraRank,
    UseBias,
    check_lora,
)
from layercli.layers.dtypes import ANY_DTYPE
from layercli.layers.shapes import Dim, Shape, ShapeError, Tensor, format_shape, multiply_dims
from layercli.schema.field_types import MAX_FLOAT32, MAX_INT32, PositiveInt
from layercli.schema.strict_model import ArgumentError, ExpectedText, mismatch_error
from layercli.source.nodes import quote_value


class Dense(StandardLayer):
    """A fully connected layer: ``activation(x W + b)`` along the last axis.

    Input: (batch, ..., features). Output: (batch, ..., units).

    Example:
        {type: Dense, units: 64, activation: relu}
    """

    family: ClassVar[str] = "core"
    input_description: ClassVar[str] = "vectors of shape (batch, ..., features), rank 2 or more"
    rank_range: ClassVar[tuple[int, int | None]] = (2, None)
    passes_mask: ClassVar[bool] = True

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

    def check(self) -> None:
        check_lora(self.lora_rank, self.kernel_constraint, "kernel_constraint")

    def output(self, x: Tensor) -> Tensor:
        return Tensor((*x.shape[:-1], self.units), self.compute_dtype)

    def weights(self, x: Tensor) -> list[Weight]:
        features = self.require_size(x, -1)
        lora = self.lora_rank is not None
        weights = [Weight("kernel", (features, self.units), trainable=not lora)]
        if self.use_bias:
            weights.append(Weight("bias", (self.units,)))
        if self.lora_rank is not None:
            weights.append(Weight("lora_kernel_a", (features, self.lora_rank), dtype="float32"))
            weights.append(Weight("lora_kernel_b", (self.lora_rank, self.units), dtype="float32"))
        return weights

    def multiply_adds(self, x: Tensor) -> int | None:
        return multiply_dims(*x.shape[1:], self.units)


class Embedding(StandardLayer):
    """A table of vectors, looked up by index.

    Input: (batch, ...), integers below ``input_dim``. Output: (batch, ..., output_dim).

    Example:
        {type: Embedding, input_dim: 10000, output_dim: 64}
    """

    family: ClassVar[str] = "core"
    input_description: ClassVar[str] = "indices of shape (batch, ...)"

    input_dim: Annotated[
        PositiveInt, Field(description="Size of the vocabulary: the largest index plus 1.", examples=[10000])
    ]
    output_dim: Annotated[PositiveInt, Field(description="Length of each vector.", examples=[64])]
    embeddings_initializer: Annotated[Initializer, Field(description="Initializer of the table.")] = "uniform"
    embeddings_regularizer: Annotated[Regularizer | None, Field(description="Penalty on the table.")] = None
    embeddings_constraint: Annotated[Constraint | None, Field(description="Constraint on the table.")] = None
    mask_zero: Annotated[bool, Field(description="Whether index 0 is padding that later layers skip.")] = (
        False
    )
    lora_rank: LoraRank = None
    lora_alpha: LoraAlpha = None

    def check(self) -> None:
        check_lora(self.lora_rank, self.embeddings_constraint, "embeddings_constraint")

    @property
    def creates_mask(self) -> bool:
        return self.mask_zero

    def cast(self, x: Tensor) -> Tensor:
        return x  # indices are never cast

    def output(self, x: Tensor) -> Tensor:
        return Tensor((*x.shape, self.output_dim), self.compute_dtype)

    def weights(self, x: Tensor) -> list[Weight]:  # the table has the same size for any input
        lora = self.lora_rank is not None
        weights = [Weight("embeddings", (self.input_dim, self.output_dim), trainable=not lora)]
        if self.lora_rank is not None:
            weights.append(Weight("lora_embeddings_a", (self.input_dim, self.lora_rank), dtype="float32"))
            weights.append(Weight("lora_embeddings_b", (self.lora_rank, self.output_dim), dtype="float32"))
        return weights


class ReversibleEmbedding(Embedding):
    """An embedding that can also turn vectors back into scores of indices, as in language models.

    Input: (batch, ...), integers below ``input_dim``. Output: (batch, ..., output_dim).

    Example:
        {type: ReversibleEmbedding, input_dim: 10000, output_dim: 64}
    """

    tie_weights: Annotated[bool, Field(description="Whether the reverse projection uses the same table.")] = (
        True
    )
    reverse_dtype: Annotated[
        DType | None, Field(description="Dtype of the reverse projection; null: the layer's.")
    ] = None
    logit_soft_cap: Annotated[float | None, Field(description="Bound on the scores; null: none.")] = None

    def check(self) -> None:
        super().check()
        if self.lora_rank is not None and not self.tie_weights:
            message = (
                "`lora_rank` cannot be combined with `tie_weights: false`, which creates a second table."
            )
            raise ArgumentError("lora_rank", message, "Remove one of them.")

    def weights(self, x: Tensor) -> list[Weight]:
        weights = super().weights(x)
        if not self.tie_weights:
            weights.append(Weight("reverse_embeddings", (self.output_dim, self.input_dim)))
        return weights


_SIZES_TEXT = "a positive integer or a list of positive integers and null"


def _parse_output_shape(value: Any) -> Any:
    items = value if isinstance(value, (list, tuple)) else [value]
    for item in items:
        unknown = item is None and items is value
        if not unknown and (isinstance(item, bool) or not isinstance(item, int) or not 0 < item <= MAX_INT32):
            hint = "For example `output_shape: [null, 64]`."
            raise mismatch_error("wrong-type", _SIZES_TEXT, item, hint, container=value)
    return list(items) if items is value else items[0]


OutputShape = Annotated[
    int | list[PositiveInt | None],
    PlainValidator(_parse_output_shape),
    ExpectedText(_SIZES_TEXT),
]


class _EinsumEquation(NamedTuple):
    """A parsed einsum equation: the letters of input, kernel and output."""

    inputs: str
    kernel: str
    outputs: str
    has_leading_ellipsis: bool
    """Whether ``...`` precedes the letters."""


_EQUATION_PATTERNS = (
    (re.compile(r"([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]+)"), False),
    (re.compile(r"\.\.\.([a-zA-Z]+),([a-zA-Z]+)->\.\.\.([a-zA-Z]+)"), True),
    (re.compile(r"([a-zA-Z]{2,})\.\.\.,([a-zA-Z]+)->([a-zA-Z]+)\.\.\."), False),
)


def _parse_equation(text: str) -> _EinsumEquation:
    for pattern, left in _EQUATION_PATTERNS:
        if match := pattern.fullmatch(text):
            return _EinsumEquation(match[1], match[2], match[3], left)
    message = (
        f"`equation` must name the axes of input, kernel and output by letters, got {quote_value(text)}."
    )
    spaces = " Write it without spaces." if re.search(r"\s", text) else ""
    raise ArgumentError(
        "equation", message, f"For example `equation: abc,cd->abd` or `...x,xy->...y`.{spaces}"
    )


class _EinsumShapes(NamedTuple):
    """The shapes that an equation gives for an input."""

    kernel: tuple[int, ...]
    bias: tuple[int, ...] | None
    output: Shape
    multiply_adds: int | None


class EinsumDense(StandardLayer):
    """A dense layer whose product is spelled out, one letter for each axis.

    Input: (batch, ...). Output: (batch, *output_shape).

    Example:
        {type: EinsumDense, equation: "abc,cd->abd", output_shape: [null, 64], bias_axes: d}
    """

    family: ClassVar[str] = "core"
    input_description: ClassVar[str] = "tensors with the axes that `equation` names"

    equation: Annotated[
        str, Field(max_length=200, description="Axes of input, kernel and output.", examples=["abc,cd->abd"])
    ]
    output_shape: Annotated[
        OutputShape,
        Field(
            description="Sizes of the output without the batch and `...`; null: unknown.",
            examples=[[None, 64]],
        ),
    ]
    activation: ActivationArgument = None
    bias_axes: Annotated[str | None, Field(description="Axes with a bias, by letter; null: no bias.")] = None
    kernel_initializer: KernelInitializer = "glorot_uniform"
    bias_initializer: BiasInitializer = "zeros"
    kernel_regularizer: KernelRegularizer = None
    bias_regularizer: BiasRegularizer = None
    kernel_constraint: KernelConstraint = None
    bias_constraint: BiasConstraint = None
    lora_rank: LoraRank = None
    lora_alpha: LoraAlpha = None

    def check(self) -> None:
        spec = _parse_equation(self.equation)
        check_lora(self.lora_rank, self.kernel_constraint, "kernel_constraint")
        for letter in spec.outputs:
            if letter not in spec.inputs and letter not in spec.kernel:
                message = f"`equation` has an output axis `{letter}` that is missing in input and kernel."
                raise ArgumentError("equation", message)
        for letter in spec.kernel:
            if letter not in spec.inputs and letter not in spec.outputs:
                message = f"`equation` has a kernel axis `{letter}` that is missing in input and output."
                raise ArgumentError("equation", message)
        for letters, place in ((spec.inputs, "input"), (spec.outputs, "output")):
            repeated = next((letter for letter in letters if letters.count(letter) > 1), None)
            if repeated is not None:
                message = f"`equation` must not repeat an axis of its {place}, got `{repeated}` twice."
                raise ArgumentError("equation", message, "Use a different letter for each axis.")
        if self.bias_axes is not None:
            unknown = [letter for letter in self.bias_axes if letter not in spec.outputs]
            if unknown or not self.bias_axes:
                message = f"`bias_axes` must be axes of the output, `{spec.outputs}`, got {quote_value(self.bias_axes)}."
                raise ArgumentError("bias_axes", message, f"For example `bias_axes: {spec.outputs[-1]}`.")

    def output(self, x: Tensor) -> Tensor:
        return Tensor(self._analyze(x).output, self.compute_dtype)

    def weights(self, x: Tensor) -> list[Weight]:
        kernel, bias, _, _ = self._analyze(x)
        weights = [Weight("kernel", kernel, trainable=self.lora_rank is None)]
        if bias is not None:
            weights.append(Weight("bias", bias))
        if self.lora_rank is not None:
            weights.append(Weight("lora_kernel_a", (*kernel[:-1], self.lora_rank), dtype="float32"))
            weights.append(Weight("lora_kernel_b", (self.lora_rank, kernel[-1]), dtype="float32"))
        return weights

    def multiply_adds(self, x: Tensor) -> int | None:
        return self._analyze(x).multiply_adds

    def _analyze(self, x: Tensor) -> _EinsumShapes:
        """Return the shapes that Keras's ``_analyze_split_string`` computes."""
        spec = _parse_equation(self.equation)
        elided = x.rank - len(spec.inputs)
        if elided < 0:
            message = f"`equation` {self.equation} expects an input with {len(spec.inputs)} axes, got {format_shape(x.shape)}."
            raise ShapeError(message, argument="equation")
        has_ellipsis = "..." in self.equation
        if elided > 0 and not has_ellipsis:
            shape = format_shape(x.shape)
            message = f"`equation` {self.equation} names {len(spec.inputs)} axes, but the input {shape} has {x.rank}."
            hint = "Name every axis by a letter, or write `...` for the axes before the others."
            raise ShapeError(message, hint=hint, argument="equation")
        kept = x.shape[1:elided]
        if spec.has_leading_ellipsis and kept != kept[::-1]:
            raise ShapeError(  # Keras declares these axes in reverse order
                f"`...` in `equation` can replace axes of the same size only, got {format_shape(x.shape)}.",
                hint="Name every axis by a letter.",
                argument="equation",
            )
        declared_sizes = [self.output_shape] if isinstance(self.output_shape, int) else self.output_shape
        output: list[Dim] = [x.shape[0], *declared_sizes]
        if spec.has_leading_ellipsis:
            for index in range(1, elided):
                output.insert(1, x.shape[index])
        else:
            output += x.shape[x.rank - elided :]
        leading = elided if spec.has_leading_ellipsis else 0
        if not spec.has_leading_ellipsis and len(declared_sizes) != len(spec.outputs) - 1:
            raise ShapeError(
                f"`output_shape` has {len(declared_sizes)} sizes, but `{spec.outputs}` has {len(spec.outputs) - 1} "
                "axes after the batch.",
                hint="List a size or null for each axis of the output except the batch.",
                argument="output_shape",
            )
        if len(output) < leading + len(spec.outputs):
            raise ShapeError(
                f"`output_shape` has {len(declared_sizes)} sizes, but `{spec.outputs}` needs more for {format_shape(x.shape)}.",
                hint="List a size or null for each axis of the output except the batch.",
                argument="output_shape",
            )
        inputs = {letter: x.shape[leading + index] for index, letter in enumerate(spec.inputs)}
        outputs = {letter: output[leading + index] for index, letter in enumerate(spec.outputs)}
        for letter, size in inputs.items():
            if outputs.get(letter) not in (None, size):
                raise ShapeError(
                    f"Axis `{letter}` of `{self.equation}` has size {outputs[letter]} in the output, "
                    f"but {'unknown' if size is None else size} in the input {format_shape(x.shape)}.",
                    hint="Make them equal, or write null in `output_shape`.",
                    argument="output_shape",
                )
        kernel = tuple(
            self._require_axis_size(letter, outputs.get(letter, inputs.get(letter))) for letter in spec.kernel
        )
        bias = None
        if self.bias_axes is not None:
            first = min(spec.outputs.find(letter) for letter in self.bias_axes)
            bias = tuple(
                self._require_axis_size(letter, outputs[letter]) if letter in self.bias_axes else 1
                for letter in spec.outputs[first:]
            ) + (1,) * (0 if spec.has_leading_ellipsis else elided)
        sizes = outputs | {letter: size for letter, size in inputs.items() if size is not None}
        if not leading:
            del sizes[spec.inputs[0]]  # the batch
        rest = x.shape[1:elided] if spec.has_leading_ellipsis else x.shape[x.rank - elided :]
        return _EinsumShapes(kernel, bias, tuple(output), multiply_dims(*sizes.values(), *rest))

    def _require_axis_size(self, letter: str, size: Dim) -> int:
        if size is None:
            raise ShapeError(
                f"EinsumDense needs the size of axis `{letter}` of `{self.equation}` to create its weights.",
                hint="Declare it in `output_shape` or in the input.",
                argument="output_shape",
            )
        return size


class Masking(StandardLayer):
    """Marks the timesteps whose features all equal ``mask_value``, so that later layers skip them.

    Input: (batch, timesteps, features). Output: the same.

    Example:
        {type: Masking, mask_value: 0.0}
    """

    family: ClassVar[str] = "core"
    input_description: ClassVar[str] = "sequences of shape (batch, timesteps, features)"
    keeps_dtype: ClassVar[bool] = True

    mask_value: Annotated[
        float, Field(ge=-MAX_FLOAT32, le=MAX_FLOAT32, description="The value that marks a timestep to skip.")
    ] = 0.0

    @property
    def creates_mask(self) -> bool:
        return True

    def output(self, x: Tensor) -> Tensor:
        return Tensor(x.shape, self.compute_dtype)


class Identity(StandardLayer):
    """Returns its input unchanged.

    Example:
        {type: Identity}
    """

    family: ClassVar[str] = "core"
    input_description: ClassVar[str] = "any tensor"
    accepted_dtypes: ClassVar[frozenset[str]] = ANY_DTYPE
    keeps_dtype: ClassVar[bool] = True
    passes_mask: ClassVar[bool] = True

    def check(self) -> None:
        refuse_activity_regularizer(self)
