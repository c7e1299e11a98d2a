"""Create the optimizer, loss, metrics and callbacks that the ``train`` section declares."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import keras

from layercli.check import ValidConfig
from layercli.config.training.callbacks import MLflow, get_monitor
from layercli.config.training.custom_objects import CustomObject
from layercli.config.training.metrics import Metric
from layercli.config.training.section import TrainSection
from layercli.engine.custom_objects import create_custom_object
from layercli.engine.keras_objects import keras_object
from layercli.engine.training.metric_conversion import build_metric
from layercli.engine.training.position_weights import fit_positions
from layercli.graph.best_epoch import monitor_direction
from layercli.schema.component import Component
from layercli.source.nodes import KeyPath


def compile_model(model: Any, train: TrainSection, valid: ValidConfig, *, optimizer: Any = None) -> None:
    """Compile the model with the declared loss and metrics, and ``optimizer``, otherwise the declared one.

    Raises:
        LayercliError: custom code cannot be loaded.
    """

    def create(components: Any, namespace: Any) -> Any:
        return _to_keras_objects(components, namespace, valid)

    model.compile(
        optimizer=optimizer or create(train.optimizer, keras.optimizers),
        loss=create(train.loss, keras.losses),
        loss_weights=train.loss_weights,
        metrics=create(train.metrics, keras.metrics),
        weighted_metrics=create(train.weighted_metrics, keras.metrics) or None,
    )
    _weight_losses_by_examples(model._compile_loss)
    names = getattr(model, "output_names", [""])  # a Sequential has one output without a name
    fit_positions(model, names, [name for name in names if _is_ctc(train.loss_of(name))])


def _is_ctc(loss: str | Component | None) -> bool:
    """Return whether a loss compares sequences as a whole."""
    return isinstance(loss, Component) and loss.type_name() == "CTC"


def _weight_losses_by_examples(losses: Any) -> None:
    """Weight the mean loss of each output by the number of examples in each batch.

    Keras does this only if the batch size is static. Otherwise a small last batch counts as much as a full one, and the
    losses of the outputs do not add up to the total loss.
    """
    original_build, original_call = losses.build, losses.call
    examples: Any = None

    def update_mean(mean: Any, value: Any, sample_weight: Any = None) -> None:  # noqa: ARG001 - Keras's signature
        type(mean).update_state(mean, value, examples)

    def build_losses(y_true: Any, y_pred: Any) -> None:
        original_build(y_true, y_pred)
        for mean in losses.metrics:
            if mean is not None:
                mean.update_state = partial(update_mean, mean)

    def call_losses(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        nonlocal examples
        examples = keras.ops.shape(keras.tree.flatten(y_pred)[0])[0]
        return original_call(y_true, y_pred, sample_weight)

    losses.build, losses.call = build_losses, call_losses


def _to_keras_objects(components: Any, namespace: Any, valid: ValidConfig) -> Any:
    """Create the Keras objects of components in nested lists and mappings."""
    if isinstance(components, dict):
        return {name: _to_keras_objects(item, namespace, valid) for name, item in components.items()}
    if isinstance(components, list):
        return [_to_keras_objects(item, namespace, valid) for item in components]
    if isinstance(components, Metric):
        return build_metric(components)
    if not isinstance(components, Component):
        return components
    return keras_object(
        components, namespace=namespace, create_custom_layer=partial(create_custom_object, valid=valid)
    )


def build_callback(callback: Component, run_dir: Path, valid: ValidConfig, path: KeyPath) -> Any:
    """Create the Keras callback at this path of the config; it writes its files into the run directory.

    Raises:
        LayercliError: MLflow has no address, refuses the run or cannot be reached.
    """
    if isinstance(callback, CustomObject):
        return create_custom_object(callback, callback.keras_arguments(), valid)
    if isinstance(callback, MLflow):
        from layercli.engine.training.mlflow_callback import build_mlflow_callback

        return build_mlflow_callback(callback, run_dir, valid, path)
    monitor = get_monitor(callback)
    train = valid.config.train
    if monitor is not None and getattr(callback, "mode", None) == "auto" and train is not None:
        # Keras infers the direction only for names of metrics, not for those of one output among several.
        callback = callback.with_arguments(mode=monitor_direction(monitor, train) or "auto")
    for name in ("filename", "log_dir"):
        if name in type(callback).model_fields:
            file = run_dir / getattr(callback, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            callback = callback.with_arguments(**{name: str(file)})
    return keras_object(callback, namespace=keras.callbacks)
