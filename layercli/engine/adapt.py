"""Layers that learn from data before training, and inputs as TensorFlow takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from layercli.check import ValidConfig
from layercli.data.examples import Subset, iterate_batches
from layercli.data.types import Inputs
from layercli.engine.assemble import AssembledModel, select_output
from layercli.errors import LayercliError, Problem
from layercli.graph.adaptable import ADAPTABLE_LAYERS, inner_layers, is_adaptable, should_adapt
from layercli.graph.build import GraphNode
from layercli.schema.component import Component

BatchFactory: TypeAlias = Callable[[], Iterable[Any]]
"""Begins a pass over what a layer takes, batch by batch."""


def adapt_layers(assembled: AssembledModel, valid: ValidConfig, subset: Subset) -> None:
    """Let each layer that learns from data before training learn from this part alone, batch by batch.

    Raises:
        LayercliError: Keras could not load a layer again that has learned this.
    """
    problems: list[Problem] = []
    for node in filter(should_adapt, valid.graph.nodes):
        layer = assembled.layers[node.name]
        if node.name not in assembled.transferred:
            adapt_layer(layer, node.layer, partial(_layer_inputs, assembled, valid, node, subset))
        for learner in adaptable_layers(layer, node.layer):
            problems += _check_vocabulary_size(learner, node, valid)
    if problems:
        raise LayercliError(problems)


def _check_vocabulary_size(layer: Any, node: GraphNode, valid: ValidConfig) -> Iterator[Problem]:
    """Keras writes a weight for each of ``max_tokens``, and when it loads them wants one for each word that there is."""
    lookup = getattr(layer, "_lookup_layer", layer)
    if getattr(lookup, "output_mode", None) == "tf_idf" and lookup.pad_to_max_tokens:
        vocabulary_size, max_tokens = lookup.vocabulary_size(), lookup.max_tokens
        if vocabulary_size < max_tokens:
            message = (
                f"The training examples give `{node.name}` {vocabulary_size} words, fewer than its `max_tokens`, {max_tokens}: "
                "with tf_idf and padding Keras cannot load such a model again."
            )
            hint = f"Write `max_tokens: {vocabulary_size}`."
            yield valid.make_problem(node.path, "not-savable", message, hint)


def adapt_layer(layer: Any, component: Component, batches: BatchFactory) -> None:
    """Adapt a Keras layer, and those inside it, to what it takes."""
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
    """The Keras layer, or those inside it, that learn before training."""
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


def _layer_inputs(
    assembled: AssembledModel, valid: ValidConfig, node: GraphNode, subset: Subset
) -> Iterator[Any]:
    """What a node takes of each batch of a part."""
    source, pick = node.inputs[0], node.input_indices[0]
    upstream_model = None
    if source not in valid.graph.inputs:
        inputs = {name: assembled.tensors[name] for name in valid.graph.inputs}
        model_inputs = inputs if len(inputs) > 1 else next(iter(inputs.values()))
        upstream_model = keras.Model(model_inputs, select_output(assembled.tensors[source], pick))
    for batch in iterate_batches(subset):
        x: Any = to_keras_inputs(batch.x)
        if upstream_model is not None:
            yield upstream_model(x, training=False)
        else:
            yield x[source] if isinstance(x, Mapping) else x


def _add_text_axis(batch: Any) -> Any:
    """Values of shape (batch,) as (batch, 1): a lookup would take them for one text."""
    return batch[:, None] if len(batch.shape) == 1 else batch


def _flatten_timesteps(batch: Any) -> Any:
    """All timesteps of (batch, timesteps, ...) after one another, of shape (batch * timesteps, ...)."""
    return keras.ops.reshape(batch, (-1, *batch.shape[2:]))


def to_keras_inputs(x: Inputs) -> Any:
    """Inputs as Keras takes them; text as TensorFlow's."""
    if isinstance(x, Mapping):
        arrays = {name: to_keras_inputs(array) for name, array in x.items()}
        return arrays if len(arrays) > 1 else next(iter(arrays.values()))
    return tf.constant(x.tolist(), dtype=tf.string) if x.dtype.kind == "O" else x
