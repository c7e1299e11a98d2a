"""Keras's reshaping layers: they rearrange, repeat, pad or crop values."""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, TypeVar

from pydantic import Field, PlainSerializer, PlainValidator

from layercli.layers.arguments import DataFormat
from layercli.layers.base import StandardLayer
from layercli.layers.bases.spatial import IMAGE_INPUT, SEQUENCE_INPUT, VOLUME_INPUT, SpatialLayer
from layercli.layers.dtypes import ANY_DTYPE, FLOATS, SMALL_INTEGERS
from layercli.layers.shapes import Dim, RankError, Shape, ShapeError, Tensor, format_shape, product_of
from layercli.schema.field_types import (
    MAX_INT32,
    CaseInsensitive,
    PositiveInt,
    Sides1D,
    Sides2D,
    Sides3D,
    Size2D,
    Size3D,
)
from layercli.schema.strict_model import ArgumentError, ExpectedText, mismatch_error

T = TypeVar("T")
ZeroPaddingArgument: TypeAlias = Annotated[
    T, Field(description="Zeros to add before and after each axis: one number, or [before, after].")
]
CroppingArgument: TypeAlias = Annotated[
    T, Field(description="Positions to remove before and after each axis: one number, or [before, after].")
]
UpSamplingFactors: TypeAlias = Annotated[
    T, Field(description="Number of repetitions of each position, along each axis.")
]


def _make_list_parser(
    is_valid: Callable[[Any], bool], expected: str, example: str
) -> Callable[[Any], tuple[Any, ...]]:
    def parse(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise mismatch_error("wrong-type", expected, value, f"For example {example}.")
        for item in value:
            if not is_valid(item):
                raise mismatch_error("wrong-type", expected, item, f"For example {example}.", container=value)
        return tuple(value)

    return parse


def _is_axis(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -1 <= value <= MAX_INT32


_SHAPE_TEXT = "a list of integers of at least 0, one of which may be -1"
_ORDER_TEXT = "a list of axes, counted from 1"
TargetShape: TypeAlias = Annotated[
    tuple[Dim, ...],
    PlainValidator(
        _make_list_parser(lambda item: item is None or _is_axis(item), _SHAPE_TEXT, "[28, 28, 1]")
    ),
    PlainSerializer(list),
    ExpectedText(_SHAPE_TEXT),
]
AxisOrder: TypeAlias = Annotated[
    tuple[int, ...],
    PlainValidator(_make_list_parser(_is_axis, _ORDER_TEXT, "[2, 1]")),
    PlainSerializer(list),
    ExpectedText(_ORDER_TEXT),
]


class Flatten(StandardLayer):
    """Flattens all values of an example into one axis.

    Input: (batch, ...). Output: (batch, values).

    Example:
        {type: Flatten}
    """

    family: ClassVar[str] = "reshaping"
    input_description: ClassVar[str] = "any tensor"
    accepted_dtypes: ClassVar[frozenset[str]] = ANY_DTYPE
    keeps_dtype: ClassVar[bool] = True

    data_format: DataFormat = None

    def output(self, x: Tensor) -> Tensor:
        return Tensor((x.shape[0], product_of(x.shape[1:])), x.dtype)


class Reshape(StandardLayer):
    """Arranges the values of an example in a different shape.

    Input: (batch, ...). Output: (batch, *target_shape).

    Example:
        {type: Reshape, target_shape: [28, 28, 1]}
    """

    family: ClassVar[str] = "reshaping"
    input_description: ClassVar[str] = "any tensor"
    accepted_dtypes: ClassVar[frozenset[str]] = ANY_DTYPE
    keeps_dtype: ClassVar[bool] = True

    target_shape: Annotated[
        TargetShape,
        Field(
            description="Shape of one example, without the batch axis; -1: computed from the rest.",
            examples=[[28, 28, 1]],
        ),
    ]

    def check(self) -> None:
        if self.target_shape.count(-1) > 1:
            message = f"`target_shape` {format_shape(self.target_shape)} has -1 for {self.target_shape.count(-1)} axes."
            raise ArgumentError(
                "target_shape", message, "Write -1 for at most one axis; it is computed from the others."
            )

    def output(self, x: Tensor) -> Tensor:
        return Tensor((x.shape[0], *self._resolve_target(x)), x.dtype)

    def _resolve_target(self, x: Tensor) -> Shape:
        target, size = self.target_shape, product_of(x.shape[1:])
        if size is None or None in target:
            return tuple(None if dim == -1 else dim for dim in target)
        rest = math.prod(dim for dim in target if dim is not None and dim != -1)
        if -1 in target and rest and size % rest == 0:
            return tuple(size // rest if dim == -1 else dim for dim in target)
        if -1 not in target and rest == size:
            return target
        reason = f"{format_shape(target)} holds {rest:,}"
        if -1 in target:
            reason = f"{size:,} is not divisible by {rest:,}" if rest else "no axis may be 0"
        message = (
            f"Reshape cannot arrange {size:,} values in {format_shape(target)}: {reason}, and its input is"
        )
        raise ShapeError(
            f"{message} {format_shape(x.shape)}.",
            hint=_suggest_target_shape(target, size),
            argument="target_shape",
        )


def _suggest_target_shape(target: Shape, size: int) -> str:
    """Return a hint: the target shape with one axis changed so that it holds ``size`` values."""
    for axis in reversed(range(len(target))):
        others = math.prod(dim or 0 for index, dim in enumerate(target) if index != axis)
        if others > 0 and size % others == 0:
            return (
                f"Write `target_shape: {[*target[:axis], size // others, *target[axis + 1 :]]}`, for example."
            )
    return f"The axes of `target_shape` must multiply to {size:,}; the batch axis does not count."


class Permute(StandardLayer):
    """Puts the axes of an example in a different order.

    Input: (batch, ...). Output: (batch, ...), the axes as ``dims`` lists them.

    Example:
        {type: Permute, dims: [2, 1]}
    """

    family: ClassVar[str] = "reshaping"
    input_description: ClassVar[str] = "tensors with as many axes after the batch as dims lists"
    accepted_dtypes: ClassVar[frozenset[str]] = ANY_DTYPE
    keeps_dtype: ClassVar[bool] = True

    dims: Annotated[
        AxisOrder,
        Field(
            description="The input's axes in their new order; 1 is the first after the batch.",
            examples=[[2, 1]],
        ),
    ]

    def check(self) -> None:
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            every = ", ".join(str(axis) for axis in range(1, len(self.dims) + 1))
            message = f"`dims` must contain each of {every} once, in any order, got {list(self.dims)}."
            hint = "Count axes from 1; axis 0, the batch, stays first and is not listed."
            raise ArgumentError("dims", message, hint)

    def output(self, x: Tensor) -> Tensor:
        count = len(self.dims)
        if x.rank != count + 1:
            axes = "1 axis" if count == 1 else f"{count} axes"
            takes = f"Permute with `dims` {list(self.dims)} expects inputs of {axes} after the batch"
            hint = f"List {x.rank - 1} in `dims`, such as {[*range(x.rank - 1, 0, -1)]}."
            raise RankError(f"{takes}, got {format_shape(x.shape)}.", hint=hint, argument="dims")
        return Tensor((x.shape[0], *(x.shape[axis] for axis in self.dims)), x.dtype)


class RepeatVector(StandardLayer):
    """Makes a sequence of one vector, repeated.

    Input: (batch, features). Output: (batch, n, features).

    Example:
        {type: RepeatVector, n: 3}
    """

    family: ClassVar[str] = "reshaping"
    input_description: ClassVar[str] = "vectors of shape (batch, features), rank 2"
    rank_range: ClassVar[tuple[int, int | None]] = (2, 2)
    accepted_dtypes: ClassVar[frozenset[str]] = ANY_DTYPE
    keeps_dtype: ClassVar[bool] = True

    n: Annotated[PositiveInt, Field(description="Length of the sequence.", examples=[3])]

    def output(self, x: Tensor) -> Tensor:
        return Tensor((x.shape[0], self.n, x.shape[1]), self.compute_dtype)


class _ZeroPadding(SpatialLayer):
    family: ClassVar[str] = "reshaping"
    accepted_dtypes: ClassVar[frozenset[str]] = ANY_DTYPE
    keeps_dtype: ClassVar[bool] = True

    padding: tuple[Any, ...]
    data_format: DataFormat = None

    def output(self, x: Tensor) -> Tensor:
        lengths = [
            None if length is None else length + before + after
            for length, (before, after) in zip(
                self.spatial_lengths(x), _to_side_pairs(self.padding), strict=True
            )
        ]
        return self.build_output(x, lengths, self.channels(x))


def _to_side_pairs(sides: Sequence[Any]) -> Sequence[tuple[int, int]]:
    return [(sides[0], sides[1])] if isinstance(sides[0], int) else sides


class ZeroPadding1D(_ZeroPadding):
    """Adds zeros before and after sequences.

    Input: (batch, steps, channels). Output: (batch, more steps, channels).

    Example:
        {type: ZeroPadding1D, padding: 1}
    """

    input_description: ClassVar[str] = SEQUENCE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (3, 3)

    padding: ZeroPaddingArgument[Sides1D] = (1, 1)


class ZeroPadding2D(_ZeroPadding):
    """Adds a border of zeros to images.

    Input: (batch, height, width, channels). Output: (batch, larger height, larger width, channels).

    Example:
        {type: ZeroPadding2D, padding: 1}
    """

    input_description: ClassVar[str] = IMAGE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (4, 4)

    padding: ZeroPaddingArgument[Sides2D] = ((1, 1), (1, 1))


class ZeroPadding3D(_ZeroPadding):
    """Adds a border of zeros to volumes.

    Input: (batch, depth, height, width, channels). Output: the same axes, each longer but the channels.

    Example:
        {type: ZeroPadding3D, padding: 1}
    """

    input_description: ClassVar[str] = VOLUME_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (5, 5)

    padding: ZeroPaddingArgument[Sides3D] = ((1, 1), (1, 1), (1, 1))


class _Cropping(SpatialLayer):
    family: ClassVar[str] = "reshaping"
    accepted_dtypes: ClassVar[frozenset[str]] = ANY_DTYPE
    keeps_dtype: ClassVar[bool] = True

    cropping: tuple[Any, ...]

    def output(self, x: Tensor) -> Tensor:
        lengths: list[Dim] = []
        for length, (before, after) in zip(
            self.spatial_lengths(x), _to_side_pairs(self.cropping), strict=True
        ):
            if length is not None and length <= before + after:
                message = (
                    f"{self.title()} removes {before} + {after} positions of an axis of {length}, "
                    f"which leaves nothing: its input is {format_shape(x.shape)}."
                )
                raise ShapeError(message, hint="Crop fewer positions than the axis has.", argument="cropping")
            lengths.append(None if length is None else length - before - after)
        return self.build_output(x, lengths, self.channels(x))


class Cropping1D(_Cropping):
    """Removes steps at the start and the end of sequences.

    Input: (batch, steps, channels). Output: (batch, fewer steps, channels).

    Example:
        {type: Cropping1D, cropping: [1, 1]}
    """

    input_description: ClassVar[str] = SEQUENCE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (3, 3)

    cropping: CroppingArgument[Sides1D] = (1, 1)


class Cropping2D(_Cropping):
    """Removes the border of images.

    Input: (batch, height, width, channels). Output: (batch, smaller height, smaller width, channels).

    Example:
        {type: Cropping2D, cropping: [[2, 2], [4, 4]]}
    """

    input_description: ClassVar[str] = IMAGE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (4, 4)

    cropping: CroppingArgument[Sides2D] = ((0, 0), (0, 0))
    data_format: DataFormat = None


class Cropping3D(_Cropping):
    """Removes the border of volumes.

    Input: (batch, depth, height, width, channels). Output: the same axes, each shorter but the channels.

    Example:
        {type: Cropping3D, cropping: 1}
    """

    input_description: ClassVar[str] = VOLUME_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (5, 5)

    cropping: CroppingArgument[Sides3D] = ((1, 1), (1, 1), (1, 1))
    data_format: DataFormat = None


class _UpSampling(SpatialLayer):
    family: ClassVar[str] = "reshaping"
    accepted_dtypes: ClassVar[frozenset[str]] = ANY_DTYPE
    keeps_dtype: ClassVar[bool] = True

    size: int | tuple[int, ...] = 2

    def output(self, x: Tensor) -> Tensor:
        factors = (self.size,) if isinstance(self.size, int) else self.size
        axes = zip(self.spatial_lengths(x), factors, strict=True)
        lengths = [None if length is None else length * factor for length, factor in axes]
        return self.build_output(x, lengths, self.channels(x))


class UpSampling1D(_UpSampling):
    """Repeats each step.

    Input: (batch, steps, channels). Output: (batch, steps * size, channels).

    Example:
        {type: UpSampling1D, size: 2}
    """

    input_description: ClassVar[str] = SEQUENCE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (3, 3)

    size: Annotated[PositiveInt, Field(description="Number of repetitions of each step.")] = 2


class UpSampling2D(_UpSampling):
    """Makes images larger.

    Input: (batch, height, width, channels). Output: (batch, height * size, width * size, channels).

    Example:
        {type: UpSampling2D, size: 2, interpolation: bilinear}
    """

    input_description: ClassVar[str] = IMAGE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (4, 4)

    size: UpSamplingFactors[Size2D] = (2, 2)
    data_format: DataFormat = None
    interpolation: Annotated[
        Literal["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area"],
        CaseInsensitive,
        Field(description="Computation of new pixels; nearest: repetition."),
    ] = "nearest"

    def find_accepted_dtypes(self) -> frozenset[str]:
        return ANY_DTYPE if self.interpolation == "nearest" else FLOATS | SMALL_INTEGERS


class UpSampling3D(_UpSampling):
    """Repeats each point of a volume.

    Input: (batch, depth, height, width, channels). Output: the same axes, times size but the channels.

    Example:
        {type: UpSampling3D, size: 2}
    """

    input_description: ClassVar[str] = VOLUME_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (5, 5)

    size: UpSamplingFactors[Size3D] = (2, 2, 2)
    data_format: DataFormat = None
