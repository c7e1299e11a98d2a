"""What a report shows beyond the results of an evaluation, collected from the same predictions in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from layercli.data.evaluation.calibration import CalibrationResult
from layercli.data.evaluation.position_shares import PositionShares
from layercli.data.evaluation.selections import RandomPairs, RandomSample, TopExamples
from layercli.data.evaluation.value_counts import ValueCounts
from layercli.data.example_cards import UNNAMED_INPUT
from layercli.data.examples import Examples
from layercli.data.types import Array
from layercli.engine.output_values import interpret_output
from layercli.engine.results import OutputResults, find_used_positions
from layercli.graph.output_kind import OutputKind

SHOWN_EXAMPLES: Final = 12
_SHOWN_BYTES: Final = 128 << 20
"""Memory of the examples that are shown for one output."""
_MAX_PAIRS: Final = 1_500
_MAX_CURVES: Final = 10
"""Largest number of classes that have a curve each."""
_MAX_UNNAMED: Final = 40
"""Largest number of columns without names whose importance is computed; more are often pixels or signals."""
_CURVE_VALUES: Final = 50_000
"""Largest number of distinct scores of a class that are kept exactly."""
SAMPLE_SIZE: Final = 1_000
"""Examples of the sample for the importance of columns."""


@dataclass(slots=True)
class OutputDetails:
    """Details of one output."""

    results: OutputResults
    wrong: TopExamples
    uncertain: TopExamples | None = None
    """None for outputs without probabilities."""
    calibration: CalibrationResult | None = None
    pairs: RandomPairs | None = None
    """Predictions and targets of numbers."""
    class_scores: list[tuple[ValueCounts, ValueCounts]] = field(default_factory=list)
    """Probabilities of each class, of the examples of the other classes and of this one."""
    positions: PositionShares | None = None
    """The shares of correct positions, for an output with a class for each position."""
    count: int = 0
    """Number of examples."""

    def add(self, batch: Examples, target: Array, output: Array, mask: Array | None) -> None:
        """Add a batch: a target and an output of shapes (samples, ...)."""
        true, scores = (
            find_true_values(self.results, target, output),
            interpret_output(output, self.kind).scores,
        )
        errors, used = _sum_errors(self.results, true, output, mask)
        wrongness = np.where(used > 0, errors / np.maximum(used, 1), np.nan)
        if self.positions is not None:
            self.positions.add(used - errors, used)
        self.wrong.add(wrongness, self.count, batch, true, scores)
        if self.uncertain is not None:
            certainty = _measure_certainty(self.kind, scores)
            self.uncertain.add(
                np.where(np.isnan(wrongness), np.nan, -certainty), self.count, batch, true, scores
            )
        if self.calibration is not None:
            self._add_probabilities(true, scores.astype(np.float64))
        if self.pairs is not None:
            self.pairs.add(scores, true)
        self.count += len(batch)

    @property
    def kind(self) -> OutputKind:
        """The meaning of the output."""
        return self.results.kind

    def _add_probabilities(self, true: Array, scores: Array) -> None:
        assert self.calibration is not None
        is_used = np.isfinite(scores).all(axis=-1)
        if self.kind.kind == "two":
            self.calibration.add(scores[is_used, 0], true[is_used] == 1)
            return
        is_used &= (true >= 0) & (true < scores.shape[-1]) & (true != self.results.ignored_class)
        true, scores = true[is_used], scores[is_used]
        predicted = scores.argmax(-1)
        self.calibration.add(scores[np.arange(len(scores)), predicted], predicted == true)
        for index, (others, own) in enumerate(self.class_scores):
            others.add(scores[true != index, index])
            own.add(scores[true == index, index])


class DetailCollector:
    """Collects the details of every output; ``observe`` is an observer of ``collect_results``."""

    def __init__(self, *, shown_examples: int = SHOWN_EXAMPLES) -> None:
        self._shown_examples = shown_examples
        self._sample = RandomSample(SAMPLE_SIZE)
        self._first_title: str | None = None
        self.outputs: dict[str, OutputDetails] = {}

    @property
    def sample(self) -> Examples | None:
        """A random sample of the examples if an input of theirs has columns with names."""
        return self._sample.examples

    def observe(
        self,
        title: str,
        results: OutputResults,
        batch: Examples,
        target: Array,
        output: Array,
        mask: Array | None,
    ) -> None:
        """Add a batch of an output."""
        if self._first_title is None:
            self._first_title = title
        if title == self._first_title and find_columns(batch):
            self._sample.add(batch)
        if title not in self.outputs:
            shown = min(self._shown_examples, _SHOWN_BYTES // max(1, batch.count_example_bytes()))
            self.outputs[title] = _make_details(results, output, max(1, shown))
        self.outputs[title].add(batch, target, output, mask)


def _make_details(results: OutputResults, output: Array, shown: int) -> OutputDetails:
    kind, details = results.kind, OutputDetails(results, TopExamples(shown))
    if output.ndim > 2 and kind.kind in ("two", "classes", "sign"):
        details.positions = PositionShares()
    if kind.kind == "numbers":
        details.pairs = RandomPairs(_MAX_PAIRS)
    if output.ndim > 2 or kind.kind not in ("two", "classes") or not kind.has_probabilities:
        return details
    if kind.kind == "classes" and not _are_probabilities(interpret_output(output, kind).scores):
        return details
    details.uncertain, details.calibration = TopExamples(shown), CalibrationResult()
    if kind.kind == "classes" and output.shape[-1] <= _MAX_CURVES:
        details.class_scores = [
            (ValueCounts(_CURVE_VALUES), ValueCounts(_CURVE_VALUES)) for _ in range(output.shape[-1])
        ]
    return details


def _are_probabilities(scores: Array) -> bool:
    """Return whether the scores of several classes are probabilities; the activation may be missing."""
    finite = scores[np.isfinite(scores).all(axis=-1)]
    return bool((finite >= 0).all() and (np.abs(finite.sum(-1) - 1) < 1e-2).all())


def find_columns(examples: Examples) -> list[tuple[str | None, int, str]]:
    """Return the input, the index and the name of each column of a table, and of each of a few numbers without names."""
    found: list[tuple[str | None, int, str]] = []
    for name, array in examples.inputs:
        columns = examples.columns.get(name, ())
        if array.ndim == 2 and not columns and array.dtype.kind in "fiu" and array.shape[1] <= _MAX_UNNAMED:
            columns = tuple(f"{name or UNNAMED_INPUT}[{index}]" for index in range(array.shape[1]))
        if array.ndim > 1 and array.shape[-1] == len(columns):
            found += [(name, index, column) for index, column in enumerate(columns)]
    return found


def find_true_values(results: OutputResults, target: Array, output: Array) -> Array:
    """Return the true class of each example or position, the true labels, or the true numbers.

    Classes have the shape of an output without its units, labels and numbers that of the output.
    """
    kind = results.kind
    if kind.kind == "numbers":
        return target.reshape(output.shape)
    if kind.kind == "labels":
        return np.asarray(target.reshape(output.shape) > kind.threshold)
    return results.find_true_classes(target, np.empty(output.shape[:-1], np.int64), output.shape[-1])


def measure_wrongness(results: OutputResults, true: Array, output: Array, mask: Array | None) -> Array:
    """Return how wrong each prediction is: of shape (samples,), NaN for examples without a class or a finite prediction.

    For one class of several it is the highest score minus that of the true class, for positions the share of wrong ones,
    and for scores, labels and numbers the mean absolute error.
    """
    sums, counts = _sum_errors(results, true, output, mask)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _sum_errors(
    results: OutputResults, true: Array, output: Array, mask: Array | None
) -> tuple[Array, Array]:
    """Return the sum of the errors and the number of used positions of each example: both of shape (samples,)."""
    kind, values = results.kind, interpret_output(output, results.kind)
    scores = values.scores.astype(np.float64)
    is_used = find_used_positions(output, mask) & np.isfinite(output).all(axis=-1)
    if kind.kind in ("numbers", "labels"):
        errors = np.abs(scores - true).mean(axis=-1)
    elif output.ndim > 2:
        errors = np.not_equal(np.asarray(values.predicted), true).astype(np.float64)
    elif kind.kind == "classes":
        is_known = (true >= 0) & (true < output.shape[-1])
        errors = scores.max(-1) - scores[np.arange(len(true)), np.where(is_known, true, 0)]
    elif kind.kind == "two":
        errors = np.abs(scores[:, 0] - true)
    else:
        errors = scores[:, 0] * (1 - 2 * true)
    if kind.kind == "classes":
        is_used &= (true >= 0) & (true < output.shape[-1]) & (true != results.ignored_class)
    counts = is_used.reshape(len(true), -1).sum(1)
    sums = np.where(is_used, errors, 0).reshape(len(true), -1).sum(1)
    return sums, counts


def select_wrong(details: OutputDetails) -> TopExamples:
    """Return the most wrong examples without correct ones; all of them if none is wrong, and for numbers."""
    found, kind = details.wrong, details.kind
    if kind.kind == "numbers" or found.examples is None:
        return found
    if details.positions is not None:
        is_wrong = np.asarray(found.scores > 0)
    elif kind.kind == "labels":
        is_wrong = np.asarray(np.not_equal(found.outputs > kind.threshold, found.targets).any(axis=-1))
    elif kind.kind == "classes":
        is_wrong = np.not_equal(found.outputs.argmax(axis=-1), found.targets)
    else:
        is_wrong = np.not_equal(found.outputs[:, 0] > kind.threshold, found.targets == 1)
    return found.select(is_wrong) if is_wrong.any() else found


def _measure_certainty(kind: OutputKind, scores: Array) -> Array:
    """Return the distance of the highest probability from the second highest: of shape (samples,)."""
    if kind.kind == "two":
        return np.asarray(np.abs(2 * scores[:, 0] - 1))
    highest = np.partition(scores, -2, axis=-1)[:, -2:]
    return np.asarray(highest[:, 1] - highest[:, 0])
