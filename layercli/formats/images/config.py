"""The ``data`` section of type images."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field

from layercli.config.data.section import DataConfig, TargetFacts, TargetTypeField
from layercli.config.data.tables import MAX_SEPARATOR_LENGTH, TABLE_FORMATS, TableConfig, TextOrList
from layercli.formats.images.mask_names import without_masks
from layercli.formats.table_types import find_table_type
from layercli.layers.shapes import Tensor
from layercli.schema.addresses import join_directory
from layercli.schema.field_types import PositiveInt
from layercli.schema.section_hints import IMAGES_HINTS
from layercli.schema.strict_model import ArgumentError, ExpectedText, StrictModel

IMAGE_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
"""The file name suffixes of images, in lower case."""
IMAGE_FORMATS: Final = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
"""The formats that Pillow may open. It knows many others, some of which start external programs."""
PILLOW_MODES: Final = {1: "L", 3: "RGB", 4: "RGBA"}
"""Number of channels -> the mode of Pillow to which images are converted."""
FILE_INPUT: Final = "file"
"""The input of the table of labels, when it is read as a table."""


class LabelsConfig(StrictModel):
    """A table with the target of each image."""

    example: ClassVar[str | None] = "labels: {path: labels.csv, file: filename, target: label}"

    path: Annotated[
        str,
        Field(
            min_length=1,
            description=f"The table ({TABLE_FORMATS}), relative to the config.",
            examples=["labels.csv"],
        ),
    ]
    file: Annotated[
        str,
        Field(
            min_length=1,
            description="Column of the image files, relative to the folder of the images or of the table; "
            "the suffix may be left out.",
            examples=["filename"],
        ),
    ]
    target: Annotated[
        TextOrList,
        Field(
            description="Column of the target, or several columns: one target with a value for each.",
            examples=["label"],
        ),
    ]
    separator: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_SEPARATOR_LENGTH,
            description="The text between several labels in a value of the target, which has a 0 or 1 for each label; null: a "
            "value is one label.",
            examples=[" "],
        ),
    ] = None

    @classmethod
    def title(cls) -> str:
        return "`labels`"

    def check(self) -> None:
        if self.file in self.target:
            message = f"`{self.file}` contains the files; it cannot also be the target."
            raise ArgumentError("target", message, "Name the column of the labels.")
        if self.separator is not None and len(self.target) > 1:
            message = "`separator` requires a target of one column, got several columns."
            raise ArgumentError("separator", message, "Remove it, or name one column.")
        if len(set(self.target)) < len(self.target):
            raise ArgumentError("target", "`target` names the same column twice.", "Name each column once.")


class MasksConfig(StrictModel):
    """A folder with a mask for each image: an image with a class for each pixel."""

    example: ClassVar[str | None] = "masks: {path: masks}"

    path: Annotated[
        str,
        Field(
            min_length=1,
            description="The folder of the masks, relative to the config. "
            "A mask has the name of its image, optionally with a word such as _mask, and any suffix.",
            examples=["masks"],
        ),
    ]
    threshold: Annotated[
        PositiveInt | None,
        Field(
            description="For masks in black and white with smooth edges or with the losses of JPEG: a pixel whose gray value "
            "is at least this number has the class 255, any other has the class 0; null: each value is a class.",
            examples=[128],
        ),
    ] = None

    @classmethod
    def title(cls) -> str:
        return "`masks`"


class Images(DataConfig):
    """Image files: PNG, JPEG, BMP, GIF, WebP or TIFF (only the first frame is read).

    The target of an image is the name of its folder, a value in a table (`labels`), or a mask with a class for each pixel
    (`masks`).

    Example:
        {type: images, path: flowers, size: [128, 128], channels: 3, split: {validation: 0.1, test: 0.1}}
    """

    hints: ClassVar[dict[str, str]] = IMAGES_HINTS | {
        "target": "The names of the folders are the labels; for a table write `labels: {path: labels.csv, file: filename, "
        "target: label}`."
    }

    path: Annotated[
        str, Field(min_length=1, description="The folder, relative to the config.", examples=["flowers"])
    ]
    size: Annotated[
        list[PositiveInt] | None,
        ExpectedText("a list [height, width]"),
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
    labels: Annotated[
        LabelsConfig | None,
        Field(
            description="The table with the target of each image; null: the folders are the labels.",
            examples=[{"path": "labels.csv", "file": "filename", "target": "label"}],
        ),
    ] = None
    masks: Annotated[
        MasksConfig | None,
        Field(
            description="The folder with a mask for each image; null: each image has one target.",
            examples=[{"path": "masks"}],
        ),
    ] = None
    target_type: TargetTypeField = None

    @property
    def split_sources(self) -> frozenset[Literal["files", "columns"]]:
        return frozenset({"files"})

    @property
    def example_suffixes(self) -> tuple[str, ...]:
        return IMAGE_SUFFIXES

    def select_examples(self, files: list[Path]) -> list[Path]:
        are_masks_among_images = self.masks is not None and self.masks.path == self.path
        return without_masks(files) if are_masks_among_images else files

    @property
    def preparation(self) -> tuple[str, ...]:
        mode = {1: " to gray", 3: " to RGB", 4: " to RGBA"}.get(self.channels or 0, "")
        size = (
            f" and resize it to {self.size[0]} x {self.size[1]} pixels (height x width)" if self.size else ""
        )
        return (
            f"Decode each image with Pillow, apply its EXIF rotation, convert it{mode}{size}; "
            "values are from 0 to 255.",
        )

    @property
    def declared_input(self) -> Tensor | None:
        return None if self.size is None else Tensor((None, *self.size, self.channels))

    @property
    def has_class_folders(self) -> bool:
        return self.labels is None and self.masks is None

    @property
    def may_have_positions(self) -> bool:  # type: ignore[override]
        return self.masks is not None

    @property
    def has_pixel_targets(self) -> bool:  # type: ignore[override]
        return self.masks is not None

    @property
    def file_paths(self) -> dict[str, list[str]]:
        parts = {"labels": self.labels, "masks": self.masks}
        return super().file_paths | {key: [part.path] for key, part in parts.items() if part is not None}

    @property
    def can_be_remote(self) -> bool:
        return False

    def find_declared_target(self, output: str) -> TargetFacts | None:
        if self.labels is not None:
            return (
                self.labels_as_table().find_declared_target(output) if len(self.labels.target) == 1 else None
            )
        return None if self.masks is not None else TargetFacts(kind="labels")

    def with_absolute_paths(self, directory: Path) -> Self:
        changes: dict[str, Any] = {"path": join_directory(directory, self.path)}
        if self.labels is not None:
            changes["labels"] = self.labels.model_copy(update={"path": str(directory / self.labels.path)})
        if self.masks is not None:
            changes["masks"] = self.masks.model_copy(update={"path": str(directory / self.masks.path)})
        return self.with_arguments(**changes)

    def check(self) -> None:
        super().check()
        if self.labels is not None and self.masks is not None:
            message = "`labels` and `masks` cannot be used together: each image has one target."
            raise ArgumentError("masks", message, "Remove one of them.")
        if self.target_type is None:
            return
        if self.has_class_folders:
            message = "`target_type` must be left out for class folders."
            raise ArgumentError("target_type", message, "Remove it: the folders are the labels.")
        if not isinstance(self.target_type, str):
            message = "`target_type` must be labels or numbers, because images have one target."
            raise ArgumentError("target_type", message, "For example `target_type: labels`.")
        if self.target_type == "labels" and self.labels is not None and len(self.labels.target) > 1:
            message = "`target_type: labels` requires one target column."
            raise ArgumentError("target_type", message, "Remove it, or name one column.")
        if self.labels is not None and self.labels.separator is not None:
            message = (
                f"`target_type: {self.target_type}` contradicts `separator`: a value has several labels."
            )
            raise ArgumentError("target_type", message, "Remove one of them.")

    def labels_as_table(self) -> TableConfig:
        """Return the section of the table of labels, with the files as its only input and the target columns by name."""
        labels = self.labels
        assert labels is not None
        table_type = find_table_type(labels.path)
        arguments: dict[str, Any] = {
            "path": labels.path,
            "inputs": {FILE_INPUT: labels.file},
            "types": {labels.file: "text"},
            "target": labels.target[0]
            if len(labels.target) == 1
            else {column: column for column in labels.target},
        }
        if self.target_type is not None:
            arguments["target_type"] = self.target_type
        if labels.separator is not None:
            arguments["label_separators"] = {labels.target[0]: labels.separator}
        return table_type.model_validate(arguments)
