"""The whole script: imports, data, model, training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from layercli.check import ValidConfig
from layercli.config.training.callbacks import MLflow, get_monitor
from layercli.config.training.section import TrainSection
from layercli.errors import Problem
from layercli.graph.adaptable import ADAPTABLE_LAYERS, should_adapt
from layercli.graph.build import GraphNode
from layercli.graph.checks.monitors import monitor_direction
from layercli.schema.component import Component
from layercli.script import split_code as data_code
from layercli.script.facts import ScriptFacts
from layercli.script.keras_calls import name_or_call, constructor_call, value_expression
from layercli.script.load_data_code import load_data_lines, reads_several_files, text_input_names
from layercli.script.model_code import custom_layer_imports, model_lines
from layercli.script.python_source import (
    LINE_WIDTH,
    CallExpression,
    Expression,
    Brackets,
    NamedValue,
    render_literal,
    quote_string,
    render_statement,
)
from layercli.source.nodes import KeyPath

_INDENT: Final = "    "
_SUPPORTED_FIELDS: Final = {
    "epochs",
    "batch_size",
    "optimizer",
    "loss",
    "class_weight",
    "metrics",
    "callbacks",
}
_IGNORED_FIELDS: Final = {"execution", "checkpoints", "progress"}
"""How layercli carries a training out, which is no matter of the script."""
_COMPILE_FIELDS: Final = {"loss_weights", "weighted_metrics"}


@dataclass(frozen=True, slots=True)
class ScriptFiles:
    """Where the script lies, and the files beside it that it reads."""

    folder: Path
    weights_name: str | None = None
    vocabularies_name: str | None = None
    """What lookups have learned, which is not among the weights, as JSON."""


def check_script_support(valid: ValidConfig, facts: ScriptFacts) -> list[Problem]:
    """What the config says and a script cannot, each with its place."""
    paths: list[KeyPath] = []
    if valid.config.data is not None:
        paths += data_code.find_unsupported_fields(valid.config.data, facts)
    if valid.config.model.weights is not None:
        paths.append(("model", "weights"))
    train = valid.config.train
    if train is not None:
        supported = _SUPPORTED_FIELDS | _IGNORED_FIELDS | _COMPILE_FIELDS
        paths += [
            ("train", name)
            for name, field in type(train).model_fields.items()
            if name not in supported and getattr(train, name) != field.get_default(call_default_factory=True)
        ]
        paths += [
            ("train", "callbacks", index)
            for index, callback in enumerate(train.callbacks)
            if isinstance(callback, MLflow)  # no callback of Keras's
        ]
    paths += [
        node.path
        for node in valid.graph.nodes
        if should_adapt(node) and node.type_name not in ADAPTABLE_LAYERS  # a layer inside it learns
    ]
    weights = None if train is None else train.class_weight
    names = facts.first_target.class_names
    has_unknown_class = isinstance(weights, dict) and not all(
        name in names or name.isdecimal() for name in weights
    )
    if has_unknown_class or (weights is not None and facts.has_weights):  # Keras takes one or the other
        paths.append(("train", "class_weight"))
    message = "A Python script cannot say this yet."
    hint = "Remove it, or export the trained model in another format."
    return [valid.make_problem(path, "not-expressible", message, hint) for path in paths]


def write_script(valid: ValidConfig, facts: ScriptFacts, files: ScriptFiles) -> str:
    """A Keras script with the config's model, data and training."""
    data, train = valid.config.data, valid.config.train
    adapted_nodes = [node for node in valid.graph.nodes if should_adapt(node)]
    sections = [model_lines(valid, [node.name for node in adapted_nodes])]
    if data is not None:
        sections = [
            load_data_lines(data, valid, facts),
            data_code.split_function_lines(data, facts),
            *sections,
        ]
        if adapted_nodes:
            sections.append(_adapt_lines(adapted_nodes, valid, several=bool(facts.input_names)))
    if files.weights_name is not None:
        sections.append(_load_trained_lines(files))
    sections.append(_main_lines(valid, train, facts, adapted_nodes))
    body = "\n\n\n".join("\n".join(section) for section in sections)
    head = [*_import_lines(valid, body, files), "", *_constant_lines(valid, files)]
    return "\n".join([*_docstring_lines(valid), "", *head]).rstrip("\n") + f"\n\n\n{body}\n\n\n{_MAIN_GUARD}"


_MAIN_GUARD: Final = 'if __name__ == "__main__":\n    main()\n'


def _docstring_lines(valid: ValidConfig) -> list[str]:
    shapes = valid.shapes
    count = None if shapes.trainable is None else f" {shapes.trainable:,} trainable parameters."
    return [
        f'"""{valid.check_result.name}: a Keras model of {len(valid.graph.nodes)} layers.{count or ""}"""'
    ]


def _import_lines(valid: ValidConfig, body: str, files: ScriptFiles) -> list[str]:
    standard = set()
    others = {"import keras"}
    if valid.config.data is not None:
        others |= data_code.data_imports(valid.config.data)
        if data_code.reads_files(valid.config.data):
            standard.add("from pathlib import Path")
        if reads_several_files(valid.config.data) or "pa." in body:
            others.add("import pyarrow as pa")
    if files.weights_name or files.vocabularies_name:
        standard.add("from pathlib import Path")
    if files.vocabularies_name:
        standard.add("import json")
    if "layers." in body:
        others.add("from keras import layers")
    if "tf." in body:
        others.add("import tensorflow as tf")
    user_code = sorted({*custom_layer_imports(valid), *data_code.user_code_imports(valid.config.data)})

    def sort_imports(lines: set[str]) -> list[str]:
        return sorted(lines, key=lambda line: (line.startswith("from"), line.split()[1].lower()))

    groups = [sort_imports(standard), sort_imports(others), user_code]
    return "\n\n".join("\n".join(group) for group in groups if group).split("\n")


def _constant_lines(valid: ValidConfig, files: ScriptFiles) -> list[str]:
    lines = [f"SEED = {valid.config.seed}"]
    if valid.config.data is not None:
        lines += data_code.path_constants(valid.config.data, valid, files.folder)
    if files.weights_name is not None:
        lines.append(f"WEIGHTS = Path(__file__).parent / {quote_string(files.weights_name)}")
    if files.vocabularies_name is not None:
        lines.append(f"LEARNED = Path(__file__).parent / {quote_string(files.vocabularies_name)}")
    if valid.config.model.dtype is not None:
        lines += ["", f"keras.config.set_dtype_policy({quote_string(valid.config.model.dtype)})"]
    return lines


def _adapt_lines(layers: list[GraphNode], valid: ValidConfig, *, several: bool) -> list[str]:
    lines = [
        "def adapt(model, x):",
        f'{_INDENT}"""Let layers that learn from data learn from the training examples."""',
    ]
    for node in layers:
        name = f"model.get_layer({quote_string(node.name)})"
        source = node.inputs[0]
        if source in valid.graph.inputs:
            inputs = f"x[{quote_string(source)}]" if several else "x"
            lines += render_statement(CallExpression(f"{name}.adapt", (inputs,)), _INDENT)
        else:
            lines.append(f"{_INDENT}before = keras.Model(model.inputs, {name}.input)")
            lines.append(f"{_INDENT}{name}.adapt(before.predict(x))")
    return lines


def _load_trained_lines(files: ScriptFiles) -> list[str]:
    lines = [
        "def load_trained():",
        f'{_INDENT}"""The model with the weights that it was trained to."""',
        f"{_INDENT}model = build_model()",
    ]
    if files.vocabularies_name is not None:
        lines += [
            f'{_INDENT}for name, vocabulary in json.loads(LEARNED.read_text("utf-8")).items():',
            f"{2 * _INDENT}model.get_layer(name).set_vocabulary(vocabulary)",
        ]
    return [*lines, f"{_INDENT}model.load_weights(WEIGHTS)", f"{_INDENT}return model"]


def _main_lines(
    valid: ValidConfig, train: TrainSection | None, facts: ScriptFacts, layers: list[GraphNode]
) -> list[str]:
    data = valid.config.data
    lines = ["def main():", f"{_INDENT}keras.utils.set_random_seed(SEED)"]
    has_split: dict[str, bool] = {}
    if data is not None:
        counts = data.split.validation, data.split.test
        has_split = {"val": bool(counts[0]), "test": bool(counts[1])}
        names = data_code.array_names(facts)
        lines.append(f"{_INDENT}{', '.join(names)} = load_data()")
        lines += _unpack_split_lines(names, has_split)
        lines += _fill_missing_lines(data, valid, facts, has_split)
        if any(tensor.dtype == "string" for tensor in valid.graph.inputs.values()):
            lines += _string_tensor_lines(valid, facts, has_split)
        lines.append("")
    lines.append(f"{_INDENT}model = build_model()")
    if data is not None and layers:
        lines.append(f"{_INDENT}adapt(model, x_train)")
    if train is not None:
        lines += render_statement(_compile_call(train), _INDENT)
    lines.append(f"{_INDENT}model.summary()")
    if train is not None and data is not None:
        lines += [
            "",
            *_class_weight_lines(train, facts),
            *render_statement(_fit_call(train, data, facts, has_split), _INDENT),
        ]
        if has_split.get("test"):
            lines += render_statement(_evaluate_call(train, facts), _INDENT)
        lines += render_statement(
            CallExpression("model.save", (quote_string(f"{valid.check_result.name}.keras"),)), _INDENT
        )
    return lines


def _unpack_split_lines(names: list[str], has_split: dict[str, bool]) -> Iterator[str]:
    """The parts by name, each of its arrays by its own."""
    arrays_by_split = {
        part: ", ".join(f"{name}_{part}" for name in names)
        for part, there in {"train": True, **has_split}.items()
        if there
    }
    call = f"split({', '.join(names)})"
    targets = [
        f"({arrays_by_split[part]})" if part in arrays_by_split else "_" for part in ("train", *has_split)
    ]
    line = f"{_INDENT}{', '.join(targets)} = {call}"
    if len(line) <= LINE_WIDTH:
        yield line
        return
    yield f"{_INDENT}{', '.join(part if part in arrays_by_split else '_' for part in ('train', *has_split))} = {call}"
    yield from (f"{_INDENT}{arrays} = {part}" for part, arrays in arrays_by_split.items())


def _fill_missing_lines(
    data: Any, valid: ValidConfig, facts: ScriptFacts, has_split: dict[str, bool]
) -> Iterator[str]:
    """Missing numbers, filled by what the training examples tell."""
    strategy = data.missing.numbers if data.type_name() in ("csv", "parquet") else "refuse"
    if strategy == "refuse":
        return
    parts = ["train", *(part for part, there in has_split.items() if there)]
    text_names = text_input_names(data, valid)
    for place in (
        [f"[{quote_string(name)}]" for name in facts.input_names if name not in text_names]
        if facts.input_names
        else [""]
    ):
        value = {
            "median": f"np.nanmedian(x_train{place}, axis=0)",
            "mean": f"np.nanmean(x_train{place}, axis=0)",
        }
        yield f"{_INDENT}filling = {value.get(strategy, '0.0')}"
        for part in parts:
            yield f"{_INDENT}x_{part}{place} = np.where(np.isnan(x_{part}{place}), filling, x_{part}{place})"


def _string_tensor_lines(valid: ValidConfig, facts: ScriptFacts, has_split: dict[str, bool]) -> Iterator[str]:
    """Texts as TensorFlow's strings, which Keras takes."""
    for part in ["train", *(part for part, there in has_split.items() if there)]:
        if not facts.input_names:
            yield f"{_INDENT}x_{part} = tf.constant(x_{part})"
            continue
        for name, tensor in valid.graph.inputs.items():
            if tensor.dtype == "string":
                yield f"{_INDENT}x_{part}[{quote_string(name)}] = tf.constant(x_{part}[{quote_string(name)}])"


def _compile_call(train: TrainSection) -> CallExpression:
    arguments = [
        NamedValue("optimizer=", name_or_call(train.optimizer)),
        NamedValue("loss=", _losses_or_metrics(train.loss)),
    ]
    if train.metrics:
        arguments.append(NamedValue("metrics=", _losses_or_metrics(train.metrics)))
    for name in sorted(_COMPILE_FIELDS):
        value = getattr(train, name, None)
        if value:
            arguments.append(NamedValue(f"{name}=", _losses_or_metrics(value)))
    return CallExpression("model.compile", tuple(arguments))


def _losses_or_metrics(value: Any) -> Expression:
    """Losses or metrics: one, a list, or some for each output."""
    if isinstance(value, list):
        return Brackets("[", tuple(map(_losses_or_metrics, value)), "]")
    if isinstance(value, dict):
        return Brackets(
            "{",
            tuple(
                NamedValue(f"{quote_string(name)}: ", _losses_or_metrics(item))
                for name, item in value.items()
            ),
            "}",
        )
    return name_or_call(value) if isinstance(value, (str, Component)) else value_expression(value)


def _class_weight_lines(train: TrainSection, facts: ScriptFacts) -> Iterator[str]:
    if train.class_weight == "balanced":
        labels = "y_train.argmax(axis=1)" if facts.first_target.one_hot_size is not None else "y_train"
        yield f"{_INDENT}counts = np.bincount({labels})"
        yield f"{_INDENT}balanced = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))"


def _fit_call(
    train: TrainSection, data: Any, facts: ScriptFacts, has_split: dict[str, bool]
) -> CallExpression:
    arguments: list[Expression] = ["x_train", "y_train"]
    arguments.append(NamedValue("batch_size=", render_literal(train.batch_size)))
    arguments.append(NamedValue("epochs=", render_literal(train.epochs)))
    if not data.shuffle:
        arguments.append(NamedValue("shuffle=", "False"))
    if facts.has_weights:
        arguments.append(NamedValue("sample_weight=", "weights_train"))
    if has_split.get("val"):
        validation_arrays = ", ".join(f"{name}_val" for name in data_code.array_names(facts))
        arguments.append(NamedValue("validation_data=", f"({validation_arrays})"))
    if train.class_weight == "balanced":
        arguments.append(NamedValue("class_weight=", "dict(enumerate(balanced))"))
    elif train.class_weight is not None:
        arguments.append(
            NamedValue(
                "class_weight=",
                render_literal(_weights_by_label(train.class_weight, facts.first_target.class_names)),
            )
        )
    if train.callbacks:
        callbacks = tuple(
            constructor_call(_with_explicit_mode(callback, train)) for callback in train.callbacks
        )
        arguments.append(NamedValue("callbacks=", Brackets("[", callbacks, "]")))
    return CallExpression("model.fit", tuple(arguments))


def _with_explicit_mode(callback: Component, train: TrainSection) -> Component:
    """The callback, told whether more is better where Keras cannot tell: of one output's metric among several."""
    monitor = get_monitor(callback)
    if monitor is None or getattr(callback, "mode", None) != "auto" or not isinstance(train.loss, dict):
        return callback
    return callback.with_arguments(mode=monitor_direction(monitor, train) or "auto")


def _evaluate_call(train: TrainSection, facts: ScriptFacts) -> CallExpression:
    arguments: list[Expression] = [
        "x_test",
        "y_test",
        NamedValue("batch_size=", render_literal(train.batch_size)),
    ]
    if facts.has_weights:
        arguments.append(NamedValue("sample_weight=", "weights_test"))
    return CallExpression("model.evaluate", tuple(arguments))


def _weights_by_label(weights: dict[str, float], names: tuple[str, ...]) -> dict[int, float]:
    """Weights by label: Keras knows no names of classes."""
    return {names.index(name) if name in names else int(name): weight for name, weight in weights.items()}
