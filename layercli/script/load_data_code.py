"""``load_data`` as Python, for each type of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os.path import commonpath, relpath
from pathlib import Path
from typing import Any, Final

from layercli.check import ValidConfig
from layercli.config.data.section import DataConfig
from layercli.script.facts import Known
from layercli.script.keras_calls import value_of
from layercli.script.python_source import Call, Expression, Items, Named, literal, quoted, statement

_IN: Final = "    "
_DEFAULT_MISSING: Final = ["NA", "NaN", "nan", "null", "?"]
IMAGES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
"""How files of images end."""


def load_data(data: DataConfig, valid: ValidConfig, known: Known) -> list[str]:
    """The lines of ``load_data``."""
    return _WRITERS[data.type_name()](data, valid, known)


def is_pattern(path: str) -> bool:
    """Whether the path stands for several files."""
    return any(char in path for char in "*?[")


def array_folder(data: Any) -> str:
    """The folder of npy data's files."""
    return commonpath([str(Path(name).parent) for name in array_files(data)])


def array_files(data: Any) -> list[str]:
    """The files of npy data."""
    names = [data.features, data.inputs, data.target, data.weights]
    return [
        file for name in names if name for file in (name.values() if isinstance(name, Mapping) else [name])
    ]


def _sklearn(data: Any, valid: ValidConfig, known: Known) -> list[str]:
    shape = "" if data.shape is None or len(data.shape) == 1 else (
        ".reshape(-1, " + ", ".join(map(str, data.shape)) + ")"
    )  # fmt: skip
    target = '"int32"' if known.target.labels else '"float32"'
    return [
        "def load_data():",
        f'{_IN}"""The data set {data.dataset} of scikit-learn."""',
        f"{_IN}x, y = datasets.load_{data.dataset}(return_X_y=True)",
        f'{_IN}x = x.astype("float32"){shape}',
        f"{_IN}return x, y.astype({target})",
    ]


def _npz(data: Any, valid: ValidConfig, known: Known) -> list[str]:
    lines = [
        "def load_data():",
        f'{_IN}"""Arrays that numpy.savez has written."""',
        f"{_IN}with np.load(DATA) as arrays:",
    ]
    return [*lines, *_arrays(data, known, lambda name: f"arrays[{quoted(name)}]", 2 * _IN)]


def _npy(data: Any, valid: ValidConfig, known: Known) -> list[str]:
    folder = array_folder(data)

    def read(name: str) -> str:
        place = Path(relpath(name, folder)).as_posix()
        return f"np.load(DATA / {quoted(place)})"

    lines = ["def load_data():", f'{_IN}"""Arrays that numpy.save has written."""']
    return [*lines, *_arrays(data, known, read, _IN)]


def _arrays(data: Any, known: Known, read: Callable[[str], str], indent: str) -> list[str]:
    """Inputs, targets and weights from arrays by their names."""
    lines = _assigned("x", data.features if data.inputs is None else data.inputs, read, indent)
    lines += _assigned("y", data.target, read, indent)
    lines += [indent + line for line in _classes(known)]
    if data.weights is None:
        return [*lines, f"{indent}return x, y"]
    return [*lines, f"{indent}return x, y, {read(data.weights)}"]


def _assigned(name: str, given: str | dict[str, str], read: Callable[[str], str], indent: str) -> list[str]:
    if isinstance(given, str):
        return [f"{indent}{name} = {read(given)}"]
    entries = tuple(Named(f"{quoted(key)}: ", read(array)) for key, array in given.items())
    return statement(Items("{", entries, "}"), indent, before=f"{name} = ")


def _classes(known: Known) -> list[str]:
    """Targets that are texts as numbers from 0."""
    return [
        f"classes, {variable} = np.unique({variable}, return_inverse=True)"
        for name, target in known.targets.items()
        for variable in ("y" if name is None else f"y[{quoted(name)}]",)
        if target.texts
    ]


def _python(data: Any, valid: ValidConfig, known: Known) -> list[str]:
    arguments = tuple(Named(f"{name}=", value_of(value)) for name, value in data.parameters.items())
    names = "x, y, weights" if known.weights else "x, y"
    taken = [
        name if several else f"np.asarray({name})"
        for name, several in zip(
            names.split(", "), [known.inputs, None not in known.targets, ()], strict=False
        )
    ]
    return [
        "def load_data():",
        f'{_IN}"""What the function {data.name} gives."""',
        *statement(Call(data.name, arguments), _IN, before=f"{names} = "),
        *(_IN + line for line in _classes(known)),
        f"{_IN}return {', '.join(taken)}",
    ]


def _table(data: Any, valid: ValidConfig, known: Known) -> list[str]:
    lines = ["def load_data():", f'{_IN}"""Columns of a table: numbers and their target."""']
    text = text_inputs(data, valid)
    if text and len(text) == len(data.inputs):
        lines[1] = f'{_IN}"""Columns of a table: texts and their target."""'
    lines += _read_csv(data, bool(text)) if data.type_name() == "csv" else _read_parquet(data)
    if data.inputs is None:
        apart = [data.target, *([] if data.weights is None else [data.weights])]
        others = f"name != {quoted(apart[0])}" if len(apart) == 1 else f"name not in {_tuple(apart)}"
        lines.append(f"{_IN}columns = [name for name in table.column_names if {others}]")
        lines.append(f'{_IN}x = np.stack([table[name] for name in columns], axis=1).astype("float32")')
    elif len(data.inputs) == 1:
        (columns,) = data.inputs.values()
        if text:
            lines += _texts(data, columns, "x")
        else:
            lines += statement(literal(columns), _IN, before="columns = ")
            lines.append(f'{_IN}x = np.stack([table[name] for name in columns], axis=1).astype("float32")')
    else:
        lines += _several(data, text)
    column = f"table[{quoted(data.target)}]"
    lines += _target_of_table(column, data, known)
    weights = "" if data.weights is None else f', table[{quoted(data.weights)}].to_numpy().astype("float32")'
    return [*lines, f"{_IN}return x, y{weights}"]


def _target_of_table(column: str, data: Any, known: Known) -> list[str]:
    if known.target.texts or data.target_type == "labels":
        return [f"{_IN}classes, y = np.unique({column}, return_inverse=True)"]
    kind = '"int32"' if known.target.labels else '"float32"'
    return [f"{_IN}y = {column}.to_numpy().astype({kind})"]


def text_inputs(data: Any, valid: ValidConfig) -> set[str]:
    """Inputs of a table that are text."""
    inputs = data.inputs or {}
    if len(inputs) == 1 and len(valid.graph.inputs) == 1:
        (tensor,) = valid.graph.inputs.values()
        return set(inputs) if tensor.dtype == "string" else set()
    return {name for name, tensor in valid.graph.inputs.items() if tensor.dtype == "string"} & inputs.keys()


def _tuple(names: list[str]) -> str:
    return f"({', '.join(map(quoted, names))})"


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
    for name in data.inputs:
        if name in text:
            lines += _texts(data, data.inputs[name], f"x[{quoted(name)}]")
    return lines


def _texts(data: Any, columns: list[str], variable: str) -> list[str]:
    """Columns of text side by side."""
    fill = quoted(data.missing.texts)
    if len(columns) == 1:
        return [
            f"{_IN}texts = table[{quoted(columns[0])}].fill_null({fill}).to_pylist()",
            f"{_IN}{variable} = np.array(texts)[:, np.newaxis]",
        ]
    return [
        *statement(literal(columns), _IN, before="columns = "),
        f"{_IN}texts = [table[name].fill_null({fill}).to_pylist() for name in columns]",
        f"{_IN}{variable} = np.array(texts).T",
    ]


def _read_csv(data: Any, text: bool) -> list[str]:
    options: list[Expression] = []
    if data.columns is not None:
        options.append(
            Named("read_options=", Call("csv.ReadOptions", (Named("column_names=", literal(data.columns)),)))
        )
    parse: list[Expression] = []
    if data.separator != ",":
        parse.append(Named("delimiter=", quoted(data.separator)))
    if text:
        parse.append(Named("newlines_in_values=", "True"))
    if parse:
        options.append(Named("parse_options=", Call("csv.ParseOptions", tuple(parse))))
    convert: list[Expression] = []
    if data.types:
        kinds = {"text": "pa.string()", "number": "pa.float64()"}
        entries = tuple(Named(f"{quoted(name)}: ", kinds[kind]) for name, kind in data.types.items())
        convert.append(Named("column_types=", Items("{", entries, "}")))
    if text or data.missing.numbers != "refuse" or data.missing.values != _DEFAULT_MISSING:
        convert.append(Named("null_values=", literal(["", *data.missing.values])))
        convert.append(Named("strings_can_be_null=", "True"))
    if convert:
        options.append(Named("convert_options=", Call("csv.ConvertOptions", tuple(convert))))
    if not reads_several(data):
        return statement(Call("csv.read_csv", ("DATA", *options)), _IN, before="table = ")
    entries = tuple(Named(f"{quoted(option.name.removesuffix('='))}: ", option.value)
                    for option in options if isinstance(option, Named))  # fmt: skip
    lines = statement(Items("{", entries, "}"), _IN, before="options = ") if entries else []
    read = "csv.read_csv(path, **options)" if entries else "csv.read_csv(path)"
    return [*lines, f"{_IN}table = pa.concat_tables([{read} for path in DATA])"]


def _read_parquet(data: Any) -> list[str]:
    if not reads_several(data):
        return [f"{_IN}table = parquet.read_table(DATA)"]
    return [f"{_IN}table = pa.concat_tables([parquet.read_table(path) for path in DATA])"]


def reads_several(data: Any) -> bool:
    """Whether several files are put together."""
    path = data.arguments().get("path")
    return isinstance(path, list) and (len(path) > 1 or is_pattern(path[0]))


def _images(data: Any, valid: ValidConfig, known: Known) -> list[str]:
    (tensor,) = valid.graph.inputs.values()
    channels = data.channels or tensor.shape[-1]
    mode = {1: "L", 3: "RGB", 4: "RGBA"}.get(channels or 3, "RGB")
    axis = "[..., np.newaxis]" if channels == 1 else ""
    resize = []
    if data.size is not None:
        size = f"({data.size[1]}, {data.size[0]})"
        resize = [f"{3 * _IN}image = image.resize({size}, Image.Resampling.BILINEAR)"]
    return [
        "def load_data():",
        f'{_IN}"""Images, and the number of the folder of each in the order of their names."""',
        f"{_IN}kinds = {_tuple(list(IMAGES))}",
        f'{_IN}found = sorted(DATA.glob("[!.]*/[!.]*"))',
        f"{_IN}paths = [path for path in found if path.suffix.lower() in kinds]",
        f"{_IN}names = sorted({{path.parent.name for path in paths}})",
        f"{_IN}images = []",
        f"{_IN}for path in paths:",
        f"{2 * _IN}with Image.open(path) as image:",
        f'{3 * _IN}image = image.convert("{mode}")',
        *resize,
        f"{3 * _IN}images.append(np.asarray(image))",
        f"{_IN}labels = [names.index(path.parent.name) for path in paths]",
        f"{_IN}return np.stack(images){axis}, np.array(labels)",
    ]


def _text(data: Any, valid: ValidConfig, known: Known) -> list[str]:
    if data.column is not None:
        return _table(data.table(), valid, known)
    return [
        "def load_data():",
        f'{_IN}"""Texts, and the number of the folder of each in the order of their names."""',
        f'{_IN}paths = sorted(DATA.glob("[!.]*/[!.]*.txt"))',
        f"{_IN}names = sorted({{path.parent.name for path in paths}})",
        f'{_IN}texts = [path.read_text(encoding="utf-8-sig") for path in paths]',
        f"{_IN}labels = [names.index(path.parent.name) for path in paths]",
        f"{_IN}return np.array(texts)[:, np.newaxis], np.array(labels)",
    ]


_WRITERS: Final[dict[str, Callable[[Any, ValidConfig, Known], list[str]]]] = {
    "sklearn": _sklearn,
    "npz": _npz,
    "npy": _npy,
    "csv": _table,
    "parquet": _table,
    "images": _images,
    "text": _text,
    "python": _python,
}
