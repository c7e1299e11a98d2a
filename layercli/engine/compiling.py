"""What the ``train`` section declares, as Keras takes it: optimizer, loss, metrics, callbacks."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras

from layercli.check import Valid
from layercli.config.train import TrainSection
from layercli.engine.objects import keras_object
from layercli.errors import LayercliError
from layercli.layers.component import Component


def compile_model(model: Any, train: TrainSection) -> None:
    """Give the model its optimizer, loss and metrics."""
    optimizer = train.optimizer
    model.compile(
        optimizer=keras_object(optimizer, home=keras.optimizers)
        if isinstance(optimizer, Component)
        else optimizer,
        loss=keras_object(train.loss, home=keras.losses) if isinstance(train.loss, Component) else train.loss,
        metrics=[
            keras_object(metric, home=keras.metrics) if isinstance(metric, Component) else metric
            for metric in train.metrics
        ],
    )


def declared_callback(callback: Component, run: Path, valid: Valid, index: int) -> Any:
    """The Keras callback; files that it writes go into the run directory.

    Raises:
        LayercliError: it needs a package that is not installed.
    """
    if callback.type_name() == "TensorBoard" and find_spec("tensorboard") is None:
        message = "The callback TensorBoard needs the package tensorboard, which is not installed."
        hint = "Install it: `pip install 'layercli[tensorboard]'`."
        raise LayercliError(valid.problem(("train", "callbacks", index), "missing-package", message, hint))
    for name in ("filename", "log_dir"):
        if name in type(callback).model_fields:
            path = run / getattr(callback, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            callback = callback.replace(**{name: str(path)})
    return keras_object(callback, home=keras.callbacks)
