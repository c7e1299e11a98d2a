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
from layercli.script.facts import Known
from layercli.script.keras_calls import by_name, made, value_of
from layercli.script.load_data_code import load_data, reads_several, text_inputs
from layercli.script.model_code import custom_imports, model_functions
from layercli.script.python_source import WIDTH, Call, Expression, Items, Named, literal, quoted, statement
from layercli.source.nodes import KeyPath

_IN: Final = "    "
_WRITTEN: Final = {"epochs", "batch_size", "optimizer", "loss", "class_weight", "metrics", "callbacks"}
_OF_LAYERCLI: Final = {"execution", "checkpoints", "progress"}
"""How layercli carries a training out, which is no matter of the script."""
_COMPILED: Final = {"loss_weights", "weighted_metrics"}


@dataclass(frozen=True, slots=True)
class Files:
    """Where the script lies, and the files beside it that it reads."""

    folder: Path
    weights: str | None = None
    learned: str | None = None
    """What lookups have learned, which is not among the weights, as JSON."""


def unsaid(valid: ValidConfig, known: Known) -> list[Problem]:
    """What the config says and a script cannot, each with its place."""
    paths: list[KeyPath] = []
    if valid.config.data is not None:
        paths += data_code.unsaid(valid.config.data, known)
    if valid.config.model.weights is not None:
        paths.append(("model", "weights"))
    train = valid.config.train
    if train is not None:
        said = _WRITTEN | _OF_LAYERCLI | _COMPILED
        paths += [
            ("train", name)
            for name, field in type(train).model_fields.items()
            if name not in said and getattr(train, name) != field.get_default(call_default_factory=True)
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
    names = known.target.names
    unknown = isinstance(weights, dict) and not all(name in names or name.isdecimal() for name in weights)
    if unknown or (weights is not None and known.weights):  # Keras takes one or the other
        paths.append(("train", "class_weight"))
    message = "A Python script cannot say this yet."
    hint = "Remove it, or export the trained model in another format."
    return [valid.make_problem(path, "not-expressible", message, hint) for path in paths]


def write_script(valid: ValidConfig, known: Known, files: Files) -> str:
    """A Keras script with the config's model, data and training."""
    data, train = valid.config.data, valid.config.train
    layers = [node for node in valid.graph.nodes if should_adapt(node)]
    sections = [model_functions(valid, [node.name for node in layers])]
    if data is not None:
        sections = [load_data(data, valid, known), data_code.split(data, known), *sections]
        if layers:
            sections.append(_adapt(layers, valid, several=bool(known.inputs)))
    if files.weights is not None:
        sections.append(_load_trained(files))
    sections.append(_main(valid, train, known, layers))
    body = "\n\n\n".join("\n".join(section) for section in sections)
    head = [*_imports(valid, body, files), "", *_constants(valid, files)]
    return "\n".join([*_docstring(valid), "", *head]).rstrip("\n") + f"\n\n\n{body}\n\n\n{_END}"


_END: Final = 'if __name__ == "__main__":\n    main()\n'


def _docstring(valid: ValidConfig) -> list[str]:
    parts = valid.shapes
    count = None if parts.trainable is None else f" {parts.trainable:,} trainable parameters."
    return [
        f'"""{valid.check_result.name}: a Keras model of {len(valid.graph.nodes)} layers.{count or ""}"""'
    ]


def _imports(valid: ValidConfig, body: str, files: Files) -> list[str]:
    standard = set()
    others = {"import keras"}
    if valid.config.data is not None:
        others |= data_code.imports(valid.config.data)
        if data_code.needs_path(valid.config.data):
            standard.add("from pathlib import Path")
        if reads_several(valid.config.data) or "pa." in body:
            others.add("import pyarrow as pa")
    if files.weights or files.learned:
        standard.add("from pathlib import Path")
    if files.learned:
        standard.add("import json")
    if "layers." in body:
        others.add("from keras import layers")
    if "tf." in body:
        others.add("import tensorflow as tf")
    own = sorted({*custom_imports(valid), *data_code.own_imports(valid.config.data)})

    def ordered(lines: set[str]) -> list[str]:
        return sorted(lines, key=lambda line: (line.startswith("from"), line.split()[1].lower()))

    groups = [ordered(standard), ordered(others), own]
    return "\n\n".join("\n".join(group) for group in groups if group).split("\n")


def _constants(valid: ValidConfig, files: Files) -> list[str]:
    lines = [f"SEED = {valid.config.seed}"]
    if valid.config.data is not None:
        lines += data_code.constants(valid.config.data, valid, files.folder)
    if files.weights is not None:
        lines.append(f"WEIGHTS = Path(__file__).parent / {quoted(files.weights)}")
    if files.learned is not None:
        lines.append(f"LEARNED = Path(__file__).parent / {quoted(files.learned)}")
    if valid.config.model.dtype is not None:
        lines += ["", f"keras.config.set_dtype_policy({quoted(valid.config.model.dtype)})"]
    return lines


def _adapt(layers: list[GraphNode], valid: ValidConfig, *, several: bool) -> list[str]:
    lines = [
        "def adapt(model, x):",
        f'{_IN}"""Let layers that learn from data learn from the training examples."""',
    ]
    for node in layers:
        name = f"model.get_layer({quoted(node.name)})"
        source = node.inputs[0]
        if source in valid.graph.inputs:
            given = f"x[{quoted(source)}]" if several else "x"
            lines += statement(Call(f"{name}.adapt", (given,)), _IN)
        else:
            lines.append(f"{_IN}before = keras.Model(model.inputs, {name}.input)")
            lines.append(f"{_IN}{name}.adapt(before.predict(x))")
    return lines


def _load_trained(files: Files) -> list[str]:
    lines = [
        "def load_trained():",
        f'{_IN}"""The model with the weights that it was trained to."""',
        f"{_IN}model = build_model()",
    ]
    if files.learned is not None:
        lines += [
            f'{_IN}for name, vocabulary in json.loads(LEARNED.read_text("utf-8")).items():',
            f"{2 * _IN}model.get_layer(name).set_vocabulary(vocabulary)",
        ]
    return [*lines, f"{_IN}model.load_weights(WEIGHTS)", f"{_IN}return model"]


def _main(valid: ValidConfig, train: TrainSection | None, known: Known, layers: list[GraphNode]) -> list[str]:
    data = valid.config.data
    lines = ["def main():", f"{_IN}keras.utils.set_random_seed(SEED)"]
    held: dict[str, bool] = {}
    if data is not None:
        counts = data.split.validation, data.split.test
        held = {"val": bool(counts[0]), "test": bool(counts[1])}
        names = data_code.names_of(known)
        lines.append(f"{_IN}{', '.join(names)} = load_data()")
        lines += _parted(names, held)
        lines += _filled(data, valid, known, held)
        if any(tensor.dtype == "string" for tensor in valid.graph.inputs.values()):
            lines += _as_text(valid, known, held)
        lines.append("")
    lines.append(f"{_IN}model = build_model()")
    if data is not None and layers:
        lines.append(f"{_IN}adapt(model, x_train)")
    if train is not None:
        lines += statement(_compile(train), _IN)
    lines.append(f"{_IN}model.summary()")
    if train is not None and data is not None:
        lines += ["", *_class_weights(train, known), *statement(_fit(train, data, known, held), _IN)]
        if held.get("test"):
            lines += statement(_evaluate(train, known), _IN)
        lines += statement(Call("model.save", (quoted(f"{valid.check_result.name}.keras"),)), _IN)
    return lines


def _parted(names: list[str], held: dict[str, bool]) -> Iterator[str]:
    """The parts by name, each of its arrays by its own."""
    own = {
        part: ", ".join(f"{name}_{part}" for name in names)
        for part, there in {"train": True, **held}.items()
        if there
    }
    given = f"split({', '.join(names)})"
    taken = [f"({own[part]})" if part in own else "_" for part in ("train", *held)]
    line = f"{_IN}{', '.join(taken)} = {given}"
    if len(line) <= WIDTH:
        yield line
        return
    yield f"{_IN}{', '.join(part if part in own else '_' for part in ('train', *held))} = {given}"
    yield from (f"{_IN}{arrays} = {part}" for part, arrays in own.items())


def _filled(data: Any, valid: ValidConfig, known: Known, held: dict[str, bool]) -> Iterator[str]:
    """Missing numbers, filled by what the training examples tell."""
    how = data.missing.numbers if data.type_name() in ("csv", "parquet") else "refuse"
    if how == "refuse":
        return
    parts = ["train", *(part for part, there in held.items() if there)]
    text = text_inputs(data, valid)
    for place in [f"[{quoted(name)}]" for name in known.inputs if name not in text] if known.inputs else [""]:
        value = {
            "median": f"np.nanmedian(x_train{place}, axis=0)",
            "mean": f"np.nanmean(x_train{place}, axis=0)",
        }
        yield f"{_IN}filling = {value.get(how, '0.0')}"
        for part in parts:
            yield f"{_IN}x_{part}{place} = np.where(np.isnan(x_{part}{place}), filling, x_{part}{place})"


def _as_text(valid: ValidConfig, known: Known, held: dict[str, bool]) -> Iterator[str]:
    """Texts as TensorFlow's strings, which Keras takes."""
    for part in ["train", *(part for part, there in held.items() if there)]:
        if not known.inputs:
            yield f"{_IN}x_{part} = tf.constant(x_{part})"
            continue
        for name, tensor in valid.graph.inputs.items():
            if tensor.dtype == "string":
                yield f"{_IN}x_{part}[{quoted(name)}] = tf.constant(x_{part}[{quoted(name)}])"


def _compile(train: TrainSection) -> Call:
    arguments = [
        Named("optimizer=", by_name(train.optimizer)),
        Named("loss=", _judges(train.loss)),
    ]
    if train.metrics:
        arguments.append(Named("metrics=", _judges(train.metrics)))
    for name in sorted(_COMPILED):
        value = getattr(train, name, None)
        if value:
            arguments.append(Named(f"{name}=", _judges(value)))
    return Call("model.compile", tuple(arguments))


def _judges(value: Any) -> Expression:
    """Losses or metrics: one, a list, or some for each output."""
    if isinstance(value, list):
        return Items("[", tuple(map(_judges, value)), "]")
    if isinstance(value, dict):
        return Items(
            "{", tuple(Named(f"{quoted(name)}: ", _judges(item)) for name, item in value.items()), "}"
        )
    return by_name(value) if isinstance(value, (str, Component)) else value_of(value)


def _class_weights(train: TrainSection, known: Known) -> Iterator[str]:
    if train.class_weight == "balanced":
        labels = "y_train.argmax(axis=1)" if known.target.one_hot is not None else "y_train"
        yield f"{_IN}counts = np.bincount({labels})"
        yield f"{_IN}balanced = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))"


def _fit(train: TrainSection, data: Any, known: Known, held: dict[str, bool]) -> Call:
    arguments: list[Expression] = ["x_train", "y_train"]
    arguments.append(Named("batch_size=", literal(train.batch_size)))
    arguments.append(Named("epochs=", literal(train.epochs)))
    if not data.shuffle:
        arguments.append(Named("shuffle=", "False"))
    if known.weights:
        arguments.append(Named("sample_weight=", "weights_train"))
    if held.get("val"):
        named = ", ".join(f"{name}_val" for name in data_code.names_of(known))
        arguments.append(Named("validation_data=", f"({named})"))
    if train.class_weight == "balanced":
        arguments.append(Named("class_weight=", "dict(enumerate(balanced))"))
    elif train.class_weight is not None:
        arguments.append(Named("class_weight=", literal(_labelled(train.class_weight, known.target.names))))
    if train.callbacks:
        callbacks = tuple(made(_sure(callback, train)) for callback in train.callbacks)
        arguments.append(Named("callbacks=", Items("[", callbacks, "]")))
    return Call("model.fit", tuple(arguments))


def _sure(callback: Component, train: TrainSection) -> Component:
    """The callback, told whether more is better where Keras cannot tell: of one output's metric among several."""
    watched = get_monitor(callback)
    if watched is None or getattr(callback, "mode", None) != "auto" or not isinstance(train.loss, dict):
        return callback
    return callback.with_arguments(mode=monitor_direction(watched, train) or "auto")


def _evaluate(train: TrainSection, known: Known) -> Call:
    arguments: list[Expression] = ["x_test", "y_test", Named("batch_size=", literal(train.batch_size))]
    if known.weights:
        arguments.append(Named("sample_weight=", "weights_test"))
    return Call("model.evaluate", tuple(arguments))


def _labelled(weights: dict[str, float], names: tuple[str, ...]) -> dict[int, float]:
    """Weights by label: Keras knows no names of classes."""
    return {names.index(name) if name in names else int(name): weight for name, weight in weights.items()}
