"""The ``data`` section of type npz."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field

from layercli.config.data.arrays import ArraysConfig
from layercli.schema.addresses import join_directory


class Npz(ArraysConfig):
    """Arrays in a file that ``numpy.savez`` wrote, each by its name in the file.

    Example:
        {type: npz, path: digits.npz, features: x, target: y, split: {validation: 0.1, test: 0.1}}
    """

    path: Annotated[
        str, Field(min_length=1, description="The file, relative to the config.", examples=["digits.npz"])
    ]

    @classmethod
    def from_inputs(cls, path: str, input_names: list[str] | None) -> Self:
        return cls.model_validate({"path": path, **cls._input_arguments(input_names)})

    def with_absolute_paths(self, directory: Path) -> Self:
        return self.with_arguments(path=join_directory(directory, self.path))
