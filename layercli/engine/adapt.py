"""Layers that learn from data before training, and inputs as TensorFlow takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from layercli.check import ValidConfig
from layercli.data.examples import Inputs, iterate_batches
from layercli.data.subset import Subset
from layercli.engine.assemble import Assembled, picked
from layercli.errors import LayercliError, Problem
from layercli.graph.adaptable import ADAPTABLE_LAYERS, inner_layers, is_adaptable, should_adapt
from layercli.graph.build import GraphNode
from layercli.schema.component import Component

Batches: TypeAlias = Callable[[], Iterable[Any]]
"""Begins a pass over what a layer takes, batch by batch."""


def adapt(assembled: Assembled, valid: ValidConfig, part: Subset) -> None:
    """Let each layer that learns from data before training learn from this part alone, batch by batch.

    Raises:
        LayercliError: Keras could not load a layer again that has learned this.
    """
    problems: list[Problem] = []
    for node in filter(should_adapt, valid.graph.nodes):
        layer = assembled.layers[node.name]
        if node.name not in assembled.taken_over:
            teach(layer, node.layer, partial(_taken, assembled, valid, node, part))
        for learner in learners(layer, node.layer):
            problems += _not_savable(learner, node, valid)
    if problems:
        raise LayercliError(problems)


def _not_savable(learner: Any, node: GraphNode, valid: ValidConfig) -> Iterator[Problem]:
    """Keras writes a weight for each of ``max_tokens``, and when it loads them wants one for each word that there is."""
    lookup = getattr(learner, "_lookup_layer", learner)
    if getattr(lookup, "output_mode", None) == "tf_idf" and lookup.pad_to_max_tokens:
        words, most = lookup.vocabulary_size(), lookup.max_tokens
        if words < most:
            message = (
                f"The training examples give `{node.name}` {words} words, fewer than its `max_tokens`, {most}: "
                "with tf_idf and padding Keras cannot load such a model again."
            )
            hint = f"Write `max_tokens: {words}`."
            yield valid.make_problem(node.path, "not-savable", message, hint)


def teach(layer: Any, component: Component, batches: Batches) -> None:
    """Adapt a Keras layer, and those inside it, to what it takes."""
    if component.type_name() in ADAPTABLE_LAYERS:
        layer.adapt(_documents(batch) for batch in batches())
    elif component.type_name() == "TimeDistributed":
        if is_adaptable(component):
            teach(layer.layer, inner_layers(component)[0], lambda: map(_steps, batches()))
    else:
        for inner, declared in zip(layer.layers, inner_layers(component), strict=True):
            if is_adaptable(declared):
                teach(inner, declared, batches)
            batches = _after(inner, batches)


def learners(layer: Any, component: Component) -> Iterator[Any]:
    """The Keras layer, or those inside it, that learn before training."""
    if component.type_name() in ADAPTABLE_LAYERS:
        if is_adaptable(component):
            yield layer
    else:
        inside = [layer.layer] if component.type_name() == "TimeDistributed" else getattr(layer, "layers", [])
        for inner, declared in zip(inside, inner_layers(component), strict=False):
            yield from learners(inner, declared)


def _after(layer: Any, batches: Batches) -> Batches:
    return lambda: map(layer, batches())


def _taken(assembled: Assembled, valid: ValidConfig, node: GraphNode, part: Subset) -> Iterator[Any]:
    """What a node takes of each batch of a part."""
    source, pick = node.inputs[0], node.input_indices[0]
    before = None
    if source not in valid.graph.inputs:
        inputs = {name: assembled.tensors[name] for name in valid.graph.inputs}
        one = inputs if len(inputs) > 1 else next(iter(inputs.values()))
        before = keras.Model(one, picked(assembled.tensors[source], pick))
    for batch in iterate_batches(part):
        x: Any = fed(batch.x)
        if before is not None:
            yield before(x, training=False)
        else:
            yield x[source] if isinstance(x, Mapping) else x


def _documents(batch: Any) -> Any:
    """Values of shape (batch,) as (batch, 1): a lookup would take them for one text."""
    return batch[:, None] if len(batch.shape) == 1 else batch


def _steps(batch: Any) -> Any:
    """All timesteps of (batch, timesteps, ...) after one another, of shape (batch * timesteps, ...)."""
    return keras.ops.reshape(batch, (-1, *batch.shape[2:]))


def fed(x: Inputs) -> Any:
    """Inputs as Keras takes them; text as TensorFlow's."""
    if isinstance(x, Mapping):
        given = {name: fed(array) for name, array in x.items()}
        return given if len(given) > 1 else next(iter(given.values()))
    return tf.constant(x.tolist(), dtype=tf.string) if x.dtype.kind == "O" else x
