"""Keras's pooling layers: they reduce many positions to one value, separately for each channel."""

from typing import Annotated, ClassVar, TypeAlias, TypeVar

from pydantic import Field

from layercli.layers.arguments import DataFormat, ExactDataFormat, ExactPadding
from layercli.layers.bases.spatial import IMAGE_INPUT, SEQUENCE_INPUT, VOLUME_INPUT, SpatialLayer
from layercli.layers.dtypes import FLOATS, SMALL_INTEGERS
from layercli.layers.shapes import Shape, ShapeError, Tensor, format_shape
from layercli.schema.field_types import Size1D, Size2D, Size3D

T = TypeVar("T")
PoolSize: TypeAlias = Annotated[T, Field(description="Size of the window.", examples=[2])]
PoolStrides: TypeAlias = Annotated[
    T | None, Field(description="Step of the window along each axis; null: pool_size, so that none overlap.")
]
OutputSize: TypeAlias = Annotated[T, Field(description="Length of each axis of the output.", examples=[4])]


class _Pooling(SpatialLayer):
    family: ClassVar[str] = "pooling"
    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS

    pool_size: tuple[int, ...]
    strides: tuple[int, ...] | None = None
    padding: ExactPadding = "valid"
    data_format: DataFormat = None

    def output(self, x: Tensor) -> Tensor:
        strides = self.strides or self.pool_size
        lengths = self.slide_window(x, self.pool_size, strides, self.padding, argument="pool_size")
        return self.build_output(x, lengths, self.channels(x))


class MaxPooling1D(_Pooling):
    """The maximum of each window of steps.

    Input: (batch, steps, channels). Output: (batch, fewer steps, channels).

    Example:
        {type: MaxPooling1D, pool_size: 2}
    """

    input_description: ClassVar[str] = SEQUENCE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (3, 3)
    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS | SMALL_INTEGERS
    keeps_dtype: ClassVar[bool] = True

    pool_size: PoolSize[Size1D] = (2,)
    strides: PoolStrides[Size1D] = None


class MaxPooling2D(_Pooling):
    """The maximum of each window of pixels.

    Input: (batch, height, width, channels). Output: (batch, smaller height, smaller width, channels).

    Example:
        {type: MaxPooling2D, pool_size: 2}
    """

    input_description: ClassVar[str] = IMAGE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (4, 4)
    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS | SMALL_INTEGERS
    keeps_dtype: ClassVar[bool] = True

    pool_size: PoolSize[Size2D] = (2, 2)
    strides: PoolStrides[Size2D] = None


class MaxPooling3D(_Pooling):
    """The maximum of each window of points.

    Input: (batch, depth, height, width, channels). Output: the same axes, each shorter but the channels.

    Example:
        {type: MaxPooling3D, pool_size: 2}
    """

    input_description: ClassVar[str] = VOLUME_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (5, 5)
    compute_dtypes: ClassVar[frozenset[str]] = FLOATS - {"float64"}
    gpu_dtypes: ClassVar[frozenset[str]] = frozenset({"float16"})

    pool_size: PoolSize[Size3D] = (2, 2, 2)
    strides: PoolStrides[Size3D] = None


class AveragePooling1D(_Pooling):
    """The mean of each window of steps.

    Input: (batch, steps, channels). Output: (batch, fewer steps, channels).

    Example:
        {type: AveragePooling1D, pool_size: 2}
    """

    input_description: ClassVar[str] = SEQUENCE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (3, 3)

    pool_size: PoolSize[Size1D]
    strides: PoolStrides[Size1D] = None


class AveragePooling2D(_Pooling):
    """The mean of each window of pixels.

    Input: (batch, height, width, channels). Output: (batch, smaller height, smaller width, channels).

    Example:
        {type: AveragePooling2D, pool_size: 2}
    """

    input_description: ClassVar[str] = IMAGE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (4, 4)

    pool_size: PoolSize[Size2D]
    strides: PoolStrides[Size2D] = None


class AveragePooling3D(_Pooling):
    """The mean of each window of points.

    Input: (batch, depth, height, width, channels). Output: the same axes, each shorter but the channels.

    Example:
        {type: AveragePooling3D, pool_size: 2}
    """

    input_description: ClassVar[str] = VOLUME_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (5, 5)
    gpu_dtypes: ClassVar[frozenset[str]] = frozenset({"float16", "float64"})

    pool_size: PoolSize[Size3D]
    strides: PoolStrides[Size3D] = None


class _GlobalPooling(SpatialLayer):
    family: ClassVar[str] = "pooling"

    data_format: DataFormat = None
    keepdims: Annotated[bool, Field(description="Whether the pooled axes stay, each of length 1.")] = False

    def output(self, x: Tensor) -> Tensor:
        lengths = (1,) * len(self.spatial_lengths(x)) if self.keepdims else ()
        return self.build_output(x, lengths, self.channels(x))


class GlobalMaxPooling1D(_GlobalPooling):
    """The maximum of all steps.

    Input: (batch, steps, channels). Output: (batch, channels).

    Example:
        {type: GlobalMaxPooling1D}
    """

    input_description: ClassVar[str] = SEQUENCE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (3, 3)
    keeps_dtype: ClassVar[bool] = True


class GlobalMaxPooling2D(_GlobalPooling):
    """The maximum of all pixels.

    Input: (batch, height, width, channels). Output: (batch, channels).

    Example:
        {type: GlobalMaxPooling2D}
    """

    input_description: ClassVar[str] = IMAGE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (4, 4)
    keeps_dtype: ClassVar[bool] = True


class GlobalMaxPooling3D(_GlobalPooling):
    """The maximum of all points.

    Input: (batch, depth, height, width, channels). Output: (batch, channels).

    Example:
        {type: GlobalMaxPooling3D}
    """

    input_description: ClassVar[str] = VOLUME_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (5, 5)
    keeps_dtype: ClassVar[bool] = True


class GlobalAveragePooling1D(_GlobalPooling):
    """The mean of all steps.

    Input: (batch, steps, channels). Output: (batch, channels).

    Example:
        {type: GlobalAveragePooling1D}
    """

    input_description: ClassVar[str] = SEQUENCE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (3, 3)
    passes_mask: ClassVar[bool] = True

    def output_masks(
        self, masks: tuple[Shape | None, ...], outputs: tuple[Tensor, ...]
    ) -> tuple[Shape | None, ...]:
        return ()


class GlobalAveragePooling2D(_GlobalPooling):
    """The mean of all pixels.

    Input: (batch, height, width, channels). Output: (batch, channels).

    Example:
        {type: GlobalAveragePooling2D}
    """

    input_description: ClassVar[str] = IMAGE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (4, 4)


class GlobalAveragePooling3D(_GlobalPooling):
    """The mean of all points.

    Input: (batch, depth, height, width, channels). Output: (batch, channels).

    Example:
        {type: GlobalAveragePooling3D}
    """

    input_description: ClassVar[str] = VOLUME_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (5, 5)


class _AdaptivePooling(SpatialLayer):
    family: ClassVar[str] = "pooling"
    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS

    output_size: tuple[int, ...]
    data_format: ExactDataFormat = None

    def output(self, x: Tensor) -> Tensor:
        self._check_windows(x)
        return self.build_output(x, self.output_size, self.channels(x))

    def _check_windows(self, x: Tensor) -> None:
        """Raise an error for windows that TensorFlow cannot run: Keras also pools with a window that is one longer."""
        lengths = self.spatial_lengths(x)
        axes = [(length, size) for length, size in zip(lengths, self.output_size, strict=True) if length]
        if all(-(-length // size) < length for length, size in axes):
            return
        output_size = ", ".join(map(str, self.output_size))
        pooling = self.type_name().replace("Adaptive", "Global")
        if 1 in self.output_size:
            hint = f"Use an `output_size` of at least 2, or `{{type: {pooling}, keepdims: true}}`."
        else:
            hint = "Use fewer shrinking layers before it: it needs at least 2 positions along each axis."
        raise ShapeError(
            f"{self.title()} with `output_size` {output_size} cannot run on its input {format_shape(x.shape)}: "
            "one of its windows is longer than the input.",
            hint=hint,
            argument="output_size",
        )


class AdaptiveAveragePooling1D(_AdaptivePooling):
    """The mean of each of ``output_size`` equal sections of steps.

    Input: (batch, steps, channels). Output: (batch, output_size, channels).

    Example:
        {type: AdaptiveAveragePooling1D, output_size: 4}
    """

    input_description: ClassVar[str] = SEQUENCE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (3, 3)

    output_size: OutputSize[Size1D]


class AdaptiveAveragePooling2D(_AdaptivePooling):
    """The mean of each of ``output_size`` equal patches of pixels.

    Input: (batch, height, width, channels). Output: (batch, *output_size, channels).

    Example:
        {type: AdaptiveAveragePooling2D, output_size: 4}
    """

    input_description: ClassVar[str] = IMAGE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (4, 4)

    output_size: OutputSize[Size2D]


class AdaptiveAveragePooling3D(_AdaptivePooling):
    """The mean of each of ``output_size`` equal blocks of points.

    Input: (batch, depth, height, width, channels). Output: (batch, *output_size, channels).

    Example:
        {type: AdaptiveAveragePooling3D, output_size: 4}
    """

    input_description: ClassVar[str] = VOLUME_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (5, 5)
    gpu_dtypes: ClassVar[frozenset[str]] = frozenset({"float16", "float64"})

    output_size: OutputSize[Size3D]


class AdaptiveMaxPooling1D(_AdaptivePooling):
    """The maximum of each of ``output_size`` equal sections of steps.

    Input: (batch, steps, channels). Output: (batch, output_size, channels).

    Example:
        {type: AdaptiveMaxPooling1D, output_size: 4}
    """

    input_description: ClassVar[str] = SEQUENCE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (3, 3)
    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS | SMALL_INTEGERS
    keeps_dtype: ClassVar[bool] = True

    output_size: OutputSize[Size1D]


class AdaptiveMaxPooling2D(_AdaptivePooling):
    """The maximum of each of ``output_size`` equal patches of pixels.

    Input: (batch, height, width, channels). Output: (batch, *output_size, channels).

    Example:
        {type: AdaptiveMaxPooling2D, output_size: 4}
    """

    input_description: ClassVar[str] = IMAGE_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (4, 4)
    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS | SMALL_INTEGERS
    keeps_dtype: ClassVar[bool] = True

    output_size: OutputSize[Size2D]


class AdaptiveMaxPooling3D(_AdaptivePooling):
    """The maximum of each of ``output_size`` equal blocks of points.

    Input: (batch, depth, height, width, channels). Output: (batch, *output_size, channels).

    Example:
        {type: AdaptiveMaxPooling3D, output_size: 4}
    """

    input_description: ClassVar[str] = VOLUME_INPUT
    rank_range: ClassVar[tuple[int, int | None]] = (5, 5)
    compute_dtypes: ClassVar[frozenset[str]] = FLOATS - {"float64"}
    gpu_dtypes: ClassVar[frozenset[str]] = frozenset({"float16"})

    output_size: OutputSize[Size3D]
