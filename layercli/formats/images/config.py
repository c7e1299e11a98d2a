"""The ``data`` section of type images."""

from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field

from layercli.config.data.section import DataConfig
from layercli.schema.field_types import PositiveInt

IMAGE_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
"""The file name suffixes of images, in lower case."""
IMAGE_FORMATS: Final = ("PNG", "JPEG", "BMP", "GIF")
"""The formats that Pillow may open. It knows many others, some of which start external programs."""
PILLOW_MODES: Final = {1: "L", 3: "RGB", 4: "RGBA"}
"""Number of channels -> the mode of Pillow to which images are converted."""


class Images(DataConfig):
    """A folder with a folder of images for each class: PNG, JPEG, BMP or GIF (only the first frame is read).

    Example:
        {type: images, path: flowers, size: [128, 128], channels: 3, split: {validation: 0.1, test: 0.1}}
    """

    hints: ClassVar[dict[str, str]] = {"target_type": "Remove it: the folders are the labels."}

    path: Annotated[
        str, Field(min_length=1, description="The folder, relative to the config.", examples=["flowers"])
    ]
    size: Annotated[
        list[PositiveInt] | None,
        Field(
            min_length=2,
            max_length=2,
            description="Height and width to which images are scaled; null: all images have the same size.",
        ),
    ] = None
    channels: Annotated[
        Literal[1, 3, 4] | None,
        Field(description="1: gray, 3: color, 4: color and opacity; null: as in the first image."),
    ] = None

    @property
    def split_sources(self) -> frozenset[Literal["files", "columns"]]:
        return frozenset({"files"})

    @property
    def example_suffixes(self) -> tuple[str, ...]:
        return IMAGE_SUFFIXES

    def with_absolute_paths(self, directory: Path) -> Self:
        return self.with_arguments(path=str(directory / self.path))
