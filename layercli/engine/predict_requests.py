"""Predict the examples of several requests together, with the outputs that each request has by itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final, TypeAlias

import numpy as np

from layercli.check import ValidConfig
from layercli.data.examples import Examples, concatenate_examples
from layercli.data.new_examples import NewExamples
from layercli.data.reader_state import ReaderState
from layercli.data.types import Array
from layercli.engine.keras_errors import model_error_types
from layercli.engine.output_values import make_group_predictor, make_predictor
from layercli.engine.predict import make_blank_example, name_columns, predict_batch
from layercli.errors import LayercliError

Columns: TypeAlias = dict[str, Array]
_PROBE_ROWS: Final = (1, 2, 3)
"""Numbers of examples with which the start compares both ways of computing."""
_PROBE_BATCHES: Final = 3


class RequestPredictor:
    """Computes the columns of ``predict`` for the examples of several requests.

    The examples of a request are computed in the batches in which ``predict`` computes a file that contains only them.
    Batches of the same shapes are computed in one call, each by itself.
    """

    def __init__(self, model: Any, valid: ValidConfig, reader_state: ReaderState, batch_size: int) -> None:
        self._valid = valid
        self._reader_state = reader_state
        self._batch_size = batch_size
        self._predict = make_predictor(model)
        self._predict_group = make_group_predictor(model)
        self.can_group = False
        """Whether batches have the same bits in a common call as in separate calls; ``compile`` finds out."""

    def compile(self, examples: Examples) -> list[Array]:
        """Compile the model for examples of these shapes, and return the outputs for one.

        Raises:
            LayercliError: the model cannot be called.
        """
        blank = make_blank_example(examples)
        outputs = predict_batch(self._predict, self._valid, blank)
        self.can_group = self._is_group_exact(blank)
        return outputs

    def _is_group_exact(self, blank: Examples) -> bool:
        """Return whether random batches have the same bits in a group as in separate calls."""
        random = np.random.default_rng(0)

        def fill(_name: str | None, array: Array) -> Array:
            numbers: Array = array
            if array.dtype.kind == "u":  # images
                numbers = np.asarray(random.integers(0, 256, array.shape), array.dtype)
            elif array.dtype.kind == "f":
                numbers = np.asarray(random.standard_normal(array.shape), array.dtype)
            return numbers

        errors: tuple[type[BaseException], ...] = (LayercliError, *model_error_types(self._valid))
        try:
            for rows in _PROBE_ROWS:
                whole = concatenate_examples([blank] * rows)
                batches = [whole.map_inputs(fill) for _ in range(_PROBE_BATCHES)]
                separate = [predict_batch(self._predict, self._valid, batch) for batch in batches]
                if not _have_same_bits(separate, self._predict_group(batches)):
                    return False
        except errors:
            return False
        return True

    def predict(self, pieces: Sequence[NewExamples]) -> list[Columns | LayercliError]:
        """Return the columns of each piece, or the error of the model for its examples."""
        batches: list[Examples] = []
        counts: list[int] = []
        for piece in pieces:
            found = list(piece.examples.batches(self._batch_size)) or [make_blank_example(piece.examples)]
            batches += found
            counts.append(len(found))
        outputs = iter(self._compute_outputs(batches))
        return [
            self._join_batches(piece, list(islice(outputs, count)))
            for piece, count in zip(pieces, counts, strict=True)
        ]

    def _join_batches(
        self, piece: NewExamples, parts: Sequence[list[Array] | LayercliError]
    ) -> Columns | LayercliError:
        arrays = []
        for part in parts:
            if isinstance(part, LayercliError):
                return part
            arrays.append(part)
        outputs = [np.concatenate(each) for each in zip(*arrays, strict=True)]
        if not len(piece.examples):
            outputs = [output[:0] for output in outputs]
        return name_columns(self._valid, self._reader_state, piece, outputs)

    def _compute_outputs(self, batches: Sequence[Examples]) -> list[list[Array] | LayercliError]:
        """Return the outputs of each batch."""
        groups: dict[Any, list[int]] = {}
        for index, batch in enumerate(batches):
            shapes = tuple((name, array.shape, array.dtype.str) for name, array in batch.inputs)
            groups.setdefault(shapes, []).append(index)
        results: list[list[Array] | LayercliError | None] = [None] * len(batches)
        for group in groups.values():
            for index, result in zip(group, self._compute_group([batches[i] for i in group]), strict=True):
                results[index] = result
        return [result for result in results if result is not None]

    def _compute_group(self, batches: Sequence[Examples]) -> Sequence[list[Array] | LayercliError]:
        if len(batches) > 1 and self.can_group:
            try:
                return self._predict_group(batches)
            except model_error_types(self._valid):  # of one of them: it is found below
                pass
        return [self._compute_batch(batch) for batch in batches]

    def _compute_batch(self, batch: Examples) -> list[Array] | LayercliError:
        try:
            return predict_batch(self._predict, self._valid, batch)
        except LayercliError as error:
            return error


def _have_same_bits(first: Sequence[Sequence[Array]], second: Sequence[Sequence[Array]]) -> bool:
    return all(
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
        for outputs, others in zip(first, second, strict=True)
        for one, other in zip(outputs, others, strict=True)
    )
