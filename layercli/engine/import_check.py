"""A model from elsewhere beside the one that a config rebuilds: loaded safely, given the same weights, compared."""

from __future__ import annotations

import json
import logging
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from layercli.check import ValidConfig
from layercli.config.custom_layers import CustomLayer
from layercli.engine.assemble import AssembledModel
from layercli.engine.forward_pass import find_index_limit, make_example_batch
from layercli.engine.keras_errors import summarize_error
from layercli.errors import LayercliError, Problem
from layercli.importing.archive import ModelFile
from layercli.importing.flatten import LayerCall, flatten_stack
from layercli.importing.keras_graph import KerasLayer
from layercli.importing.read_model import read_stack
from layercli.layers.shapes import Tensor, format_shape

IMPORT_TOLERANCE = 1e-5
"""How far outputs may be apart, as a share of the largest; arithmetic in another order moves the last digits."""
_UNKNOWN_LENGTHS = (8, 64, 224)
"""What stands for an axis of unknown length, the first that the model can take."""
_SPARE_BYTES = 256 << 20
"""Bytes that an archive may have beyond its weights: vocabularies and descriptions."""
_WEIGHT_COPIES = 6
"""Weights once, and several times in an optimizer's state."""


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """What was found equal."""

    layer_count: int
    parameter_count: int
    largest_difference: float | None
    """The largest difference between outputs, as a share of the largest output; 0: equal in every bit; None: the
    original does not run here."""
    shapes_compared: int
    """Layers whose static output shapes are those of the original."""
    skip_reason: str = ""
    """Why the original does not run here."""


def load_original(archive: ModelFile, assembled: AssembledModel, valid: ValidConfig) -> Any:
    """The model itself; Keras's safe mode is on, and only classes that the config has loaded are known besides its own.

    Raises:
        LayercliError: Keras refuses it, or it is larger than what it describes.
    """
    custom_objects: dict[str, Any] = {}
    for node in valid.graph.nodes:
        if isinstance(node.layer, CustomLayer):
            cls = type(assembled.layers[node.name])
            custom_objects |= {cls.__name__: cls, keras.saving.get_registered_name(cls): cls}
    try:
        if archive.kind == "json":
            document = {key: value for key, value in archive.document.items() if key != "compile_config"}
            return keras.saving.deserialize_keras_object(
                document, custom_objects=custom_objects, safe_mode=True
            )
        _require_plausible_size(archive.path, valid)
        return keras.saving.load_model(
            archive.path, custom_objects=custom_objects, compile=False, safe_mode=True
        )
    except LayercliError:
        raise
    except Exception as error:
        message = f"Keras cannot load it: {summarize_error(error)}"
        raise LayercliError(
            Problem(code="unreadable-model", message=message, file=str(archive.path))
        ) from error


def _require_plausible_size(path: Path, valid: ValidConfig) -> None:
    """Refuse an archive that inflates to more than its layers can need."""
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    max_bytes = _WEIGHT_COPIES * valid.shapes.weight_bytes + _SPARE_BYTES
    if size > max_bytes:
        message = (
            f"It unpacks to {size:,} bytes; the layers that it describes need no more than {max_bytes:,}."
        )
        raise LayercliError(Problem(code="unreadable-model", message=message, file=str(path)))


def copy_weights(
    original: Any,
    assembled: AssembledModel,
    valid: ValidConfig,
    layer_calls: list[LayerCall],
    *,
    is_untrained: bool,
) -> None:
    """Give each layer the weights, vocabularies and statistics of the original's.

    ``fresh``: the original was never trained; its weights are stirred, so that no bias is zero and no scale is one.
    """
    rng = np.random.default_rng(0)
    for layer_call, node in zip(layer_calls, valid.graph.nodes, strict=True):
        source, target = _find_layer(original, layer_call.layer_path), assembled.layers[node.name]
        if layer_call.first_call is not None or source is None:
            continue
        if is_untrained:
            for variable in source.weights:
                if "seed" not in variable.name and np.issubdtype(
                    np.dtype(_numpy_dtype(variable)), np.floating
                ):
                    variable.assign(_perturb_weights(np.asarray(variable), rng))
        if getattr(source, "lookup_table", None) is not None or hasattr(source, "get_vocabulary"):
            _copy_vocabulary(source, target)
            continue
        if hasattr(source, "bin_boundaries"):
            target.bin_boundaries = source.bin_boundaries
            continue
        source_weights, target_weights = _stored_weights(source), _stored_weights(target)
        if [int(np.prod(one.shape)) for one in source_weights] != [
            int(np.prod(one.shape)) for one in target_weights
        ]:
            shapes = [
                ", ".join(format_shape(tuple(one.shape)) for one in weights)
                for weights in (source_weights, target_weights)
            ]
            raise _difference_error(
                f"`{'/'.join(layer_call.layer_path)}` has weights of {shapes[0]}, and the rebuilt layer of {shapes[1]}."
            )
        for one, other in zip(source_weights, target_weights, strict=True):
            other.assign(keras.ops.reshape(keras.ops.convert_to_tensor(one), other.shape))
        for layer in (source, target):
            if hasattr(layer, "finalize_state"):
                layer.finalize_state()


def _stored_weights(layer: Any) -> list[Any]:
    return [weight for weight in layer.weights if "seed_generator" not in weight.path]


def _numpy_dtype(variable: Any) -> str:
    dtype = str(variable.dtype)
    return "float32" if dtype == "bfloat16" else dtype


def _perturb_weights(value: np.ndarray[Any, Any], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Numbers near these; kernels are random already, and larger ones would drown the outputs."""
    if value.ndim > 1 and np.ptp(value):
        return value
    scale, offset = rng.uniform(1.0, 1.1, value.shape), rng.uniform(0.0, 0.1, value.shape)
    return np.asarray(value * scale + offset, dtype=value.dtype)


def _copy_vocabulary(source: Any, target: Any) -> None:
    """Give a lookup the other's words; where that has none yet, both some."""
    if not source.get_vocabulary(include_special_tokens=False):
        is_integer = type(source).__name__ == "IntegerLookup"
        source.adapt(np.arange(1, 9) if is_integer else np.array(["a", "word"], dtype=object))
    words = source.get_vocabulary(include_special_tokens=False)
    if list(target.get_vocabulary(include_special_tokens=False)) == list(words):
        return
    lookup = getattr(source, "_lookup_layer", source)
    if getattr(lookup, "output_mode", None) != "tf_idf":
        target.set_vocabulary(words)
        return
    weights = np.asarray(lookup.idf_weights_const)
    target.set_vocabulary(words, idf_weights=weights[len(weights) - len(words) :])


def _find_layer(model: Any, origin: tuple[str, ...]) -> Any:
    """The layer of the original, through the models that hold it; None for an operation."""
    layer = model
    for name in origin:
        if not hasattr(layer, "get_layer"):
            return None if name.isdigit() else layer
        try:
            layer = layer.get_layer(name)
        except ValueError:
            return None
    return layer if isinstance(layer, keras.layers.Layer) else None


def compare_models(
    original: Any,
    assembled: AssembledModel,
    valid: ValidConfig,
    layer_calls: list[LayerCall],
    outputs: tuple[Any, ...],
    custom: Callable[[KerasLayer], str | None],
) -> ModelComparison:
    """Hold the rebuilt model against the original: layers and wiring, shapes, parameters, and outputs on random inputs.

    Raises:
        LayercliError: they differ; the problem says in what.
    """
    _require_same_graph(assembled, layer_calls, outputs, custom)
    shapes = _require_same_shapes(original, valid, layer_calls)
    parameter_counts = [
        sum(int(np.prod(one.shape)) for one in _stored_weights(model))
        for model in (original, assembled.model)
    ]
    if parameter_counts[0] != parameter_counts[1]:
        raise _difference_error(
            f"The original has {parameter_counts[0]:,} parameters, the rebuilt model {parameter_counts[1]:,}."
        )
    largest_difference, skip_reason = _largest_difference(original, assembled, valid)
    return ModelComparison(len(layer_calls), parameter_counts[0], largest_difference, shapes, skip_reason)


def _require_same_graph(
    assembled: AssembledModel,
    layer_calls: list[LayerCall],
    outputs: tuple[Any, ...],
    custom: Callable[[KerasLayer], str | None],
) -> None:
    """Read the rebuilt model as the original was read."""
    stack, problems = read_stack(json.loads(assembled.model.to_json()), custom)
    if problems:
        raise _difference_error(f"The rebuilt model cannot be read: {problems[0].message}")
    rebuilt, rebuilt_outputs = flatten_stack(stack)
    for one, other in zip(layer_calls, rebuilt, strict=False):
        if not one.is_same_call(other):
            raise _difference_error(
                f"`{'/'.join(one.layer_path)}` became another layer, or is wired otherwise, in the rebuilt model."
            )
    if len(layer_calls) != len(rebuilt) or outputs != rebuilt_outputs:
        raise _difference_error("The rebuilt model has other layers or outputs.")


def _require_same_shapes(original: Any, valid: ValidConfig, layer_calls: list[LayerCall]) -> int:
    """Hold static shapes against Keras's, layer by layer, where the original calls the layer once."""
    compared = 0
    for layer_call, node in zip(layer_calls, valid.graph.nodes, strict=True):
        row = valid.shapes.by_name[node.name]
        source = _find_layer(original, layer_call.layer_path)
        if (
            source is None
            or layer_call.first_call is not None
            or not row.outputs
            or layer_call.layer_path[-1].isdigit()
        ):
            continue
        try:
            tensors = keras.tree.flatten(source.output)
        except (AttributeError, ValueError):
            continue  # called several times
        theirs = [tuple(tensor.shape)[1:] for tensor in tensors]
        ours = [tensor.shape[1:] for tensor in row.outputs]
        if theirs != ours:
            raise _difference_error(f"`{'/'.join(layer_call.layer_path)}` gives {', '.join(map(format_shape, theirs))} in the original, and "
                           f"{', '.join(map(format_shape, ours))} after the rebuilding.")  # fmt: skip
        compared += 1
    return compared


def _largest_difference(
    original: Any, assembled: AssembledModel, valid: ValidConfig
) -> tuple[float | None, str]:
    """The largest difference between the outputs of both for the same random inputs; None, and why, where the original
    cannot take any, such as a convolution of channels first on a CPU."""
    reason = ""
    for length in _UNKNOWN_LENGTHS:
        inputs = _example_inputs(valid, length)
        try:
            theirs = _run_model(original, inputs)
        except Exception as error:
            reason = reason or summarize_error(error)
            continue
        try:
            ours = _run_model(assembled.model, inputs)
        except Exception as error:
            raise _difference_error(
                f"The rebuilt model fails on random inputs: {summarize_error(error)}"
            ) from error
        return max(
            (_relative_error(one, other) for one, other in zip(theirs, ours, strict=True)), default=0.0
        ), ""
    return None, reason


def _example_inputs(valid: ValidConfig, length: int) -> list[Any]:
    rng = np.random.default_rng(1)
    return [
        make_example_batch(
            Tensor((None, *(length if dim is None else dim for dim in x.shape[1:])), x.dtype),
            rng,
            find_index_limit(valid),
        )
        for x in valid.graph.inputs.values()
    ]


def _run_model(model: Any, inputs: list[Any]) -> list[np.ndarray[Any, Any]]:
    logging.getLogger("tensorflow").setLevel(
        logging.ERROR
    )  # it warns of each convolution that is traced once
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that inputs come as a list, whatever their structure was
        outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return [np.asarray(output) for output in keras.tree.flatten(outputs)]


def _relative_error(original: np.ndarray[Any, Any], rebuilt: np.ndarray[Any, Any]) -> float:
    if original.shape != rebuilt.shape:
        raise _difference_error(
            f"An output is {format_shape(original.shape)} in the original, and {format_shape(rebuilt.shape)} after the rebuilding."
        )
    if not np.issubdtype(original.dtype, np.floating) or original.dtype == object:
        if not np.array_equal(original, rebuilt):
            raise _difference_error("An output differs for the same random inputs.")
        return 0.0
    if not np.array_equal(np.isfinite(original), np.isfinite(rebuilt)):
        raise _difference_error("An output is not finite in one of both.")
    finite = np.isfinite(original)
    if not finite.any():
        return 0.0
    absolute_error = np.abs(original[finite].astype(np.float64) - rebuilt[finite]).max()
    relative_error = float(absolute_error / max(np.abs(original[finite].astype(np.float64)).max(), 1e-12))
    if relative_error > IMPORT_TOLERANCE:
        raise _difference_error(
            f"For the same random inputs the outputs are apart by {relative_error:.2g} of the largest."
        )
    return relative_error


def _difference_error(message: str) -> LayercliError:
    hint = "No config was written. Please report it with the model's file, if you can."
    return LayercliError(Problem(code="import-differs", message=message, hint=hint))
