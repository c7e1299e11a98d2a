"""The whole script: imports, data, model, training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from layercli.check import ValidConfig
from layercli.config.training.callbacks import MLflow, get_monitor
from layercli.config.training.section import TrainSection
from layercli.errors import Problem
from layercli.graph.adaptable import ADAPTABLE_LAYERS, find_scaled_outputs, should_adapt
from layercli.graph.best_epoch import monitor_direction
from layercli.graph.build import GraphNode
from layercli.schema.component import Component
from layercli.script.application_code import find_inexpressible_applications
from layercli.script.data_script import SET_CONSTANTS, DataScript
from layercli.script.facts import ScriptFacts
from layercli.script.keras_calls import constructor_call, name_or_call, value_expression
from layercli.script.metric_code import write_convert_inputs
from layercli.script.model_code import custom_code_imports, model_lines, register_nested_classes
from layercli.script.python_source import (
    INDENT,
    LINE_WIDTH,
    Brackets,
    CallExpression,
    Expression,
    NamedValue,
    quote_string,
    render_literal,
    render_statement,
)
from layercli.script.split_code import write_split, write_split_functions, write_target_forms
from layercli.script.stage_code import find_inexpressible_stages, list_stage_frozen_names, write_stages
from layercli.script.window_code import write_make_windows, write_windows_of_sets
from layercli.source.nodes import KeyPath, format_path

_FIT_KEYS: Final = {
    "epochs",
    "batch_size",
    "optimizer",
    "loss",
    "class_weight",
    "metrics",
    "callbacks",
    "stages",
}
"""Keys of ``train`` with code for each of them."""
_COMPILE_KEYS: Final = {"loss_weights", "weighted_metrics"}
"""Keys of ``train`` that are arguments of ``compile``."""
_IGNORED_TRAIN_KEYS: Final = {"execution", "checkpoints", "diagnostics", "progress"}
"""Keys of ``train`` that only concern how layercli trains."""
_END: Final = 'if __name__ == "__main__":\n    main()\n'

AnyDataScript: TypeAlias = DataScript[Any]


@dataclass(frozen=True, slots=True)
class ScriptFiles:
    """The script's folder, and the names of the files in it that the script reads."""

    folder: Path
    weights_name: str | None = None
    vocabularies_name: str | None = None
    """JSON of what lookup layers learned, which the file of weights does not contain."""


def find_inexpressible(
    valid: ValidConfig, facts: ScriptFacts, data_script: AnyDataScript | None
) -> list[Problem]:
    """Return a problem for each setting of the config that a script cannot express."""
    paths: list[KeyPath] = []
    if data_script is not None:
        paths += data_script.find_inexpressible()
    if valid.config.model.weights is not None:
        paths.append(("model", "weights"))
    if valid.config.train is not None:
        paths += _find_inexpressible_training(valid.config.train)
        paths += find_inexpressible_stages(valid.config.train, valid.graph)
    paths += [
        node.path
        for node in valid.graph.nodes
        if should_adapt(node) and node.type_name not in ADAPTABLE_LAYERS  # a layer inside it adapts
    ]
    paths += find_inexpressible_applications(valid)
    if valid.config.train is not None and not _can_write_class_weight(valid.config.train, facts):
        paths.append(("train", "class_weight"))
    hint = "Remove it, or export the trained model in another format."
    return [
        valid.make_problem(
            path,
            "not-expressible",
            f"`{format_path(path)}` cannot be expressed in a Python script{_give_reason(path)}.",
            hint,
        )
        for path in paths
    ]


def _give_reason(path: KeyPath) -> str:
    """Return the reason for which a script cannot express a setting, if it does not follow from its name."""
    match path:
        case ("model", "weights"):
            return ": layercli matches the layers of the other model, and copies their weights"
        case ("model", *_, "weights"):
            return ": the script would start from random weights, and differ from this training"
        case ("train", "stages", _, "freeze"):
            return ": `trainable = True` in a later stage would also unfreeze weights that stay fixed"
        case ("train", "callbacks"):
            return " with `stages`: each stage calls `fit`, which would begin and end them"
        case _:
            return ""


def _find_inexpressible_training(train: TrainSection) -> Iterator[KeyPath]:
    expressible = _FIT_KEYS | _COMPILE_KEYS | _IGNORED_TRAIN_KEYS
    for name, field in type(train).model_fields.items():
        is_default = getattr(train, name) == field.get_default(call_default_factory=True)
        if name not in expressible and not is_default:
            yield ("train", name)
    for callback, path, _ in train.iterate_callbacks():
        if isinstance(callback, MLflow):  # not a callback of Keras
            yield path


def _can_write_class_weight(train: TrainSection, facts: ScriptFacts) -> bool:
    weights, class_names = train.class_weight, facts.first_target.class_names
    if isinstance(weights, dict) and not all(
        name in class_names or name.removeprefix("-").isdecimal() for name in weights
    ):
        return False
    return weights is None or not facts.has_weights  # Keras takes only one of the two


def write_script(
    valid: ValidConfig, facts: ScriptFacts, files: ScriptFiles, data_script: AnyDataScript | None
) -> str:
    """Return a Keras script with the config's model, data and training."""
    adaptable = [node for node in valid.graph.nodes if should_adapt(node)]
    kept_names = [
        *(node.name for node in adaptable),
        *list_stage_frozen_names(valid.config.train, valid.graph),
    ]
    sections = [model_lines(valid, kept_names)]
    if data_script is not None:
        data = data_script.data
        split = write_split(data.split, facts, shuffle=data.shuffle)
        functions = write_split_functions(data.split, facts, is_random=data.shuffle)
        windows = [] if facts.windows is None else [write_make_windows(facts.windows, facts)]
        sections = [
            data_script.write_load_data(),
            *([functions] if functions else []),
            split,
            *windows,
            *sections,
        ]
        if adaptable:
            sections.append(_write_adapt(adaptable, valid, facts))
    if files.weights_name is not None:
        sections.append(_write_load_trained(valid, files))
    graph = valid.graph
    outputs = [valid.shapes.output(*each) for each in zip(graph.outputs, graph.output_indices, strict=True)]
    has_positions = any(output is None or output.rank > 2 for output in outputs)
    if convert_inputs := write_convert_inputs(valid.config.train, has_positions=has_positions):
        sections.append(convert_inputs)
    sections.append(_Main(valid, facts, data_script).write(should_adapt=bool(adaptable)))
    body = "\n\n\n".join("\n".join(section) for section in sections)
    data_constant = [] if data_script is None else data_script.write_data_constant(files.folder)
    head = [
        *_write_imports(valid, body, files, data_script, has_data_files=bool(data_constant)),
        "",
        *_write_constants(valid, files, data_constant),
    ]
    return "\n".join([*_write_docstring(valid), "", *head]).rstrip("\n") + f"\n\n\n{body}\n\n\n{_END}"


def _write_docstring(valid: ValidConfig) -> list[str]:
    count = valid.shapes.trainable
    parameters = "" if count is None else f" {count:,} trainable parameters."
    layers = len(valid.graph.nodes)
    return [f'"""{valid.check_result.name}: a Keras model of {layers} layers.{parameters}"""']


def _write_imports(
    valid: ValidConfig,
    body: str,
    files: ScriptFiles,
    data_script: AnyDataScript | None,
    *,
    has_data_files: bool,
) -> list[str]:
    standard, others, custom = set(), {"import keras"}, set(custom_code_imports(valid))
    if data_script is not None:
        others |= data_script.imports()
        standard |= data_script.standard_imports()
        custom |= data_script.user_imports()
    if has_data_files or files.weights_name or files.vocabularies_name:
        standard.add("from pathlib import Path")
    if files.vocabularies_name:
        standard.add("import json")
    if "partial(" in body:
        standard.add("from functools import partial")
    if "layers." in body:
        others.add("from keras import layers")
    if "tf." in body:
        others.add("import tensorflow as tf")

    def sort_imports(lines: set[str]) -> list[str]:
        return sorted(lines, key=lambda line: (line.startswith("from"), line.split()[1].lower()))

    groups = [sort_imports(standard), sort_imports(others), sorted(custom)]
    return "\n\n".join("\n".join(group) for group in groups if group).split("\n")


def _write_constants(valid: ValidConfig, files: ScriptFiles, data_constant: list[str]) -> list[str]:
    lines = [f"SEED = {valid.config.seed}", *data_constant]
    if files.weights_name is not None:
        lines.append(f"WEIGHTS = Path(__file__).parent / {quote_string(files.weights_name)}")
    if files.vocabularies_name is not None:
        lines.append(f"LEARNED = Path(__file__).parent / {quote_string(files.vocabularies_name)}")
    lines += ["", *nested] if (nested := register_nested_classes(valid)) else []
    if valid.config.model.dtype is not None:
        lines += ["", f"keras.config.set_dtype_policy({quote_string(valid.config.model.dtype)})"]
    return lines


def _write_adapt(layers: list[GraphNode], valid: ValidConfig, facts: ScriptFacts) -> list[str]:
    scaled_outputs = find_scaled_outputs(valid.graph)
    arguments = "model, x, y" if scaled_outputs else "model, x"
    examples = "inputs and targets" if scaled_outputs else "examples"
    lines = [
        f"def adapt({arguments}):",
        f'{INDENT}"""Adapt the preprocessing layers to the training {examples}."""',
    ]
    for node in layers:
        layer = f"model.get_layer({quote_string(node.name)})"
        source = node.inputs[0]
        if node.name in scaled_outputs:
            target = _write_target(valid, facts, node, scaled_outputs[node.name][0])
            lines += render_statement(CallExpression(f"{layer}.adapt", (target,)), INDENT)
        elif source in valid.graph.inputs:
            array = f"x[{quote_string(source)}]" if facts.input_names else "x"
            lines += render_statement(CallExpression(f"{layer}.adapt", (array,)), INDENT)
        else:
            lines.append(f"{INDENT}before = keras.Model(model.inputs, {layer}.input)")
            lines.append(f"{INDENT}{layer}.adapt(before.predict(x))")
    return lines


def _write_target(valid: ValidConfig, facts: ScriptFacts, node: GraphNode, output: int) -> str:
    """Return the code of the target of an output, in the shape of the output of the node that learns from it."""
    name = None if None in facts.targets else valid.graph.output_references[output]
    array = "y" if name is None else f"y[{quote_string(name)}]"
    sizes, shape = valid.shapes.by_name[node.name].outputs[0].shape[1:], facts.targets[name].shape
    if sizes == shape:
        return array
    return f"{array}[..., None]" if None in sizes else f"{array}.reshape(-1, {', '.join(map(str, sizes))})"


def _write_learned_state(valid: ValidConfig) -> list[str]:
    """Return the lines that give a layer its vocabulary, with weights for ``tf_idf``, or its bin boundaries."""
    adapted = [node for node in valid.graph.nodes if should_adapt(node)]
    cases = []
    if any(node.type_name == "Discretization" for node in adapted):
        is_discretization = "isinstance(model.get_layer(name), layers.Discretization)"
        cases.append((is_discretization, "model.get_layer(name).bin_boundaries = vocabulary"))
    if any(getattr(node.layer, "output_mode", None) == "tf_idf" for node in adapted):
        cases.append(("isinstance(vocabulary, dict)", "model.get_layer(name).set_vocabulary(**vocabulary)"))
    set_vocabulary = "model.get_layer(name).set_vocabulary(vocabulary)"
    if not cases:
        return [f"{2 * INDENT}{set_vocabulary}"]
    return [
        *(
            line
            for number, (condition, statement) in enumerate(cases)
            for line in (
                f"{2 * INDENT}{'elif' if number else 'if'} {condition}:",
                f"{3 * INDENT}{statement}",
            )
        ),
        f"{2 * INDENT}else:",
        f"{3 * INDENT}{set_vocabulary}",
    ]


def _write_load_trained(valid: ValidConfig, files: ScriptFiles) -> list[str]:
    lines = [
        "def load_trained():",
        f'{INDENT}"""Build the model and load its trained weights."""',
        f"{INDENT}model = build_model()",
    ]
    if files.vocabularies_name is not None:
        lines += [
            f'{INDENT}for name, vocabulary in json.loads(LEARNED.read_text("utf-8")).items():',
            *_write_learned_state(valid),
        ]
    return [*lines, f"{INDENT}model.load_weights(WEIGHTS)", f"{INDENT}return model"]


@dataclass(frozen=True)
class _Main:
    """The code of ``main``."""

    valid: ValidConfig
    facts: ScriptFacts
    data_script: AnyDataScript | None

    @property
    def _split_names(self) -> list[str]:
        """The sets that are not empty."""
        if self.data_script is None:
            return []
        split = self.data_script.data.split
        sizes = {"train": True, "val": split.validation, "test": split.test}
        if split.column is not None or self.facts.windows is not None:
            sizes |= {"val": "val" in self.facts.named_sets, "test": "test" in self.facts.named_sets}
        return [name for name, size in sizes.items() if size]

    def write(self, *, should_adapt: bool) -> list[str]:
        """Return the lines of the function."""
        train = self.valid.config.train
        lines = ["def main():", f"{INDENT}keras.utils.set_random_seed(SEED)"]
        if self.data_script is not None:
            source = self.facts.source if self.facts.own_sets else ""
            lines.append(f"{INDENT}{', '.join(self.facts.loaded_names)} = load_data({source and 'DATA'})")
            lines += self._write_class_numbers()
            lines += self._write_split_assignment()
            for name in self.facts.own_sets:
                lines += self._write_own_set(name)
            lines += self.data_script.write_fill_missing(self._split_names)
            lines += write_windows_of_sets(self.facts, self._split_names)
            lines += self._write_text_conversion()
            lines.append("")
        lines.append(f"{INDENT}model = build_model()")
        if self.data_script is not None and should_adapt:
            arguments = (
                "model, x_train, y_train" if find_scaled_outputs(self.valid.graph) else "model, x_train"
            )
            lines.append(f"{INDENT}adapt({arguments})")
        if train is not None and (train.stages is None or self.data_script is None):
            optimizer, _ = train.optimizer_in_stage(0)
            lines += render_statement(_make_compile_call(train, name_or_call(optimizer)), INDENT)
        lines.append(f"{INDENT}model.summary()")
        if train is not None and self.data_script is not None:
            lines += ["", *self._write_training(train)]
        return lines

    def _write_split_assignment(self) -> Iterator[str]:
        """Write the call of ``split``, whose arrays are named by their set."""
        arrays = {
            name: ", ".join(f"{array}_{name}" for array in self.facts.set_names)
            for name in self._split_names
            if name not in self.facts.own_sets
        }
        call = f"split({', '.join(self.facts.loaded_names)})"
        targets = [f"({arrays[name]})" if name in arrays else "_" for name in ("train", "val", "test")]
        line = f"{INDENT}{', '.join(targets)} = {call}"
        if len(line) <= LINE_WIDTH:
            yield line
            return
        names = [name if name in arrays else "_" for name in ("train", "val", "test")]
        yield f"{INDENT}{', '.join(names)} = {call}"
        yield from (f"{INDENT}{variables} = {name}" for name, variables in arrays.items())

    def _write_class_numbers(self) -> Iterator[str]:
        """Write the numbering of the classes; those of sets with separate files get the same numbers."""
        targets = self._list_numbered_targets()
        if any(name is not None for name in targets):
            yield f"{INDENT}classes = {{}}"
        for name, variable in targets.items():
            yield f"{INDENT}{_write_classes(name)}, {variable} = np.unique({variable}, return_inverse=True)"

    def _list_numbered_targets(self, suffix: str = "") -> dict[str | None, str]:
        """Return the variables of the targets whose classes ``main`` numbers."""
        variables = self.facts.name_targets(suffix) if self.facts.own_sets else {}
        return {
            name: variable
            for name, variable in variables.items()
            if self.facts.targets[name].has_named_labels
        }

    def _write_own_set(self, name: str) -> Iterator[str]:
        """Write the code that reads a set with separate files."""
        arrays = [f"{array}_{name}" for array in self.facts.set_names]
        ignored = ["_"] * (len(self.facts.loaded_names) - len(arrays))
        yield f"{INDENT}{', '.join([*arrays, *ignored])} = load_data({SET_CONSTANTS[name]})"
        for target, variable in self._list_numbered_targets(f"_{name}").items():
            yield f"{INDENT}{variable} = np.searchsorted({_write_classes(target)}, {variable})"
        yield from write_target_forms(self.facts, self.facts.name_targets(f"_{name}"), f"weights_{name}")

    def _write_text_conversion(self) -> Iterator[str]:
        """Write the conversion of texts to string tensors, which Keras requires."""
        text_inputs = [name for name, tensor in self.valid.graph.inputs.items() if tensor.dtype == "string"]
        if not text_inputs:
            return
        indices = [f"[{quote_string(name)}]" for name in text_inputs] if self.facts.input_names else [""]
        for split_name in self._split_names:
            for index in indices:
                yield f"{INDENT}x_{split_name}{index} = tf.constant(x_{split_name}{index})"

    def _write_training(self, train: TrainSection) -> Iterator[str]:
        if train.class_weight == "balanced":
            target = self.facts.first_target
            has_one_hot = target.one_hot_units is not None
            labels = "y_train.argmax(axis=1)" if has_one_hot else target.write_labels("y_train")
            if target.has_negative_labels:
                yield f"{INDENT}labels, counts = np.unique({labels}, return_counts=True)"
                yield f"{INDENT}balanced = counts.sum() / (len(counts) * counts)"
            else:
                yield f"{INDENT}counts = np.bincount({labels})"
                yield f"{INDENT}balanced = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))"
        if train.stages is None:
            yield from render_statement(self._make_fit_call(train), INDENT)
        else:
            yield from write_stages(
                train,
                self.valid.graph,
                lambda optimizer: _make_compile_call(train, optimizer),
                lambda *stage: self._make_fit_call(train, stage),
                lambda index: name_or_call(train.optimizer_in_stage(index)[0]),
            )
            yield ""
        if "test" in self._split_names:
            yield from render_statement(self._make_evaluate_call(train), INDENT)
        yield from render_statement(
            CallExpression("model.save", (quote_string(f"{self.valid.check_result.name}.keras"),)), INDENT
        )

    def _make_fit_call(
        self, train: TrainSection, stage: tuple[int, int, int] | None = None
    ) -> CallExpression:
        """Return the call of ``fit``; for a stage, its index, its first epoch and the epoch after it are given."""
        assert self.data_script is not None
        index, first_epoch, epochs = stage or (None, 0, train.epochs)
        arguments: list[Expression] = ["x_train", "y_train"]
        arguments.append(NamedValue("batch_size=", render_literal(train.batch_size)))
        arguments.append(NamedValue("epochs=", render_literal(epochs)))
        if first_epoch:
            arguments.append(NamedValue("initial_epoch=", render_literal(first_epoch)))
        if not self.data_script.data.shuffle:
            arguments.append(NamedValue("shuffle=", "False"))
        if self.facts.has_weights:
            arguments.append(NamedValue("sample_weight=", "weights_train"))
        if "val" in self._split_names:
            arrays = ", ".join(f"{name}_val" for name in self.facts.array_names)
            arguments.append(NamedValue("validation_data=", f"({arrays})"))
        if train.class_weight == "balanced":
            has_negative = self.facts.first_target.has_negative_labels
            pairs = "zip(labels.tolist(), balanced)" if has_negative else "enumerate(balanced)"
            arguments.append(NamedValue("class_weight=", f"dict({pairs})"))
        elif train.class_weight is not None:
            weights = _label_weights(train.class_weight, self.facts.first_target.class_names)
            arguments.append(NamedValue("class_weight=", render_literal(weights)))
        callbacks = tuple(
            constructor_call(_with_mode(callback, train))
            for callback, _, stage_index in train.iterate_callbacks()
            if stage_index == index
        )
        if callbacks:
            arguments.append(NamedValue("callbacks=", Brackets("[", callbacks, "]")))
        return CallExpression("model.fit", tuple(arguments))

    def _make_evaluate_call(self, train: TrainSection) -> CallExpression:
        arguments: list[Expression] = [
            "x_test",
            "y_test",
            NamedValue("batch_size=", render_literal(train.batch_size)),
        ]
        if self.facts.has_weights:
            arguments.append(NamedValue("sample_weight=", "weights_test"))
        return CallExpression("model.evaluate", tuple(arguments))


def _write_classes(target: str | None) -> str:
    return "classes" if target is None else f"classes[{quote_string(target)}]"


def _make_compile_call(train: TrainSection, optimizer: Expression) -> CallExpression:
    arguments = [
        NamedValue("optimizer=", optimizer),
        NamedValue("loss=", _write_losses_or_metrics(train.loss)),
    ]
    if train.metrics:
        arguments.append(NamedValue("metrics=", _write_losses_or_metrics(train.metrics)))
    for name in sorted(_COMPILE_KEYS):
        value = getattr(train, name, None)
        if value:
            arguments.append(NamedValue(f"{name}=", _write_losses_or_metrics(value)))
    return CallExpression("model.compile", tuple(arguments))


def _write_losses_or_metrics(value: Any) -> Expression:
    """Return losses or metrics as code: one, a list, or a mapping by output."""
    if isinstance(value, list):
        return Brackets("[", tuple(map(_write_losses_or_metrics, value)), "]")
    if isinstance(value, dict):
        items = (
            NamedValue(f"{quote_string(name)}: ", _write_losses_or_metrics(item))
            for name, item in value.items()
        )
        return Brackets("{", tuple(items), "}")
    return name_or_call(value) if isinstance(value, (str, Component)) else value_expression(value)


def _with_mode(callback: Component, train: TrainSection) -> Component:
    """Return the callback with its mode set if Keras cannot infer it: for a metric of one of several outputs."""
    monitor = get_monitor(callback)
    if monitor is None or getattr(callback, "mode", None) != "auto" or not isinstance(train.loss, dict):
        return callback
    return callback.with_arguments(mode=monitor_direction(monitor, train) or "auto")


def _label_weights(weights: dict[str, float], class_names: tuple[str, ...]) -> dict[int, float]:
    """Return the weights by label, because Keras does not know the names of classes."""
    return {
        class_names.index(name) if name in class_names else int(name): weight
        for name, weight in weights.items()
    }
