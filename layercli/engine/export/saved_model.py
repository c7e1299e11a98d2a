"""The SavedModel format: a folder that TensorFlow and TensorFlow Serving load without Keras."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from layercli.data.types import Array
from layercli.engine.adapt import to_keras_inputs
from layercli.engine.export.options import (
    ColumnInput,
    ExportOptions,
    InputBatch,
    input_signature,
    make_argument_names,
)
from layercli.io.atomic import write_text

TOLERANCE = 1e-5
COLUMNS: Final = "columns"
"""The signature with an input for each column of a table."""


def write_model(model: Any, output_path: Path, options: ExportOptions) -> None:
    """Write the folder; its signature ``serving_default`` has the model's input names.

    If the inputs are columns of a table, the signature ``columns`` has an input of shape (batch,) for each column.
    """
    archive = keras.export.ExportArchive()
    archive.track(model)
    names = [tensor.name for tensor in model.inputs]
    specs = [
        tf.TensorSpec(spec.shape, spec.dtype, name=argument)
        for spec, argument in zip(
            input_signature(model, options.batch_size), make_argument_names(names), strict=True
        )
    ]
    archive.add_endpoint("serve", _make_function(model), specs)
    if options.has_column_signature:
        columns = _list_columns(model, options)
        column_specs = [
            tf.TensorSpec((options.batch_size,), dtype, name=argument)
            for argument, dtype in zip(
                make_argument_names([column for column, _ in columns]),
                [dtype for _, dtype in columns],
                strict=True,
            )
        ]
        archive.add_endpoint(COLUMNS, _make_column_function(model, options), column_specs)
    archive.write_out(str(output_path), verbose=False)


def run_model(output_path: Path, batches: list[InputBatch], options: ExportOptions) -> list[list[Array]]:
    """Return the outputs of TensorFlow for each batch, by columns if the model has them."""
    loaded = tf.saved_model.load(str(output_path))
    serve = loaded.signatures[COLUMNS if options.has_column_signature else "serving_default"]
    results = []
    for batch in batches:
        arrays = split_columns(batch, options.column_inputs) if options.has_column_signature else batch
        arguments = zip(make_argument_names(list(arrays)), arrays.values(), strict=True)
        outputs = serve(**{name: tf.constant(to_keras_inputs(array)) for name, array in arguments})
        results.append([np.asarray(outputs[name].numpy()) for name in sorted(outputs, key=output_sort_key)])
    return results


def embed_description(output_path: Path, description: str) -> None:
    """Write the description of inputs and outputs to the folder of assets that TensorFlow leaves to others."""
    folder = output_path / "assets.extra"
    folder.mkdir(exist_ok=True)
    write_text(folder / "layercli.json", description)


def split_columns(batch: InputBatch, column_inputs: Mapping[str, ColumnInput]) -> InputBatch:
    """Return an array of shape (batch,) for each column of inputs of shape (batch, columns)."""
    return {
        column: batch[name][:, index]
        for name, column_input in column_inputs.items()
        for index, column in enumerate(column_input.columns)
    }


def _list_columns(model: Any, options: ExportOptions) -> list[tuple[str, str]]:
    dtypes = {tensor.name: tensor.dtype for tensor in model.inputs}
    return [
        (column, dtypes[name])
        for name, column_input in options.column_inputs.items()
        for column in column_input.columns
    ]


def _make_function(model: Any) -> Any:
    def serve(*tensors: Any) -> Any:
        return _name_outputs(model(list(tensors) if len(tensors) > 1 else tensors[0], training=False))

    return serve


def _make_column_function(model: Any, options: ExportOptions) -> Any:
    """Return the function of the columns in the order of ``_list_columns``."""

    def serve_columns(*tensors: Any) -> Any:
        remaining, inputs = iter(tensors), {}
        for name, column_input in options.column_inputs.items():
            columns = [_fill_text(next(remaining), column_input, column) for column in column_input.columns]
            inputs[name] = tf.stack(columns, axis=1)
        arrays = [inputs[tensor.name] for tensor in model.inputs]
        return _name_outputs(model(arrays if len(arrays) > 1 else arrays[0], training=False))

    return serve_columns


def _fill_text(tensor: Any, column_input: ColumnInput, column: str) -> Any:
    """Return a column of texts with the replacement of empty texts; the model replaces missing numbers itself."""
    value = column_input.fill_values.get(column)
    if tensor.dtype != tf.string or value is None:
        return tensor
    return tf.where(tensor == "", tf.constant(str(value)), tensor)


def _name_outputs(outputs: Any) -> dict[str, Any]:
    return {f"output_{index}": output for index, output in enumerate(tf.nest.flatten(outputs))}


def output_sort_key(name: str) -> tuple[int, str]:
    """Return a key that sorts ``output_10`` after ``output_9``."""
    digits = name.rpartition("_")[2]
    return (int(digits) if digits.isdecimal() else 0, name)
