"""Build a Keras model from a checked config."""

from __future__ import annotations

import inspect
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import keras
from keras.src.backend import compute_output_spec  # not public
from keras.src.backend.common.global_state import get_global_attribute
from keras.src.utils.python_utils import is_default

from layercli.activity import show_activity, track_items
from layercli.check import ValidConfig
from layercli.engine.applications import create_application
from layercli.engine.custom_layer_mistakes import (
    LayerCode,
    find_lost_arguments,
    find_mistakes,
    find_unread_layers,
    find_untracked_variables,
    record_variables,
)
from layercli.engine.custom_layers import create_layer, custom_classes_scope, load_layer_class
from layercli.engine.keras_errors import (
    error_from_mistakes,
    explain_failure,
    is_raised_in,
    layer_error,
    summarize_error,
)
from layercli.engine.keras_objects import keras_object
from layercli.errors import LayercliError, Problem
from layercli.graph.build import GraphNode
from layercli.graph.lora import ignores_lora_alpha
from layercli.graph.shapes import ModelShapes, NodeShapes, infer_after_custom_layers
from layercli.graph.text_vectors import should_squeeze_texts
from layercli.layers.base import Weight
from layercli.layers.custom_layers import CustomLayer
from layercli.layers.families.applications import Application
from layercli.layers.shapes import Shape, Tensor, format_shape
from layercli.source.nodes import sanitize_text


@dataclass(frozen=True, slots=True)
class AssembledModel:
    """A Keras model, with its layers and their symbolic outputs by graph name."""

    model: Any
    layers: dict[str, Any]
    tensors: dict[str, Any]
    warnings: list[Problem] = field(default_factory=list)
    """What Keras warned about custom layers."""
    codes: dict[str, list[LayerCode]] = field(default_factory=dict)
    """The code of the custom layers in each layer."""
    transferred: set[str] = field(default_factory=set)
    """Layers whose weights were loaded from a file, so that they are not adapted to the data before training."""


@show_activity("Building the model")
def assemble_model(valid: ValidConfig) -> AssembledModel:
    """Build the Keras model of a config, with initial weights from its seed.

    Raises:
        LayercliError: Keras or a custom layer refuses something that the static check accepted.
    """
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(valid.config.model.dtype or policy)
    try:
        return _assemble_model(valid)
    finally:
        keras.config.set_dtype_policy(policy)


def _assemble_model(valid: ValidConfig) -> AssembledModel:
    keras.utils.set_random_seed(valid.config.seed)
    _reserve_names(valid.graph.nodes)
    tensors: dict[str, Any] = {
        name: keras.Input(shape=tensor.shape[1:], dtype=tensor.dtype, name=name)
        for name, tensor in valid.graph.inputs.items()
    }
    inputs = list(tensors.values())
    layers: dict[str, Any] = {}
    codes: dict[str, list[LayerCode]] = {}
    problems: list[Problem] = []
    for node in track_items(valid.graph.nodes, len(valid.graph.nodes)):
        with warnings.catch_warnings(record=True) as caught, _explain_input_errors(node, valid, tensors):
            warnings.simplefilter("always", UserWarning)
            layer_inputs = [
                select_output(tensors[name], pick)
                for name, pick in zip(node.inputs, node.input_indices, strict=True)
            ]
            if node.reuse_of is not None:
                layers[node.name], codes[node.name] = layers[node.reuse_of], codes[node.reuse_of]
                tensors[node.name] = _connect_layer(
                    layers[node.name], layer_inputs, node, valid, codes[node.name]
                )
            else:
                layers[node.name], codes[node.name], tensors[node.name] = _assemble_layer(
                    layer_inputs, node, valid
                )
                if ignores_lora_alpha(node.layer):
                    layers[node.name].lora_alpha = node.layer.lora_alpha  # type: ignore[attr-defined]
        if codes[node.name]:
            problems.extend(_custom_layer_warning(node, valid, str(item.message)) for item in caught)
    outputs = _select_model_outputs(tensors, codes, valid)
    model = keras.Model(
        inputs if len(inputs) > 1 else inputs[0],
        outputs if len(outputs) > 1 else outputs[0],
        name=valid.check_result.name,
    )
    return AssembledModel(model, layers, tensors, problems, codes)


@contextmanager
def _explain_input_errors(node: GraphNode, valid: ValidConfig, tensors: Mapping[str, Any]) -> Iterator[None]:
    """Explain the failure of a layer by its own rules if the shape of its input comes from a custom layer.

    Raises:
        LayercliError: the layer does not accept its input.
    """
    try:
        yield
    except (LayercliError, IndexError) as error:
        known = {
            name: tuple(Tensor(tuple(each.shape), each.dtype) for each in keras.tree.flatten(tensors[name]))
            for name in tensors
            if name not in valid.graph.inputs
        }
        row, shapes = infer_after_custom_layers(valid.shapes, known, node, valid.config.model.dtype)
        if row.error is None:
            raise
        raise LayercliError(valid.problem_from_shape_error(row, shapes)) from error


def _select_model_outputs(
    tensors: Mapping[str, Any], codes: Mapping[str, Sequence[LayerCode]], valid: ValidConfig
) -> list[Any]:
    """Return the outputs of the model.

    Raises:
        LayercliError: a custom layer has no such output, or returns one without the batch axis.
    """
    graph, outputs, problems = valid.graph, [], []
    for name, pick in zip(graph.outputs, graph.output_indices, strict=True):
        found = tensors[name]
        count = len(found) if isinstance(found, (list, tuple)) else 1
        if pick is not None and pick >= count:
            has = "one output" if count == 1 else f"{count} outputs"
            message = f"`{name}` has {has}, so `{name}:{pick}` does not exist."
            hint = f"Write `{name}:0` for its first output."
            problems.append(valid.make_problem(("model", "outputs"), "shape-mismatch", message, hint))
            continue
        output = select_output(found, pick)
        outputs.append(output)
        shapes = [tuple(each.shape) for each in keras.tree.flatten(output)]
        wrong = next((shape for shape in shapes if shape[:1] != (None,)), None)
        has_batch_axis = any(x.shape[0] is not None for x in graph.inputs.values())
        if codes.get(name) and wrong is not None and not has_batch_axis:
            code = codes[name][0]
            message = f"`{name}` must keep the batch axis, but it returns {format_shape(wrong)}."
            hint = f"Check {code.describe_return()}: a sum or mean must not include axis 0."
            problems.append(valid.make_problem(code.part.path, "layer-refused", message, hint))
    if problems:
        raise LayercliError(problems)
    return outputs


def _reserve_names(nodes: Iterable[GraphNode]) -> None:
    """Make Keras give other names to operations that it adds itself, such as the concatenation of masks."""
    counts = get_global_attribute("object_name_uids", default=defaultdict(int), set_to_default=True)
    for node in nodes:
        base, _, number = node.name.rpartition("_")
        base, following = (base, int(number) + 1) if number.isdecimal() else (node.name, 1)
        counts[base] = max(counts[base], following)
        counts[node.name] = max(counts[node.name], 1)


def _custom_layer_warning(node: GraphNode, valid: ValidConfig, message: str) -> Problem:
    """Return what Keras or the user's code warns about a custom layer as a problem at its line."""
    if "does not support masking" in message:
        text = f"`{node.name}` drops the mask of its input: from here on, padding is treated as data."
        hint = "Write `self.supports_masking = True` in `__init__` to pass the mask on, or remove the mask."
        return valid.make_problem(node.path, "dropped-mask", text, hint, "warning")
    text = f"`{node.name}`: {sanitize_text(message, limit=300)}"
    return valid.make_problem(node.path, "layer-warning", text, "Check the class of this layer.", "warning")


def with_built_weights(valid: ValidConfig, assembled: AssembledModel) -> ValidConfig:
    """Return the config with weights and shapes from Keras for layers that the static check could not infer.

    Raises:
        AssertionError: Keras created a different number of parameters than the static check counted, a bug in layercli.
    """
    is_strict = not check_output_shapes(assembled, valid)
    rows = [_complete_row(row, assembled, is_strict=is_strict) for row in valid.shapes.rows]
    shapes = ModelShapes(valid.graph, rows, {row.node.name: row for row in rows})
    return replace(valid, shapes=shapes)


def _complete_row(row: NodeShapes, assembled: AssembledModel, *, is_strict: bool) -> NodeShapes:
    built_weights = tuple(
        Weight(weight.name, tuple(weight.shape), trainable=bool(weight.trainable), dtype=weight.dtype)
        for weight in assembled.layers[row.node.name].weights
        if row.node.reuse_of is None  # else the layer's first call counts them
    )
    if row.weights is None:
        tensors = assembled.tensors[row.node.name]
        tensor_list = tensors if isinstance(tensors, (list, tuple)) else [tensors]
        built_outputs = tuple(Tensor(tuple(tensor.shape), tensor.dtype) for tensor in tensor_list)
        return replace(row, outputs=row.outputs or built_outputs, weights=built_weights)
    built_row = replace(row, weights=built_weights)
    if row.parameters == built_row.parameters:
        return row
    if is_strict:
        raise AssertionError(
            f"{row.node.type_name}: counted {row.parameters} parameters, Keras made {built_row.parameters}"
        )
    return built_row


def _assemble_layer(
    inputs: list[Any], node: GraphNode, valid: ValidConfig
) -> tuple[Any, list[LayerCode], Any]:
    """Return a new layer, the code of the custom layers in it, and its output for the inputs.

    Raises:
        LayercliError: The layer cannot be created or called, or creates variables that Keras does not track.
    """
    if not node.custom_parts:
        keras_layer = (
            create_application(node.layer, inputs[0].shape[1:], node.name)
            if isinstance(node.layer, Application)
            else keras_object(node.layer, namespace=keras.layers, name=node.name)
        )
        return keras_layer, [], _connect_layer(keras_layer, inputs, node, valid, [])
    files = {LayerCode(part, load_layer_class(part, valid)).file for part in node.custom_parts}
    with record_variables(files) as created:
        keras_layer, codes = create_layer(node, valid)
        output = _connect_layer(keras_layer, inputs, node, valid, codes)
    own_codes = [code for code in codes if code.layer.has_user_code]
    mistakes = find_untracked_variables(created, keras_layer, own_codes) if own_codes else []
    if mistakes:
        raise LayercliError(
            problem
            for code, mistake in mistakes
            for problem in error_from_mistakes([mistake], code, valid).problems
        )
    return keras_layer, codes, output


def select_output(output: Any, pick: int | None) -> Any:
    """Return one of several outputs; all outputs if ``pick`` is None.

    Raises:
        IndexError: the model does not have this output.
    """
    if pick is None:
        return output
    return (output if isinstance(output, (list, tuple)) else [output])[pick]


def call_layer(layer: Any, node: GraphNode, inputs: list[Any], **options: Any) -> Any:
    """Call a Keras layer with its node's inputs: one tensor, a list, or separate or named arguments."""
    tensors = keras.tree.flatten(inputs)
    if isinstance(node.layer, CustomLayer):
        positional, named = _arrange_custom_inputs(layer, tensors, node.input_keys)
    else:
        positional, named = node.layer.arrange_inputs(tensors, node.input_keys)
    if "key_padding_mask" in named:
        named["key_mask"] = keras.ops.logical_not(keras.ops.cast(named.pop("key_padding_mask"), "bool"))
    chosen = {name: getattr(node.layer, name) for name in node.layer.call_arguments}
    return layer(*positional, **named, **{name: value for name, value in chosen.items() if value}, **options)


def _arrange_custom_inputs(
    layer: Any, tensors: list[Any], keys: tuple[str, ...] | None
) -> tuple[list[Any], dict[str, Any]]:
    """Return positional and named inputs that fit the signature of the layer's ``call``."""
    parameters = inspect.signature(layer.call).parameters.values()
    names = [each.name for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    required = [
        each
        for each in parameters
        if each.default is each.empty and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    if keys is not None:
        named = dict(zip(keys, tensors, strict=True))
        return ([], named) if set(keys) <= set(names) else ([named], {})
    if len(tensors) > 1 and len(required) == len(tensors):
        return tensors, {}
    return [tensors[0] if len(tensors) == 1 else tensors], {}


def _connect_layer(
    layer: Any, tensors: list[Any], node: GraphNode, valid: ValidConfig, codes: Sequence[LayerCode]
) -> Any:
    if should_squeeze_texts(node, valid.shapes):
        tensors = [keras.ops.squeeze(tensors[0], axis=-1)]
    try:
        output = call_layer(layer, node, tensors)
    except (Exception, SystemExit) as error:
        shapes = ", ".join(format_shape(tensor.shape) for tensor in keras.tree.flatten(tensors))
        raise layer_error(
            node, valid, f"Keras cannot connect `{node.name}` to an input of {shapes}", error, codes
        ) from error
    outputs = output if isinstance(output, (list, tuple)) else [output]
    if not outputs or not all(keras.backend.is_keras_tensor(tensor) for tensor in outputs):
        raise _wrong_output_error(output, node, valid, codes)
    if any(output is tensor for output in outputs for tensor in tensors):
        message = f"`{node.name}` must return a new tensor from `compute_output_spec`, got its input."
        hint = "Return `keras.KerasTensor(inputs.shape, inputs.dtype)`, or remove the method."
        raise LayercliError(valid.make_problem(node.path, "layer-refused", message, hint))
    if not node.layer.is_trainable:
        # As a constructor argument it does not reach inner layers, and a repeated value has no effect.
        layer.trainable = True
        layer.trainable = False
    return output


def _wrong_output_error(
    output: Any, node: GraphNode, valid: ValidConfig, codes: Sequence[LayerCode]
) -> LayercliError:
    """Return the error that a layer returned something else than tensors."""
    for code in codes if output is None else ():
        mistakes = find_mistakes(code)
        if mistakes:
            return error_from_mistakes(mistakes, code, valid)
    received = "nothing" if output is None else f"a {type(output).__name__}"
    message = f"`{node.name}` must return a tensor or a list of tensors, got {received}."
    hint = "Check the return value of `call`."
    if codes:
        hint = f"Check {codes[0].describe_return()}."
        values = codes[0].returned_mapping_values
        if values is not None:
            hint = (
                f"Write `return {values}` in {codes[0].describe_return()}. Other layers then read the outputs as "
                f"`{node.name}:0`, `{node.name}:1`."
            )
    return LayercliError(valid.make_problem(node.path, "layer-refused", message, hint))


def check_output_shapes(assembled: AssembledModel, valid: ValidConfig) -> list[Problem]:
    """Return a problem for each custom layer whose output shape differs from its declared one."""
    problems = []
    for row in valid.shapes.rows:
        output = assembled.tensors[row.node.name]
        if isinstance(row.node.layer, CustomLayer) and row.outputs:
            actual = [
                tuple(tensor.shape) for tensor in (output if isinstance(output, (list, tuple)) else [output])
            ]
            if not accepts_shapes(row, actual):
                problems.append(shape_mismatch_problem(row, valid, actual))
        elif row.node.custom_parts and (traced := _trace_shapes(assembled, row.node, valid)):
            declared = tuple(Tensor(tuple(each.shape), each.dtype) for each in keras.tree.flatten(output))
            if not accepts_shapes(replace(row, outputs=declared), traced):
                problems.append(shape_mismatch_problem(replace(row, outputs=declared), valid, traced))
    return problems


def _trace_shapes(assembled: AssembledModel, node: GraphNode, valid: ValidConfig) -> list[Shape]:
    """Return the shapes that ``call`` of a layer returns; empty if Keras uses them itself, or it cannot be traced.

    Raises:
        LayercliError: custom code in ``call`` fails.
    """
    layer = assembled.layers[node.name]
    if is_default(layer.compute_output_shape):
        return []
    inputs = [
        select_output(assembled.tensors[name], pick)
        for name, pick in zip(node.inputs, node.input_indices, strict=True)
    ]
    positional, named = _arrange_custom_inputs(layer, keras.tree.flatten(inputs), node.input_keys)
    try:
        traced = compute_output_spec(layer.call, *positional, **named)
    except Exception as error:
        codes = assembled.codes[node.name]
        if is_raised_in(error, codes):
            raise layer_error(node, valid, f"`{node.name}` fails", error, codes) from error
        return []  # Keras's own code, which runs otherwise in a model
    return [tuple(each.shape) for each in keras.tree.flatten(traced)]


def accepts_shapes(row: NodeShapes, actual: Sequence[Shape]) -> bool:
    """Return whether the shapes match the declared ones; an axis that Keras does not know matches any size."""
    return len(actual) == len(row.outputs) and all(
        len(shape) == len(declared.shape)
        and all(a is None or b is None or a == b for a, b in zip(declared.shape, shape, strict=True))
        for declared, shape in zip(row.outputs, actual, strict=True)
    )


def shape_mismatch_problem(
    row: NodeShapes, valid: ValidConfig, actual: Sequence[Shape], built: Any = None
) -> Problem:
    """Return the problem that a layer's output shapes differ from the static ones.

    ``built`` is the layer's symbolic output: Keras itself can declare a shape that it does not return.
    """
    declared_shapes = ", ".join(format_shape(tensor.shape) for tensor in row.outputs)
    actual_shapes = ", ".join(format_shape(shape) for shape in actual)
    hint = "This is a bug in layercli; please report it."
    layer = row.node.layer
    if isinstance(layer, CustomLayer):
        is_declared = layer.output_shape is not None
        hint = (
            "Correct `output_shape` or remove it."
            if is_declared
            else "Correct `compute_output_shape` of its class or remove it."
        )
    elif row.node.custom_parts:
        hint = "Correct `compute_output_shape` of the class in it."
        if layer.type_name() == "RNN":
            hint = "Set `self.output_size` in `__init__` of the cell: the size of its output, if it is not `state_size`."
    elif built is not None and [x.shape for x in row.outputs] == [
        tuple(x.shape) for x in keras.tree.flatten(built)
    ]:
        hint = "Keras declares one shape and returns the other for this input. Use another layer or another input shape."
    message = f"`{row.node.name}` must have output shape {declared_shapes}, got {actual_shapes}."
    return valid.make_problem(row.node.path, "shape-disagrees", message, hint)


def require_savable(assembled: AssembledModel, valid: ValidConfig) -> None:
    """Check that each custom layer can be recreated from its own config, as loading the saved model does.

    Raises:
        LayercliError: a layer cannot be recreated.
    """
    problems = []
    for node in valid.graph.nodes:
        if node.reuse_of is None and assembled.codes[node.name]:
            problems += _check_savable(assembled.layers[node.name], assembled.codes[node.name], node, valid)
    if problems:
        raise LayercliError(problems)


def rebuild_from_config(config: dict[str, Any], codes: Iterable[LayerCode]) -> Any:
    """Return a new layer or model from the config that Keras saves; the classes of custom layers are known."""
    with custom_classes_scope(codes):
        return keras.saving.deserialize_keras_object(config)


def _rebuild_layer(config: dict[str, Any], codes: Sequence[LayerCode]) -> Any:
    """Return the layer that loading a saved model creates from its config, with weights that take no memory if possible."""
    waiting = get_global_attribute("uninitialized_variables", default=[], set_to_default=True)
    count = len(waiting)
    try:
        with keras.StatelessScope(initialize_variables=False):
            return rebuild_from_config(deepcopy(config), codes)
    except Exception:  # the class may need the values of its weights
        return rebuild_from_config(config, codes)
    finally:
        del waiting[count:]  # else Keras creates them with the variables of the next layer


def _check_savable(
    keras_layer: Any, codes: Sequence[LayerCode], node: GraphNode, valid: ValidConfig
) -> list[Problem]:
    own_codes = [code for code in codes if code.layer.has_user_code]
    try:
        found = []
        rebuilt = _rebuild_layer(keras.saving.serialize_keras_object(keras_layer), codes)
        found = [(code, mistake) for code in own_codes for mistake in find_lost_arguments(code)]
        if not found and codes and codes[0].instance is keras_layer:
            found = [(codes[0], mistake) for mistake in find_unread_layers(codes[0], rebuilt)]
    except Exception as error:
        with suppress(Exception):  # `get_config` itself may fail
            found = [(code, mistake) for code in own_codes for mistake in find_lost_arguments(code)]
        found = found or [(code, mistake) for code in own_codes for mistake in explain_failure(error, code)]
        if not found:
            message = f"`{node.name}` can be saved, but not loaded: {summarize_error(error)}"
            hint = "Return all arguments of `__init__` from `get_config`, as in configs/simple_dense.py."
            return [valid.make_problem(node.path, "not-savable", message, hint)]
    return [
        valid.make_problem(code.part.path, "not-savable", str(mistake), mistake.fix)
        for code, mistake in found
    ]
