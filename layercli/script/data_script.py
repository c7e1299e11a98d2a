"""The base of the code that each type of data adds to a script."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import ClassVar, Final, Generic, TypeVar

from layercli.check import ValidConfig
from layercli.config.data.section import DataConfig
from layercli.layers.minimal_arguments import is_default_argument
from layercli.schema.addresses import is_address
from layercli.script.facts import ScriptFacts
from layercli.script.python_source import (
    INDENT,
    Brackets,
    CallExpression,
    Expression,
    quote_string,
    render_inline,
    render_statement,
)
from layercli.source.nodes import KeyPath

_HANDLED_DATA_KEYS: Final = {"split", "shuffle", "stream"}
"""Keys that the split code handles, or that only concern how layercli reads."""
SET_CONSTANTS: Final = {"val": "VALIDATION", "test": "TEST"}
"""The constant with the files of a set that has separate files."""

D = TypeVar("D", bound=DataConfig)


@dataclass(frozen=True)
class DataScript(Generic[D]):
    """The code of one ``data`` section; a type overrides the members for which it differs from the defaults."""

    data: D
    valid: ValidConfig
    facts: ScriptFacts

    expressible_keys: ClassVar[frozenset[str]] = frozenset()
    """The keys, without those of all types, that the code expresses."""

    @classmethod
    def create(cls, data: D, valid: ValidConfig, facts: ScriptFacts) -> DataScript[D]:
        """Return the code of a section; a type may delegate to another type."""
        return cls(data, valid, facts)

    def write_load_data(self) -> list[str]:
        """Return the lines of the function ``load_data``, which returns (x, y) or (x, y, weights).

        Its head is ``load_data_head``; ``facts.source`` is the variable with the files.
        """
        raise NotImplementedError

    @property
    def load_data_head(self) -> str:
        """The first line of ``load_data``; it has an argument if a set has separate files."""
        return f"def load_data({self.facts.source if self.facts.own_sets else ''}):"

    @property
    def own_files(self) -> dict[str, list[str]]:
        """The files of the sets, val and test, that have separate files; with absolute paths."""
        located = self.valid.resolve_data_paths(self.data).split.own_files.values()
        return dict(zip(self.facts.own_sets, located, strict=True))

    def imports(self) -> set[str]:
        """Return the import lines of third-party packages that the code uses."""
        return {"import numpy as np"}

    def standard_imports(self) -> set[str]:
        """Return the import lines of standard modules that the code uses."""
        return set()

    def user_imports(self) -> set[str]:
        """Return the import lines of custom code."""
        return set()

    def data_paths(self, data: D) -> Sequence[str]:
        """Return the files and folders, or their patterns, of a section with absolute paths; empty if it has none."""
        return [data.arguments()["path"]]

    def find_inexpressible(self) -> Iterator[KeyPath]:
        """Return the paths of the settings that the code cannot express."""
        for name in self.data.arguments():
            if name in self.expressible_keys or name in _HANDLED_DATA_KEYS:
                continue
            if not is_default_argument(self.data, name):
                yield ("data", name)
        split = self.data.split
        inexpressible = [key for key in split.key_columns if not self.can_write_split_key(key)]
        yield from (
            ("data", "split", key) for key in (*inexpressible, *(["fold"] if split.fold is not None else []))
        )
        if not self.reads_several_files:
            own_files = self.own_files.values()
            for key, paths in zip(split.own_files, own_files, strict=True):
                if len(paths) > 1 or (self.data.example_suffixes and has_magic(paths[0])):
                    yield ("data", "split", key)
        for part, names in self.data.file_paths.items():
            if any(map(is_address, names)):
                yield ("data", part)
        yield from self.find_inexpressible_values()
        if self.facts.has_weights and None not in self.facts.targets:
            yield ("data", "weights")

    def can_write_split_key(self, key: str) -> bool:  # noqa: ARG002 - only tables have columns
        """Return whether ``load_data`` returns the column that this key of ``split`` names."""
        return False

    def find_inexpressible_values(self) -> Iterator[KeyPath]:
        """Return the paths of the settings that the code expresses only with other values."""
        yield from ()

    def write_fill_missing(self, splits: Sequence[str]) -> Iterator[str]:  # noqa: ARG002 - only tables have any
        """Return the lines of ``main`` that replace missing numbers in the inputs of these splits."""
        yield from ()

    def write_data_constant(self, folder: Path) -> list[str]:
        """Return the lines of ``DATA``: the files, relative to the script if they are in its folder or below it."""
        directory = self.valid.check_result.directory_of(("data", self.data.path_key)).absolute()
        constants = {"DATA": self.data_paths(self.data.with_absolute_paths(directory))}
        for name, paths in self.own_files.items():
            constants[SET_CONSTANTS[name]] = self.list_own_paths(paths)
        is_list = self.reads_several_files
        return [
            line
            for name, paths in constants.items()
            if paths
            for line in render_statement(_write_paths(paths, folder, is_list=is_list), "", f"{name} = ")
        ]

    def list_own_paths(self, paths: Sequence[str]) -> Sequence[str]:
        """Return the files, or their patterns, of a set with separate files, given by their absolute paths."""
        return paths

    @property
    def reads_several_files(self) -> bool:
        """Whether ``load_data`` reads a list of files."""
        return False


def _write_paths(paths: Sequence[str], folder: Path, *, is_list: bool) -> Expression:
    """Return the code of a path, or of a list of paths or of the files of a pattern."""
    expressions = tuple(_path_expression(Path(os.path.normpath(path)), folder) for path in paths)
    if not is_list:
        return expressions[0]
    parent, pattern = Path(os.path.normpath(paths[0])).parent, Path(paths[0]).name
    if len(paths) > 1 or not has_magic(paths[0]) or has_magic(str(parent)):
        return Brackets("[", expressions, "]")
    inline = render_inline(_path_expression(parent, folder))
    found = CallExpression(f"{f'({inline})' if ' / ' in inline else inline}.glob", (quote_string(pattern),))
    return CallExpression("sorted", (found,))


def write_class_files(condition: str, facts: ScriptFacts) -> list[str]:
    """Return the lines that set ``paths`` and ``labels`` of the files in class folders, at any depth.

    ``condition`` is an expression on ``path``, of at most 40 characters. Labels are names if ``main`` numbers them.
    """
    source = facts.source
    labels = (
        ["labels = [file.parts[0] for file in sorted(files)]"]
        if facts.own_sets
        else [
            "names = sorted({file.parts[0] for file in files})",
            "labels = [names.index(file.parts[0]) for file in sorted(files)]",
        ]
    )
    lines = (
        "files = [",
        f"{INDENT}path.relative_to({source})",
        f'{INDENT}for path in {source}.glob("*/**/*")',
        f"{INDENT}if path.is_file() and {condition}",
        "]",
        'files = [file for file in files if "/." not in f"/{file.as_posix()}"]',
        f"paths = [{source} / file for file in sorted(files)]",
        *labels,
    )
    return [INDENT + line for line in lines]


def _path_expression(path: Path, folder: Path) -> Expression:
    try:
        relative = path.relative_to(folder.absolute())
    except ValueError:
        return CallExpression("Path", (quote_string(str(path)),))
    if relative == Path():
        return "Path(__file__).parent"
    return f"Path(__file__).parent / {quote_string(relative.as_posix())}"
