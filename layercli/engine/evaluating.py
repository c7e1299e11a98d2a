"""The loss and metrics of a model over examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from layercli.check import Valid
from layercli.config.train import TrainSection
from layercli.data.arrays import RefusedDataError
from layercli.data.part import Part
from layercli.engine.adapting import fed
from layercli.engine.compiling import compile_model
from layercli.engine.refusals import said
from layercli.errors import LayercliError


def evaluate(model: Any, valid: Valid, train: TrainSection, part: Part) -> dict[str, Any]:
    """The loss and the metrics of the ``train`` section, the loss first, over a part; a batch at a time.

    Raises:
        LayercliError: Keras, or a layer of the user's, refuses the examples.
    """
    compile_model(model, train)
    refusals: tuple[type[Exception], ...] = (ValueError, TypeError, tf.errors.OpError)
    if valid.custom_layers:
        refusals = (Exception,)  # whatever the user's code may raise
    try:
        batches = _batches(part, train.batch_size)
        model.test_on_batch(*next(batches))  # prepares what the next ones use, and forgets what was before
        for batch in batches:
            model.test_function(iter([batch]))
        logs = model.get_metrics_result()
    except RefusedDataError:
        raise
    except refusals as error:
        message = f"The model cannot be evaluated: {said(error)}"
        hint = "The examples must fit the model's inputs, and the loss and metrics the targets."
        raise LayercliError(valid.problem(("data",), "training-failed", message, hint)) from error
    return {
        name: plain(logs[name])
        for name in sorted(logs, key=lambda name: (name != "loss", not name.endswith("loss")))
    }


def _batches(part: Part, size: int) -> Iterator[tuple[Any, ...]]:
    for batch in part.batches(size):
        yield ((fed(batch.x), batch.y) if batch.weights is None else (fed(batch.x), batch.y, batch.weights))


def plain(value: Any) -> Any:
    """A logged value as a number; one that has a number for each class as a list."""
    array = np.asarray(keras.ops.convert_to_numpy(value))
    return float(array) if array.ndim == 0 else array.astype(float).tolist()
