"""Keras's regularization layers: they add noise during training and keep the shape."""

from typing import Annotated, ClassVar

from pydantic import Field

from layercli.layers.arguments import DataFormat, Seed
from layercli.layers.base import Layer, StandardLayer
from layercli.layers.dtypes import ANY_DTYPE, FLOATS, NUMBERS
from layercli.layers.shapes import Tensor
from layercli.schema.field_types import PositiveInt, Rate

DropRate = Annotated[Rate, Field(description="Part of the input that is dropped.", examples=[0.5])]
NoiseShape = Annotated[
    list[PositiveInt | None] | None,
    Field(description="Shape of the noise, batch included; 1: shared along that axis; null: the input's."),
]
PenaltyFactor = Annotated[float, Field(ge=0, description="Factor on the penalty; 0: none.")]


class _SameShapeLayer(Layer):
    family: ClassVar[str] = "regularization"
    input_description: ClassVar[str] = "any tensor"
    keeps_dtype: ClassVar[bool] = True
    passes_mask: ClassVar[bool] = True

    def find_accepted_dtypes(self) -> frozenset[str]:
        arguments = self.arguments()
        strength = arguments.get("rate", arguments.get("stddev", 1))
        return FLOATS if strength else ANY_DTYPE  # without an effect, the layer returns its input

    def output(self, x: Tensor) -> Tensor:
        return Tensor(x.shape, self.compute_dtype)


class _NoiseLayer(_SameShapeLayer, StandardLayer):
    pass


class Dropout(_NoiseLayer):
    """Sets a random part of the input to zero while training, and scales up the rest.

    Input: (batch, ...). Output: the same.

    Example:
        {type: Dropout, rate: 0.5}
    """

    rate: DropRate
    noise_shape: NoiseShape = None
    seed: Seed = None


class AlphaDropout(_NoiseLayer):
    """Dropout that keeps mean and variance; suits the ``selu`` activation.

    Input: (batch, ...). Output: the same.

    Example:
        {type: AlphaDropout, rate: 0.1}
    """

    rate: DropRate
    noise_shape: NoiseShape = None
    seed: Seed = None


class GaussianDropout(_NoiseLayer):
    """Multiplies the input by random numbers around 1 while training.

    Input: (batch, ...). Output: the same.

    Example:
        {type: GaussianDropout, rate: 0.1}
    """

    rate: Annotated[
        Rate, Field(description="As in Dropout: the variance is rate / (1 - rate).", examples=[0.1])
    ]
    seed: Seed = None


class GaussianNoise(_NoiseLayer):
    """Adds random numbers around 0 while training.

    Input: (batch, ...). Output: the same.

    Example:
        {type: GaussianNoise, stddev: 0.1}
    """

    stddev: Annotated[Rate, Field(description="Standard deviation of the noise.", examples=[0.1])]
    seed: Seed = None


class ActivityRegularization(_SameShapeLayer):
    """Adds a penalty on the size of its input to the loss.

    Input: (batch, ...). Output: the same.

    Example:
        {type: ActivityRegularization, l2: 0.01}
    """

    l1: PenaltyFactor = 0.0
    l2: PenaltyFactor = 0.0
    trainable: Annotated[bool, Field(description="Without effect: the layer has no weights.")] = True
    autocast: Annotated[bool, Field(description="Whether inputs are cast to the compute dtype.")] = True

    def find_accepted_dtypes(self) -> frozenset[str]:
        return FLOATS | {"int32", "int64", "uint32", "uint64"} if self.l1 or self.l2 else NUMBERS


class SpatialDropout1D(_SameShapeLayer):
    """Drops whole features along all timesteps, as Dropout drops single numbers.

    Input: (batch, timesteps, features). Output: the same.

    Example:
        {type: SpatialDropout1D, rate: 0.2}
    """

    input_description: ClassVar[str] = "sequences of shape (batch, timesteps, features), rank 3"
    rank_range: ClassVar[tuple[int, int | None]] = (3, 3)

    rate: DropRate
    seed: Seed = None


class SpatialDropout2D(_SameShapeLayer):
    """Drops whole channels of images, as Dropout drops single numbers.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: SpatialDropout2D, rate: 0.2}
    """

    input_description: ClassVar[str] = "images of shape (batch, height, width, channels), rank 4"
    rank_range: ClassVar[tuple[int, int | None]] = (4, 4)

    rate: DropRate
    data_format: DataFormat = None
    seed: Seed = None


class SpatialDropout3D(_SameShapeLayer):
    """Drops whole channels of volumes, as Dropout drops single numbers.

    Input: (batch, depth, height, width, channels). Output: the same.

    Example:
        {type: SpatialDropout3D, rate: 0.2}
    """

    input_description: ClassVar[str] = "volumes of shape (batch, depth, height, width, channels), rank 5"
    rank_range: ClassVar[tuple[int, int | None]] = (5, 5)

    rate: DropRate
    data_format: DataFormat = None
    seed: Seed = None
