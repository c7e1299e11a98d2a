"""TensorFlow's SavedModel: a folder that TensorFlow and TensorFlow Serving load without Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from layercli.data.examples import Array
from layercli.engine.adapt import fed
from layercli.engine.export.options import Inputs, Options, signature

TOLERANCE = 1e-5


def write(model: Any, target: Path, options: Options) -> None:
    """Write the folder; its signature ``serving_default`` takes the model's inputs by their names."""
    specs = signature(model, options.batch_size)
    model.export(
        str(target),
        format="tf_saved_model",
        verbose=False,
        input_signature=specs if len(specs) == 1 else [specs],
    )


def run(target: Path, batches: list[Inputs], options: Options) -> list[list[Array]]:  # noqa: ARG001
    """What TensorFlow gives for each batch."""
    serve = tf.saved_model.load(str(target)).signatures["serving_default"]
    results = []
    for batch in batches:
        given = serve(**{name: tf.constant(fed(array)) for name, array in batch.items()})
        results.append([np.asarray(given[name].numpy()) for name in sorted(given, key=number)])
    return results


def number(name: str) -> tuple[int, str]:
    """``output_10`` behind ``output_9``."""
    digits = name.rpartition("_")[2]
    return (int(digits) if digits.isdecimal() else 0, name)
