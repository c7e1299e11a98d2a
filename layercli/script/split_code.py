"""The data section as Python: what it imports, where its files are, and the same division into parts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from layercli.check import ValidConfig
from layercli.config.data.files import Npy, Python, Text
from layercli.config.data.section import DataConfig, SplitConfig
from layercli.config.data.tables import TableConfig
from layercli.layers.minimal_arguments import is_default_argument
from layercli.script.facts import ScriptFacts
from layercli.script.load_data_code import find_array_folder, is_glob
from layercli.script.python_source import (
    Brackets,
    CallExpression,
    Expression,
    quote_string,
    render_inline,
    render_statement,
)

_INDENT: Final = "    "
_TABLE_FIELDS: Final = {"path", "target", "target_type", "inputs", "missing", "weights"}
_ARRAY_FIELDS: Final = {"features", "inputs", "target", "weights"}
_SUPPORTED_FIELDS: Final = {
    "sklearn": {"dataset", "shape"},
    "npz": _ARRAY_FIELDS | {"path"},
    "npy": _ARRAY_FIELDS,
    "csv": _TABLE_FIELDS | {"columns", "separator", "types"},
    "parquet": _TABLE_FIELDS,
    "images": {"path", "size", "channels"},
    "text": {"path", "column", "target"},
    "python": {"function", "parameters"},
}
"""Type of data -> what of it a script says, beside how it is divided."""
_IGNORED_FIELDS: Final = {"split", "shuffle", "stream"}
"""What is said of the division, and how layercli reads, which is no matter of the script."""


def find_unsupported_fields(data: DataConfig, facts: ScriptFacts) -> Iterator[tuple[str, ...]]:
    """Paths of what the data section says and a script cannot."""
    kind = data.type_name()
    if kind not in _SUPPORTED_FIELDS:
        yield ("data", "type")
        return
    for name in data.arguments():
        if name in _SUPPORTED_FIELDS[kind] | _IGNORED_FIELDS:
            continue
        if not is_default_argument(data, name):
            yield ("data", name)
    if isinstance(data, TableConfig):
        if isinstance(data.target, dict):
            yield ("data", "target")
        if data.missing.numbers == "drop":
            yield ("data", "missing", "numbers")
        if data.missing.columns:
            yield ("data", "missing", "columns")
    if facts.is_16bit:
        yield ("data", "path")  # Pillow cuts 16 bits to 8 where it converts
    if facts.has_weights and None not in facts.targets:
        yield ("data", "weights")


def data_imports(data: DataConfig) -> set[str]:
    """What the functions need."""
    return {
        "sklearn": {"from sklearn import datasets"},
        "csv": {"from pyarrow import csv"},
        "parquet": {"from pyarrow import parquet"},
        "images": {"from PIL import Image"},
    }.get(_as_table(data).type_name(), set()) | {"import numpy as np"}


def user_code_imports(data: DataConfig | None) -> set[str]:
    """What is imported of the user's code."""
    if not isinstance(data, Python):
        return set()
    module = data.module if data.file is None else data.file.stem
    return {f"from {module} import {data.function_name}"}


def _as_table(data: DataConfig) -> DataConfig:
    """The data as it is read: a table, where texts are a column of one."""
    return (data.as_table() or data) if isinstance(data, Text) else data


def reads_files(data: DataConfig) -> bool:
    """Whether the script reads files."""
    return data.type_name() not in ("sklearn", "python")


def path_constants(data: DataConfig, valid: ValidConfig, folder: Path) -> list[str]:
    """Where the files are; relative to the script where they lie beside or below it."""
    if not reads_files(data):
        return []
    located = data.with_absolute_paths(valid.check_result.directory_of(("data", data.path_key)).absolute())
    path = find_array_folder(located) if isinstance(located, Npy) else located.arguments()["path"]
    paths = path if isinstance(path, list) else [path]
    expressions = [_path_expression(Path(os.path.normpath(each)), folder) for each in paths]
    if len(expressions) == 1 and not is_glob(paths[0]):
        return render_statement(expressions[0], "", before="DATA = ")
    if len(expressions) == 1:
        head, pattern = Path(os.path.normpath(paths[0])).parent, Path(paths[0]).name
        if not is_glob(str(head)):
            return [
                f"DATA = sorted({render_inline(_path_expression(head, folder))}.glob({quote_string(pattern)}))"
            ]
    return render_statement(Brackets("[", tuple(expressions), "]"), "", before="DATA = ")


def _path_expression(path: Path, folder: Path) -> Expression:
    try:
        relative = path.relative_to(folder.absolute())
    except ValueError:
        return CallExpression("Path", (quote_string(str(path)),))
    if relative == Path():
        return "Path(__file__).parent"
    return f"Path(__file__).parent / {quote_string(relative.as_posix())}"


def split_function_lines(data: DataConfig, facts: ScriptFacts) -> list[str]:
    """The lines of ``split``; several inputs or targets are a dict."""
    sizes: SplitConfig = data.split
    targets = [name for name in facts.targets if name is not None]
    y = f"y[{quote_string(targets[0])}]" if targets else "y"
    count = f"len({y})"
    order = f"np.random.default_rng(SEED).permutation({count})" if data.shuffle else f"np.arange({count})"
    lines = [
        f"def split({', '.join(array_names(facts))}):",
        f'{_INDENT}"""Examples to train on, to validate on and to test on: the same ones each time."""',
        f"{_INDENT}order = {order}",
        f"{_INDENT}validation, test = {_count_expression(sizes.validation, count)}, {_count_expression(sizes.test, count)}",
        f"{_INDENT}train = {count} - validation - test",
    ]
    labels = [y for name, y in _iterate_targets(facts) if facts.targets[name].is_label]
    if sizes.stratify and labels:
        if len(labels) == 1:
            spread, each = "Each class is spread evenly", f"{labels[0]}[order]"
        else:
            spread, each = "Each combination of classes is spread evenly", "classes[order]"
            lines.append(f"{_INDENT}stacked = np.stack([{', '.join(labels)}], axis=1)")
            lines.append(f"{_INDENT}_, classes = np.unique(stacked, axis=0, return_inverse=True)")
        lines += [
            f"{_INDENT}# {spread}, so that every part has its share.",
            f"{_INDENT}labels, place = {each}, np.empty({count})",
            f"{_INDENT}for label in np.unique(labels):",
            f"{2 * _INDENT}where = np.flatnonzero(labels == label)",
            f"{2 * _INDENT}place[where] = (np.arange(len(where)) + 0.5) / len(where)",
            f"{_INDENT}spread = np.lexsort((labels, place))",
            f"{_INDENT}parts = np.split(spread, [train, train + validation])",
            f"{_INDENT}parts = [order[np.sort(part)] for part in parts]",
        ]
    else:
        lines.append(f"{_INDENT}parts = np.split(order, [train, train + validation])")
    lines += [
        f'{_INDENT}{y} = np.eye({facts.targets[name].one_hot_size}, dtype="float32")[{y}]'
        for name, y in _iterate_targets(facts)
        if facts.targets[name].one_hot_size is not None
    ]
    returned = [_select_rows("x", several=bool(facts.input_names)), _select_rows("y", several=bool(targets))]
    returned += [_select_rows(name, several=False) for name in array_names(facts)[2:]]
    return [*lines, *_return_lines(returned)]


def _iterate_targets(facts: ScriptFacts) -> Iterator[tuple[str | None, str]]:
    for name in facts.targets:
        yield name, "y" if name is None else f"y[{quote_string(name)}]"


def array_names(facts: ScriptFacts) -> list[str]:
    """What ``load_data`` returns."""
    return ["x", "y", "weights"] if facts.has_weights else ["x", "y"]


def _select_rows(name: str, *, several: bool) -> str:
    return f"{{name: array[rows] for name, array in {name}.items()}}" if several else f"{name}[rows]"


def _return_lines(arrays: list[str]) -> list[str]:
    """The parts, in brackets that are broken as a formatter breaks them."""
    line = f"{_INDENT}return [({', '.join(arrays)}) for rows in parts]"
    if len(line) <= 88:
        return [line]
    inner = f"{2 * _INDENT}({', '.join(arrays)}) for rows in parts"
    if len(inner) <= 88:
        return [f"{_INDENT}return [", inner, f"{_INDENT}]"]
    body = [f"{3 * _INDENT}{each}," for each in arrays]
    return [
        f"{_INDENT}return [",
        f"{2 * _INDENT}(",
        *body,
        f"{2 * _INDENT})",
        f"{2 * _INDENT}for rows in parts",
        f"{_INDENT}]",
    ]


def _count_expression(size: int | float, count: str) -> str:
    return str(size) if isinstance(size, int) else f"round({size!r} * {count})"
