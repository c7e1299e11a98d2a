"""Keras's random image augmentation layers: geometry and mixtures."""

import math
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field
from pydantic_core.core_schema import CoreSchema, no_info_plain_validator_function

from layercli.layers.arguments import DataFormat, Seed
from layercli.layers.base import InferredLayer, Layer, Weight
from layercli.layers.families.preprocessing import ImageLayer, OutputHeight, OutputWidth
from layercli.layers.initializer_shapes import check_initializers
from layercli.layers.parse_layer import InnerLayer
from layercli.layers.shapes import ShapeError, Tensor, format_shape
from layercli.schema.field_types import AnyInt, PositiveInt
from layercli.schema.strict_model import ArgumentError, ExpectedText, mismatch_error
from layercli.source.scalars import is_number


class NumberPair(ExpectedText):
    """Field metadata: a number or a list of two; ``is_valid`` receives both, or the single number twice."""

    def __init__(
        self, text: str, is_valid: Callable[[Any, Any], bool], *, allows_single: bool = True
    ) -> None:
        super().__init__(text)
        self.is_valid = is_valid
        self.allows_single = allows_single

    def parse(self, value: Any) -> Any:
        """Return the value after checking it.

        Raises:
            PydanticCustomError: the value is invalid.
        """
        items = (
            list(value) if isinstance(value, (list, tuple)) else [value, value] if self.allows_single else []
        )
        if len(items) != 2 or not all(is_number(item) for item in items):
            raise mismatch_error("wrong-type", self.text, value)
        if not all(math.isfinite(item) for item in items) or not self.is_valid(*items):
            raise mismatch_error("out-of-range", self.text, value)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return no_info_plain_validator_function(self.parse)


def limit_pair(
    low: float, high: float, *, must_contain_both: bool = False, is_low_exclusive: bool = False
) -> NumberPair:
    """Return the field type of a number or a range within bounds; ``must_contain_both=False`` allows overlap, as in Keras."""
    bounds = f"above {low}, up to {high}" if is_low_exclusive else f"between {low} and {high}"

    def is_within(first: float, second: float) -> bool:
        least, most = sorted((first, second))
        if must_contain_both or least == most:
            return low <= least and most <= high and not (is_low_exclusive and least == low)
        return first <= high and second >= low

    return NumberPair(f"a number {bounds} or a list of 2 (least, most)", is_within)


def _accept_any(_low: float, _high: float) -> bool:
    return True


NumberOrPair: TypeAlias = float | tuple[float, float] | list[float]
ValueRange: TypeAlias = Annotated[
    tuple[float, float] | list[float],
    NumberPair("a list of 2 numbers (lowest, highest)", _accept_any, allows_single=False),
    Field(description="Lowest and highest value of a pixel."),
]
UnitFactor: TypeAlias = Annotated[NumberOrPair, limit_pair(0, 1)]
StrictUnitFactor: TypeAlias = Annotated[NumberOrPair, limit_pair(0, 1, must_contain_both=True)]
SignedUnitFactor: TypeAlias = Annotated[NumberOrPair, limit_pair(-1, 1)]
ShiftFactor: TypeAlias = Annotated[NumberOrPair, limit_pair(-1, 1, must_contain_both=True)]
ZoomFactor: TypeAlias = Annotated[
    NumberOrPair, limit_pair(-1, 1, must_contain_both=True, is_low_exclusive=True)
]
Strength = Annotated[
    UnitFactor, Field(description="Strength or probability; a list: the range to draw from.")
]
Interpolation: TypeAlias = Annotated[
    Literal["bilinear", "nearest"], Field(description="Interpolation between pixels.")
]
FillMode: TypeAlias = Annotated[
    Literal["reflect", "wrap", "constant", "nearest"], Field(description="Filling of empty pixels.")
]
FillValue = Annotated[float, Field(description="Fill value of `fill_mode: constant`.")]


class AugmentationLayer(ImageLayer):
    """A layer that keeps the shape."""

    family: ClassVar[str] = "augmentation"

    def output(self, x: Tensor) -> Tensor:
        return Tensor(x.shape, self.compute_dtype)


class RandomFlip(AugmentationLayer):
    """Flips images at random.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomFlip, mode: horizontal}
    """

    mode: Annotated[
        Literal["horizontal", "vertical", "horizontal_and_vertical"],
        Field(description="Direction of the flip."),
    ] = "horizontal_and_vertical"
    seed: Seed = None
    data_format: DataFormat = None


class RandomRotation(AugmentationLayer):
    """Rotates images by a random angle.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomRotation, factor: 0.1}
    """

    factor: Annotated[
        SignedUnitFactor, Field(description="Largest angle, as a part of a full turn.", examples=[0.1])
    ]
    fill_mode: FillMode = "reflect"
    interpolation: Interpolation = "bilinear"
    seed: Seed = None
    fill_value: FillValue = 0.0
    data_format: DataFormat = None


class RandomTranslation(AugmentationLayer):
    """Shifts images at random.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomTranslation, height_factor: 0.1, width_factor: 0.1}
    """

    height_factor: Annotated[
        ShiftFactor,
        Field(description="Largest shift, as a fraction of the height.", examples=[0.1]),
    ]
    width_factor: Annotated[
        ShiftFactor,
        Field(description="Largest shift, as a part of the width.", examples=[0.1]),
    ]
    fill_mode: FillMode = "reflect"
    interpolation: Interpolation = "bilinear"
    seed: Seed = None
    fill_value: FillValue = 0.0
    data_format: DataFormat = None


class RandomZoom(AugmentationLayer):
    """Zooms images at random; above 0 is out, below 0 is in.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomZoom, height_factor: 0.1}
    """

    height_factor: Annotated[
        ZoomFactor,
        Field(description="Largest zoom of the height.", examples=[0.1]),
    ]
    width_factor: Annotated[
        ZoomFactor | None,
        Field(description="Largest zoom of the width; null: as the height."),
    ] = None
    fill_mode: FillMode = "reflect"
    interpolation: Interpolation = "bilinear"
    seed: Seed = None
    fill_value: FillValue = 0.0
    data_format: DataFormat = None


class RandomShear(AugmentationLayer):
    """Slants images at random.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomShear, x_factor: 0.2}
    """

    x_factor: Annotated[StrictUnitFactor, Field(description="Largest slant along the width.")] = 0.0
    y_factor: Annotated[StrictUnitFactor, Field(description="Largest slant along the height.")] = 0.0
    interpolation: Interpolation = "bilinear"
    fill_mode: FillMode = "reflect"
    fill_value: FillValue = 0.0
    data_format: DataFormat = None
    seed: Seed = None


class RandomPerspective(AugmentationLayer):
    """Tilts images at random.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomPerspective, scale: 0.5}
    """

    factor: Strength = 1.0
    scale: Annotated[float, Field(ge=0, le=1, description="Largest shift of a corner.")] = 1.0
    interpolation: Interpolation = "bilinear"
    fill_value: FillValue = 0.0
    seed: Seed = None
    data_format: DataFormat = None


class RandomElasticTransform(AugmentationLayer):
    """Bends images at random.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomElasticTransform, scale: 0.5}
    """

    factor: Strength = 1.0
    scale: Annotated[
        UnitFactor, Field(description="Largest shift of a pixel; a list: the range to draw from.")
    ] = 1.0
    interpolation: Interpolation = "bilinear"
    fill_mode: Annotated[
        Literal["reflect", "wrap", "constant", "nearest", "mirror"],
        Field(description="Filling of empty pixels."),
    ] = "reflect"
    fill_value: FillValue = 0.0
    value_range: ValueRange = (0, 255)
    seed: Seed = None
    data_format: DataFormat = None


class RandomErasing(AugmentationLayer):
    """Blanks a random rectangle of images.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomErasing, factor: 0.5}
    """

    factor: Strength = 1.0
    scale: Annotated[UnitFactor, Field(description="Part of the image that is blanked.")] = (0.02, 0.33)
    fill_value: Annotated[float | None, Field(description="Fill value; null: noise.")] = None
    value_range: ValueRange = (0, 255)
    seed: Seed = None
    data_format: DataFormat = None


class RandomCrop(AugmentationLayer):
    """Cuts a random window out of images while training; put CenterCrop after it for a fixed size.

    Input: (batch, height, width, channels). Output: (batch, new height, new width, channels) while training, else the input.

    Example:
        {type: RandomCrop, height: 24, width: 24}
    """

    height: OutputHeight
    width: OutputWidth
    seed: Seed = None
    data_format: DataFormat = None

    def output(self, x: Tensor) -> Tensor:
        first = 2 if self.is_channels_first else 1
        image = x.shape[first : first + 2]
        for argument, size, limit in zip(("height", "width"), (self.height, self.width), image, strict=True):
            if limit is not None and size > limit:
                raise ShapeError(
                    f"`{argument}` of RandomCrop must be at most {limit}, the {argument} of its input "
                    f"{format_shape(x.shape)}, got {size}.",
                    hint=f"Write `{argument}: {limit}`, or use Resizing to make images larger.",
                    argument=argument,
                )
        if image == (self.height, self.width):
            return Tensor(x.shape, self.compute_dtype)
        # Only training crops: at other times Keras returns the whole image.
        shape = (*x.shape[:first], None, None, *x.shape[first + 2 :])
        return Tensor(shape, self.compute_dtype)


class MaxNumBoundingBoxes(AugmentationLayer):
    """Pads or cuts the list of bounding boxes that comes with images.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: MaxNumBoundingBoxes, max_number: 100}
    """

    keeps_dtype: ClassVar[bool] = True

    max_number: Annotated[PositiveInt, Field(description="Number of boxes for each image.", examples=[100])]
    fill_value: Annotated[AnyInt, Field(description="Fill value of a missing box.")] = -1
    data_format: DataFormat = None


class CutMix(AugmentationLayer):
    """Pastes a rectangle of one image into another.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: CutMix, factor: 0.5}
    """

    factor: Strength = 1.0
    seed: Seed = None
    data_format: DataFormat = None


class MixUp(AugmentationLayer):
    """Blends pairs of images.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: MixUp, alpha: 0.2}
    """

    keeps_dtype: ClassVar[bool] = True

    alpha: Annotated[float, Field(description="Concentration of the mixing weights; larger: more even.")] = (
        0.2
    )
    data_format: DataFormat = None
    seed: Seed = None


class AugMix(AugmentationLayer):
    """Blends images with chains of random changes of themselves.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: AugMix, value_range: [0, 1]}
    """

    value_range: ValueRange = (0, 255)
    num_chains: Annotated[int, Field(gt=0, le=10, description="Number of chains.")] = 3
    chain_depth: Annotated[int, Field(gt=0, le=10, description="Maximum number of changes in a chain.")] = 3
    factor: Annotated[StrictUnitFactor, Field(description="Strength of each change.")] = 0.3
    alpha: Annotated[
        float, Field(description="Concentration of the mixing weights of the chains; larger: more even.")
    ] = 1.0
    all_ops: Annotated[bool, Field(description="Whether to use changes of color and sharpness too.")] = True
    interpolation: Interpolation = "bilinear"
    seed: Seed = None
    data_format: DataFormat = None


class RandAugment(AugmentationLayer):
    """Makes a few random geometric and color changes to images.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandAugment, num_ops: 2, factor: 0.5}
    """

    value_range: ValueRange = (0, 255)
    num_ops: Annotated[int, Field(gt=0, le=20, description="Number of changes.")] = 2
    factor: Annotated[StrictUnitFactor, Field(description="Strength of each change.")] = 0.5
    interpolation: Interpolation = "bilinear"
    seed: Seed = None
    data_format: DataFormat = None


class Pipeline(Layer):
    """A sequence of layers that acts as one layer.

    Input: that of the first layer. Output: that of the last layer.

    Example:
        {type: Pipeline, layers: [{type: RandomFlip}, {type: RandomRotation, factor: 0.1}]}
    """

    family: ClassVar[str] = "augmentation"
    input_description: ClassVar[str] = "the input of its first layer"

    layers: Annotated[
        list[InnerLayer],
        Field(min_length=1, description="The layers, first to last.", examples=[["RandomFlip"]]),
    ]

    def find_accepted_dtypes(self) -> frozenset[str]:
        return self.layers[0].find_accepted_dtypes()

    def check(self) -> None:
        if self.dtype is not None:
            raise ArgumentError("dtype", "Pipeline does not accept `dtype`.", "Set it on the nested layers.")

    def arguments(self) -> dict[str, Any]:
        return {"layers": self.layers}

    def infer(self, inputs: tuple[Tensor, ...]) -> InferredLayer:
        if len(inputs) != 1:
            raise ShapeError(f"Pipeline expects one input, got {len(inputs)}.")
        weights: list[Weight] = []
        multiply_adds: int | None = 0
        has_known_weights = True
        for layer in self.layers:
            inferred = layer.infer(inputs)
            inputs = inferred.outputs
            has_known_weights = has_known_weights and inferred.has_known_weights
            if not inputs:
                return InferredLayer((), (), None, has_known_weights=False)
            check_initializers(layer, inferred.weights, is_nested=True)
            is_trainable = layer.is_trainable
            weights += [
                Weight(w.name, w.shape, w.trainable and is_trainable, w.dtype) for w in inferred.weights
            ]
            layer_multiply_adds = inferred.multiply_adds
            multiply_adds = (
                None
                if multiply_adds is None or layer_multiply_adds is None
                else multiply_adds + layer_multiply_adds
            )
        return InferredLayer(inputs, tuple(weights), multiply_adds, has_known_weights)
