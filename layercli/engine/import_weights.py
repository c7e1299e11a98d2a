"""Copy the weights of an imported model into the rebuilt one, and give untrained models useful weights."""

from __future__ import annotations

from typing import Any, Final

import keras
import numpy as np

from layercli.check import ValidConfig
from layercli.engine.adapt import read_vocabulary, to_tensor
from layercli.engine.assemble import AssembledModel, call_layer, select_output
from layercli.engine.comparison_inputs import random_inputs
from layercli.errors import LayercliError, Problem
from layercli.graph.build import GraphNode
from layercli.importing.flatten import LayerCall
from layercli.layers.shapes import format_shape

IMPORT_BATCH_SIZE: Final = 2
IMPORT_SEED: Final = 1
CANDIDATE_LENGTHS: Final = (8, 64, 224)
"""Sizes for an axis of unknown length; the first at which all outputs are finite is used."""
_VOCABULARY: Final = ("a", "word")
"""The vocabulary of a text lookup that has none."""
_INTEGER_VOCABULARY: Final = range(1, 9)
_KERNEL_LAYERS: Final = (
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)
"""Layers that are linear in their kernels before the activation."""


def copy_original_weights(
    original: Any,
    assembled: AssembledModel,
    valid: ValidConfig,
    layer_calls: list[LayerCall],
    *,
    is_untrained: bool,
) -> None:
    """Copy the weights, vocabularies and statistics of each original layer to the rebuilt layer.

    With ``is_untrained``, the weights of the original are changed first: no bias is zero, no scale is one, and
    activations have a standard deviation near one in every layer. Otherwise the outputs of a deep model would hardly
    depend on its inputs, or would change completely with the last digit of an input.

    Raises:
        LayercliError: a rebuilt layer has weights of different shapes.
    """
    rng = np.random.default_rng(0)
    sources: dict[str, Any] = {}
    for layer_call, node in zip(layer_calls, valid.graph.nodes, strict=True):
        source, target = find_original_layer(original, layer_call.layer_path), assembled.layers[node.name]
        if layer_call.first_call is not None or source is None:
            continue
        if is_untrained:
            _perturb_weights(source, rng)
        if not _copy_lookup(source, target):
            _copy_variables(source, target, layer_call)
            sources[node.name] = source
    if is_untrained:
        _scale_activations(sources, assembled, valid)


def list_stored_weights(layer: Any) -> list[Any]:
    """Return the weights of a layer or model without the states of random number generators."""
    return [weight for weight in layer.weights if "seed_generator" not in weight.path]


def import_difference_error(message: str) -> LayercliError:
    """Return the error that the rebuilt model differs from the original."""
    hint = "No config was written. Please report this with the model file, if you can."
    return LayercliError(Problem(code="import-differs", message=message, hint=hint))


def find_original_layer(model: Any, layer_path: tuple[str, ...]) -> Any:
    """Return the original layer at a path through nested models; None for an operation."""
    layer = model
    for name in layer_path:
        if not hasattr(layer, "get_layer"):
            return None if name.isdigit() else layer
        try:
            layer = layer.get_layer(name)
        except ValueError:
            return None
    return layer if isinstance(layer, keras.layers.Layer) else None


def _perturb_weights(layer: Any, rng: np.random.Generator) -> None:
    """Change constant weights such as zero biases; kernels are random already."""
    for variable in layer.weights:
        if "seed" in variable.name or not keras.backend.is_float_dtype(variable.dtype):
            continue
        value = np.asarray(variable)
        if value.ndim > 1 and np.ptp(value):
            continue
        scale, offset = rng.uniform(1.0, 1.1, value.shape), rng.uniform(0.0, 0.1, value.shape)
        variable.assign(np.asarray(value * scale + offset, dtype=value.dtype))


def _copy_lookup(source: Any, target: Any) -> bool:
    """Copy what a preprocessing layer keeps outside its weights; return whether it is such a layer."""
    if getattr(source, "lookup_table", None) is not None or hasattr(source, "get_vocabulary"):
        _copy_vocabulary(source, target)
        return True
    if hasattr(source, "bin_boundaries"):
        target.bin_boundaries = source.bin_boundaries
        return True
    return False


def _copy_vocabulary(source: Any, target: Any) -> None:
    """Copy the vocabulary of a lookup layer; if the original has none, both layers get the same one."""
    if not source.get_vocabulary(include_special_tokens=False):
        is_integer = type(source).__name__ == "IntegerLookup"
        source.adapt(np.array(_INTEGER_VOCABULARY) if is_integer else np.array(_VOCABULARY, dtype=object))
    words = source.get_vocabulary(include_special_tokens=False)
    if list(target.get_vocabulary(include_special_tokens=False)) == list(words):
        return
    target.set_vocabulary(**read_vocabulary(source))


def _copy_variables(source: Any, target: Any, layer_call: LayerCall) -> None:
    source_weights, target_weights = list_stored_weights(source), list_stored_weights(target)
    sizes = [
        [int(np.prod(weight.shape)) for weight in weights] for weights in (source_weights, target_weights)
    ]
    if sizes[0] != sizes[1]:
        shapes = [
            ", ".join(format_shape(tuple(weight.shape)) for weight in weights)
            for weights in (source_weights, target_weights)
        ]
        raise import_difference_error(
            f"`{'/'.join(layer_call.layer_path)}` has weights of shape {shapes[0]} in the original, but {shapes[1]} in the "
            "rebuilt model."
        )
    _assign_weights(source_weights, target_weights)
    for layer in (source, target):
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def _assign_weights(source_weights: list[Any], target_weights: list[Any]) -> None:
    for source, target in zip(source_weights, target_weights, strict=True):
        target.assign(keras.ops.reshape(keras.ops.convert_to_tensor(source), target.shape))


def _scale_activations(sources: dict[str, Any], assembled: AssembledModel, valid: ValidConfig) -> None:
    """Scale the random weights of both models, layer by layer, so that activations stay in range.

    Lengths at which an output is empty or not finite are skipped. If a layer does not run on this machine, it and the
    layers after it keep their weights.
    """
    for length in CANDIDATE_LENGTHS:
        inputs = random_inputs(valid, batch_size=IMPORT_BATCH_SIZE, length=length, seed=IMPORT_SEED)
        values = {name: to_tensor(array) for name, array in inputs.items()}
        try:
            for node in valid.graph.nodes:
                values[node.name] = _run_scaled(node, values, sources, assembled)
        except Exception:  # noqa: S112 - longer inputs may be needed; the comparison reports other causes
            continue
        return


def _run_scaled(
    node: GraphNode, values: dict[str, Any], sources: dict[str, Any], assembled: AssembledModel
) -> Any:
    """Scale the weights of one layer of both models; return its output."""
    layer = assembled.layers[node.name]
    layer_inputs = [
        select_output(values[name], pick) for name, pick in zip(node.inputs, node.input_indices, strict=True)
    ]
    if node.name in sources and _scale_weights(layer, node, layer_inputs):
        _assign_weights(list_stored_weights(layer), list_stored_weights(sources[node.name]))
    output = call_layer(layer, node, layer_inputs, training=False)
    if not all(is_finite_output(tensor) for tensor in keras.tree.flatten(output)):
        raise FloatingPointError(node.name)
    return output


def is_finite_output(output: Any) -> bool:
    """Return whether an output has values, and no NaN or infinite ones."""
    array = np.asarray(keras.ops.convert_to_numpy(output))
    if array.size == 0 or array.dtype.kind in "OSU":
        return array.size > 0
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(array.astype(np.float64)).all())


def _scale_weights(layer: Any, node: GraphNode, layer_inputs: list[Any]) -> bool:
    """Bring the output of a layer to a standard deviation near one; return whether weights changed."""
    if isinstance(layer, keras.layers.BatchNormalization):
        mean, deviation = _mean_and_deviation(layer_inputs[0])
        channels = layer.moving_mean.shape[0]
        if deviation > 0:
            layer.moving_mean.assign(mean + np.linspace(0, 0.1, channels) * deviation)
            layer.moving_variance.assign(np.linspace(1, 1.1, channels) * deviation**2)
        return True
    if not isinstance(layer, _KERNEL_LAYERS):
        return False
    attributes = vars(
        layer
    )  # assigning an activation that is a layer would raise, because the layer is built
    activation = attributes["activation"]
    attributes["activation"] = keras.activations.linear
    try:
        _, deviation = _mean_and_deviation(call_layer(layer, node, layer_inputs))
    finally:
        attributes["activation"] = activation
    kernels = [weight for weight in list_stored_weights(layer) if len(weight.shape) > 1]
    if deviation > 0:
        for kernel in kernels:
            kernel.assign(kernel * deviation ** (-1 / len(kernels)))
    return True


def _mean_and_deviation(tensor: Any) -> tuple[float, float]:
    """Return the mean and standard deviation of all values; zeros if there are none, or if one is not finite."""
    if not is_finite_output(tensor):
        return 0.0, 0.0
    array = np.asarray(keras.ops.convert_to_numpy(tensor)).astype(np.float64)
    return float(array.mean()), float(array.std())
