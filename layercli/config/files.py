"""Data of the user's own in files: arrays, images and texts."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field

from layercli.config.data import Data
from layercli.layers.arguments import PositiveInt
from layercli.layers.strict import ArgumentError


class Npz(Data):
    """Arrays in a file that ``numpy.savez`` wrote; the first axis of each is the examples'.

    Example:
        {type: npz, path: digits.npz, features: x, target: y, split: {validation: 0.1, test: 0.1}}
    """

    path: Annotated[
        str, Field(min_length=1, description="The file, relative to the config.", examples=["digits.npz"])
    ]
    features: Annotated[str | None, Field(description="Array of the model's one input.", examples=["x"])] = (
        None
    )
    inputs: Annotated[
        dict[str, str] | None,
        Field(
            description="Input of the model -> array, where there are several.",
            examples=[{"image": "images"}],
        ),
    ] = None
    target: Annotated[
        str | dict[str, str],
        Field(
            description="Array of the targets, whole numbers are labels; or output of the model -> array, where there "
            "are several.",
            examples=["y"],
        ),
    ]

    def located(self, directory: Path) -> Self:
        return self.replace(path=str(directory / self.path))

    def check(self) -> None:
        if (self.features is None) == (not self.inputs):
            message = "npz data needs either `features`, the array of the one input, or `inputs` for several."
            raise ArgumentError("features", message, "For example `features: x`.")


class Images(Data):
    """A folder with a folder of images for each class: PNG, JPEG, BMP or GIF (of which the first frame counts).

    Example:
        {type: images, path: flowers, size: [128, 128], channels: 3, split: {validation: 0.1, test: 0.1}}
    """

    path: Annotated[
        str, Field(min_length=1, description="The folder, relative to the config.", examples=["flowers"])
    ]
    size: Annotated[
        list[PositiveInt] | None,
        Field(
            min_length=2,
            max_length=2,
            description="Height and width that images are scaled to; null: all are of one size.",
        ),
    ] = None
    channels: Annotated[
        Literal[1, 3, 4] | None,
        Field(description="1: grey, 3: colour, 4: colour and opacity; null: as in the first image."),
    ] = None

    def located(self, directory: Path) -> Self:
        return self.replace(path=str(directory / self.path))


class Text(Data):
    """A folder with a folder of text files (.txt, UTF-8) for each class; each file is an example.

    Example:
        {type: text, path: reviews, split: {validation: 0.1, test: 0.1, stratify: true}}
    """

    path: Annotated[
        str, Field(min_length=1, description="The folder, relative to the config.", examples=["reviews"])
    ]

    def located(self, directory: Path) -> Self:
        return self.replace(path=str(directory / self.path))
