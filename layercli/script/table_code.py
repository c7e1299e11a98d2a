"""The code that the types of data with tables share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from glob import has_magic
from typing import ClassVar, TypeVar

from layercli.config.data.tables import TableConfig
from layercli.script.data_script import INDENT, DataScript
from layercli.script.python_source import quote_string, render_literal, render_statement
from layercli.source.nodes import KeyPath

TABLE_KEYS = frozenset({"path", "target", "target_type", "inputs", "missing", "weights"})
"""The keys that the code of every type of table expresses."""

T = TypeVar("T", bound=TableConfig)


class TableScript(DataScript[T]):
    """The code of a table; a type adds the code that reads its files."""

    expressible_keys: ClassVar[frozenset[str]] = TABLE_KEYS

    def write_read_table(self) -> list[str]:
        """Return the lines that assign a pyarrow table to ``table``."""
        raise NotImplementedError

    def imports(self) -> set[str]:
        arrow = {"import pyarrow as pa"} if self.reads_several_files else set()
        return super().imports() | arrow

    def data_paths(self, data: T) -> Sequence[str]:
        return data.path

    @property
    def reads_several_files(self) -> bool:
        """True if the table is concatenated from several files."""
        return len(self.data.path) > 1 or has_magic(self.data.path[0])

    @property
    def text_inputs(self) -> set[str]:
        """The names of the inputs that are text."""
        names = set(self.data.inputs or {})
        tensors = self.valid.graph.inputs
        if len(names) == 1 and len(tensors) == 1:
            (tensor,) = tensors.values()
            return names if tensor.dtype == "string" else set()
        return {name for name, tensor in tensors.items() if tensor.dtype == "string"} & names

    def find_inexpressible_values(self) -> Iterator[KeyPath]:
        if isinstance(self.data.target, dict):
            yield ("data", "target")
        if self.data.missing.numbers == "drop":
            yield ("data", "missing", "numbers")
        if self.data.missing.columns:
            yield ("data", "missing", "columns")

    def write_load_data(self) -> list[str]:
        data, text_inputs = self.data, self.text_inputs
        contents = "texts" if text_inputs and len(text_inputs) == len(data.inputs or {}) else "numbers"
        lines = [
            "def load_data():",
            f'{INDENT}"""Read columns of a table: {contents} and their target."""',
            *self.write_read_table(),
            *self._write_inputs(text_inputs),
            *self._write_target(),
        ]
        weights = (
            ""
            if data.weights is None
            else f', table[{quote_string(data.weights)}].to_numpy().astype("float32")'
        )
        return [*lines, f"{INDENT}return x, y{weights}"]

    def _write_inputs(self, text_inputs: set[str]) -> Iterator[str]:
        data = self.data
        stack = f'{INDENT}x = np.stack([table[name] for name in columns], axis=1).astype("float32")'
        if data.inputs is None:
            others = [column for _, column, _ in data.target_references]
            others += [] if data.weights is None else [data.weights]
            is_input = (
                f"name != {quote_string(others[0])}"
                if len(others) == 1
                else f"name not in ({', '.join(map(quote_string, others))})"
            )
            yield f"{INDENT}columns = [name for name in table.column_names if {is_input}]"
            yield stack
        elif len(data.inputs) > 1:
            yield from self._write_named_inputs(data.inputs, text_inputs)
        else:
            (columns,) = data.inputs.values()
            if text_inputs:
                yield from self._write_text_columns(columns, "x")
            else:
                yield from render_statement(render_literal(columns), INDENT, before="columns = ")
                yield stack

    def _write_named_inputs(self, inputs: dict[str, list[str]], text_inputs: set[str]) -> Iterator[str]:
        numbers = {name: list(columns) for name, columns in inputs.items() if name not in text_inputs}
        yield f"{INDENT}x = {{}}"
        if numbers:
            yield from render_statement(render_literal(numbers), INDENT, before="inputs = ")
            yield f"{INDENT}for name, columns in inputs.items():"
            yield f"{2 * INDENT}arrays = [table[column] for column in columns]"
            yield f'{2 * INDENT}x[name] = np.stack(arrays, axis=1).astype("float32")'
        for name, columns in inputs.items():
            if name in text_inputs:
                yield from self._write_text_columns(columns, f"x[{quote_string(name)}]")

    def _write_text_columns(self, columns: list[str], variable: str) -> Iterator[str]:
        fill = quote_string(self.data.missing.texts)
        if len(columns) == 1:
            yield f"{INDENT}texts = table[{quote_string(columns[0])}].fill_null({fill}).to_pylist()"
            yield f"{INDENT}{variable} = np.array(texts)[:, np.newaxis]"
            return
        yield from render_statement(render_literal(columns), INDENT, before="columns = ")
        yield f"{INDENT}texts = [table[name].fill_null({fill}).to_pylist() for name in columns]"
        yield f"{INDENT}{variable} = np.array(texts).T"

    def _write_target(self) -> Iterator[str]:
        (columns,), target = self.data.target_columns.values(), self.facts.first_target
        if len(columns) > 1:
            yield from render_statement(render_literal(list(columns)), INDENT, before="targets = ")
            yield f'{INDENT}y = np.stack([table[name] for name in targets], axis=1).astype("float32")'
            return
        column = f"table[{quote_string(columns[0])}]"
        if target.has_named_labels or self.data.target_type == "labels":
            yield f"{INDENT}classes, y = np.unique({column}, return_inverse=True)"
        else:
            dtype = '"int32"' if target.is_labels else '"float32"'
            yield f"{INDENT}y = {column}.to_numpy().astype({dtype})"

    def write_fill_missing(self, splits: Sequence[str]) -> Iterator[str]:
        method = self.data.missing.numbers
        if method == "refuse":
            return
        names = [name for name in self.facts.input_names if name not in self.text_inputs]
        for index in [f"[{quote_string(name)}]" for name in names] if self.facts.input_names else [""]:
            fill_values = {
                "median": f"np.nanmedian(x_train{index}, axis=0)",
                "mean": f"np.nanmean(x_train{index}, axis=0)",
            }
            yield f"{INDENT}filling = {fill_values.get(method, '0.0')}"
            for name in splits:
                array = f"x_{name}{index}"
                yield f"{INDENT}{array} = np.where(np.isnan({array}), filling, {array})"
