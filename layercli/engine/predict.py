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
from layercli.engine.unknown_ids import explain_id_error
from layercli.errors import LayercliError
from layercli.graph.output_activation import layer_activation
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
    targets = [title if len(titles) > 1 else None for title in titles]
    for piece in pieces:
        outputs = _predict_examples(model, valid, piece.examples, batch_size)
        columns = dict(piece.columns)
        is_usable = piece.is_usable
        for title, layer, target, array in zip(titles, valid.graph.outputs, targets, outputs, strict=True):
            kind = infer_output_kind(
                valid.config,
                title,
                (None, *array.shape[1:]),
                target_kind=reader_state.target_kinds.get(target),
                activation=layer_activation(valid.shapes.by_name[layer]),
            )
            names = reader_state.class_names_of(target)
            for name, column in _output_columns(
                array,
                kind,
                names,
                are_numbers=_are_mapped_numbers(valid, target, names),
                target_columns=reader_state.target_columns_of(target),
            ):
                full_name = name if target is None else f"{target}_{name}"
                if full_name in columns:
                    columns = _rename_key(columns, full_name, f"input_{full_name}")
                columns[full_name] = _spread_rows(column, is_usable)
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
        id_error = explain_id_error(error, valid, is_trained=True)
        if id_error is not None:
            raise id_error from error
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
    output: Array,
    kind: OutputKind,
    names: tuple[str, ...] | None,
    *,
    are_numbers: bool,
    target_columns: tuple[str, ...] | None = None,
) -> Iterator[tuple[str, Array]]:
    """Yield the columns of one output of shape (rows, ..., units): the class and the probabilities, or the numbers unchanged.

    Args:
        output: The values of the output.
        kind: What they are.
        names: The names of the classes.
        are_numbers: Whether the names of the classes are numbers in the data.
        target_columns: The columns of a table for each of which the output has a value.
    """
    if kind.kind == "sign" and names is not None and len(names) == 2:
        yield "class", _to_class_values(names, are_numbers=are_numbers)[(output[:, 0] > 0).astype(int)]
    if kind.logits is not None:
        scores = output.astype(np.float32)
        output = (tf.nn.softmax(scores) if kind.logits == "softmax" else tf.sigmoid(scores)).numpy()
    if kind.kind in ("numbers", "sign"):
        yield from _name_units("prediction", output, target_columns)
    elif kind.kind == "labels":
        yield from _name_units("prediction", (output > 0.5).astype(np.int32), target_columns)
        yield from _name_units("probability", output, target_columns)
    else:
        scores = output.astype(np.float32)
        if kind.kind == "two":
            scores = np.concatenate([1 - scores, scores], axis=-1)
        yield from _class_columns(scores, names, are_numbers=are_numbers)


def _name_units(
    title: str, output: Array, target_columns: tuple[str, ...] | None
) -> Iterator[tuple[str, Array]]:
    """Yield a column for each unit that has a name, or all units as one column."""
    if target_columns is not None and len(target_columns) == output.shape[-1]:
        for index, name in enumerate(target_columns):
            yield f"{title}_{name}", output[..., index]
    else:
        yield title, output[:, 0] if output.ndim == 2 and output.shape[1] == 1 else output


def _class_columns(
    scores: Array, names: tuple[str, ...] | None, *, are_numbers: bool
) -> Iterator[tuple[str, Array]]:
    """Yield the most probable class, its probability, and the probability of each class, each of shape (rows, ...)."""
    labels = scores.argmax(axis=-1)
    has_all_names = names is not None and len(names) == scores.shape[-1]
    class_names = names if names is not None and has_all_names else tuple(map(str, range(scores.shape[-1])))
    yield "class", _to_class_values(class_names, are_numbers=are_numbers)[labels] if has_all_names else labels
    yield "probability", np.take_along_axis(scores, labels[..., None], axis=-1)[..., 0]
    for index, name in enumerate(class_names):
        yield f"probability_{name}", scores[..., index]
