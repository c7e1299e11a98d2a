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
    ColumnBatch,
    ColumnInput,
    ExportOptions,
    InputBatch,
    RawColumn,
    Runner,
    input_signature,
    list_raw_columns,
    make_argument_names,
)
from layercli.engine.export.raw_columns import clean_texts, compute_date_feature, read_booleans, read_dates
from layercli.io.atomic import write_text

TOLERANCE = 1e-5
COLUMNS: Final = "columns"
"""The signature with an input for each column of a table."""
_CLASS_SUFFIX: Final = "_class"


def name_output(index: int) -> str:
    """Return the name of an output in the signatures."""
    return f"output_{index}"


def name_class_output(index: int) -> str:
    """Return the name of the texts that are the classes of an output."""
    return f"{name_output(index)}{_CLASS_SUFFIX}"


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
    archive.add_endpoint("serve", _make_function(model, options), specs)
    if options.has_column_signature:
        columns = _list_columns(model, options)
        column_specs = [
            tf.TensorSpec((options.batch_size,), column.dtype, name=argument)
            for argument, column in zip(
                make_argument_names([column.name for column in columns]), columns, strict=True
            )
        ]
        archive.add_endpoint(COLUMNS, _make_column_function(model, options), column_specs)
    archive.write_out(str(output_path), verbose=False)


def run_model(output_path: Path, batches: list[InputBatch], options: ExportOptions) -> list[list[Array]]:  # noqa: ARG001
    """Return the outputs of TensorFlow for each batch; a ``ColumnBatch`` is passed by columns."""
    run = load_runner(output_path)
    return [run(batch) for batch in batches]


def load_runner(output_path: Path) -> Runner:
    """Return the function of a loaded folder."""
    loaded = tf.saved_model.load(str(output_path))

    def run(batch: InputBatch) -> list[Array]:
        serve = loaded.signatures[COLUMNS if isinstance(batch, ColumnBatch) else "serving_default"]
        arguments = zip(make_argument_names(list(batch)), batch.values(), strict=True)
        outputs = serve(**{name: tf.constant(to_keras_inputs(array)) for name, array in arguments})
        names = [name for name in outputs if not name.endswith(_CLASS_SUFFIX)]
        return [np.asarray(outputs[name].numpy()) for name in sorted(names, key=output_sort_key)]

    return run


def embed_description(output_path: Path, description: str) -> None:
    """Write the description of inputs and outputs to the folder of assets that TensorFlow leaves to others."""
    folder = output_path / "assets.extra"
    folder.mkdir(exist_ok=True)
    write_text(folder / "layercli.json", description)


def _list_columns(model: Any, options: ExportOptions) -> list[RawColumn]:
    """Return the raw columns in the order of the arguments of the signature."""
    dtypes = {tensor.name: tensor.dtype for tensor in model.inputs}
    return list(dict.fromkeys(list_raw_columns(options.column_inputs, dtypes).values()))


def _make_function(model: Any, options: ExportOptions) -> Any:
    def serve(*tensors: Any) -> Any:
        outputs = model(list(tensors) if len(tensors) > 1 else tensors[0], training=False)
        return _name_outputs(outputs, options)

    return serve


def _make_column_function(model: Any, options: ExportOptions) -> Any:
    """Return the function of the columns in the order of ``_list_columns``."""
    dtypes = {tensor.name: tensor.dtype for tensor in model.inputs}
    raw_columns = list_raw_columns(options.column_inputs, dtypes)
    columns = list(dict.fromkeys(raw_columns.values()))

    def serve_columns(*tensors: Any) -> Any:
        by_column = dict(zip(columns, tensors, strict=True))
        read = _ColumnParser(by_column)
        inputs = {
            name: tf.stack(
                [
                    read(column_input, column, raw_columns[name, column], dtypes[name])
                    for column in column_input.columns
                ],
                axis=1,
            )
            for name, column_input in options.column_inputs.items()
        }
        arrays = [inputs[tensor.name] for tensor in model.inputs]
        return _name_outputs(model(arrays if len(arrays) > 1 else arrays[0], training=False), options)

    return serve_columns


class _ColumnParser:
    """Computes the columns of inputs from raw columns; the dates of a column are read once."""

    def __init__(self, tensors: Mapping[RawColumn, Any]) -> None:
        self._tensors = tensors
        self._dates: dict[RawColumn, Any] = {}

    def __call__(self, column_input: ColumnInput, column: str, raw: RawColumn, dtype: str) -> Any:
        """Return a column of shape (batch,); the model replaces missing values itself."""
        tensor = self._tensors[raw]
        if raw.kind == "number":
            return tensor
        texts = clean_texts(tensor, column_input.missing_words)
        if raw.kind == "text":
            return texts
        if raw.kind == "boolean":
            numbers = read_booleans(texts)
        else:
            source = column_input.dates[column]
            if raw not in self._dates:
                self._dates[raw] = read_dates(texts, source.order)
            numbers = compute_date_feature(self._dates[raw], source.feature) - source.first_day
        if not tf.as_dtype(dtype).is_floating:
            missing = float(column_input.fill_values.get(column, 0))
            numbers = tf.where(tf.math.is_nan(numbers), tf.constant(missing, tf.float64), numbers)
        return tf.cast(numbers, dtype)


def _name_outputs(outputs: Any, options: ExportOptions) -> dict[str, Any]:
    """Return the outputs, and the names of their classes where they have some."""
    named = {name_output(index): output for index, output in enumerate(tf.nest.flatten(outputs))}
    for index, classes in enumerate(options.output_classes):
        if classes is not None:
            output = named[name_output(index)]
            is_second = None if classes.threshold is None else output[..., 0] > classes.threshold
            label = tf.argmax(output, axis=-1) if is_second is None else tf.cast(is_second, tf.int64)
            named[name_class_output(index)] = tf.gather(tf.constant(classes.names), label)
    return named


def output_sort_key(name: str) -> tuple[int, str]:
    """Return a key that sorts ``output_10`` after ``output_9``."""
    digits = name.rpartition("_")[2]
    return (int(digits) if digits.isdecimal() else 0, name)
