"""Create Keras's pretrained models with their preprocessing, and load their weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import keras

from layercli.layers.families.applications import Application

_MEANS: Final = {"caffe": (103.939, 116.779, 123.68), "torch": (0.485, 0.456, 0.406)}
_DEVIATIONS: Final = (0.229, 0.224, 0.225)


def create_application(layer: Application, shape: tuple[int | None, ...], name: str) -> Any:
    """Return a model with random weights for images of a shape without the batch axis; it takes values from 0 to 255."""
    images = keras.Input(shape=shape, name=f"{name}_images")
    mode = layer.preprocessing_mode if layer.has_preprocessing else None
    # `name` is not passed: EfficientNetV2 chooses its preprocessing by it.
    arguments = layer.keras_arguments() | {"weights": None}
    model = find_keras_function(layer)(
        input_tensor=preprocess(images, mode, name), input_shape=shape, **arguments
    )
    return keras.Model(images, model.outputs[0], name=name)


def find_keras_function(layer: Application) -> Callable[..., Any]:
    """Return the function of ``keras.applications`` that creates the model."""
    function: Callable[..., Any] = getattr(keras.applications, layer.type_name())
    return function


def preprocess(images: Any, mode: str | None, name: str) -> Any:
    """Return the images as Keras's ``preprocess_input`` does in this mode: caffe, tf, torch or None."""
    if mode is None:
        return images
    if mode == "tf":
        return keras.layers.Rescaling(1 / 127.5, -1.0, name=f"{name}_preprocessing")(images)
    means = _MEANS[mode]
    if mode == "caffe":
        offset = [-mean for mean in means]
        blue_first = keras.ops.flip(images, axis=-1)
        return keras.layers.Rescaling(1.0, offset, name=f"{name}_preprocessing")(blue_first)
    scale = [1 / (255 * deviation) for deviation in _DEVIATIONS]
    offset = [-mean / deviation for mean, deviation in zip(means, _DEVIATIONS, strict=True)]
    return keras.layers.Rescaling(scale, offset, name=f"{name}_preprocessing")(images)
