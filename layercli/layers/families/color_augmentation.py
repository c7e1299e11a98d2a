"""Keras's random image augmentation layers: colors, contrast and sharpness."""

from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from layercli.layers.arguments import DataFormat, Seed
from layercli.layers.bases.spatial import format_lengths
from layercli.layers.dtypes import FLOATS, INTEGERS
from layercli.layers.families.augmentation import (
    AugmentationLayer,
    NumberPair,
    SignedUnitFactor,
    Strength,
    StrictUnitFactor,
    UnitFactor,
    ValueRange,
    limit_pair,
)
from layercli.layers.shapes import ShapeError, Tensor, format_shape
from layercli.schema.field_types import Size2D

_MAX_BLUR: Final = 255
"""Largest height and width of a blur; there is a window for each image and channel."""


def _is_odd_pair(first: Any, second: Any) -> bool:
    return all(isinstance(size, int) and 0 < size <= _MAX_BLUR and size % 2 for size in (first, second))


def _is_bit_range(first: Any, second: Any) -> bool:
    return isinstance(first, int) and isinstance(second, int) and limit_pair(1, 8).is_valid(first, second)


class AutoContrast(AugmentationLayer):
    """Stretches the values of images over their whole range.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: AutoContrast, value_range: [0, 1]}
    """

    compute_dtypes: ClassVar[frozenset[str]] = FLOATS

    value_range: ValueRange = (0, 255)
    data_format: DataFormat = None


class ContrastLimitedAdaptiveHistogramEqualization(AugmentationLayer):
    """Evens out the contrast of images, tile by tile.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: ContrastLimitedAdaptiveHistogramEqualization, clip_limit: 4.0}
    """

    keeps_dtype: ClassVar[bool] = True

    value_range: ValueRange = (0, 255)
    clip_limit: Annotated[float, Field(description="Limit on the contrast.")] = 4.0
    tile_grid_size: Annotated[Size2D, Field(description="Number of tiles down and across.")] = (8, 8)
    data_format: DataFormat = None

    def output(self, x: Tensor) -> Tensor:
        sizes = x.shape[2:] if self.is_channels_first else x.shape[1:3]
        # Keras mirrors the image at its end, so that the tiles have equal sizes.
        axes = zip(sizes, self.tile_grid_size, strict=True)
        if any(size is not None and -(-size // tiles) * tiles > 2 * size for size, tiles in axes):
            raise ShapeError(
                f"`tile_grid_size` must be at most twice the size of the images, {format_lengths(sizes)}, "
                f"got {format_lengths(self.tile_grid_size)}.",
                hint="Use fewer tiles, such as 8 x 8, or larger images.",
                argument="tile_grid_size",
            )
        return super().output(x)


class Equalization(AugmentationLayer):
    """Evens out the contrast of images, channel by channel.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: Pipeline, layers: [{type: Equalization, bins: 256}]}
    """

    must_be_nested: ClassVar[bool] = True  # Keras declares its input itself as its output: a cycle

    value_range: ValueRange = (0, 255)
    bins: Annotated[int, Field(gt=0, le=65_536, description="Number of brightness levels.")] = 256
    data_format: DataFormat = None

    def output(self, x: Tensor) -> Tensor:
        return x


class RandomBrightness(AugmentationLayer):
    """Makes images brighter or darker.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomBrightness, factor: 0.2}
    """

    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS | INTEGERS
    keeps_dtype: ClassVar[bool] = True

    factor: Annotated[
        SignedUnitFactor, Field(description="Largest change, as a part of the range.", examples=[0.2])
    ]
    value_range: ValueRange = (0, 255)
    seed: Seed = None
    data_format: DataFormat = None


class RandomContrast(AugmentationLayer):
    """Changes the contrast of images.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomContrast, factor: 0.2}
    """

    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS

    factor: Annotated[UnitFactor, Field(description="Largest change of contrast.", examples=[0.2])]
    value_range: ValueRange = (0, 255)
    seed: Seed = None
    data_format: DataFormat = None


class RandomColorDegeneration(AugmentationLayer):
    """Takes color out of images.

    Input: (batch, height, width, 3). Output: the same.

    Example:
        {type: RandomColorDegeneration, factor: 0.5}
    """

    keeps_dtype: ClassVar[bool] = True

    factor: Annotated[SignedUnitFactor, Field(description="Strength of the desaturation.", examples=[0.5])]
    value_range: ValueRange = (0, 255)
    data_format: DataFormat = None
    seed: Seed = None

    def output(self, x: Tensor) -> Tensor:
        channels = x.shape[-3 if self.is_channels_first else -1]
        if channels not in (None, 3):
            raise ShapeError(
                f"RandomColorDegeneration expects images of 3 channels, got {format_shape(x.shape)} with {channels}.",
                hint="Channels are the last axis, or the second axis with `data_format: channels_first`.",
                argument="data_format",
            )
        return super().output(x)


class RandomColorJitter(AugmentationLayer):
    """Changes brightness, contrast, saturation and hue of images.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomColorJitter, brightness_factor: 0.2, hue_factor: 0.1}
    """

    keeps_dtype: ClassVar[bool] = True

    value_range: ValueRange = (0, 255)
    brightness_factor: Annotated[
        SignedUnitFactor | None, Field(description="Range of the brightness; null: no change.")
    ] = None
    contrast_factor: Annotated[
        UnitFactor | None, Field(description="Range of the contrast; null: no change.")
    ] = None
    saturation_factor: Annotated[
        SignedUnitFactor | None, Field(description="Range of the saturation; null: no change.")
    ] = None
    hue_factor: Annotated[UnitFactor | None, Field(description="Range of the hue; null: no change.")] = None
    seed: Seed = None
    data_format: DataFormat = None


class RandomGaussianBlur(AugmentationLayer):
    """Blurs images.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomGaussianBlur, kernel_size: 3, sigma: 1.0}
    """

    factor: Strength = 1.0
    kernel_size: Annotated[
        int | list[int],
        NumberPair(f"an odd integer from 1 to {_MAX_BLUR} or a list of 2", _is_odd_pair),
        Field(description="Height and width of the blur."),
    ] = 3
    sigma: Annotated[UnitFactor, Field(description="Standard deviation of the blur.")] = 1.0
    value_range: ValueRange = (0, 255)
    data_format: DataFormat = None
    seed: Seed = None


class RandomGrayscale(AugmentationLayer):
    """Turns images gray, and keeps their channels.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomGrayscale, factor: 0.1}
    """

    factor: Annotated[float, Field(ge=0, le=1, description="Probability of the change.")] = 0.5
    data_format: DataFormat = None
    seed: Seed = None

    def output(self, x: Tensor) -> Tensor:
        return x


class RandomHue(AugmentationLayer):
    """Shifts the hue of images.

    Input: (batch, height, width, 3). Output: the same.

    Example:
        {type: RandomHue, factor: 0.1}
    """

    keeps_dtype: ClassVar[bool] = True

    factor: Annotated[UnitFactor, Field(description="Largest shift.", examples=[0.1])]
    value_range: ValueRange = (0, 255)
    data_format: DataFormat = None
    seed: Seed = None


class RandomInvert(AugmentationLayer):
    """Inverts the colors of images.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomInvert, factor: 0.1}
    """

    keeps_dtype: ClassVar[bool] = True

    factor: Strength = 1.0
    value_range: ValueRange = (0, 255)
    seed: Seed = None
    data_format: DataFormat = None


class RandomPosterization(AugmentationLayer):
    """Reduces the number of bits of each color.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomPosterization, factor: 4}
    """

    keeps_dtype: ClassVar[bool] = True

    factor: Annotated[
        int | tuple[int, int] | list[int],
        NumberPair("an integer between 1 and 8 or a list of 2 integers (least, most)", _is_bit_range),
        Field(description="Number of bits.", examples=[4]),
    ]
    value_range: ValueRange = (0, 255)
    data_format: DataFormat = None
    seed: Seed = None


class RandomSaturation(AugmentationLayer):
    """Changes the saturation of images.

    Input: (batch, height, width, 3). Output: the same.

    Example:
        {type: RandomSaturation, factor: 0.2}
    """

    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS

    factor: Annotated[SignedUnitFactor, Field(description="Largest change.", examples=[0.2])]
    value_range: ValueRange = (0, 255)
    data_format: DataFormat = None
    seed: Seed = None


class RandomSharpness(AugmentationLayer):
    """Makes images sharper or softer.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomSharpness, factor: 0.2}
    """

    factor: Annotated[UnitFactor, Field(description="Largest change.", examples=[0.2])]
    value_range: ValueRange = (0, 255)
    data_format: DataFormat = None
    seed: Seed = None


class Solarization(AugmentationLayer):
    """Inverts the pixels of images that are brighter than a threshold.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: Solarization, threshold_factor: 0.5}
    """

    addition_factor: Annotated[
        StrictUnitFactor, Field(description="Number that is added to each pixel first.")
    ] = 0.0
    threshold_factor: Annotated[StrictUnitFactor, Field(description="Largest threshold.")] = 0.0
    value_range: ValueRange = (0, 255)
    seed: Seed = None
    data_format: DataFormat = None
