"""Keras's layers that vary images at random while training: where things are, and mixtures."""

import math
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, PlainValidator
from pydantic_core.core_schema import CoreSchema, no_info_plain_validator_function

from layercli.layers.arguments import AnyInt, DataFormat, PositiveInt, Seed, one_of
from layercli.layers.base import Inferred, Layer, Weight
from layercli.layers.families.preprocessing import Height, ImageLayer, Width
from layercli.layers.registry import LAYERS
from layercli.layers.shapes import ShapeError, Tensor
from layercli.schema.strict_model import ArgumentError, Expected, refuse
from layercli.source.nodes import quoted


class Pair(Expected):
    """Metadata of a field: a number, or a list of two; ``fits`` gets both, or the number twice."""

    def __init__(self, text: str, fits: Callable[[Any, Any], bool], *, number: bool = True) -> None:
        super().__init__(text)
        self.fits = fits
        self.number = number

    def parse(self, value: Any) -> Any:
        """The value, once it is known to fit.

        Raises:
            PydanticCustomError: it does not.
        """
        items = list(value) if isinstance(value, (list, tuple)) else [value, value] if self.number else []
        if len(items) != 2 or any(
            isinstance(item, bool) or not isinstance(item, (int, float)) for item in items
        ):
            raise refuse("wrong-type", f"{quoted(value)} does not fit; expected {self.text}.")
        if not all(math.isfinite(item) for item in items) or not self.fits(*items):
            raise refuse("out-of-range", f"{quoted(value)} is out of range; expected {self.text}.")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return no_info_plain_validator_function(self.parse)


def within(low: float, high: float, *, strict: bool = False, above: bool = False) -> Pair:
    """A number within bounds, or a list of two, both within (strict) or overlapping as Keras has it."""
    bounds = f"above {low}, up to {high}" if above else f"between {low} and {high}"

    def fits(first: float, second: float) -> bool:
        least, most = sorted((first, second))
        if strict or least == most:
            return low <= least and most <= high and not (above and least == low)
        return first <= high and second >= low

    return Pair(f"a number {bounds}, or a list of 2, least and most", fits)


def _any(_low: float, _high: float) -> bool:
    return True


Number: TypeAlias = float | tuple[float, float] | list[float]
ValueRange: TypeAlias = Annotated[
    tuple[float, float] | list[float],
    Pair("a list of 2 numbers, lowest and highest", _any, number=False),
    Field(description="Lowest and highest value of a pixel."),
]
UpTo1: TypeAlias = Annotated[Number, within(0, 1)]
BothUpTo1: TypeAlias = Annotated[Number, within(0, 1, strict=True)]
Within1: TypeAlias = Annotated[Number, within(-1, 1)]
Shift: TypeAlias = Annotated[Number, within(-1, 1, strict=True)]
Zoom: TypeAlias = Annotated[Number, within(-1, 1, strict=True, above=True)]
Strength = Annotated[UpTo1, Field(description="How strong, or how likely; a list: drawn between both.")]
Interpolation: TypeAlias = Annotated[
    Literal["bilinear", "nearest"], Field(description="How pixels in between are found.")
]
FillMode: TypeAlias = Annotated[
    Literal["reflect", "wrap", "constant", "nearest"], Field(description="What fills the places left empty.")
]
FillValue = Annotated[float, Field(description="What `fill_mode: constant` fills with.")]


class Augmentation(ImageLayer):
    """Keeps the shape."""

    family: ClassVar[str] = "augmentation"

    def output(self, x: Tensor) -> Tensor:
        return Tensor(x.shape, self.compute_dtype)


class RandomFlip(Augmentation):
    """Flips images at random.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomFlip, mode: horizontal}
    """

    mode: Annotated[
        Literal["horizontal", "vertical", "horizontal_and_vertical"], Field(description="Which way to flip.")
    ] = "horizontal_and_vertical"
    seed: Seed = None
    data_format: DataFormat = None


class RandomRotation(Augmentation):
    """Rotates images by a random angle.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomRotation, factor: 0.1}
    """

    factor: Annotated[Within1, Field(description="Largest angle, as a part of a full turn.", examples=[0.1])]
    fill_mode: FillMode = "reflect"
    interpolation: Interpolation = "bilinear"
    seed: Seed = None
    fill_value: FillValue = 0.0
    data_format: DataFormat = None


class RandomTranslation(Augmentation):
    """Shifts images at random.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomTranslation, height_factor: 0.1, width_factor: 0.1}
    """

    height_factor: Annotated[
        Shift,
        Field(description="Largest shift, as a part of the height.", examples=[0.1]),
    ]
    width_factor: Annotated[
        Shift,
        Field(description="Largest shift, as a part of the width.", examples=[0.1]),
    ]
    fill_mode: FillMode = "reflect"
    interpolation: Interpolation = "bilinear"
    seed: Seed = None
    fill_value: FillValue = 0.0
    data_format: DataFormat = None


class RandomZoom(Augmentation):
    """Zooms images at random; above 0 is out, below 0 is in.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomZoom, height_factor: 0.1}
    """

    height_factor: Annotated[
        Zoom,
        Field(description="Largest zoom of the height.", examples=[0.1]),
    ]
    width_factor: Annotated[
        Zoom | None,
        Field(description="Largest zoom of the width; null: as the height."),
    ] = None
    fill_mode: FillMode = "reflect"
    interpolation: Interpolation = "bilinear"
    seed: Seed = None
    fill_value: FillValue = 0.0
    data_format: DataFormat = None


class RandomShear(Augmentation):
    """Slants images at random.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomShear, x_factor: 0.2}
    """

    x_factor: Annotated[BothUpTo1, Field(description="Largest slant along the width.")] = 0.0
    y_factor: Annotated[BothUpTo1, Field(description="Largest slant along the height.")] = 0.0
    interpolation: Interpolation = "bilinear"
    fill_mode: FillMode = "reflect"
    fill_value: FillValue = 0.0
    data_format: DataFormat = None
    seed: Seed = None


class RandomPerspective(Augmentation):
    """Tilts images at random.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomPerspective, scale: 0.5}
    """

    factor: Strength = 1.0
    scale: Annotated[float, Field(ge=0, le=1, description="How far corners move.")] = 1.0
    interpolation: Interpolation = "bilinear"
    fill_value: FillValue = 0.0
    seed: Seed = None
    data_format: DataFormat = None


class RandomElasticTransform(Augmentation):
    """Bends images at random.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomElasticTransform, scale: 0.5}
    """

    factor: Strength = 1.0
    scale: Annotated[UpTo1, Field(description="How far pixels move; a list: drawn between both.")] = 1.0
    interpolation: Interpolation = "bilinear"
    fill_mode: Annotated[
        Literal["reflect", "wrap", "constant", "nearest", "mirror"],
        Field(description="What fills the places left empty."),
    ] = "reflect"
    fill_value: FillValue = 0.0
    value_range: ValueRange = (0, 255)
    seed: Seed = None
    data_format: DataFormat = None


class RandomErasing(Augmentation):
    """Blanks a random rectangle of images.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandomErasing, factor: 0.5}
    """

    factor: Strength = 1.0
    scale: Annotated[UpTo1, Field(description="Part of the image that is blanked.")] = (0.02, 0.33)
    fill_value: Annotated[float | None, Field(description="What is put there; null: noise.")] = None
    value_range: ValueRange = (0, 255)
    seed: Seed = None
    data_format: DataFormat = None


class RandomCrop(Augmentation):
    """Cuts a random window out of images; out of their middle once trained.

    Input: (batch, height, width, channels). Output: (batch, new height, new width, channels).

    Example:
        {type: RandomCrop, height: 224, width: 224}
    """

    height: Height
    width: Width
    seed: Seed = None
    data_format: DataFormat = None

    def output(self, x: Tensor) -> Tensor:
        return self.sized(x, self.height, self.width)


class MaxNumBoundingBoxes(Augmentation):
    """Pads or cuts the list of bounding boxes that comes with images.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: MaxNumBoundingBoxes, max_number: 100}
    """

    max_number: Annotated[PositiveInt, Field(description="Number of boxes for each image.", examples=[100])]
    fill_value: Annotated[AnyInt, Field(description="What stands for a missing box.")] = -1
    data_format: DataFormat = None


class CutMix(Augmentation):
    """Pastes a rectangle of one image into another.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: CutMix, factor: 0.5}
    """

    factor: Strength = 1.0
    seed: Seed = None
    data_format: DataFormat = None


class MixUp(Augmentation):
    """Blends pairs of images.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: MixUp, alpha: 0.2}
    """

    alpha: Annotated[float, Field(description="How evenly images are blended.")] = 0.2
    data_format: DataFormat = None
    seed: Seed = None


class AugMix(Augmentation):
    """Blends images with chains of random changes of themselves.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: AugMix, value_range: [0, 1]}
    """

    value_range: ValueRange = (0, 255)
    num_chains: Annotated[PositiveInt, Field(description="Number of chains.")] = 3
    chain_depth: Annotated[PositiveInt, Field(description="Most changes in a chain.")] = 3
    factor: Annotated[BothUpTo1, Field(description="How strong each change is.")] = 0.3
    alpha: Annotated[float, Field(description="How evenly chains are blended.")] = 1.0
    all_ops: Annotated[bool, Field(description="Whether to use changes of color and sharpness too.")] = True
    interpolation: Interpolation = "bilinear"
    seed: Seed = None
    data_format: DataFormat = None


class RandAugment(Augmentation):
    """Makes a few random changes to images, of place and of color.

    Input: (batch, height, width, channels). Output: the same.

    Example:
        {type: RandAugment, num_ops: 2, factor: 0.5}
    """

    value_range: ValueRange = (0, 255)
    num_ops: Annotated[PositiveInt, Field(description="Number of changes.")] = 2
    factor: Annotated[BothUpTo1, Field(description="How strong each change is.")] = 0.5
    interpolation: Interpolation = "bilinear"
    seed: Seed = None
    data_format: DataFormat = None


class Pipeline(Layer):
    """Layers one after the other, as one.

    Input: what the first takes. Output: what the last gives.

    Example:
        {type: Pipeline, layers: [{type: RandomFlip}, {type: RandomRotation, factor: 0.1}]}
    """

    family: ClassVar[str] = "augmentation"
    takes: ClassVar[str] = "what its first layer takes"

    layers: Annotated[
        list[Annotated[Layer, PlainValidator(LAYERS.parse), one_of("layer")]],
        Field(min_length=1, description="The layers, first to last.", examples=[["RandomFlip"]]),
    ]

    def check(self) -> None:
        if self.dtype is not None:
            raise ArgumentError("dtype", "Pipeline takes no `dtype`.", "Set it on the layers inside.")

    def arguments(self) -> dict[str, Any]:
        return {"layers": self.layers}

    def infer(self, inputs: tuple[Tensor, ...]) -> Inferred:
        if len(inputs) != 1:
            raise ShapeError(f"Pipeline takes one input; it gets {len(inputs)}.")
        weights: list[Weight] = []
        products: int | None = 0
        for layer in self.layers:
            inferred = layer.infer(inputs)
            inputs = inferred.outputs
            trained = layer.is_trainable
            weights += [Weight(w.name, w.shape, w.trainable and trained, w.dtype) for w in inferred.weights]
            more = inferred.multiply_adds
            products = None if products is None or more is None else products + more
        return Inferred(inputs, tuple(weights), products)
