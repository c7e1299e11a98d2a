"""Keras's layers that prepare numbers, categories and images."""

import math
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, PlainValidator

from layercli.layers.arguments import DataFormat
from layercli.layers.base import InferredLayer, Layer, StandardLayer, Weight
from layercli.layers.dtypes import ANY_DTYPE, BOOL, FLOATS, INTEGERS, NUMBERS, SMALL_INTEGERS, TEXT
from layercli.layers.shapes import Dim, Shape, ShapeError, Tensor, format_shape, resolve_axis
from layercli.schema.field_types import Axes, NestedNumbers, PositiveInt, measure_shape
from layercli.schema.strict_model import ArgumentError, ExpectedText, mismatch_error

_SALT_TEXT = "an integer or a list of 2 integers"


def _parse_salt(value: Any) -> int | list[int]:
    items = list(value) if isinstance(value, (list, tuple)) else [value, value]
    if len(items) != 2 or any(isinstance(item, bool) or not isinstance(item, int) for item in items):
        raise mismatch_error("wrong-type", _SALT_TEXT, value, "For example `salt: [133, 137]`.")
    return items if isinstance(value, (list, tuple)) else items[0]


OutputDType: TypeAlias = Annotated[
    Literal[
        "float16",
        "bfloat16",
        "float32",
        "float64",
        "mixed_float16",
        "mixed_bfloat16",
        "bool",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "int16",
        "int32",
        "int64",
        "string",
    ]
    | None,
    Field(description="Dtype of the output; null: Keras's default."),
]
SparseOutput = Annotated[bool, Field(description="Whether the output is a sparse tensor.")]


_CATEGORY_TEXT = "an integer or a string"


def _parse_category(value: Any) -> int | str:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise mismatch_error("wrong-type", _CATEGORY_TEXT, value)
    return value


Category: TypeAlias = Annotated[int | str, PlainValidator(_parse_category), ExpectedText(_CATEGORY_TEXT)]
Salt: TypeAlias = Annotated[
    Annotated[int | list[int], PlainValidator(_parse_salt), ExpectedText(_SALT_TEXT)] | None,
    Field(description="Key of the hash: an integer or 2 integers; null: a hash without a key."),
]
OutputHeight = Annotated[PositiveInt, Field(description="Height of the output.", examples=[224])]
OutputWidth = Annotated[PositiveInt, Field(description="Width of the output.", examples=[224])]


class PreprocessingLayer(Layer):
    """A layer whose output can have any dtype."""

    family: ClassVar[str] = "preprocessing"

    dtype: OutputDType = None  # type: ignore[assignment]  # admits more than floating point


def one_hot_shape(shape: Shape, depth: Dim) -> Shape:
    """Return the shape after one-hot encoding; a last axis of size 1 is removed first."""
    return (*(shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape), depth)


def require_one_list(layer: Layer, shape: Shape) -> None:
    """Check that each example is one list of categories, which becomes one vector.

    Raises:
        ShapeError: there are more axes. Keras then merges the first of them, but declares that it merges the last one.
    """
    if any(a is not None and b is not None and a != b for a, b in pairwise(shape[1:])):
        raise ShapeError(
            f"{layer.title()} turns one list of categories into a vector, got {format_shape(shape)}.",
            hint=f"Put Flatten before {layer.title()}, or write `output_mode: one_hot`.",
            argument="output_mode",
        )


def check_sparse(sparse: bool, output_mode: str) -> None:
    """Check that a sparse output does not contain indices.

    Raises:
        ArgumentError: ``sparse`` is set for an output of indices.
    """
    if sparse and output_mode == "int":
        message = "`sparse` needs an output of vectors, but `output_mode: int` returns indices."
        raise ArgumentError("sparse", message, "Write `output_mode: multi_hot`, or remove `sparse`.")


class Rescaling(StandardLayer):
    """Multiplies by a scale and adds an offset: ``x * scale + offset``.

    Input: (batch, ...). Output: the same.

    Example:
        {type: Rescaling, scale: 0.00392156862745098}
    """

    family: ClassVar[str] = "preprocessing"
    input_description: ClassVar[str] = "any tensor"

    passes_mask: ClassVar[bool] = True

    scale: Annotated[
        NestedNumbers, Field(description="Factor; a list: one for each channel.", examples=[0.003921569])
    ]
    offset: Annotated[NestedNumbers, Field(description="Number to add after scaling.")] = 0.0

    def output(self, x: Tensor) -> Tensor:
        for argument in ("scale", "offset"):
            shape = measure_shape(getattr(self, argument))
            sizes = zip(reversed(shape), reversed(x.shape), strict=False)
            if len(shape) > x.rank or any(size != 1 and dim not in (None, size) for size, dim in sizes):
                raise ShapeError(
                    f"`{argument}` has the shape {format_shape(shape)}, which does not fit the input {format_shape(x.shape)}.",
                    hint=f"Write one number, or a list with one number for each of the {x.shape[-1]} values of the last axis."
                    if isinstance(x.shape[-1], int)
                    else "Write one number.",
                    argument=argument,
                )
        return Tensor(x.shape, self.compute_dtype)


class Normalization(StandardLayer):
    """Subtracts the mean and divides by the standard deviation; both are arguments, or computed from data before training.

    Input: (batch, ...). Output: the same. As the last layer, ``invert: true`` turns predictions into the target's units.

    Example:
        {type: Normalization, axis: -1}
    """

    family: ClassVar[str] = "preprocessing"
    input_description: ClassVar[str] = "any tensor"

    passes_mask: ClassVar[bool] = True

    axis: Annotated[
        Axes | None,
        Field(description="Axes with a separate mean for each index; null: one mean for all numbers."),
    ] = -1
    mean: Annotated[NestedNumbers | None, Field(description="The mean; null: computed from data.")] = None
    variance: Annotated[
        NestedNumbers | None, Field(description="The variance; null: computed from data.")
    ] = None
    invert: Annotated[
        bool,
        Field(
            description="Whether to undo a normalization instead; mean and variance are computed from the targets of the "
            "output that this layer feeds."
        ),
    ] = False

    def check(self) -> None:
        if (self.mean is None) != (self.variance is None):
            given_argument, missing_argument = (
                ("mean", "variance") if self.variance is None else ("variance", "mean")
            )
            message = f"`{missing_argument}` is required if `{given_argument}` is set."
            raise ArgumentError(
                given_argument,
                message,
                f"Add `{missing_argument}`, or remove `{given_argument}` to compute both from data.",
            )
        if self.mean is None:
            return
        mean_shape, variance_shape = measure_shape(self.mean), measure_shape(self.variance)
        if mean_shape != variance_shape:
            message = (
                f"`variance` must have the shape of `mean`, {format_shape(mean_shape)}, "
                f"got {format_shape(variance_shape)}."
            )
            raise ArgumentError("variance", message)
        if len(mean_shape) > len(self._axis_list()):
            message = (
                f"`mean` must have at most {len(self._axis_list())} axes, as many as `axis`, "
                f"got shape {format_shape(mean_shape)}."
            )
            raise ArgumentError(
                "mean", message, "Use a number for all channels, or a list with one number for each channel."
            )

    def output(self, x: Tensor) -> Tensor:
        self.weights(x)
        return Tensor(x.shape, self.compute_dtype)

    def weights(self, x: Tensor) -> list[Weight]:
        axes = self._resolve_axes(x)
        shape = tuple(self.require_size(x, index) for index in axes)
        if self.mean is None:
            if math.prod(shape) != math.prod(self.require_size(x, index) for index in set(axes)):
                raise ShapeError("`axis` contains an axis twice.", argument="axis")
            return [
                Weight("mean", shape, trainable=False),
                Weight("variance", shape, trainable=False),
                Weight("count", (), trainable=False, dtype="int32"),
            ]
        mean_shape = measure_shape(self.mean)
        sizes: dict[int, int] = {}
        for size, index in zip(reversed(mean_shape), reversed(axes), strict=False):
            sizes[index] = size
        shape_text = format_shape(shape)
        fits = all(size in (1, x.shape[index]) for index, size in sizes.items())
        if not fits or math.prod(mean_shape) != math.prod(sizes.values()):
            raise ShapeError(
                f"`mean` must fit the normalized axes {shape_text} of {format_shape(x.shape)}, "
                f"got shape {format_shape(mean_shape)}.",
                hint="Use one mean, or one for each index along the axis.",
                argument="mean",
            )
        return []

    def _axis_list(self) -> list[int]:
        return [] if self.axis is None else [self.axis] if isinstance(self.axis, int) else self.axis

    def _resolve_axes(self, x: Tensor) -> list[int]:
        axes = []
        for axis in self._axis_list():
            index = resolve_axis(axis, x.rank)
            if index is None:
                raise ShapeError(
                    f"`axis` must be an axis of {format_shape(x.shape)}, got {axis}.",
                    hint=f"Valid axes are 0 (the batch) to {x.rank - 1}; -1 is the last one.",
                    argument="axis",
                )
            if x.shape[index] is None:
                raise ShapeError(
                    f"Normalization needs the size of axis {axis}, which is unknown in {format_shape(x.shape)}.",
                    hint="Declare the size of that axis in `model.input`, or write `axis: null` for one mean.",
                    argument="axis",
                )
            axes.append(index)
        return sorted(axes)


class ImageLayer(PreprocessingLayer, StandardLayer):
    """A layer that takes a batch of images."""

    input_description: ClassVar[str] = "images of shape (batch, height, width, channels), rank 4"
    rank_range: ClassVar[tuple[int, int | None]] = (4, 4)
    compute_dtypes: ClassVar[frozenset[str]] = NUMBERS

    @property
    def is_channels_first(self) -> bool:
        """Return whether the channel axis precedes height and width."""
        return getattr(self, "data_format", None) == "channels_first"

    def infer_resized_output(self, x: Tensor, height: int, width: int) -> Tensor:
        """Return the input with the given height and width."""
        batch, *sizes = x.shape
        shape = (
            (batch, sizes[0], height, width) if self.is_channels_first else (batch, height, width, sizes[2])
        )
        return Tensor(shape, self.compute_dtype)


class Resizing(ImageLayer):
    """Resizes images.

    Input: (batch, height, width, channels). Output: (batch, new height, new width, channels).

    Example:
        {type: Resizing, height: 224, width: 224}
    """

    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS | SMALL_INTEGERS
    compute_dtypes: ClassVar[frozenset[str]] = FLOATS | SMALL_INTEGERS
    keeps_dtype: ClassVar[bool] = True

    height: OutputHeight
    width: OutputWidth
    interpolation: Annotated[
        Literal["bilinear", "nearest", "bicubic", "lanczos3", "lanczos5", "area"],
        Field(description="Interpolation between pixels."),
    ] = "bilinear"
    crop_to_aspect_ratio: Annotated[bool, Field(description="Whether to crop rather than to distort.")] = (
        False
    )
    pad_to_aspect_ratio: Annotated[bool, Field(description="Whether to pad rather than to distort.")] = False
    fill_mode: Annotated[Literal["constant"], Field(description="Filling of the padding.")] = "constant"
    fill_value: Annotated[float, Field(description="The padding's value.")] = 0.0
    antialias: Annotated[bool, Field(description="Whether to smooth before making smaller.")] = False
    data_format: DataFormat = None

    def check(self) -> None:
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            message = "Resizing cannot both crop and pad to keep the aspect ratio."
            raise ArgumentError("pad_to_aspect_ratio", message, "Set one of them to false.")

    def output(self, x: Tensor) -> Tensor:
        return self.infer_resized_output(x, self.height, self.width)


class CenterCrop(ImageLayer):
    """Cuts out the middle of images; resizes those that are too small.

    Input: (batch, height, width, channels). Output: (batch, new height, new width, channels).

    Example:
        {type: CenterCrop, height: 224, width: 224}
    """

    height: OutputHeight
    width: OutputWidth
    data_format: DataFormat = None

    def output(self, x: Tensor) -> Tensor:
        return self.infer_resized_output(x, self.height, self.width)


class Discretization(PreprocessingLayer):
    """Turns numbers into the index of the bin that they fall in.

    Input: (batch, ...). Output: the same, or with ``output_mode`` vectors.

    Example:
        {type: Discretization, bin_boundaries: [0.0, 1.0, 2.0]}
    """

    input_description: ClassVar[str] = "any tensor of numbers"

    bin_boundaries: Annotated[
        list[float] | None, Field(description="Boundaries between bins; null: learned from data.")
    ] = None
    num_bins: Annotated[PositiveInt | None, Field(description="Number of bins to learn from data.")] = None
    epsilon: Annotated[float, Field(gt=0, lt=1, description="Error allowed in finding bins.")] = 0.01
    output_mode: Annotated[
        Literal["int", "one_hot", "multi_hot", "count"], Field(description="int: indices; else vectors.")
    ] = "int"
    sparse: SparseOutput = False

    def check(self) -> None:
        check_sparse(self.sparse, self.output_mode)
        if self.bin_boundaries is None and self.num_bins is None:
            message = "Discretization needs `bin_boundaries`, or `num_bins` to learn them from data."
            raise ArgumentError("num_bins", message, "For example `bin_boundaries: [0.0, 1.0, 2.0]`.")
        if self.bin_boundaries is None:
            return
        if self.num_bins is not None:
            message = "`num_bins` cannot be combined with `bin_boundaries`, which set the number of bins."
            raise ArgumentError("num_bins", message, "Remove one of them.")
        if any(low > high for low, high in pairwise(self.bin_boundaries)):
            raise ArgumentError(
                "bin_boundaries", "`bin_boundaries` must be in ascending order.", "Sort them."
            )

    def count_ids(self) -> int | None:
        """Return the number of bins."""
        return self.num_bins if self.bin_boundaries is None else len(self.bin_boundaries) + 1

    def output(self, x: Tensor) -> Tensor:
        if self.output_mode == "int":
            return Tensor(x.shape, "int32")
        depth = self.num_bins if self.bin_boundaries is None else len(self.bin_boundaries) + 1
        if self.output_mode == "one_hot":
            return Tensor(one_hot_shape(x.shape, depth), self.compute_dtype)
        shape = (x.shape[0], *x.shape[2:], depth) if x.rank >= 2 else (depth,)
        return Tensor(shape, self.compute_dtype)


class CategoryEncoding(PreprocessingLayer, StandardLayer):
    """Turns indices of categories into vectors.

    Input: (batch, indices). Output: (batch, num_tokens); ``one_hot``: a vector for each index.

    Example:
        {type: CategoryEncoding, num_tokens: 10, output_mode: one_hot}
    """

    input_description: ClassVar[str] = "indices of shape (batch, ...)"

    num_tokens: Annotated[PositiveInt, Field(description="Number of categories.", examples=[10])]
    output_mode: Annotated[
        Literal["multi_hot", "one_hot", "count"],
        Field(description="multi_hot: 1 for each category present; one_hot: by index; count: how often."),
    ] = "multi_hot"
    sparse: SparseOutput = False

    def find_accepted_dtypes(self) -> frozenset[str]:
        return NUMBERS if self.output_mode == "one_hot" else FLOATS | {"int32", "int64", "bool"}

    def find_compute_dtypes(self) -> frozenset[str]:
        return NUMBERS if self.output_mode == "one_hot" else NUMBERS - BOOL

    def output(self, x: Tensor) -> Tensor:
        if self.output_mode == "one_hot":
            return Tensor(one_hot_shape(x.shape, self.num_tokens), self.compute_dtype)
        require_one_list(self, x.shape)
        return Tensor((*x.shape[:-1], self.num_tokens), self.compute_dtype)


class Hashing(PreprocessingLayer, StandardLayer):
    """Turns categories, words or numbers, into an index by a hash.

    Input: (batch, ...). Output: the same, or with ``output_mode`` (batch, ..., num_bins).

    Example:
        {type: Hashing, num_bins: 100}
    """

    input_description: ClassVar[str] = "categories of shape (batch, ...)"
    accepted_dtypes: ClassVar[frozenset[str]] = ANY_DTYPE

    num_bins: Annotated[PositiveInt, Field(description="Number of indices.", examples=[100])]
    mask_value: Annotated[Category | None, Field(description="The category that becomes 0; null: none.")] = (
        None
    )
    salt: Salt = None
    output_mode: Annotated[
        Literal["int", "one_hot", "multi_hot", "count"], Field(description="int: indices; else vectors.")
    ] = "int"
    sparse: SparseOutput = False

    def check(self) -> None:
        check_sparse(self.sparse, self.output_mode)
        if self.output_mode == "int" and self.dtype not in (None, "int32", "int64"):
            message = f"`dtype` must be int32 or int64, since Hashing returns indices, got {self.dtype}."
            raise ArgumentError("dtype", message, "Write `dtype: int64`, or remove `dtype`.")

    def count_ids(self) -> int:
        """Return the number of bins."""
        return self.num_bins

    def output(self, x: Tensor) -> Tensor:
        if self.output_mode == "int":
            return Tensor(x.shape, self.dtype or "int64")
        if self.output_mode != "one_hot":
            require_one_list(self, x.shape)
        elif x.rank > 1 and x.shape[-1] not in (1, None):
            raise ShapeError(
                f"Hashing with `output_mode: one_hot` expects one category for each example, got {format_shape(x.shape)}.",
                hint="Write `output_mode: multi_hot` for a list of categories.",
                argument="output_mode",
            )
        return Tensor((*x.shape[:-1], self.num_bins), self.variable_dtype)


class HashedCrossing(PreprocessingLayer):
    """Turns pairs of categories into an index by a hash.

    Input: two of (batch, 1). Output: the same, or with ``output_mode: one_hot`` (batch, num_bins).

    Example:
        {type: HashedCrossing, num_bins: 100}
    """

    input_description: ClassVar[str] = "two tensors of categories, each of shape (batch, 1)"
    rank_range: ClassVar[tuple[int, int | None]] = (1, 2)
    accepted_dtypes: ClassVar[frozenset[str]] = INTEGERS | TEXT

    num_bins: Annotated[PositiveInt, Field(description="Number of indices.", examples=[100])]
    output_mode: Annotated[
        Literal["int", "one_hot"], Field(description="int: indices; one_hot: vectors.")
    ] = "int"
    sparse: SparseOutput = False

    def count_ids(self) -> int:
        """Return the number of bins."""
        return self.num_bins

    def infer(self, inputs: tuple[Tensor, ...]) -> InferredLayer:
        if len(inputs) != 2:
            raise ShapeError(
                f"HashedCrossing expects two inputs, got {len(inputs)}.", hint="Name both inputs."
            )
        first, second = inputs
        self.check_rank(first.shape)
        self.check_rank(second.shape)
        for x in inputs:
            if x.rank == 2 and x.shape[-1] not in (1, None):
                message = f"HashedCrossing expects {self.input_description}, got {format_shape(x.shape)}."
                raise ShapeError(message, hint="Use one HashedCrossing for each pair of columns.")
        if first.shape[-1] != second.shape[-1]:
            message = f"HashedCrossing expects two inputs of the same shape, got {format_shape(first.shape)}"
            raise ShapeError(f"{message} and {format_shape(second.shape)}.")
        if self.output_mode == "int":
            return InferredLayer((Tensor(first.shape, self.compute_dtype if self.dtype else "int64"),))
        return InferredLayer((Tensor(one_hot_shape(first.shape, self.num_bins), self.compute_dtype),))
