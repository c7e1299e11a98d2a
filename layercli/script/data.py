"""Data as Python: ``load_data`` for each type of data, and the same division into parts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from layercli.check import Valid
from layercli.config.data import Data, Split
from layercli.script.code import Call, Expression, Items, Named, flat, literal, quoted, statement
from layercli.script.objects import is_same

_IN: Final = "    "
_DEFAULT_MISSING: Final = ["NA", "NaN", "nan", "null", "?"]
_HANDLED: Final = {
    "sklearn": {"dataset", "shape"},
    "npz": {"path", "features", "inputs", "target"},
    "csv": {"path", "target", "target_type", "inputs", "missing", "columns", "separator"},
    "parquet": {"path", "target", "target_type", "inputs", "missing"},
    "images": {"path", "size", "channels"},
    "text": {"path"},
}
"""Type of data -> what of it a script says, beside how it is divided."""
_OF_LAYERCLI: Final = {"split", "shuffle", "cache", "stream", "streaming", "memory"}
"""What is said of the division, and how layercli reads, which is no matter of the script."""


@dataclass(frozen=True, slots=True)
class Known:
    """What reading the data has told; all guessed where it could not be read."""

    labels: bool
    """Whether the target is a class for each example."""
    texts: bool = False
    """Whether the classes are texts in the data."""
    names: tuple[str, ...] = ()
    """The classes' names, where they are texts."""
    one_hot: int | None = None
    """How many units a one-hot target has, where the loss takes that."""
    text_inputs: bool = False
    """Whether an input is text."""


def unsaid(data: Data) -> Iterator[tuple[str, ...]]:
    """Paths of what the data section says and a script cannot."""
    kind = data.type_name()
    if kind not in _HANDLED:
        yield ("data", "type")
        return
    for name in data.arguments():
        if name in _HANDLED[kind] | _OF_LAYERCLI:
            continue
        if not is_same(data, name, type(data)._default(name)):
            yield ("data", name)
    if kind == "npz" and isinstance(data.arguments()["target"], dict):
        yield ("data", "target")
    if (
        kind in ("csv", "parquet")
        and _of(data, "missing").numbers != "refuse"
        and _of(data, "inputs") is not None
    ):
        yield ("data", "missing", "numbers")


def imports(data: Data) -> set[str]:
    """What the functions need."""
    return {
        "sklearn": {"from sklearn import datasets"},
        "npz": set(),
        "csv": {"from pyarrow import csv"},
        "parquet": {"from pyarrow import parquet"},
        "images": {"from PIL import Image"},
        "text": set(),
    }[data.type_name()] | {"import numpy as np"}


def needs_path(data: Data) -> bool:
    """Whether the script reads files."""
    return data.type_name() != "sklearn"


def constants(data: Data, valid: Valid, folder: Path) -> list[str]:
    """Where the files are; relative to the script where they lie beside or below it."""
    if not needs_path(data):
        return []
    located = data.located(valid.checked.directory_of(("data", "path")).absolute())
    path = _of(located, "path")
    paths = path if isinstance(path, list) else [path]
    written = [_place(Path(os.path.normpath(each)), folder) for each in paths]
    if len(written) == 1 and not _is_pattern(paths[0]):
        return statement(written[0], "", before="DATA = ")
    if len(written) == 1:
        head, pattern = Path(os.path.normpath(paths[0])).parent, Path(paths[0]).name
        if not _is_pattern(str(head)):
            return [f"DATA = sorted({flat(_place(head, folder))}.glob({quoted(pattern)}))"]
    return statement(Items("[", tuple(written), "]"), "", before="DATA = ")


def _is_pattern(path: str) -> bool:
    return any(char in path for char in "*?[")


def _place(path: Path, folder: Path) -> Expression:
    try:
        below = path.relative_to(folder.absolute())
    except ValueError:
        return Call("Path", (quoted(str(path)),))
    return f"Path(__file__).parent / {quoted(below.as_posix())}"


def load_data(data: Data, valid: Valid, known: Known) -> list[str]:
    """The lines of ``load_data``."""
    return _WRITERS[data.type_name()](data, valid, known)


def _sklearn(data: Any, valid: Valid, known: Known) -> list[str]:
    shape = "" if data.shape is None or len(data.shape) == 1 else (
        ".reshape(-1, " + ", ".join(map(str, data.shape)) + ")"
    )  # fmt: skip
    target = '"int32"' if known.labels else '"float32"'
    return [
        "def load_data():",
        f'{_IN}"""The data set {data.dataset} of scikit-learn."""',
        f"{_IN}x, y = datasets.load_{data.dataset}(return_X_y=True)",
        f'{_IN}x = x.astype("float32"){shape}',
        f"{_IN}return x, y.astype({target})",
    ]


def _npz(data: Any, valid: Valid, known: Known) -> list[str]:
    lines = [
        "def load_data():",
        f'{_IN}"""Arrays that numpy.savez has written."""',
        f"{_IN}with np.load(DATA) as arrays:",
    ]
    inner = 2 * _IN
    if data.inputs is None:
        lines.append(f"{inner}x = arrays[{quoted(data.features)}]")
    else:
        entries = tuple(
            Named(f"{quoted(name)}: ", f"arrays[{quoted(array)}]") for name, array in data.inputs.items()
        )
        lines += statement(Items("{", entries, "}"), inner, before="x = ")
    target = f"arrays[{quoted(data.target)}]"
    if known.texts:
        lines.append(f"{inner}classes, y = np.unique({target}, return_inverse=True)")
        return [*lines, f"{inner}return x, y"]
    return [*lines, f"{inner}return x, {target}"]


def _table(data: Any, valid: Valid, known: Known) -> list[str]:
    lines = ["def load_data():", f'{_IN}"""Columns of a table: numbers and their target."""']
    lines += _read_csv(data) if data.type_name() == "csv" else _read_parquet(data)
    text = {name for name, tensor in valid.graph.inputs.items() if tensor.dtype == "string"}
    if data.inputs is None:
        others = f"[name for name in table.column_names if name != {quoted(data.target)}]"
        lines.append(f"{_IN}columns = {others}")
        lines.append(f'{_IN}x = np.stack([table[name] for name in columns], axis=1).astype("float32")')
    else:
        lines += _several(data, text)
        if len(valid.graph.inputs) == 1:
            lines.append(f"{_IN}x = x[{quoted(next(iter(data.inputs)))}]")
    column = f"table[{quoted(data.target)}]"
    if known.texts or data.target_type == "labels":
        lines.append(f"{_IN}classes, y = np.unique({column}, return_inverse=True)")
        return [*lines, f"{_IN}return x, y"]
    kind = '"int32"' if known.labels else '"float32"'
    return [*lines, f"{_IN}return x, {column}.to_numpy().astype({kind})"]


def _several(data: Any, text: set[str]) -> list[str]:
    """Each input of columns by its name."""
    numbers = {name: list(columns) for name, columns in data.inputs.items() if name not in text}
    lines = [f"{_IN}x = {{}}"]
    if numbers:
        lines += statement(literal(numbers), _IN, before="inputs = ")
        lines += [
            f"{_IN}for name, columns in inputs.items():",
            f"{2 * _IN}arrays = [table[column] for column in columns]",
            f'{2 * _IN}x[name] = np.stack(arrays, axis=1).astype("float32")',
        ]
    for name in text & data.inputs.keys():
        lines.append(f"{_IN}texts = table[{quoted(data.inputs[name][0])}].to_pylist()")
        lines.append(f"{_IN}x[{quoted(name)}] = np.array(texts)[:, np.newaxis]")
    return lines


def _read_csv(data: Any) -> list[str]:
    options: list[Expression] = []
    if data.columns is not None:
        options.append(
            Named("read_options=", Call("csv.ReadOptions", (Named("column_names=", literal(data.columns)),)))
        )
    if data.separator != ",":
        separator = Named("delimiter=", quoted(data.separator))
        options.append(Named("parse_options=", Call("csv.ParseOptions", (separator,))))
    if data.missing.numbers != "refuse" or data.missing.values != _DEFAULT_MISSING:
        values = Named("null_values=", literal(["", *data.missing.values]))
        strings = Named("strings_can_be_null=", "True")
        options.append(Named("convert_options=", Call("csv.ConvertOptions", (values, strings))))
    if len(data.path) == 1 and not _is_pattern(data.path[0]):
        return statement(Call("csv.read_csv", ("DATA", *options)), _IN, before="table = ")
    lines = (
        statement(Items("{", tuple(options_as_entries(options)), "}"), _IN, before="options = ")
        if options
        else []
    )
    read = "csv.read_csv(path, **options)" if options else "csv.read_csv(path)"
    return [*lines, f"{_IN}table = pa.concat_tables([{read} for path in DATA])"]


def options_as_entries(options: list[Expression]) -> Iterator[Expression]:
    """``name=value`` as ``"name": value``."""
    for option in options:
        assert isinstance(option, Named)
        yield Named(f"{quoted(option.name.removesuffix('='))}: ", option.value)


def _read_parquet(data: Any) -> list[str]:
    if len(data.path) == 1 and not _is_pattern(data.path[0]):
        return [f"{_IN}table = parquet.read_table(DATA)"]
    return [f"{_IN}table = pa.concat_tables([parquet.read_table(path) for path in DATA])"]


def reads_several(data: Data) -> bool:
    """Whether several files are put together."""
    path = _of(data, "path")
    return isinstance(path, list) and (len(path) > 1 or _is_pattern(path[0]))


def _images(data: Any, valid: Valid, known: Known) -> list[str]:
    (tensor,) = valid.graph.inputs.values()
    channels = data.channels or tensor.shape[-1]
    mode = {1: "L", 3: "RGB", 4: "RGBA"}.get(channels or 3, "RGB")
    read = f'image = image.convert("{mode}")'
    axis = "[..., np.newaxis]" if channels == 1 else ""
    resize = []
    if data.size is not None:
        size = f"({data.size[1]}, {data.size[0]})"
        resize = [f"{4 * _IN}image = image.resize({size}, Image.Resampling.BILINEAR)"]
    return [
        "def load_data():",
        f'{_IN}"""Images, and the number of the folder of each in the order of their names."""',
        f"{_IN}images, labels = [], []",
        f"{_IN}folders = sorted(path for path in DATA.iterdir() if path.is_dir())",
        f"{_IN}for label, folder in enumerate(folders):",
        f"{2 * _IN}for path in sorted(folder.iterdir()):",
        f"{3 * _IN}with Image.open(path) as image:",
        f"{4 * _IN}{read}",
        *resize,
        f"{4 * _IN}images.append(np.asarray(image))",
        f"{3 * _IN}labels.append(label)",
        f"{_IN}return np.stack(images){axis}, np.array(labels)",
    ]


def _text(data: Any, valid: Valid, known: Known) -> list[str]:
    return [
        "def load_data():",
        f'{_IN}"""Texts, and the number of the folder of each in the order of their names."""',
        f"{_IN}texts, labels = [], []",
        f"{_IN}folders = sorted(path for path in DATA.iterdir() if path.is_dir())",
        f"{_IN}for label, folder in enumerate(folders):",
        f'{2 * _IN}for path in sorted(folder.glob("*.txt")):',
        f'{3 * _IN}texts.append(path.read_text(encoding="utf-8-sig"))',
        f"{3 * _IN}labels.append(label)",
        f"{_IN}return np.array(texts)[:, np.newaxis], np.array(labels)",
    ]


_WRITERS: Final[dict[str, Callable[[Any, Valid, Known], list[str]]]] = {
    "sklearn": _sklearn,
    "npz": _npz,
    "csv": _table,
    "parquet": _table,
    "images": _images,
    "text": _text,
}


def split(data: Data, known: Known, *, several: bool) -> list[str]:
    """The lines of ``split``; with ``several`` inputs those are a dict."""
    parts: Split = data.split
    order = "np.random.default_rng(SEED).permutation(len(y))" if data.shuffle else "np.arange(len(y))"
    lines = [
        "def split(x, y):",
        f'{_IN}"""Examples to train on, to validate on and to test on: the same ones each time."""',
        f"{_IN}order = {order}",
    ]
    held = [_count(parts.validation), _count(parts.test)]
    lines += [
        f"{_IN}validation, test = {held[0]}, {held[1]}",
        f"{_IN}train = len(y) - validation - test",
    ]
    if parts.stratify:
        lines += [
            f"{_IN}# Each class is spread evenly, so that every part has its share.",
            f"{_IN}labels, place = y[order], np.empty(len(y))",
            f"{_IN}for label in np.unique(labels):",
            f"{2 * _IN}where = np.flatnonzero(labels == label)",
            f"{2 * _IN}place[where] = (np.arange(len(where)) + 0.5) / len(where)",
            f"{_IN}spread = np.lexsort((labels, place))",
            f"{_IN}parts = np.split(spread, [train, train + validation])",
            f"{_IN}parts = [order[np.sort(part)] for part in parts]",
        ]
    else:
        lines.append(f"{_IN}parts = np.split(order, [train, train + validation])")
    if known.one_hot is not None:
        lines.append(f'{_IN}y = np.eye({known.one_hot}, dtype="float32")[y]')
    if several:
        return [
            *lines,
            f"{_IN}return [",
            f"{2 * _IN}({{name: array[rows] for name, array in x.items()}}, y[rows]) for rows in parts",
            f"{_IN}]",
        ]
    return [*lines, f"{_IN}return [(x[rows], y[rows]) for rows in parts]"]


def _count(part: int | float) -> str:
    return str(part) if isinstance(part, int) else f"round({part!r} * len(y))"


def _of(data: Data, name: str) -> Any:
    return data.arguments().get(name)
