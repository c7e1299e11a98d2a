"""The SavedModel format: a folder that TensorFlow and TensorFlow Serving load without Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from layercli.data.types import Array
from layercli.engine.adapt import to_keras_inputs
from layercli.engine.export.options import ExportOptions, InputBatch, input_signature

TOLERANCE = 1e-5


def write_model(model: Any, output_path: Path, options: ExportOptions) -> None:
    """Write the folder; its signature ``serving_default`` has the model's input names."""
    specs = input_signature(model, options.batch_size)
    model.export(
        str(output_path),
        format="tf_saved_model",
        verbose=False,
        input_signature=specs if len(specs) == 1 else [specs],
    )


def run_model(output_path: Path, batches: list[InputBatch], options: ExportOptions) -> list[list[Array]]:  # noqa: ARG001
    """Return the outputs of TensorFlow for each batch."""
    serve = tf.saved_model.load(str(output_path)).signatures["serving_default"]
    results = []
    for batch in batches:
        outputs = serve(**{name: tf.constant(to_keras_inputs(array)) for name, array in batch.items()})
        results.append([np.asarray(outputs[name].numpy()) for name in sorted(outputs, key=output_sort_key)])
    return results


def output_sort_key(name: str) -> tuple[int, str]:
    """Return a key that sorts ``output_10`` after ``output_9``."""
    digits = name.rpartition("_")[2]
    return (int(digits) if digits.isdecimal() else 0, name)
