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
    Brackets,
    CallExpression,
    Expression,
    quote_string,
    render_inline,
    render_statement,
)
from layercli.source.nodes import KeyPath

INDENT: Final = "    "
_HANDLED_DATA_KEYS: Final = {"split", "shuffle", "stream"}
"""Keys that the split code handles, or that only concern how layercli reads."""

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
        """Return the lines of the function ``load_data``, which returns (x, y) or (x, y, weights)."""
        raise NotImplementedError

    def imports(self) -> set[str]:
        """Return the import lines of third-party packages that the code uses."""
        return {"import numpy as np"}

    def user_imports(self) -> set[str]:
        """Return the import lines of custom code."""
        return set()

    def data_paths(self, data: D) -> Sequence[str]:
        """Return the files and folders, also as patterns, of a section with absolute paths; empty if it has none."""
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
            ("data", "split", key)
            for key in (*split.own_files, *inexpressible, *(["fold"] if split.fold is not None else []))
        )
        for key, names in self.data.file_paths.items():
            if key != "split" and any(map(is_address, names)):
                yield ("data", key)
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
        paths = self.data_paths(self.data.with_absolute_paths(directory))
        if not paths:
            return []
        expressions = [_path_expression(Path(os.path.normpath(path)), folder) for path in paths]
        if len(expressions) > 1:
            return render_statement(Brackets("[", tuple(expressions), "]"), "", before="DATA = ")
        if not has_magic(paths[0]):
            return render_statement(expressions[0], "", before="DATA = ")
        parent, pattern = Path(os.path.normpath(paths[0])).parent, Path(paths[0]).name
        if has_magic(str(parent)):
            return render_statement(Brackets("[", tuple(expressions), "]"), "", before="DATA = ")
        inline = render_inline(_path_expression(parent, folder))
        found = CallExpression(
            f"{f'({inline})' if ' / ' in inline else inline}.glob", (quote_string(pattern),)
        )
        return render_statement(CallExpression("sorted", (found,)), "", before="DATA = ")


def write_class_files(condition: str) -> list[str]:
    """Return the lines that set ``paths`` and ``labels`` of the files in class folders, at any depth.

    ``condition`` is an expression on ``path``, of at most 40 characters.
    """
    lines = (
        "files = [",
        f"{INDENT}path.relative_to(DATA)",
        f'{INDENT}for path in DATA.glob("*/**/*")',
        f"{INDENT}if path.is_file() and {condition}",
        "]",
        'files = [file for file in files if "/." not in f"/{file.as_posix()}"]',
        "paths = [DATA / file for file in sorted(files)]",
        "names = sorted({file.parts[0] for file in files})",
        "labels = [names.index(file.parts[0]) for file in sorted(files)]",
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
