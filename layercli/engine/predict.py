"""Predict batch by batch, and turn outputs into columns with class names and probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from layercli.activity import track_items
from layercli.check import ValidConfig
from layercli.data.examples import Examples
from layercli.data.labels import are_numbers_in_data, to_class_values
from layercli.data.new_examples import NewExamples
from layercli.data.reader_state import ReaderState
from layercli.data.types import Array
from layercli.engine.keras_errors import model_error_types, summarize_error
from layercli.engine.output_values import (
    OutputValues,
    Predictor,
    find_output_kind,
    interpret_output,
    make_predictor,
)
from layercli.engine.unknown_ids import check_trained_ids, explain_id_error
from layercli.errors import LayercliError
from layercli.graph.output_kind import OutputKind, name_classes
from layercli.graph.target_meaning import TargetKind

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
        LayercliError: Keras or a custom layer refuses the examples, or a layer computes ids that no layer has.
    """
    predict = make_predictor(model)
    for piece in pieces:
        if len(piece.examples):
            check_trained_ids(model, valid, piece.examples)
        outputs = _predict_examples(predict, valid, piece.examples, batch_size)
        yield name_columns(valid, reader_state, piece, outputs)


def name_columns(
    valid: ValidConfig, reader_state: ReaderState, piece: NewExamples, outputs: Sequence[Array]
) -> dict[str, Array]:
    """Return the columns of a piece, from each output of the model for its usable examples; see ``predict_columns``."""
    titles = valid.graph.output_references
    targets = [title if len(titles) > 1 else None for title in titles]
    columns = dict(piece.columns)
    is_usable = piece.is_usable
    for index, (target, array) in enumerate(zip(targets, outputs, strict=True)):
        target_kind = reader_state.target_kinds.get(target)
        kind = find_output_kind(valid, index, array, target_kind)
        names = reader_state.class_names_of(target)
        for name, column in _output_columns(
            array,
            kind,
            names,
            target_kind=target_kind,
            are_numbers=are_numbers_in_data(valid.config.data, target, names),
            target_columns=reader_state.target_columns_of(target),
        ):
            full_name = name if target is None else f"{target}_{name}"
            if full_name in columns:
                columns = _rename_key(columns, full_name, f"input_{full_name}")
            columns[full_name] = _spread_rows(column, is_usable)
    return columns | {ERROR_COLUMN: np.array(piece.errors, dtype=object)}


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


def _predict_examples(
    predict: Predictor, valid: ValidConfig, examples: Examples, batch_size: int
) -> list[Array]:
    """Return each output for all examples; arrays of shape (0, ...) without examples."""
    if not len(examples):
        return [array[:0] for array in predict_batch(predict, valid, make_blank_example(examples))]
    batches = [
        predict_batch(predict, valid, batch)
        for batch in track_items(examples.batches(batch_size), len(examples), count=len)
    ]
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def make_blank_example(examples: Examples) -> Examples:
    """Return one example of zeros and empty texts, with the shapes of ``examples``."""
    return examples.map_inputs(_make_blank_input, np.zeros(1, dtype=np.int32))


def _make_blank_input(_name: str | None, empty: Array) -> Array:
    """Return an input with one example of zeros or empty texts, with the shape of those in an empty array."""
    if empty.dtype.kind == "O":
        return np.full((1, *empty.shape[1:]), "", dtype=object)
    return np.zeros((1, *empty.shape[1:]), empty.dtype)


def predict_batch(predict: Predictor, valid: ValidConfig, batch: Examples) -> list[Array]:
    """Return each output for a batch.

    Raises:
        LayercliError: Keras or a custom layer refuses the examples.
    """
    try:
        outputs = predict(batch)
    except model_error_types(valid) as error:
        id_error = explain_id_error(error, valid, is_trained=True)
        if id_error is not None:
            raise id_error from error
        message = f"The model cannot predict: {summarize_error(error)}"
        hint = "Check that the examples match the model's inputs."
        raise LayercliError(valid.make_problem(("data",), "prediction-failed", message, hint)) from error
    return [array for array, _ in outputs]


def _output_columns(
    output: Array,
    kind: OutputKind,
    names: tuple[str, ...] | None,
    *,
    target_kind: TargetKind | None,
    are_numbers: bool,
    target_columns: tuple[str, ...] | None = None,
) -> Iterator[tuple[str, Array]]:
    """Yield the columns of one output of shape (rows, ..., units): the class and the probabilities, or the numbers unchanged.

    Args:
        output: The values of the output.
        kind: What they are.
        names: The names of the classes.
        target_kind: What the target was in training; None if it is unknown.
        are_numbers: Whether the names of the classes are numbers in the data.
        target_columns: The columns of a table for each of which the output has a value.
    """
    values = interpret_output(output, kind)
    size = 2 if kind.kind in ("two", "sign") else output.shape[-1]
    if values.predicted is None:
        yield from _name_units("prediction", values.scores, target_columns)
    elif kind.kind == "labels":
        title = "probability" if kind.has_probabilities else "score"
        predicted = values.predicted.astype(np.int32)
        predicted = 2 * predicted - 1 if target_kind == "signs" else predicted
        yield from _name_units("prediction", predicted, target_columns)
        yield from _name_units(title, values.scores, target_columns)
    else:
        class_names = name_classes(kind, size, names, target_kind)
        are_numbers = are_numbers or class_names != names
        yield "class", to_class_values(class_names, are_numbers=are_numbers)[values.predicted]
        if kind.has_probabilities:
            yield from _probability_columns(values, class_names)
        else:
            yield from _name_units("prediction", values.scores, None if size == 2 else class_names)


def _name_units(
    title: str, output: Array, target_columns: tuple[str, ...] | None
) -> Iterator[tuple[str, Array]]:
    """Yield a column for each unit that has a name, or all units as one column."""
    if target_columns is not None and len(target_columns) == output.shape[-1]:
        for index, name in enumerate(target_columns):
            yield f"{title}_{name}", output[..., index]
    else:
        yield title, output[:, 0] if output.ndim == 2 and output.shape[1] == 1 else output


def _probability_columns(values: OutputValues, class_names: Sequence[str]) -> Iterator[tuple[str, Array]]:
    """Yield the probability of the predicted class, and that of each class, each of shape (rows, ...)."""
    assert values.predicted is not None
    scores = values.scores.astype(np.float32)
    if scores.shape[-1] == 1:
        scores = np.concatenate([1 - scores, scores], axis=-1)
    yield "probability", np.take_along_axis(scores, values.predicted[..., None], axis=-1)[..., 0]
    for index, name in enumerate(class_names):
        yield f"probability_{name}", scores[..., index]
