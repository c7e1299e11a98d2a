"""The code that the types of data with tables share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from glob import escape, has_magic
from pathlib import Path
from typing import ClassVar, Final, TypeVar

from layercli.config.data.tables import DEFAULT_WORD, FALSE_WORDS, TRUE_WORDS, TableConfig, WindowsConfig
from layercli.script.data_script import DataScript
from layercli.script.facts import ScriptTarget
from layercli.script.python_source import (
    INDENT,
    Brackets,
    CallExpression,
    Expression,
    quote_string,
    render_literal,
    render_statement,
)
from layercli.script.window_code import write_series
from layercli.source.nodes import KeyPath

TABLE_KEYS = frozenset(
    {
        "path",
        "target",
        "target_type",
        "label_separators",
        "inputs",
        "missing",
        "weights",
        "types",
        "dates",
        "decimal",
        "thousands",
        "windows",
    }
)
"""The keys that the code of every type of table expresses."""

T = TypeVar("T", bound=TableConfig)

_CURRENCIES: Final = "[$€£¥￥₹₩₽\\\\]"
_SIGN_PATTERNS: Final = (
    ('"[−–‒]"', '"-"'),  # noqa: RUF001 - signs of minus
    (r'r"^\(\s*(.+?)\s*\)$"', r'r"-\1"'),
    ("r\"^([\\d.,' ]*\\d[\\d.,' ]*)-$\"", r'r"-\1"'),
    (r'r"\s*%$"', '""'),
    (rf'r"^([+-]?)\s*{_CURRENCIES}\s*([+-]?)"', r'r"\1\2"'),
    (rf'r"\s*{_CURRENCIES}$"', '""'),
)
"""Patterns of signs of minus, currencies and percent, and what replaces them."""
_THOUSANDS_PATTERNS: Final = {" ": ('"[\\u00a0\\u202f\\u2009]"', '" "'), "'": ('"\\u2019"', '"\'"')}
"""Other characters that are written in place of a character between thousands."""
_STATISTICS: Final = {"median": "np.nanmedian", "mean": "np.nanmean"}


class TableScript(DataScript[T]):
    """The code of a table; a type adds the code that reads its files."""

    expressible_keys: ClassVar[frozenset[str]] = TABLE_KEYS

    def write_read_table(self) -> list[str]:
        """Return the lines of a function ``read_table(path)`` whose texts are trimmed, and null if missing."""
        raise NotImplementedError

    def write_plain_read(self) -> list[str]:
        """Return the lines that assign a pyarrow table of numbers without missing ones to ``table``."""
        raise NotImplementedError

    def imports(self) -> set[str]:
        needs_arrow = self.reads_several_files or not self.is_plain
        needs_arrow = needs_arrow or (self._has_text_labels and self.has_typed_columns)
        arrow = {"import pyarrow as pa"} if needs_arrow else set()
        compute = {"import pyarrow.compute as pc"} if not self.is_plain or self._has_text_labels else set()
        return super().imports() | arrow | compute

    def data_paths(self, data: T) -> Sequence[str]:
        return data.path

    @property
    def reads_several_files(self) -> bool:
        """True if the table of a set is concatenated from several files."""
        sets = [self.data.path, *map(self.list_own_paths, self.own_files.values())]
        return any(len(paths) > 1 or has_magic(paths[0]) for paths in sets)

    def list_own_paths(self, paths: Sequence[str]) -> Sequence[str]:
        return [f"{escape(path)}/*" if Path(path).is_dir() else path for path in paths]

    @property
    def text_inputs(self) -> set[str]:
        """The names of the inputs that are text."""
        names = set(self.data.inputs or {})
        tensors = self.valid.graph.inputs
        if len(names) == 1 and len(tensors) == 1:
            (tensor,) = tensors.values()
            return names if tensor.dtype == "string" else set()
        return {name for name, tensor in tensors.items() if tensor.dtype == "string"} & names

    @property
    def is_plain(self) -> bool:
        """Whether pyarrow without conversions reads the columns as layercli does: numbers, none of them missing."""
        data = self.data
        if self.facts.own_sets:  # their columns can have another order or other types
            return False
        used = {column for columns in self._input_columns.values() for column in columns}
        kept_columns = {*used, *(column for _, column, _ in data.target_references)}
        is_default = data.missing.values == [DEFAULT_WORD] and data.missing.numbers == "refuse"
        is_default = is_default and not data.missing.columns and data.decimal == "." and not data.thousands
        is_typed = (
            self.text_inputs
            or data.types
            or data.label_separators
            or data.dates
            or data.split.key_columns
            or data.windows
        )
        return bool(
            is_default and not is_typed and not kept_columns & self.facts.conversions.keys()
        ) or not all(self._input_columns.values())

    @property
    def _input_columns(self) -> dict[str | None, tuple[str, ...]]:
        """The columns of each input; none for the only input if the data could not be read."""
        if self.facts.table_plan is not None:
            return dict(self.facts.table_plan.inputs)
        return {name: tuple(columns) for name, columns in (self.data.inputs or {}).items()} or {None: ()}

    @property
    def read_columns(self) -> list[str]:
        """The columns of the file that the script reads."""
        data, dates = self.data, self.data.date_features
        columns = [
            dates.get(column, (column, ""))[0]
            for columns in self._input_columns.values()
            for column in columns
        ]
        others = [column for _, column, _ in data.target_references]
        others += [] if data.weights is None else [data.weights]
        others += [*self._list_required_columns, *data.split.key_columns.values()]
        if data.windows is not None:
            others += [*(data.windows.by or []), *([data.windows.time] if data.windows.time else [])]
        return list(dict.fromkeys([*columns, *others]))

    @property
    def _list_required_columns(self) -> tuple[str, ...]:
        plan = self.facts.table_plan
        return () if plan is None else plan.required_columns

    def can_write_split_key(self, key: str) -> bool:
        plan, column = self.facts.table_plan, self.data.split.key_columns[key]
        is_stratified_group = key == "group" and self.data.split.stratify
        is_known = key != "order" or column in self.facts.order_columns
        is_known = is_known and self.facts.has_key_in_own_sets
        return plan is not None and self.data.windows is None and not is_stratified_group and is_known

    def find_inexpressible_values(self) -> Iterator[KeyPath]:
        if isinstance(self.data.target, dict):
            yield ("data", "target")
        if self.data.label_separators and self.facts.table_plan is None:
            yield ("data", "label_separators")
        for column in self.data.dates:
            if self.facts.table_plan is None or column not in self.facts.date_formats:
                yield ("data", "dates", column)
        if self.data.windows is not None:
            yield from self._find_inexpressible_windows(self.data.windows)

    def _find_inexpressible_windows(self, windows: WindowsConfig) -> Iterator[KeyPath]:
        data, plan = self.data, self.facts.table_plan
        if plan is None or (
            self.reads_several_files and windows.time is None
        ):  # no sequence spans several files
            yield ("data", "windows")
        if plan is not None and windows.time is not None and windows.time not in self.facts.order_columns:
            yield ("data", "windows", "time")
        if self._list_required_columns:  # no sequence spans a dropped row
            yield ("data", "missing")
        if data.weights is not None and self.facts.first_target.position_axes:
            yield ("data", "weights")

    def write_load_data(self) -> list[str]:
        data, text_inputs = self.data, self.text_inputs
        contents = "texts" if text_inputs and len(text_inputs) == len(data.inputs or {}) else "numbers"
        lines = [
            *([] if self.is_plain else [*self.write_read_table(), "", "", *self._write_read_numbers()]),
            self.load_data_head,
            f'{INDENT}"""Read columns of a table: {contents} and their target."""',
        ]
        if self.is_plain:
            lines += self.write_plain_read()
        else:
            lines += self._write_read_files()
            lines += self._write_rows()
            if data.windows is not None:
                lines += write_series(data.windows, self._write_times(data.windows.time))
        lines += [*self._write_inputs(text_inputs), *self._write_target()]
        returned = ["x", "y"]
        if data.weights is not None:
            lines.append(f'{INDENT}weights = {self._write_numbers(data.weights)}.astype("float32")')
            returned.append("weights")
        if self.facts.windows is not None:
            returned.append("series")
        elif self.facts.split_key is not None:
            lines += self._write_split_keys()
            returned.append("keys")
        return [*lines, f"{INDENT}return {', '.join(returned)}"]

    def _write_read_files(self) -> list[str]:
        if not self.reads_several_files:
            return [f"{INDENT}table = read_table({self.facts.source})"]
        source = self.facts.source
        if not self.has_typed_columns:
            return [f"{INDENT}table = pa.concat_tables([read_table(path) for path in {source}])"]
        return self.write_join_files("read_table(path)")

    def write_join_files(self, read: str) -> list[str]:
        """Return the lines that assign the rows of all files to ``table``; ``read`` is the code that reads ``path``."""
        return [
            f"{INDENT}tables = [{read} for path in {self.facts.source}]",
            f'{INDENT}table = pa.concat_tables(tables, promote_options="permissive")',
        ]

    def write_clean_texts(self) -> list[str]:
        """Return the lines that assign trimmed texts of ``column`` to it, with nulls for missing ones."""
        missing = render_literal(["", *self.data.missing.words])
        return [
            *render_statement(CallExpression("pa.array", (missing,)), INDENT, before="missing = "),
            f"{INDENT}columns = []",
            f"{INDENT}for column in table.columns:",
            *self._write_column_types(),
            f"{2 * INDENT}column = pc.utf8_trim_whitespace(column)",
            f"{2 * INDENT}columns.append(pc.if_else(pc.is_in(column, missing), None, column))",
            f"{INDENT}return pa.table(columns, table.column_names)",
        ]

    def _write_column_types(self) -> list[str]:
        """Return the lines that handle a column that is not text, in a loop over columns."""
        if not self.has_typed_columns:
            return []
        return [
            f"{2 * INDENT}if pa.types.is_dictionary(column.type):",
            f"{3 * INDENT}column = column.cast(column.type.value_type)",
            f"{2 * INDENT}if pa.types.is_large_string(column.type):",
            f"{3 * INDENT}column = column.cast(pa.string())",
            f"{2 * INDENT}if not pa.types.is_string(column.type):",
            f"{3 * INDENT}columns.append(column)",
            f"{3 * INDENT}continue",
        ]

    def _write_read_numbers(self) -> Iterator[str]:
        """Write the function ``read_numbers``."""
        data, conversions = self.data, self._used_conversions
        yield "def read_numbers(column):"
        yield f'{INDENT}"""Return a column as numbers; NaN for missing ones."""'
        if data.dates or self.has_typed_columns:
            yield f"{INDENT}if not pa.types.is_string(column.type):"
            yield f"{2 * INDENT}return column.cast(pa.float64()).to_numpy()"
        if "boolean" in conversions:
            for number, words in (("1", TRUE_WORDS), ("0", FALSE_WORDS)):
                array = CallExpression("pa.array", (render_literal(list(words)),))
                is_word: Expression = CallExpression("pc.is_in", ("pc.utf8_lower(column)", array))
                call = CallExpression("pc.if_else", (is_word, quote_string(number), "column"))
                yield from render_statement(call, INDENT, before="column = ")
        if {"integer", "number"} & conversions:
            extra = [_THOUSANDS_PATTERNS[data.thousands]] if data.thousands in _THOUSANDS_PATTERNS else []
            yield f"{INDENT}replacements = ["
            for pattern, replacement in (*_SIGN_PATTERNS, *extra):
                yield f"{2 * INDENT}({pattern}, {replacement}),"
            yield f"{INDENT}]"
            yield f"{INDENT}for pattern, replacement in replacements:"
            yield f"{2 * INDENT}column = pc.replace_substring_regex(column, pattern, replacement)"
        if data.thousands:
            yield f'{INDENT}column = pc.replace_substring(column, {quote_string(data.thousands)}, "")'
        if data.decimal != ".":
            yield f'{INDENT}column = pc.replace_substring(column, {quote_string(data.decimal)}, ".")'
        yield f"{INDENT}return column.cast(pa.float64()).to_numpy()"
        yield ""
        yield ""

    @property
    def has_typed_columns(self) -> bool:
        """Whether columns of the file may have other types than text."""
        return False

    @property
    def _used_conversions(self) -> set[str]:
        """The conversions of texts to numbers in the columns that the script reads."""
        return {kind for column, kind in self.facts.conversions.items() if column in self.read_columns}

    def _write_rows(self) -> Iterator[str]:
        """Write the removal of rows with a missing value, and the numbers of dates."""
        for column in self._list_required_columns:
            yield f"{INDENT}table = table.filter(table[{quote_string(column)}].is_valid())"
        plan = self.facts.table_plan
        for column, form in self.facts.date_formats.items():
            numbers = {} if plan is None else plan.dates
            of_column = {name: number for name, number in numbers.items() if number.column == column}
            if of_column:
                yield from self._write_dates(column, form)
            for name, number in of_column.items():
                yield from self._write_date_number(name, number.feature, number.first_day)

    def _write_dates(self, column: str, form: str) -> list[str]:
        """Return the lines that assign the dates of a column to ``dates``."""
        source = f"table[{quote_string(column)}]"
        if form == "excel":
            days = f"pc.subtract({source}.cast(pa.float64()), 25_569)"
            return [
                f"{INDENT}days = {days}",
                f"{INDENT}micros = pc.round(pc.multiply(days, 86_400_000_000), ndigits=-3)",
                f'{INDENT}dates = micros.cast(pa.int64(), safe=False).cast(pa.timestamp("us"))',
            ]
        if form in ("seconds", "milliseconds"):
            factor = 1_000_000 if form == "seconds" else 1000
            return [
                *render_statement(
                    CallExpression("pc.multiply", (f"{source}.cast(pa.float64())", f"{factor:_}")),
                    INDENT,
                    before="micros = ",
                ),
                f'{INDENT}dates = micros.cast(pa.int64(), safe=False).cast(pa.timestamp("us"))',
            ]
        if form == "timestamp":
            return [f'{INDENT}dates = {source}.cast(pa.timestamp("us"), safe=False)']
        call = CallExpression(
            "pc.strptime", (source, f"format={quote_string(form)}", f"unit={quote_string('us')}")
        )
        return render_statement(call, INDENT, before="dates = ")

    def _write_date_number(self, name: str, feature: str, first_day: float) -> list[str]:
        if feature == "elapsed":
            lines = [f"{INDENT}days = pc.divide(dates.cast(pa.int64()).cast(pa.float64()), 86_400_000_000)"]
            number = f"pc.subtract(days, {first_day!r})"
        else:
            lines = []
            number = f"pc.{'day_of_week' if feature == 'weekday' else feature}(dates).cast(pa.float64())"
        call = CallExpression("table.append_column", (quote_string(name), number))
        return [*lines, *render_statement(call, INDENT, before="table = ")]

    def _write_numbers(self, column: str) -> str:
        """Return the code of a column as an array of numbers."""
        reference = f"table[{quote_string(column)}]"
        return f"{reference}.to_numpy()" if self.is_plain else f"read_numbers({reference})"

    def _write_inputs(self, text_inputs: set[str]) -> Iterator[str]:
        data, inputs = self.data, self._input_columns
        stack = self._write_stack("x", "columns")
        if data.inputs is None and self.is_plain:
            others = [column for _, column, _ in data.target_references]
            others += [] if data.weights is None else [data.weights]
            is_input = (
                f"name != {quote_string(others[0])}"
                if len(others) == 1
                else f"name not in ({', '.join(map(quote_string, others))})"
            )
            yield f"{INDENT}columns = [name for name in table.column_names if {is_input}]"
            yield from stack
        elif len(inputs) > 1:
            yield from self._write_named_inputs(inputs, text_inputs)
        else:
            (columns,) = inputs.values()
            if text_inputs:
                yield from self._write_text_columns(columns, "x")
            else:
                yield from render_statement(render_literal(list(columns)), INDENT, before="columns = ")
                yield from stack

    def _write_stack(self, variable: str, names: str) -> list[str]:
        """Return the lines that assign columns side by side to a variable."""
        if self.is_plain:
            return [
                f'{INDENT}{variable} = np.stack([table[name] for name in {names}], axis=1).astype("float32")'
            ]
        return [
            f"{INDENT}arrays = [read_numbers(table[name]) for name in {names}]",
            f'{INDENT}{variable} = np.stack(arrays, axis=1).astype("float32")',
        ]

    def _write_named_inputs(
        self, inputs: dict[str | None, tuple[str, ...]], text_inputs: set[str]
    ) -> Iterator[str]:
        numbers = {name: list(columns) for name, columns in inputs.items() if name not in text_inputs}
        array = "table[column]" if self.is_plain else "read_numbers(table[column])"
        yield f"{INDENT}x = {{}}"
        if numbers:
            yield from render_statement(render_literal(numbers), INDENT, before="inputs = ")
            yield f"{INDENT}for name, columns in inputs.items():"
            yield f"{2 * INDENT}arrays = [{array} for column in columns]"
            yield f'{2 * INDENT}x[name] = np.stack(arrays, axis=1).astype("float32")'
        for name, columns in inputs.items():
            if name in text_inputs:
                yield from self._write_text_columns(columns, f"x[{quote_string(str(name))}]")

    def _write_text_columns(self, columns: Sequence[str], variable: str) -> Iterator[str]:
        fills = [quote_string(str(self.data.missing.policy_of(column, text=True))) for column in columns]
        if len(columns) == 1:
            yield f"{INDENT}texts = table[{quote_string(columns[0])}].fill_null({fills[0]}).to_pylist()"
            yield f"{INDENT}{variable} = np.array(texts)[:, np.newaxis]"
            return
        yield from render_statement(render_literal(list(columns)), INDENT, before="columns = ")
        if len(set(fills)) > 1:
            values = Brackets("[", tuple(fills), "]")
            yield from render_statement(values, INDENT, before="fillings = ")
            yield f"{INDENT}pairs = zip(columns, fillings)"
            yield f"{INDENT}texts = [table[name].fill_null(text).to_pylist() for name, text in pairs]"
        else:
            yield f"{INDENT}texts = [table[name].fill_null({fills[0]}).to_pylist() for name in columns]"
        yield f"{INDENT}{variable} = np.array(texts).T"

    @property
    def _has_text_labels(self) -> bool:
        target = self.facts.first_target
        return target.has_named_labels and not target.has_number_names

    def _write_target(self) -> Iterator[str]:
        (columns,), target = self.data.target_columns.values(), self.facts.first_target
        if len(columns) > 1:
            yield from render_statement(render_literal(list(columns)), INDENT, before="targets = ")
            yield from self._write_stack("y", "targets")
            return
        plan = None if self.facts.table_plan is None else self.facts.table_plan.targets[None]
        if plan is not None and plan.labels is not None:
            yield from render_statement(render_literal(list(plan.labels)), INDENT, before="labels = ")
            yield f'{INDENT}texts = table[{quote_string(columns[0])}].fill_null("").to_pylist()'
            separator = quote_string(str(plan.label_separator))
            yield f"{INDENT}found = [{{label.strip() for label in text.split({separator})}} for text in texts]"
            yield f'{INDENT}y = np.array([[label in row for label in labels] for row in found], dtype="float32")'
            return
        yield from self._write_single_target(columns[0], target)

    def _write_single_target(self, column: str, target: ScriptTarget) -> Iterator[str]:
        if self._has_text_labels:
            reference = f"table[{quote_string(column)}]"
            if self.is_plain:
                texts = f"{reference}.cast(pa.string())" if self.has_typed_columns else reference
                yield f"{INDENT}labels = pc.utf8_trim_whitespace({texts})"
                reference = "labels"
            yield INDENT + self.facts.write_class_numbers("y", reference)
        elif target.has_named_labels or self.data.target_type == "labels":
            yield INDENT + self.facts.write_class_numbers("y", self._write_numbers(column))
        else:
            dtype = '"int32"' if target.is_labels else '"float32"'
            yield f"{INDENT}y = {self._write_numbers(column)}.astype({dtype})"

    def _write_split_keys(self) -> Iterator[str]:
        """Write the values that determine the set of each row, as ``keys``."""
        [(key, column)] = self.data.split.key_columns.items()
        reference = f"table[{quote_string(column)}]"
        if key == "group":
            yield f"{INDENT}keys = {reference}.combine_chunks().dictionary_encode().indices.to_numpy()"
        elif key == "column":
            yield f"{INDENT}keys = np.array(pc.utf8_lower({reference}.cast(pa.string())).to_pylist())"
        else:
            yield from self._write_sort_numbers(column, "keys")

    def _write_times(self, column: str | None) -> list[str]:
        """Return the lines that assign the times of the rows to ``times``; empty if no column has them."""
        return [] if column is None else self._write_sort_numbers(column, "times")

    def _write_sort_numbers(self, column: str, variable: str) -> list[str]:
        """Return the lines that assign the numbers or dates by which rows are sorted to a variable."""
        if column not in self.facts.date_formats:
            return [f"{INDENT}{variable} = {self._write_numbers(column)}"]
        lines = self._write_dates(column, self.facts.date_formats[column])
        return [*lines, f"{INDENT}{variable} = dates.to_numpy()"]

    def write_fill_missing(self, splits: Sequence[str]) -> Iterator[str]:
        for name, columns in self._input_columns.items():
            if name in self.text_inputs:
                continue
            index = f"[{quote_string(str(name))}]" if self.facts.input_names else ""
            policies = [self._find_policy(column) for column in columns] or [self.data.missing.numbers]
            if all(policy in ("refuse", "drop") for policy in policies):
                continue
            yield from _write_filling(policies, f"x_train{index}")
            for split_name in splits:
                array = f"x_{split_name}{index}"
                call = CallExpression("np.where", (f"np.isnan({array})", "filling", array))
                yield from render_statement(call, INDENT, before=f"{array} = ")

    def _find_policy(self, column: str) -> str | float:
        """Return how missing numbers of a column are replaced; a number of a date has the policy of its dates."""
        source, _ = self.data.date_features.get(column, (column, ""))
        name = column if column in self.data.missing.columns else source
        return self.data.missing.policy_of(name, text=False)


def _write_filling(policies: Sequence[str | float], array: str) -> Iterator[str]:
    """Write the replacement of missing numbers, for each column, as ``filling``."""
    if len(set(policies)) == 1:
        statistic = _STATISTICS.get(str(policies[0]))
        number = policies[0] if isinstance(policies[0], (int, float)) else 0.0
        yield f"{INDENT}filling = {f'{statistic}({array}, axis=0)' if statistic else repr(float(number))}"
        return
    constants = [
        float(policy) if isinstance(policy, (int, float)) else 0.0 if policy == "zero" else None
        for policy in policies
    ]
    first = next((policy for policy in policies if policy in _STATISTICS), None)
    start = f"{_STATISTICS[str(first)]}({array}, axis=0)" if first else f"np.zeros({array}.shape[1])"
    yield f"{INDENT}filling = {start}"
    for policy in dict.fromkeys(policies):
        places = [index for index, each in enumerate(policies) if each == policy]
        if policy == first:
            continue
        constant = constants[places[0]]
        value = (
            f"{_STATISTICS[str(policy)]}({array}[:, {places}], axis=0)"
            if policy in _STATISTICS
            else "np.nan"
            if constant is None
            else repr(constant)
        )
        yield f"{INDENT}filling[{places}] = {value}"
