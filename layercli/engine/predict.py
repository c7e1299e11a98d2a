"""What a model gives for examples, a batch at a time, in words that people use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from layercli.check import ValidConfig
from layercli.data.examples import Array, DataError, Examples
from layercli.data.reader_state import ReaderState
from layercli.data.subset import Subset
from layercli.engine.adapt import fed
from layercli.engine.keras_errors import refusals, said
from layercli.errors import LayercliError
from layercli.graph.checks.output_kind import OutputKind, infer_output_kind
from layercli.graph.finding import Finding
from layercli.source.nodes import sanitize_text

_ROWS = 4096
"""Rows that are put together before they are written."""
_BYTES = 1 << 26
"""Bytes of outputs from which on they are written, however few rows they are."""


def predict(
    model: Any,
    valid: ValidConfig,
    part: Subset,
    learned: ReaderState,
    files: Sequence[str] | None,
    batch_size: int,
) -> Iterator[dict[str, Array]]:
    """Columns of some rows after the other: the file where each example is one, then what each output says.

    Raises:
        LayercliError: Keras, or a layer of the user's, refuses the examples.
        RefusedDataError: numbers are missing or infinite.
    """
    titles = valid.graph.output_references
    meanings = [infer_output_kind(valid.config, valid.shapes, index) for index in range(len(titles))]
    waiting: list[list[Array]] = []
    rows = done = 0
    for batch in part.batches(batch_size):
        _check_numbers(batch, done + rows)
        waiting.append(_outputs(model, valid, fed(batch.x)))
        rows += len(batch)
        held = sum(array.nbytes for parts in waiting for array in parts)
        if rows >= _ROWS or held >= _BYTES or done + rows == len(part):
            arrays = [np.concatenate(parts) for parts in zip(*waiting, strict=True)]
            columns: dict[str, Array] = {}
            if files is not None:
                columns["file"] = np.array(files[done : done + rows], dtype=object)
            for title, meaning, array in zip(titles, meanings, arrays, strict=True):
                names = learned.class_names
                if isinstance(names, Mapping):
                    names = names.get(title)
                prefix = f"{title}_" if len(titles) > 1 else ""
                columns |= {f"{prefix}{name}": column for name, column in _told(array, meaning, names)}
            yield columns
            done, rows, waiting = done + rows, 0, []


def _check_numbers(batch: Examples, before: int) -> None:
    """Refuse numbers that are missing or infinite: a model gives NaN for them, of which no class is the largest.

    Raises:
        RefusedDataError: there are some; the first of each input's columns in this batch is named.
    """
    found = []
    for name, array in batch.inputs:
        if array.dtype.kind != "f" or (finite := np.isfinite(array)).all():
            continue
        titles = batch.columns.get(name, ())
        places = np.argwhere(~finite)
        named = len(titles) == array.shape[-1]
        _, firsts = np.unique(places[:, -1], return_index=True) if named else (None, np.arange(1))
        for place in places[firsts]:
            what = "missing" if np.isnan(array[tuple(place)]) else "infinite"
            title = titles[place[-1]] if named else name or "input"
            message = f"`{sanitize_text(title, limit=60)}` is {what} in example {before + place[0] + 1}."
            hint = "Remove or replace such numbers; a run of a table fills them where its `missing` says how."
            found.append(Finding(code="not-finite", message=message, path=("data",), hint=hint))
    if found:
        raise DataError(*found)


def _outputs(model: Any, valid: ValidConfig, x: Any) -> list[Array]:
    try:
        found = model.predict_on_batch(x)
    except refusals(valid) as error:
        message = f"The model cannot predict: {said(error)}"
        hint = "The examples must fit the model's inputs."
        raise LayercliError(valid.make_problem(("data",), "prediction-failed", message, hint)) from error
    return [np.asarray(array) for array in tf.nest.flatten(found)]


def _told(output: Array, meaning: OutputKind, names: tuple[str, ...] | None) -> Iterator[tuple[str, Array]]:
    """Columns of one output: the class and the probability of each, or the numbers as they are."""
    if meaning.kind == "numbers":
        yield "prediction", output[:, 0] if output.ndim == 2 and output.shape[1] == 1 else output
        return
    scores = output.astype(np.float32)
    if meaning.is_logits:
        scores = tf.nn.softmax(scores).numpy() if meaning.kind == "classes" else tf.sigmoid(scores).numpy()
    if meaning.kind == "two":
        scores = np.concatenate([1 - scores, scores], axis=1)
    labels = scores.argmax(axis=1)
    fits = names is not None and len(names) == scores.shape[1]
    known = names if names is not None and fits else tuple(map(str, range(scores.shape[1])))
    yield "class", np.array(known, dtype=object)[labels] if fits else labels
    yield "probability", np.take_along_axis(scores, labels[:, None], axis=1)[:, 0]
    for index, name in enumerate(known):
        yield f"probability_{name}", scores[:, index]
