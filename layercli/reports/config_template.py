"""The text of a new config, with comments that explain it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from layercli.config.names import RESERVED_NAMES
from layercli.formats.preview import ColumnPreview, TablePreview

ExampleKind = Literal["vectors", "sequences", "images", "text"]
ModelSize = Literal["small", "medium", "large"]

DEFAULT_SHAPES: Final[dict[ExampleKind, tuple[int, ...]]] = {
    "vectors": (20,),
    "sequences": (50, 8),
    "images": (64, 64, 3),
    "text": (),
}
"""Default shape of one example, without the batch axis."""
AXIS_NAMES: Final[dict[ExampleKind, str]] = {
    "vectors": "features",
    "sequences": "timesteps, features",
    "images": "height, width, channels",
    "text": "",
}
_LAYER_WIDTHS: Final[dict[ModelSize, int]] = {"small": 32, "medium": 64, "large": 256}
_MAX_LISTED_VALUES = 30
"""Maximum number of values of a category that are listed in the config."""


@dataclass(frozen=True, slots=True)
class ConfigTemplate:
    """The choices for a new config."""

    name: str
    kind: ExampleKind
    shape: tuple[int, ...]
    class_count: int | None
    """None if the target is a number."""
    size: ModelSize = "medium"
    data_lines: list[str] = field(default_factory=list)
    """Lines of the `data` section; empty if the data is not known yet."""
    model_lines: list[str] = field(default_factory=list)
    """Lines of `model` up to the first layers, if the data needs other lines than its kind."""


def render_config(template: ConfigTemplate) -> str:
    """Return the text of the config file."""
    data = template.data_lines or [
        "  # Save your arrays with numpy: np.savez('data.npz', x=x, y=y); the first axis is the batch axis.",
        "  type: npz",
        "  path: data.npz",
        "  features: x",
        "  target: y" + " " * 19 + ("# integers from 0" if template.class_count else "# numbers"),
        "  split: {validation: 0.1, test: 0.1}",
    ]
    shape = f"[{', '.join(map(str, template.shape))}]"
    input_lines = (
        ["  input: {shape: [1], dtype: string}   # one text an example"]
        if template.kind == "text"
        else [f"  input: {shape:<20} # one example: {AXIS_NAMES[template.kind]}, without the batch axis"]
    )
    model = template.model_lines or [*input_lines, "  layers:", *_first_layer_lines(template)]
    return "\n".join(
        [
            f"# {_describe_purpose(template)}",
            "# Check it: layercli validate; see its shapes: layercli inspect-shapes; train it: layercli train.",
            f"name: {quote_yaml_text(template.name)}",
            "seed: 1                        # the same seed gives the same split, weights and order",
            "",
            "data:",
            *data,
            "",
            "model:",
            *model,
            *_output_layer_lines(template.class_count),
            "",
            "train:",
            "  epochs: 50                   # EarlyStopping stops earlier if val_loss stops improving",
            "  batch_size: 32",
            "  optimizer: {type: Adam, learning_rate: 1e-3}   # tune this first",
            *_loss_lines(template.class_count),
            "  callbacks:",
            "    - {type: EarlyStopping, patience: 5, restore_best_weights: true}",
            "",
        ]
    )


def _describe_purpose(template: ConfigTemplate) -> str:
    target = "a number" if template.class_count is None else f"one of {template.class_count} classes"
    source = "A table" if template.model_lines else template.kind.capitalize()
    return f"{source} in, {target} out."


def _first_layer_lines(template: ConfigTemplate) -> list[str]:
    width = _LAYER_WIDTHS[template.size]
    if template.kind == "vectors":
        return [
            "    - Normalization            # learns mean and variance of each feature from the training examples",
            *_hidden_layer_lines(width, template.size),
        ]
    if template.kind == "sequences":
        return [
            "    - Normalization",
            f"    - {{type: Bidirectional, layer: {{type: LSTM, units: {width // 2}, return_sequences: true}}}}",
            f"    - {{type: LSTM, units: {width // 2}}}   # without return_sequences: only the last timestep",
        ]
    if template.kind == "images":
        pools = max(
            0,
            min(
                {"small": 2, "medium": 3, "large": 4}[template.size], int(math.log2(min(template.shape[:2])))
            ),
        )
        stages = [
            f"    - {{type: Conv2D, filters: {width * 2**step // 2}, kernel_size: 3, padding: same, activation: relu}}"
            + ("\n    - MaxPooling2D               # halves height and width" if step < pools else "")
            for step in range(pools + 1)
        ]
        return [
            "    - {type: Rescaling, scale: 0.00392157}   # scales 0-255 to 0-1; remove it if yours are scaled",
            *stages,
            "    - GlobalAveragePooling2D   # one number for each filter",
            "    - {type: Dropout, rate: 0.3}",
        ]
    return [
        "    # learns its words from the training examples; each text becomes 200 integers",
        "    - {type: TextVectorization, max_tokens: 20000, output_sequence_length: 200}",
        f"    - {{type: Embedding, input_dim: 20000, output_dim: {width}}}   # a vector for each word",
        "    - GlobalAveragePooling1D",
        *_hidden_layer_lines(width, "small"),
    ]


def _hidden_layer_lines(width: int, size: ModelSize) -> list[str]:
    count = {"small": 1, "medium": 2, "large": 3}[size]
    repeat = f", repeat: {count}" if count > 1 else ""
    return [
        f"    - {{type: Dense, units: {width}, activation: relu{repeat}}}",
        "    - {type: Dropout, rate: 0.2}",
    ]


def _output_layer_lines(classes: int | None) -> list[str]:
    if classes is None:
        return ["    - {type: Dense, units: 1}    # no activation: any number is possible"]
    if classes == 2:
        return ["    - {type: Dense, units: 1, activation: sigmoid}   # the probability of class 1"]
    return [f"    - {{type: Dense, units: {classes}, activation: softmax}}   # a probability for each class"]


def _loss_lines(classes: int | None) -> list[str]:
    if classes is None:
        return ["  loss: mean_squared_error", "  metrics: [mean_absolute_error]"]
    loss = "binary_crossentropy" if classes == 2 else "sparse_categorical_crossentropy"
    return [f"  loss: {loss}", "  metrics: [accuracy]"]


def template_from_table(
    name: str, path: str, table: TablePreview, target: ColumnPreview, size: ModelSize = "medium"
) -> ConfigTemplate:
    """Return choices that fit a table: normalized numbers, category lookups, and a loss for the target."""
    classes = _count_classes(target)
    inputs = [column for column in table.columns if column is not target]
    left_out = {column.name: reason for column in inputs if (reason := find_reason_to_leave_out(column))}
    used = [column for column in inputs if column.name not in left_out]
    numbers = [column for column in used if column.kind in ("number", "integer")]
    texts = [column for column in used if column.kind in ("category", "text")]
    data = [
        f"  # Based on {table.row_count:,} rows of {len(table.columns)} columns.",
        f"  type: {table.type_name}",
        f"  path: {quote_yaml_text(path)}",
    ]
    if table.separator != ",":
        data.append(f"  separator: {_quote_always(table.separator)}")
    if not table.has_header:
        data.append(
            f"  columns: [{', '.join(quote_yaml_text(column.name) for column in table.columns)}]   # the file has no header"
        )
    data += [
        f"  {key}: {json.dumps(value, ensure_ascii=False)}"
        for key, value in table.keys.items()
        if key not in ("separator", "columns", "missing")
    ]
    target_comment = "a number"
    if classes is not None:
        target_comment = f"{classes} classes: {', '.join(map(quote_yaml_text, target.values[:5]))}{', ...' * (classes > 5)}"
    data.append(f"  target: {quote_yaml_text(target.name)}   # {target_comment}")
    if target.kind == "integer":
        data.append(f"  target_type: {'numbers' if classes is None else 'labels'}")
    data += [f"  # not used: {quote_yaml_text(name)}, {reason}" for name, reason in left_out.items()]
    names = _input_names(texts)
    if texts or left_out:
        data.append("  inputs:                      # input of the model: its columns")
        if numbers:
            data.append(f"    numbers: [{', '.join(quote_yaml_text(column.name) for column in numbers)}]")
        data += [f"    {names[column.name]}: {quote_yaml_text(column.name)}" for column in texts]
    if any(column.missing_count for column in numbers):
        words = table.keys.get("missing", {}).get("values")
        values = f"values: {json.dumps(words, ensure_ascii=False)}, " if words else ""
        data.append(f"  missing: {{{values}numbers: median}}   # of the training examples")
    stratify = ", stratify: true" if classes else ""
    data.append(f"  split: {{validation: 0.1, test: 0.1{stratify}}}")
    model_lines = _table_model_lines(numbers, texts, names, size) if texts or left_out else []
    return ConfigTemplate(name, "vectors", (len(numbers),), classes, size, data, model_lines)


def find_reason_to_leave_out(column: ColumnPreview) -> str | None:
    """Return why the model cannot use the column, or None."""
    if column.id_reason is not None:
        return column.id_reason
    if column.kind == "date":
        return "a date"
    if not column.values:
        return "empty in every row"
    if column.kind in ("number", "integer"):
        # Normalization divides by a deviation of almost zero, so that any other value becomes huge.
        return "the same number in every row" if float(column.values[0]) == float(column.values[-1]) else None
    if column.kind == "category" and len(column.values) == 1 and not column.missing_count:
        return "the same text in every row"
    return "a different text in every row" if column.kind == "unique" else None


def _count_classes(target: ColumnPreview) -> int | None:
    """Return the number of classes; None if the target is a number."""
    if target.kind == "number" or (target.kind == "integer" and len(target.values) > 20):
        return None
    return len(target.values)


def _input_names(columns: Iterable[ColumnPreview]) -> dict[str, str]:
    """Return a valid input name for each column, which neither a number nor a layer of the config has."""
    names: dict[str, str] = {}
    for column in columns:
        base = re.sub(r"[^A-Za-z0-9]+", "_", column.name).strip("_") or "column"
        if not base[0].isalpha() or base.lower() in ("null", "true", "false"):
            base = f"column_{base}"  # YAML reads 2024 and 0x1 as numbers
        name, number = base, 1
        while (
            name in names.values()
            or name in (*RESERVED_NAMES, "numbers", "scaled")
            or name.endswith("_vector")
        ):
            number += 1
            name = f"{base}_{number}"
        names[column.name] = name
    return names


def _table_model_lines(
    numbers: list[ColumnPreview], texts: list[ColumnPreview], names: dict[str, str], size: ModelSize
) -> list[str]:
    inputs = [f"numbers: [{len(numbers)}]"] if numbers else []
    inputs += [f"{name}: {{shape: [1], dtype: string}}" for name in names.values()]
    lines = ["  inputs:", *(f"    {line}" for line in inputs), "  layers:"]
    parts = []
    if numbers:
        lines.append(
            "    - {type: Normalization, name: scaled, inputs: numbers}   # learned from the training examples"
        )
        parts.append("scaled")
    for column in texts:
        input_name, value_count = names[column.name], len(column.values)
        parts.append(f"{input_name}_vector")
        if column.kind == "text":
            lines += [
                f"    - {{type: TextVectorization, inputs: {input_name}, max_tokens: 10000, output_sequence_length: 50}}",
                "    - {type: Embedding, input_dim: 10000, output_dim: 16}",
                f"    - {{type: GlobalAveragePooling1D, name: {input_name}_vector}}",
            ]
        elif value_count <= _MAX_LISTED_VALUES:
            words = ", ".join(map(_quote_always, column.values))
            lines += [
                f"    - type: StringLookup           # one number for each of {value_count} values, and one for all others",
                f"      name: {input_name}_vector",
                f"      inputs: {input_name}",
                "      output_mode: one_hot",
                f"      vocabulary: [{words}]",
            ]
        else:
            lines += [
                "    # learned from the training examples",
                f"    - {{type: StringLookup, inputs: {input_name}, max_tokens: {value_count + 50}}}",
                f"    - {{type: Embedding, input_dim: {value_count + 50}, output_dim: 8}}",
                f"    - {{type: Flatten, name: {input_name}_vector}}",
            ]
    if len(parts) > 1:
        lines.append(f"    - {{type: Concatenate, inputs: [{', '.join(parts)}]}}")
    return [*lines, *_hidden_layer_lines(_LAYER_WIDTHS[size], size)]


def quote_yaml_text(text: str) -> str:
    """Return a text as a YAML value on one line, without references to variables."""
    is_plain = re.fullmatch(r"[A-Za-z][\w./-]*", text) and text.lower() not in ("null", "true", "false")
    return text if is_plain else _quote_always(text)


def _quote_always(text: str) -> str:
    """Return a text in double quotes, without references to variables and characters that YAML refuses or folds."""
    quoted = json.dumps(text.replace("${", "$${"), ensure_ascii=False)
    return "".join(char if char.isprintable() else _escape_character(char) for char in quoted)


def _escape_character(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"
