"""Saliency of images: how much the prediction changes with each pixel, by the gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf

from layercli.data.contact_sheet import is_image_batch
from layercli.data.examples import Examples
from layercli.data.types import Array
from layercli.engine.adapt import to_keras_inputs

NOISY_COPIES: Final = 8
"""Copies of an image with noise over which its gradient is averaged (SmoothGrad, Smilkov et al. 2017)."""
_NOISE: Final = 0.1
"""Deviation of the noise relative to the range of an image."""


@dataclass(frozen=True, slots=True)
class Saliency:
    """The saliency of the images of an input: of shape (samples, height, width), from 0 to 1."""

    input: str | None
    maps: Array


def compute_saliency(
    model: Any, examples: Examples, output_index: int, *, is_choice: bool, is_logits: bool, seed: int = 0
) -> list[Saliency]:
    """Return the saliency of each input of images for one output; no entry for an input without a gradient.

    Args:
        model: The Keras model.
        examples: A few examples.
        output_index: The output.
        is_choice: Whether the output has the probability of each class, of which the predicted one counts.
        is_logits: Whether these are logits.
        seed: Seed of the noise.
    """
    names = [name for name, array in examples.inputs if is_image_batch(array) and array.dtype.kind in "fiu"]
    if not names or not len(examples):
        return []
    generator = np.random.default_rng(seed)
    arrays = dict(examples.inputs)
    ranges = {name: np.ptp(arrays[name].reshape(len(examples), -1), axis=1) for name in names}
    totals = {name: np.zeros(arrays[name].shape[:3]) for name in names}
    chosen = None
    for copy in range(NOISY_COPIES):
        noisy = {
            name: array.astype(np.float32)
            + (generator.normal(size=array.shape) * _NOISE * ranges[name][:, None, None, None] if copy else 0)
            if name in names
            else array
            for name, array in arrays.items()
        }
        x: Any = noisy[None] if None in noisy else {str(name): array for name, array in noisy.items()}
        tensors = tf.nest.map_structure(tf.convert_to_tensor, to_keras_inputs(x))
        leaves = {name: tensors[name] if isinstance(tensors, dict) else tensors for name in names}
        leaves = {name: tf.cast(leaf, tf.float32) for name, leaf in leaves.items()}
        fed: Any = {**tensors, **leaves} if isinstance(tensors, dict) else leaves[names[0]]
        with tf.GradientTape() as tape:
            tape.watch(list(leaves.values()))
            output = tf.nest.flatten(model(fed, training=False))[output_index]
            if is_choice and is_logits:
                output = tf.nn.softmax(output)
            if chosen is None and is_choice:
                chosen = tf.argmax(output, -1)
            score = _score_outputs(output, chosen)
        gradients = tape.gradient(score, leaves)
        for name, gradient in gradients.items():
            if gradient is not None:
                totals[name] += np.abs(np.nan_to_num(np.asarray(gradient))).max(-1)
    return [Saliency(name, _scale_maps(total)) for name, total in totals.items() if total.any()]


def _score_outputs(output: Any, chosen: Any) -> Any:
    """Return a number for each example, whose gradient does not vanish where the model is certain."""
    if chosen is None:
        return tf.reduce_sum(tf.reshape(output, (tf.shape(output)[0], -1)), axis=1)
    is_chosen = tf.one_hot(chosen, output.shape[-1], dtype=output.dtype)
    smallest = tf.constant(1e-30, output.dtype)
    own = tf.reduce_sum(output * is_chosen, axis=-1)
    others = tf.reduce_sum(output * (1 - is_chosen), axis=-1)
    return tf.math.log(tf.maximum(own, smallest)) - tf.math.log(tf.maximum(others, smallest))


def _scale_maps(totals: Array) -> Array:
    """Return maps of shape (samples, height, width) from 0 to 1, each by its own highest values."""
    highest = np.quantile(totals.reshape(len(totals), -1), 0.995, axis=1)
    scaled: Array = np.clip(totals / np.maximum(highest, 1e-30)[:, None, None], 0, 1)
    return scaled
