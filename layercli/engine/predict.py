"""Predict batch by batch, and turn outputs into columns with class names and probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import tensorflow as tf

from layercli.check import ValidConfig
from layercli.data.examples import Examples
from layercli.data.labels import are_number_names
from layercli.data.new_examples import NewExamples
from layercli.data.reader_state import ReaderState
from layercli.data.types import Array
from layercli.engine.adapt import to_keras_inputs
from layercli.engine.keras_errors import model_error_types, summarize_error
from layercli.errors import LayercliError
from layercli.graph.output_kind import OutputKind, infer_output_kind

ERROR_COLUMN: Final = "error"
"""The column that says why an example has no prediction."""


def predict_columns(
    model: Any,
    valid: ValidConfig,
    pieces: Iterable[NewExamples],
    reader_state: ReaderState,
    batch_size: int,
) -> Iterator[dict[str, Array]]:
    """Yield the columns of each piece: those that identify its examples, each output, and the error, if there is one.

    The outputs of an example with an error are masked.

    Raises:
        LayercliError: Keras or a custom layer refuses the examples.
    """
    titles = valid.graph.output_references
    meanings = [infer_output_kind(valid.config, valid.shapes, index) for index in range(len(titles))]
    for piece in pieces:
        outputs = _predict_examples(model, valid, piece.examples, batch_size)
        columns = dict(piece.columns)
        is_usable = piece.is_usable
        for title, meaning, array in zip(titles, meanings, outputs, strict=True):
            names = reader_state.class_names
            if isinstance(names, Mapping):
                names = names.get(title)
            are_numbers = _are_mapped_numbers(valid, title if len(titles) > 1 else None, names)
            prefix = f"{title}_" if len(titles) > 1 else ""
            for name, column in _output_columns(array, meaning, names, are_numbers=are_numbers):
                title_in_file = f"{prefix}{name}"
                if title_in_file in columns:
                    columns = _rename_key(columns, title_in_file, f"input_{title_in_file}")
                columns[title_in_file] = _spread_rows(column, is_usable)
        yield columns | {ERROR_COLUMN: np.array(piece.errors, dtype=object)}


def _rename_key(columns: Mapping[str, Array], old: str, new: str) -> dict[str, Array]:
    return {new if name == old else name: column for name, column in columns.items()}


def _spread_rows(column: Array, is_usable: Array) -> Array:
    """Return a column of the examples that are usable as one of all examples, in which the others are masked."""
    if is_usable.all():
        return column
    shape = (len(is_usable), *column.shape[1:])
    if column.dtype.kind == "O":
        spread: Array = np.full(shape, None, dtype=object)
    else:
        spread = np.ma.MaskedArray(np.zeros(shape, column.dtype), mask=True)
    spread[is_usable] = column
    return spread


def _predict_examples(model: Any, valid: ValidConfig, examples: Examples, batch_size: int) -> list[Array]:
    """Return each output for all examples; arrays of shape (0, ...) without examples."""
    if not len(examples):
        one = examples.map_inputs(_make_example, np.zeros(1, dtype=np.int32))
        return [array[:0] for array in _predict_batch(model, valid, to_keras_inputs(one.x))]
    batches = [
        _predict_batch(model, valid, to_keras_inputs(batch.x)) for batch in examples.batches(batch_size)
    ]
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def _make_example(_name: str | None, empty: Array) -> Array:
    """Return an input with one example of zeros or empty texts, with the shape of those in an empty array."""
    if empty.dtype.kind == "O":
        return np.full((1, *empty.shape[1:]), "", dtype=object)
    return np.zeros((1, *empty.shape[1:]), empty.dtype)


def _predict_batch(model: Any, valid: ValidConfig, x: Any) -> list[Array]:
    try:
        outputs = model.predict_on_batch(x)
    except model_error_types(valid) as error:
        message = f"The model cannot predict: {summarize_error(error)}"
        hint = "Check that the examples match the model's inputs."
        raise LayercliError(valid.make_problem(("data",), "prediction-failed", message, hint)) from error
    return [np.asarray(array) for array in tf.nest.flatten(outputs)]


def _are_mapped_numbers(valid: ValidConfig, target: str | None, names: tuple[str, ...] | None) -> bool:
    """Return whether the classes are numbers in the data, which `target_type: labels` maps to labels."""
    data = valid.config.data
    return data is not None and data.target_type_of(target) == "labels" and are_number_names(names or ())


def _to_class_values(names: Sequence[str], *, are_numbers: bool) -> Array:
    """Return the classes as the data has them: of shape (classes,)."""
    if not are_numbers:
        return np.array(names, dtype=object)
    numbers = np.array(names, dtype=np.float64)
    return numbers.astype(np.int64) if (numbers == np.floor(numbers)).all() else numbers


def _output_columns(
    output: Array, meaning: OutputKind, names: tuple[str, ...] | None, *, are_numbers: bool
) -> Iterator[tuple[str, Array]]:
    """Yield the columns of one output: the class and the probabilities, or the numbers unchanged.

    ``are_numbers`` is true if the names of the classes are numbers in the data.
    """
    if meaning.kind in ("numbers", "sign"):
        if meaning.kind == "sign" and names is not None and len(names) == 2:
            yield "class", _to_class_values(names, are_numbers=are_numbers)[(output[:, 0] > 0).astype(int)]
        yield "prediction", output[:, 0] if output.ndim == 2 and output.shape[1] == 1 else output
        return
    scores = output.astype(np.float32)
    if meaning.is_logits:
        scores = tf.nn.softmax(scores).numpy() if meaning.kind == "classes" else tf.sigmoid(scores).numpy()
    if meaning.kind == "two":
        scores = np.concatenate([1 - scores, scores], axis=1)
    labels = scores.argmax(axis=1)
    has_all_names = names is not None and len(names) == scores.shape[1]
    class_names = names if names is not None and has_all_names else tuple(map(str, range(scores.shape[1])))
    yield "class", _to_class_values(class_names, are_numbers=are_numbers)[labels] if has_all_names else labels
    yield "probability", np.take_along_axis(scores, labels[:, None], axis=1)[:, 0]
    for index, name in enumerate(class_names):
        yield f"probability_{name}", scores[:, index]
