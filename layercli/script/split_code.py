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
from layercli.script.facts import Known
from layercli.script.keras_calls import is_same
from layercli.script.load_data_code import array_folder, is_pattern
from layercli.script.python_source import Call, Expression, Items, flat, quoted, statement

_IN: Final = "    "
_TABLE: Final = {"path", "target", "target_type", "inputs", "missing", "weights"}
_ARRAYS: Final = {"features", "inputs", "target", "weights"}
_HANDLED: Final = {
    "sklearn": {"dataset", "shape"},
    "npz": _ARRAYS | {"path"},
    "npy": _ARRAYS,
    "csv": _TABLE | {"columns", "separator", "types"},
    "parquet": _TABLE,
    "images": {"path", "size", "channels"},
    "text": {"path", "column", "target"},
    "python": {"function", "parameters"},
}
"""Type of data -> what of it a script says, beside how it is divided."""
_OF_LAYERCLI: Final = {"split", "shuffle", "stream"}
"""What is said of the division, and how layercli reads, which is no matter of the script."""


def unsaid(data: DataConfig, known: Known) -> Iterator[tuple[str, ...]]:
    """Paths of what the data section says and a script cannot."""
    kind = data.type_name()
    if kind not in _HANDLED:
        yield ("data", "type")
        return
    for name in data.arguments():
        if name in _HANDLED[kind] | _OF_LAYERCLI:
            continue
        if not is_same(data, name, type(data)._find_default(name)):
            yield ("data", name)
    if isinstance(data, TableConfig):
        if isinstance(data.target, dict):
            yield ("data", "target")
        if data.missing.numbers == "drop":
            yield ("data", "missing", "numbers")
        if data.missing.columns:
            yield ("data", "missing", "columns")
    if known.deep:
        yield ("data", "path")  # Pillow cuts 16 bits to 8 where it converts
    if known.weights and None not in known.targets:
        yield ("data", "weights")


def imports(data: DataConfig) -> set[str]:
    """What the functions need."""
    return {
        "sklearn": {"from sklearn import datasets"},
        "csv": {"from pyarrow import csv"},
        "parquet": {"from pyarrow import parquet"},
        "images": {"from PIL import Image"},
    }.get(_as_read(data).type_name(), set()) | {"import numpy as np"}


def own_imports(data: DataConfig | None) -> set[str]:
    """What is imported of the user's code."""
    if not isinstance(data, Python):
        return set()
    module = data.module if data.file is None else data.file.stem
    return {f"from {module} import {data.function_name}"}


def _as_read(data: DataConfig) -> DataConfig:
    """The data as it is read: a table, where texts are a column of one."""
    return (data.as_table() or data) if isinstance(data, Text) else data


def needs_path(data: DataConfig) -> bool:
    """Whether the script reads files."""
    return data.type_name() not in ("sklearn", "python")


def constants(data: DataConfig, valid: ValidConfig, folder: Path) -> list[str]:
    """Where the files are; relative to the script where they lie beside or below it."""
    if not needs_path(data):
        return []
    located = data.with_absolute_paths(valid.check_result.directory_of(("data", data.path_key)).absolute())
    path = array_folder(located) if isinstance(located, Npy) else located.arguments()["path"]
    paths = path if isinstance(path, list) else [path]
    written = [_place(Path(os.path.normpath(each)), folder) for each in paths]
    if len(written) == 1 and not is_pattern(paths[0]):
        return statement(written[0], "", before="DATA = ")
    if len(written) == 1:
        head, pattern = Path(os.path.normpath(paths[0])).parent, Path(paths[0]).name
        if not is_pattern(str(head)):
            return [f"DATA = sorted({flat(_place(head, folder))}.glob({quoted(pattern)}))"]
    return statement(Items("[", tuple(written), "]"), "", before="DATA = ")


def _place(path: Path, folder: Path) -> Expression:
    try:
        below = path.relative_to(folder.absolute())
    except ValueError:
        return Call("Path", (quoted(str(path)),))
    if below == Path():
        return "Path(__file__).parent"
    return f"Path(__file__).parent / {quoted(below.as_posix())}"


def split(data: DataConfig, known: Known) -> list[str]:
    """The lines of ``split``; several inputs or targets are a dict."""
    parts: SplitConfig = data.split
    targets = [name for name in known.targets if name is not None]
    y = f"y[{quoted(targets[0])}]" if targets else "y"
    count = f"len({y})"
    order = f"np.random.default_rng(SEED).permutation({count})" if data.shuffle else f"np.arange({count})"
    lines = [
        f"def split({', '.join(names_of(known))}):",
        f'{_IN}"""Examples to train on, to validate on and to test on: the same ones each time."""',
        f"{_IN}order = {order}",
        f"{_IN}validation, test = {_count(parts.validation, count)}, {_count(parts.test, count)}",
        f"{_IN}train = {count} - validation - test",
    ]
    labels = [y for name, y in _each_target(known) if known.targets[name].labels]
    if parts.stratify and labels:
        if len(labels) == 1:
            spread, each = "Each class is spread evenly", f"{labels[0]}[order]"
        else:
            spread, each = "Each combination of classes is spread evenly", "classes[order]"
            lines.append(f"{_IN}stacked = np.stack([{', '.join(labels)}], axis=1)")
            lines.append(f"{_IN}_, classes = np.unique(stacked, axis=0, return_inverse=True)")
        lines += [
            f"{_IN}# {spread}, so that every part has its share.",
            f"{_IN}labels, place = {each}, np.empty({count})",
            f"{_IN}for label in np.unique(labels):",
            f"{2 * _IN}where = np.flatnonzero(labels == label)",
            f"{2 * _IN}place[where] = (np.arange(len(where)) + 0.5) / len(where)",
            f"{_IN}spread = np.lexsort((labels, place))",
            f"{_IN}parts = np.split(spread, [train, train + validation])",
            f"{_IN}parts = [order[np.sort(part)] for part in parts]",
        ]
    else:
        lines.append(f"{_IN}parts = np.split(order, [train, train + validation])")
    lines += [
        f'{_IN}{y} = np.eye({known.targets[name].one_hot}, dtype="float32")[{y}]'
        for name, y in _each_target(known)
        if known.targets[name].one_hot is not None
    ]
    taken = [_rows("x", several=bool(known.inputs)), _rows("y", several=bool(targets))]
    taken += [_rows(name, several=False) for name in names_of(known)[2:]]
    return [*lines, *_returned(taken)]


def _each_target(known: Known) -> Iterator[tuple[str | None, str]]:
    for name in known.targets:
        yield name, "y" if name is None else f"y[{quoted(name)}]"


def names_of(known: Known) -> list[str]:
    """What ``load_data`` returns."""
    return ["x", "y", "weights"] if known.weights else ["x", "y"]


def _rows(name: str, *, several: bool) -> str:
    return f"{{name: array[rows] for name, array in {name}.items()}}" if several else f"{name}[rows]"


def _returned(taken: list[str]) -> list[str]:
    """The parts, in brackets that are broken as a formatter breaks them."""
    one = f"{_IN}return [({', '.join(taken)}) for rows in parts]"
    if len(one) <= 88:
        return [one]
    inner = f"{2 * _IN}({', '.join(taken)}) for rows in parts"
    if len(inner) <= 88:
        return [f"{_IN}return [", inner, f"{_IN}]"]
    body = [f"{3 * _IN}{each}," for each in taken]
    return [f"{_IN}return [", f"{2 * _IN}(", *body, f"{2 * _IN})", f"{2 * _IN}for rows in parts", f"{_IN}]"]


def _count(part: int | float, count: str) -> str:
    return str(part) if isinstance(part, int) else f"round({part!r} * {count})"
