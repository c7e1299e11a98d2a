"""Adapt preprocessing layers to the data before training, and convert inputs for Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from layercli.activity import show_activity
from layercli.check import ValidConfig
from layercli.data.examples import Subset, iterate_batches
from layercli.data.types import Array, DataError, Inputs
from layercli.engine.assemble import AssembledModel, select_output
from layercli.engine.keras_errors import layer_error
from layercli.errors import LayercliError, Problem
from layercli.graph.adaptable import (
    ADAPTABLE_LAYERS,
    find_scaled_outputs,
    inner_layers,
    is_adaptable,
    should_adapt,
)
from layercli.graph.build import GraphNode, find_model_inputs
from layercli.graph.checks.ids import check_ids
from layercli.layers.shapes import Shape
from layercli.schema.component import Component
from layercli.source.nodes import quote_value, sanitize_text

BatchFactory: TypeAlias = Callable[[], Iterable[Any]]
"""Starts one pass over the input batches of a layer."""


@show_activity("Adapting layers to the data")
def adapt_layers(assembled: AssembledModel, valid: ValidConfig, subset: Subset) -> None:
    """Adapt each preprocessing layer to this subset, batch by batch.

    Raises:
        LayercliError: Keras could not load a layer that was adapted to this data.
    """
    problems: list[Problem] = []
    vocabulary_sizes: dict[str, int] = {}
    scaled_outputs = find_scaled_outputs(valid.graph)
    for node in filter(should_adapt, valid.graph.nodes):
        layer = assembled.layers[node.name]
        if node.name not in assembled.transferred:
            batches = partial(layer_inputs, assembled, valid, node, subset)
            if node.name in scaled_outputs:
                batches = partial(_layer_targets, valid, node, scaled_outputs[node.name], subset)
            adapt_node(layer, node, valid, batches)
        for learner in adaptable_layers(layer, node.layer):
            problems += _check_vocabulary_size(learner, node, valid)
            problems += _check_line_breaks(learner, node, valid)
            if hasattr(learner, "vocabulary_size"):
                vocabulary_sizes[node.name] = learner.vocabulary_size()
    problems += map(valid.problem_from_finding, check_ids(valid.shapes, {}, vocabulary_sizes))
    if problems:
        raise LayercliError(problems)


def _check_vocabulary_size(layer: Any, node: GraphNode, valid: ValidConfig) -> Iterator[Problem]:
    """Check ``tf_idf`` with padding: Keras saves ``max_tokens`` weights, but loads one per word of the vocabulary."""
    lookup = getattr(layer, "_lookup_layer", layer)
    if getattr(lookup, "output_mode", None) == "tf_idf" and lookup.pad_to_max_tokens:
        vocabulary_size, max_tokens = lookup.vocabulary_size(), lookup.max_tokens
        if vocabulary_size < max_tokens:
            message = (
                f"`max_tokens` of `{node.name}` must be at most {vocabulary_size}, the number of training words, "
                f"got {max_tokens}. With tf_idf and padding, Keras cannot load a model with fewer words than `max_tokens`."
            )
            hint = f"Write `max_tokens: {vocabulary_size}`."
            yield valid.make_problem(node.path, "not-savable", message, hint)


def _check_line_breaks(layer: Any, node: GraphNode, valid: ValidConfig) -> Iterator[Problem]:
    """Check that a vocabulary has no line breaks: Keras saves a word in each line."""
    if not isinstance(layer, (keras.layers.StringLookup, keras.layers.TextVectorization)):
        return
    words = layer.get_vocabulary(include_special_tokens=False)
    word = next((word for word in words if "\n" in word), None)
    if word is not None:
        message = (
            f"The vocabulary of `{node.name}` must have no line breaks, because Keras saves a word in each line; "
            f"got {quote_value(sanitize_text(word, limit=40))}."
        )
        hint = "Replace the line breaks in the data by blanks."
        yield valid.make_problem(node.path, "not-savable", message, hint)


def read_vocabulary(layer: Any) -> dict[str, Any]:
    """Return the arguments of ``set_vocabulary`` that give another layer the same one: without padding, as JSON values."""
    words = layer.get_vocabulary(include_special_tokens=False)
    lookup = getattr(layer, "_lookup_layer", layer)
    weights = None
    if lookup.output_mode == "tf_idf":
        first = len(layer.get_vocabulary()) - len(words)
        weights = lookup.idf_weights_const.numpy()[first : first + len(words)].tolist()
    return {
        "vocabulary": [word if isinstance(word, str) else int(word) for word in words],
        "idf_weights": weights,
    }


def adapt_node(layer: Any, node: GraphNode, valid: ValidConfig, batches: BatchFactory) -> None:
    """Adapt the Keras layer of a node to its input batches.

    Raises:
        LayercliError: Keras cannot compute the layer's statistics, for example in another dtype than that of its input.
    """
    try:
        adapt_layer(layer, node.layer, batches)
    except (LayercliError, DataError):
        raise
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise layer_error(node, valid, f"`{node.name}` cannot adapt to its input", error, ()) from error


def adapt_layer(layer: Any, component: Component, batches: BatchFactory) -> None:
    """Adapt a Keras layer and its inner layers to their input batches."""
    if component.type_name() in ADAPTABLE_LAYERS:
        layer.adapt(_add_text_axis(batch) for batch in batches())
    elif component.type_name() == "TimeDistributed":
        if is_adaptable(component):
            adapt_layer(layer.layer, inner_layers(component)[0], lambda: map(_flatten_timesteps, batches()))
    else:
        for inner, inner_component in zip(layer.layers, inner_layers(component), strict=True):
            if is_adaptable(inner_component):
                adapt_layer(inner, inner_component, batches)
            batches = _map_batches(inner, batches)


def adaptable_layers(layer: Any, component: Component) -> Iterator[Any]:
    """Yield the adaptable layers: the Keras layer itself or its inner layers."""
    if component.type_name() in ADAPTABLE_LAYERS:
        if is_adaptable(component):
            yield layer
    else:
        inner_keras_layers = (
            [layer.layer] if component.type_name() == "TimeDistributed" else getattr(layer, "layers", [])
        )
        for inner, inner_component in zip(inner_keras_layers, inner_layers(component), strict=False):
            yield from adaptable_layers(inner, inner_component)


def _map_batches(layer: Any, batches: BatchFactory) -> BatchFactory:
    return lambda: map(layer, batches())


def layer_inputs(
    assembled: AssembledModel | None, valid: ValidConfig, node: GraphNode, subset: Subset
) -> Iterator[Any]:
    """Yield a node's input for each batch of a subset; ``assembled`` is not needed for an input of the model."""
    source, pick = node.inputs[0], node.input_indices[0]
    if source in valid.graph.inputs:
        for batch in iterate_batches(subset):
            yield to_keras_inputs(batch.x[source] if isinstance(batch.x, Mapping) else batch.x)
        return
    assert assembled is not None
    names = find_model_inputs(valid.graph, source)
    upstream_model = keras.Model(
        {name: assembled.tensors[name] for name in names}, select_output(assembled.tensors[source], pick)
    )
    for batch in iterate_batches(subset):
        arrays = batch.x if isinstance(batch.x, Mapping) else dict.fromkeys(names, batch.x)
        yield upstream_model({name: to_tensor(arrays[name]) for name in names}, training=False)


def _layer_targets(
    valid: ValidConfig, node: GraphNode, outputs: Sequence[int], subset: Subset
) -> Iterator[Any]:
    """Yield the targets of the output that a node feeds, in the shape of the node's output.

    Raises:
        LayercliError: The node feeds no output, and no file had its mean and variance.
    """
    if not outputs:
        message = (
            f"`{node.name}` must feed an output of the model to learn mean and variance from its targets."
        )
        hint = "Make it the last layer, or add its mean and variance, for example `mean: 0.0` and `variance: 1.0`."
        raise LayercliError(valid.make_problem((*node.path, "invert"), "target-scale", message, hint))
    reference = valid.graph.output_references[outputs[0]]
    sizes = valid.shapes.by_name[node.name].outputs[0].shape[1:]
    for targets in subset.target_batches():
        target = targets[reference] if isinstance(targets, Mapping) else targets
        yield _reshape_target(target, sizes)


def _reshape_target(target: Array, sizes: Shape) -> Array:
    """Return a batch of targets with examples of these sizes; unknown ones are those of the targets."""
    if None not in sizes:
        return target.reshape(-1, *sizes)
    return target if target.ndim > len(sizes) else target[..., None]


def _add_text_axis(batch: Any) -> Any:
    """Reshape (batch,) to (batch, 1): a lookup treats a 1-D array as a single text."""
    return batch[:, None] if len(batch.shape) == 1 else batch


def _flatten_timesteps(batch: Any) -> Any:
    """Reshape (batch, timesteps, ...) to (batch * timesteps, ...)."""
    return keras.ops.reshape(batch, (-1, *batch.shape[2:]))


def to_keras_inputs(x: Inputs) -> Any:
    """Return inputs in the form that Keras accepts; texts become string tensors."""
    if isinstance(x, Mapping):
        arrays = {name: to_keras_inputs(array) for name, array in x.items()}
        return arrays if len(arrays) > 1 else next(iter(arrays.values()))
    return to_tensor(x) if x.dtype.kind == "O" else x


def to_tensor(array: Array) -> Any:
    """Return an array as a tensor of the same dtype; texts become a string tensor."""
    return tf.constant(array.tolist(), dtype=tf.string) if array.dtype.kind == "O" else tf.constant(array)
