"""Predict batch by batch, and turn outputs into columns with class names and probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from layercli.check import ValidConfig
from layercli.data.examples import Examples, Subset
from layercli.data.labels import are_number_names
from layercli.data.reader_state import ReaderState
from layercli.data.types import Array, DataError
from layercli.engine.adapt import to_keras_inputs
from layercli.engine.keras_errors import model_error_types, summarize_error
from layercli.errors import LayercliError
from layercli.graph.finding import Finding
from layercli.graph.output_activation import layer_activation
from layercli.graph.output_kind import OutputKind, infer_output_kind
from layercli.source.nodes import sanitize_text

_FLUSH_ROWS = 4096
"""Rows that are collected before they are yielded."""
_FLUSH_BYTES = 1 << 26
"""Bytes of outputs that are yielded even if there are fewer rows."""


def predict_columns(
    model: Any,
    valid: ValidConfig,
    subset: Subset,
    reader_state: ReaderState,
    files: Sequence[str] | None,
    batch_size: int,
) -> Iterator[dict[str, Array]]:
    """Yield the prediction columns of consecutive rows: the file name, if each example is a file, then each output.

    Raises:
        LayercliError: Keras or a custom layer refuses the examples.
        DataError: a number is missing or infinite.
    """
    titles = valid.graph.output_references
    targets = [title if len(titles) > 1 else None for title in titles]
    pending: list[list[Array]] = []
    pending_rows = done = 0
    for batch in subset.batches(batch_size):
        _require_finite(batch, done + pending_rows)
        pending.append(_predict_batch(model, valid, to_keras_inputs(batch.x)))
        pending_rows += len(batch)
        pending_bytes = sum(array.nbytes for parts in pending for array in parts)
        if pending_rows >= _FLUSH_ROWS or pending_bytes >= _FLUSH_BYTES or done + pending_rows == len(subset):
            arrays = [np.concatenate(parts) for parts in zip(*pending, strict=True)]
            columns: dict[str, Array] = {}
            if files is not None:
                columns["file"] = np.array(files[done : done + pending_rows], dtype=object)
            for title, layer, target, array in zip(titles, valid.graph.outputs, targets, arrays, strict=True):
                kind = infer_output_kind(
                    valid.config,
                    title,
                    (None, *array.shape[1:]),
                    target_kind=reader_state.target_kinds.get(target),
                    activation=layer_activation(valid.shapes.by_name[layer]),
                )
                names = reader_state.class_names_of(target)
                columns |= {
                    name if target is None else f"{target}_{name}": column
                    for name, column in _output_columns(
                        array,
                        kind,
                        names,
                        are_numbers=_are_mapped_numbers(valid, target, names),
                        target_columns=reader_state.target_columns_of(target),
                    )
                }
            yield columns
            done, pending_rows, pending = done + pending_rows, 0, []


def _require_finite(batch: Examples, examples_before: int) -> None:
    """Refuse missing and infinite numbers: the outputs for them are NaN and select no class.

    Raises:
        DataError: names the first such value in each input column of this batch.
    """
    findings = []
    for name, array in batch.inputs:
        if array.dtype.kind != "f" or (finite := np.isfinite(array)).all():
            continue
        titles = batch.columns.get(name, ())
        positions = np.argwhere(~finite)
        has_names = len(titles) == array.shape[-1]
        _, firsts = np.unique(positions[:, -1], return_index=True) if has_names else (None, np.arange(1))
        for position in positions[firsts]:
            defect = "missing" if np.isnan(array[tuple(position)]) else "infinite"
            title = titles[position[-1]] if has_names else name or "input"
            message = f"`{sanitize_text(title, limit=60)}` is {defect} in example {examples_before + position[0] + 1}."
            hint = "Remove or replace these numbers. For a table, the training config can set `missing` to fill them."
            findings.append(Finding(code="not-finite", message=message, path=("data",), hint=hint))
    if findings:
        raise DataError(*findings)


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
