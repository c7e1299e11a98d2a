"""The ``data`` section of type npy."""

from pathlib import Path
from typing import Any, ClassVar, Self

from layercli.config.data.arrays import ArraysConfig
from layercli.schema.addresses import join_directory


class Npy(ArraysConfig):
    """Arrays in files that ``numpy.save`` wrote; files larger than the memory are read batch by batch.

    Example:
        {type: npy, features: x.npy, target: y.npy, split: {validation: 0.1, test: 0.1}}
    """

    path_key: ClassVar[str] = "target"

    @classmethod
    def from_inputs(cls, path: str, input_names: list[str] | None) -> Self:  # noqa: ARG003 - the reader gets it
        return cls.model_validate(cls._input_arguments(input_names))

    @property
    def files(self) -> list[str]:
        """The files of all arrays."""
        files: list[str] = []
        for key in self.array_keys:
            names = getattr(self, key)
            files += names.values() if isinstance(names, dict) else [names] if names is not None else []
        return files

    @property
    def file_paths(self) -> dict[str, list[str]]:
        return super().file_paths | {"target": self.files}

    def with_absolute_paths(self, directory: Path) -> Self:
        def resolve_paths(names: str | dict[str, str] | None) -> Any:
            if isinstance(names, dict):
                return {key: join_directory(directory, name) for key, name in names.items()}
            return None if names is None else join_directory(directory, names)

        keys = {key: join_directory(directory, name) for key, name in self.split.key_columns.items()}
        return self.with_arguments(
            **{key: resolve_paths(getattr(self, key)) for key in self.array_keys},
            split=self.split.model_copy(update=keys),
        )
