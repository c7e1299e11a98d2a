"""Images and targets are augmented alike, for each layer and in a training."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from layercli.engine.training.paired_augmentation import augment_together
from tests.running import invoke

L = keras.layers
MASKS = np.random.default_rng(0).integers(0, 5, (6, 12, 10)).astype(np.uint8)
MOVING = [
    L.RandomFlip(seed=1),
    L.RandomRotation(0.3, interpolation="nearest", seed=1),
    L.RandomTranslation(0.3, 0.3, interpolation="nearest", seed=1),
    L.RandomZoom(0.4, interpolation="nearest", seed=1),
    L.RandomShear(0.3, 0.3, interpolation="nearest", seed=1),
    L.RandomPerspective(factor=1.0, scale=0.5, interpolation="nearest", seed=1),
]


@pytest.mark.parametrize("layer", MOVING, ids=lambda layer: type(layer).__name__)
def test_masks_move_as_images(layer):
    images = tf.constant(MASKS[..., None] * 10.0)
    x, y = augment_together([L.Rescaling(2.0), layer], images, tf.constant(MASKS))
    assert (y.dtype, y.shape) == (tf.uint8, MASKS.shape)
    np.testing.assert_allclose(x[..., 0], y.numpy() * 20.0, atol=1e-3)
    assert (y.numpy() != MASKS).mean() > 0.2


def test_values_for_each_pixel_keep_their_axis_and_fractions():
    pairs = np.stack([MASKS * 0.5, MASKS * 0.25], axis=-1).astype(np.float32)
    x, y = augment_together([L.RandomFlip(seed=2)], tf.constant(pairs), tf.constant(pairs))
    assert y.dtype == tf.float32
    np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(("void", "expected"), [(255, 255), (None, 0)])
def test_empty_pixels_have_no_class(void, expected):
    ones = np.ones((4, 8, 8), np.uint8)
    layer = L.RandomTranslation((0.5, 0.5), 0.0, fill_mode="constant", fill_value=7.0, seed=1)
    x, y = augment_together([layer], tf.constant(ones[..., None] * 3.0), tf.constant(ones), void=void)
    assert set(np.unique(x)) == {3.0, 7.0}
    np.testing.assert_array_equal(y.numpy() == expected, x.numpy()[..., 0] == 7)
    assert layer.fill_value == 7.0


CONFIG = """
data: {type: images, path: images, masks: {path: masks}, split: {validation: 4}}
model:
  input: [6, 5, 1]
  layers:
    - {type: Rescaling, scale: 0.1}
    - {type: RandomFlip, mode: horizontal_and_vertical}
    - {type: Rescaling, scale: 10}
    - {type: Conv2D, filters: 1, kernel_size: 1, kernel_initializer: ones, name: same}
train: {epochs: 2, batch_size: 4, loss: mean_squared_error, optimizer: {type: SGD, learning_rate: 0.0}}
"""
"""A model that returns its input: the loss is 0 only if the mask, which equals the image, moves with it."""


def test_training_moves_masks_and_evaluation_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("images", "masks"):
        Path(folder).mkdir()
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 90, (6, 5)).astype(np.uint8)
        for folder in ("images", "masks"):
            Image.fromarray(pixels).save(f"{folder}/{number}.png")
    Path("c.yaml").write_text(CONFIG)
    result = invoke("train", "c.yaml", "--json", "--run-dir", "run")
    assert result.exit_code == 0, result.output
    history = json.loads(result.stdout)["history"]
    assert max(history["loss"] + history["val_loss"]) < 1e-6
    result = invoke("predict", "run", "--input", "images", "--output", "none/")
    assert "a folder of masks needs images and a class for each pixel" in " ".join(result.output.split())
    monkeypatch.setattr("layercli.engine.training.fit.make_training_step", lambda *_: None)
    result = invoke("train", "c.yaml", "--json", "--run-dir", "apart", "--set", "train.epochs=1")
    assert json.loads(result.stdout)["history"]["loss"][0] > 100
