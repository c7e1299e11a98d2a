"""A training step that augments images and their targets with the same random numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from layercli.check import ValidConfig
from layercli.data.examples import Subset
from layercli.engine.assemble import AssembledModel
from layercli.engine.training.fused_steps import StepFunction
from layercli.graph.paired_augmentation import find_paired_layers, has_target_for_pixels


def make_training_step(assembled: AssembledModel, valid: ValidConfig, subset: Subset) -> StepFunction:
    """Return the model's ``train_step``; for targets with a value for each pixel, one that also augments the targets."""
    model, layers = assembled.model, list_paired_layers(assembled, valid, subset)
    if not layers:
        return model.train_step  # type: ignore[no-any-return]
    train = valid.config.train
    void = None if train is None else getattr(train.loss, "ignore_class", None)

    def run_step(data: Any) -> Any:
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        x, y = augment_together(layers, x, y, void=void)
        with bypass_layers(layers):
            return model.train_step(keras.utils.pack_x_y_sample_weight(x, y, weights))

    return run_step


def list_paired_layers(assembled: AssembledModel, valid: ValidConfig, subset: Subset) -> list[Any]:
    """Return the layers that augment images together with their targets; empty without a target for each pixel."""
    targets = [array for _, array in subset.empty_batch.targets]
    if len(targets) != 1 or not has_target_for_pixels(valid.shapes, targets[0].shape[1:]):
        return []
    return [assembled.layers[node.name] for node in find_paired_layers(valid.shapes)]


def augment_together(layers: Sequence[Any], x: Any, y: Any, *, void: int | None = None) -> tuple[Any, Any]:
    """Return images and their targets after these layers.

    Args:
        layers: Keras layers, in order.
        x: Images of shape (batch, height, width, channels).
        y: Targets of shape (batch, height, width) or (batch, height, width, values); each keeps its dtype and values.
        void: The class of pixels that a layer fills with a constant; None: 0.
    """
    masks = tf.cast(y if y.shape.rank == 4 else y[..., tf.newaxis], tf.float32)
    for layer in layers:
        if not hasattr(layer, "get_random_transformation"):
            x = layer(x, training=True)
            continue
        images = tf.cast(x, layer.compute_dtype)
        transformation = layer.get_random_transformation(images, training=True)
        x = layer.transform_images(images, transformation, training=True)
        with _use_fill_value(layer, float(void or 0)):
            masks = layer.transform_segmentation_masks(masks, transformation, training=True)
    masks = masks if y.dtype.is_floating else tf.round(masks)
    return x, tf.cast(tf.reshape(masks, tf.shape(y)), y.dtype)


@contextmanager
def _use_fill_value(layer: Any, value: float) -> Iterator[None]:
    """Let a layer fill empty pixels with a value; its own is a color."""
    if not hasattr(layer, "fill_value"):
        yield
        return
    color = layer.fill_value
    layer.fill_value = value
    try:
        yield
    finally:
        layer.fill_value = color


@contextmanager
def bypass_layers(layers: Sequence[Any]) -> Iterator[None]:
    """Let layers return their input, because it is already augmented or must not be."""
    for layer in layers:
        object.__setattr__(layer, "call", _return_input)
    try:
        yield
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def _return_input(inputs: Any, training: bool | None = None) -> Any:  # noqa: ARG001 - Keras's signature
    return inputs
