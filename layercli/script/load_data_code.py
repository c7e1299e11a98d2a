"""``load_data`` as Python, for each type of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os.path import commonpath, relpath
from pathlib import Path
from typing import Any, Final

from layercli.check import ValidConfig
from layercli.config.data.section import DataConfig
from layercli.script.facts import ScriptFacts
from layercli.script.keras_calls import value_expression
from layercli.script.python_source import (
    CallExpression,
    Expression,
    Brackets,
    NamedValue,
    render_literal,
    quote_string,
    render_statement,
)

_INDENT: Final = "    "
_DEFAULT_MISSING_VALUES: Final = ["NA", "NaN", "nan", "null", "?"]
SCRIPT_IMAGE_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
"""How files of images end."""


def load_data_lines(data: DataConfig, valid: ValidConfig, facts: ScriptFacts) -> list[str]:
    """The lines of ``load_data``."""
    return _WRITERS[data.type_name()](data, valid, facts)


def is_glob(path: str) -> bool:
    """Whether the path stands for several files."""
    return any(char in path for char in "*?[")


def find_array_folder(data: Any) -> str:
    """The folder of npy data's files."""
    return commonpath([str(Path(name).parent) for name in list_array_files(data)])


def list_array_files(data: Any) -> list[str]:
    """The files of npy data."""
    names = [data.features, data.inputs, data.target, data.weights]
    return [
        file for name in names if name for file in (name.values() if isinstance(name, Mapping) else [name])
    ]


def _sklearn_lines(data: Any, valid: ValidConfig, facts: ScriptFacts) -> list[str]:
    shape = "" if data.shape is None or len(data.shape) == 1 else (
        ".reshape(-1, " + ", ".join(map(str, data.shape)) + ")"
    )  # fmt: skip
    target = '"int32"' if facts.first_target.is_label else '"float32"'
    return [
        "def load_data():",
        f'{_INDENT}"""The data set {data.dataset} of scikit-learn."""',
        f"{_INDENT}x, y = datasets.load_{data.dataset}(return_X_y=True)",
        f'{_INDENT}x = x.astype("float32"){shape}',
        f"{_INDENT}return x, y.astype({target})",
    ]


def _npz_lines(data: Any, valid: ValidConfig, facts: ScriptFacts) -> list[str]:
    lines = [
        "def load_data():",
        f'{_INDENT}"""Arrays that numpy.savez has written."""',
        f"{_INDENT}with np.load(DATA) as arrays:",
    ]
    return [*lines, *_array_lines(data, facts, lambda name: f"arrays[{quote_string(name)}]", 2 * _INDENT)]


def _npy_lines(data: Any, valid: ValidConfig, facts: ScriptFacts) -> list[str]:
    folder = find_array_folder(data)

    def load_expression(name: str) -> str:
        relative = Path(relpath(name, folder)).as_posix()
        return f"np.load(DATA / {quote_string(relative)})"

    lines = ["def load_data():", f'{_INDENT}"""Arrays that numpy.save has written."""']
    return [*lines, *_array_lines(data, facts, load_expression, _INDENT)]


def _array_lines(
    data: Any, facts: ScriptFacts, load_expression: Callable[[str], str], indent: str
) -> list[str]:
    """Inputs, targets and weights from arrays by their names."""
    lines = _assignment_lines(
        "x", data.features if data.inputs is None else data.inputs, load_expression, indent
    )
    lines += _assignment_lines("y", data.target, load_expression, indent)
    lines += [indent + line for line in _encode_class_lines(facts)]
    if data.weights is None:
        return [*lines, f"{indent}return x, y"]
    return [*lines, f"{indent}return x, y, {load_expression(data.weights)}"]


def _assignment_lines(
    name: str, arrays: str | dict[str, str], load_expression: Callable[[str], str], indent: str
) -> list[str]:
    if isinstance(arrays, str):
        return [f"{indent}{name} = {load_expression(arrays)}"]
    entries = tuple(
        NamedValue(f"{quote_string(key)}: ", load_expression(array)) for key, array in arrays.items()
    )
    return render_statement(Brackets("{", entries, "}"), indent, before=f"{name} = ")


def _encode_class_lines(facts: ScriptFacts) -> list[str]:
    """Targets that are texts as numbers from 0."""
    return [
        f"classes, {variable} = np.unique({variable}, return_inverse=True)"
        for name, target in facts.targets.items()
        for variable in ("y" if name is None else f"y[{quote_string(name)}]",)
        if target.has_text_classes
    ]


def _python_lines(data: Any, valid: ValidConfig, facts: ScriptFacts) -> list[str]:
    arguments = tuple(
        NamedValue(f"{name}=", value_expression(value)) for name, value in data.parameters.items()
    )
    names = "x, y, weights" if facts.has_weights else "x, y"
    returned = [
        name if several else f"np.asarray({name})"
        for name, several in zip(
            names.split(", "), [facts.input_names, None not in facts.targets, ()], strict=False
        )
    ]
    return [
        "def load_data():",
        f'{_INDENT}"""What the function {data.name} gives."""',
        *render_statement(CallExpression(data.name, arguments), _INDENT, before=f"{names} = "),
        *(_INDENT + line for line in _encode_class_lines(facts)),
        f"{_INDENT}return {', '.join(returned)}",
    ]


def _table_lines(data: Any, valid: ValidConfig, facts: ScriptFacts) -> list[str]:
    lines = ["def load_data():", f'{_INDENT}"""Columns of a table: numbers and their target."""']
    text_names = text_input_names(data, valid)
    if text_names and len(text_names) == len(data.inputs):
        lines[1] = f'{_INDENT}"""Columns of a table: texts and their target."""'
    lines += (
        _read_csv_lines(data, bool(text_names)) if data.type_name() == "csv" else _read_parquet_lines(data)
    )
    if data.inputs is None:
        excluded = [data.target, *([] if data.weights is None else [data.weights])]
        condition = (
            f"name != {quote_string(excluded[0])}"
            if len(excluded) == 1
            else f"name not in {_quoted_tuple(excluded)}"
        )
        lines.append(f"{_INDENT}columns = [name for name in table.column_names if {condition}]")
        lines.append(f'{_INDENT}x = np.stack([table[name] for name in columns], axis=1).astype("float32")')
    elif len(data.inputs) == 1:
        (columns,) = data.inputs.values()
        if text_names:
            lines += _text_column_lines(data, columns, "x")
        else:
            lines += render_statement(render_literal(columns), _INDENT, before="columns = ")
            lines.append(
                f'{_INDENT}x = np.stack([table[name] for name in columns], axis=1).astype("float32")'
            )
    else:
        lines += _named_input_lines(data, text_names)
    column = f"table[{quote_string(data.target)}]"
    lines += _target_lines(column, data, facts)
    weights = (
        "" if data.weights is None else f', table[{quote_string(data.weights)}].to_numpy().astype("float32")'
    )
    return [*lines, f"{_INDENT}return x, y{weights}"]


def _target_lines(column: str, data: Any, facts: ScriptFacts) -> list[str]:
    if facts.first_target.has_text_classes or data.target_type == "labels":
        return [f"{_INDENT}classes, y = np.unique({column}, return_inverse=True)"]
    dtype = '"int32"' if facts.first_target.is_label else '"float32"'
    return [f"{_INDENT}y = {column}.to_numpy().astype({dtype})"]


def text_input_names(data: Any, valid: ValidConfig) -> set[str]:
    """Inputs of a table that are text."""
    inputs = data.inputs or {}
    if len(inputs) == 1 and len(valid.graph.inputs) == 1:
        (tensor,) = valid.graph.inputs.values()
        return set(inputs) if tensor.dtype == "string" else set()
    return {name for name, tensor in valid.graph.inputs.items() if tensor.dtype == "string"} & inputs.keys()


def _quoted_tuple(names: list[str]) -> str:
    return f"({', '.join(map(quote_string, names))})"


def _named_input_lines(data: Any, text_names: set[str]) -> list[str]:
    """Each input of columns by its name."""
    numbers = {name: list(columns) for name, columns in data.inputs.items() if name not in text_names}
    lines = [f"{_INDENT}x = {{}}"]
    if numbers:
        lines += render_statement(render_literal(numbers), _INDENT, before="inputs = ")
        lines += [
            f"{_INDENT}for name, columns in inputs.items():",
            f"{2 * _INDENT}arrays = [table[column] for column in columns]",
            f'{2 * _INDENT}x[name] = np.stack(arrays, axis=1).astype("float32")',
        ]
    for name in data.inputs:
        if name in text_names:
            lines += _text_column_lines(data, data.inputs[name], f"x[{quote_string(name)}]")
    return lines


def _text_column_lines(data: Any, columns: list[str], variable: str) -> list[str]:
    """Columns of text side by side."""
    fill = quote_string(data.missing.texts)
    if len(columns) == 1:
        return [
            f"{_INDENT}texts = table[{quote_string(columns[0])}].fill_null({fill}).to_pylist()",
            f"{_INDENT}{variable} = np.array(texts)[:, np.newaxis]",
        ]
    return [
        *render_statement(render_literal(columns), _INDENT, before="columns = "),
        f"{_INDENT}texts = [table[name].fill_null({fill}).to_pylist() for name in columns]",
        f"{_INDENT}{variable} = np.array(texts).T",
    ]


def _read_csv_lines(data: Any, has_text: bool) -> list[str]:
    options: list[Expression] = []
    if data.columns is not None:
        options.append(
            NamedValue(
                "read_options=",
                CallExpression(
                    "csv.ReadOptions", (NamedValue("column_names=", render_literal(data.columns)),)
                ),
            )
        )
    parse_options: list[Expression] = []
    if data.separator != ",":
        parse_options.append(NamedValue("delimiter=", quote_string(data.separator)))
    if has_text:
        parse_options.append(NamedValue("newlines_in_values=", "True"))
    if parse_options:
        options.append(NamedValue("parse_options=", CallExpression("csv.ParseOptions", tuple(parse_options))))
    convert_options: list[Expression] = []
    if data.types:
        kinds = {"text": "pa.string()", "number": "pa.float64()"}
        entries = tuple(
            NamedValue(f"{quote_string(name)}: ", kinds[kind]) for name, kind in data.types.items()
        )
        convert_options.append(NamedValue("column_types=", Brackets("{", entries, "}")))
    if has_text or data.missing.numbers != "refuse" or data.missing.values != _DEFAULT_MISSING_VALUES:
        convert_options.append(NamedValue("null_values=", render_literal(["", *data.missing.values])))
        convert_options.append(NamedValue("strings_can_be_null=", "True"))
    if convert_options:
        options.append(
            NamedValue("convert_options=", CallExpression("csv.ConvertOptions", tuple(convert_options)))
        )
    if not reads_several_files(data):
        return render_statement(
            CallExpression("csv.read_csv", ("DATA", *options)), _INDENT, before="table = "
        )
    entries = tuple(NamedValue(f"{quote_string(option.name.removesuffix('='))}: ", option.value)
                    for option in options if isinstance(option, NamedValue))  # fmt: skip
    lines = render_statement(Brackets("{", entries, "}"), _INDENT, before="options = ") if entries else []
    read_call = "csv.read_csv(path, **options)" if entries else "csv.read_csv(path)"
    return [*lines, f"{_INDENT}table = pa.concat_tables([{read_call} for path in DATA])"]


def _read_parquet_lines(data: Any) -> list[str]:
    if not reads_several_files(data):
        return [f"{_INDENT}table = parquet.read_table(DATA)"]
    return [f"{_INDENT}table = pa.concat_tables([parquet.read_table(path) for path in DATA])"]


def reads_several_files(data: Any) -> bool:
    """Whether several files are put together."""
    path = data.arguments().get("path")
    return isinstance(path, list) and (len(path) > 1 or is_glob(path[0]))


def _image_lines(data: Any, valid: ValidConfig, facts: ScriptFacts) -> list[str]:
    (tensor,) = valid.graph.inputs.values()
    channels = data.channels or tensor.shape[-1]
    mode = {1: "L", 3: "RGB", 4: "RGBA"}.get(channels or 3, "RGB")
    axis = "[..., np.newaxis]" if channels == 1 else ""
    resize = []
    if data.size is not None:
        size = f"({data.size[1]}, {data.size[0]})"
        resize = [f"{3 * _INDENT}image = image.resize({size}, Image.Resampling.BILINEAR)"]
    return [
        "def load_data():",
        f'{_INDENT}"""Images, and the number of the folder of each in the order of their names."""',
        f"{_INDENT}kinds = {_quoted_tuple(list(SCRIPT_IMAGE_SUFFIXES))}",
        f'{_INDENT}found = sorted(DATA.glob("[!.]*/[!.]*"))',
        f"{_INDENT}paths = [path for path in found if path.suffix.lower() in kinds]",
        f"{_INDENT}names = sorted({{path.parent.name for path in paths}})",
        f"{_INDENT}images = []",
        f"{_INDENT}for path in paths:",
        f"{2 * _INDENT}with Image.open(path) as image:",
        f'{3 * _INDENT}image = image.convert("{mode}")',
        *resize,
        f"{3 * _INDENT}images.append(np.asarray(image))",
        f"{_INDENT}labels = [names.index(path.parent.name) for path in paths]",
        f"{_INDENT}return np.stack(images){axis}, np.array(labels)",
    ]


def _text_lines(data: Any, valid: ValidConfig, facts: ScriptFacts) -> list[str]:
    if data.column is not None:
        return _table_lines(data.table(), valid, facts)
    return [
        "def load_data():",
        f'{_INDENT}"""Texts, and the number of the folder of each in the order of their names."""',
        f'{_INDENT}paths = sorted(DATA.glob("[!.]*/[!.]*.txt"))',
        f"{_INDENT}names = sorted({{path.parent.name for path in paths}})",
        f'{_INDENT}texts = [path.read_text(encoding="utf-8-sig") for path in paths]',
        f"{_INDENT}labels = [names.index(path.parent.name) for path in paths]",
        f"{_INDENT}return np.array(texts)[:, np.newaxis], np.array(labels)",
    ]


_WRITERS: Final[dict[str, Callable[[Any, ValidConfig, ScriptFacts], list[str]]]] = {
    "sklearn": _sklearn_lines,
    "npz": _npz_lines,
    "npy": _npy_lines,
    "csv": _table_lines,
    "parquet": _table_lines,
    "images": _image_lines,
    "text": _text_lines,
    "python": _python_lines,
}
