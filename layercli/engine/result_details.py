"""What a report shows beyond the results of an evaluation, collected from the same predictions in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from layercli.data.evaluation.calibration import CalibrationResult
from layercli.data.evaluation.selections import RandomPairs, RandomSample, TopExamples
from layercli.data.evaluation.value_counts import ValueCounts
from layercli.data.example_cards import UNNAMED_INPUT
from layercli.data.examples import Examples
from layercli.data.types import Array
from layercli.engine.results import OutputResults, is_logits

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
    count: int = 0
    """Number of examples."""

    def add(self, batch: Examples, target: Array, output: Array, mask: Array | None) -> None:
        """Add a batch: a target and an output of shapes (samples, ...)."""
        values = to_probabilities(self.results, output)
        wrongness = measure_wrongness(self.results, target, values, mask)
        if wrongness is not None:
            self.wrong.add(wrongness, self.count, batch, target, values)
        if self.uncertain is not None:
            self.uncertain.add(-_measure_certainty(self.results, values), self.count, batch, target, values)
        if self.calibration is not None:
            self._add_probabilities(target, values)
        if self.pairs is not None:
            self.pairs.add(values, target.reshape(values.shape))
        self.count += len(batch)

    def _add_probabilities(self, target: Array, values: Array) -> None:
        assert self.calibration is not None
        kind = self.results.meaning.kind
        if kind == "binary":
            self.calibration.add(values, target.reshape(values.shape) > 0.5)
            return
        true = to_class_numbers(kind, target)
        is_used = self._select_used(true, values.shape[-1])
        true, values = true[is_used], values[is_used]
        predicted = values.argmax(-1)
        self.calibration.add(values[np.arange(len(values)), predicted], predicted == true)
        for index, (others, own) in enumerate(self.class_scores):
            others.add(values[true != index, index])
            own.add(values[true == index, index])

    def _select_used(self, true: Array, classes: int) -> Array:
        """Return which examples have a class, as the results count them."""
        ignored = getattr(self.results.loss, "ignore_class", None)
        is_used: Array = (true >= 0) & (true < classes)
        return is_used if ignored is None else is_used & (true != ignored)


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
    kind, details = results.meaning.kind, OutputDetails(results, TopExamples(shown))
    if kind == "numbers":
        details.pairs = RandomPairs(_MAX_PAIRS)
    if results.meaning.has_positions or kind not in ("binary", "labels", "one-hot"):
        return details
    if kind != "binary" and not _are_probabilities(results, output):
        return details
    details.uncertain, details.calibration = TopExamples(shown), CalibrationResult()
    if kind != "binary" and 2 < output.shape[-1] <= _MAX_CURVES:
        details.class_scores = [
            (ValueCounts(_CURVE_VALUES), ValueCounts(_CURVE_VALUES)) for _ in range(output.shape[-1])
        ]
    return details


def _are_probabilities(results: OutputResults, output: Array) -> bool:
    values = to_probabilities(results, output)
    return bool((values >= 0).all() and (np.abs(values.sum(-1) - 1) < 1e-2).all())


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


def to_probabilities(results: OutputResults, output: Array) -> Array:
    """Return probabilities for an output of logits, and any other output unchanged: float64 of the same shape."""
    values = output.astype(np.float64)
    if not is_logits(results.loss):
        return values
    if results.meaning.kind in ("labels", "one-hot") and values.shape[-1] > 1:
        powers = np.exp(values - values.max(-1, keepdims=True))
        shares: Array = powers / powers.sum(-1, keepdims=True)
        return shares
    sigmoid: Array = 1 / (1 + np.exp(-np.clip(values, -700, 700)))
    return sigmoid


def to_class_numbers(kind: str, target: Array) -> Array:
    """Return the class of each example or position from labels of shape (samples, ...) or vectors of shape (..., classes)."""
    if kind in ("one-hot", "probabilities"):
        return np.asarray(target.argmax(-1))
    return target.astype(np.int64).reshape(len(target), *([-1] if target[:1].size > 1 else []))


def measure_wrongness(
    results: OutputResults, target: Array, values: Array, mask: Array | None
) -> Array | None:
    """Return how wrong each prediction is, of shape (samples,); None if the shapes do not fit each other.

    For one class of several it is 1 minus the probability of the true one, for positions the share of wrong ones, and for
    numbers the mean absolute error. Examples without a class are NaN.
    """
    kind, samples = results.meaning.kind, len(target)
    if not samples:
        return None
    if kind in ("labels", "one-hot"):
        true = to_class_numbers(kind, target)
        if values.ndim == 2 and true.ndim == 1:
            is_known = (true >= 0) & (true < values.shape[-1])
            own = values[np.arange(samples), np.where(is_known, true, 0)]
            highest = values.max(-1)
            # By the margin: it also orders outputs that are not probabilities.
            return np.where(is_known, highest - own, np.nan)
        predicted = values.argmax(-1).reshape(samples, -1)
        if predicted.size != true.size:
            return None
        true = true.reshape(predicted.shape)
        is_used = (true >= 0) & (true < values.shape[-1])
        if mask is not None and mask.size == true.size:
            is_used &= mask.reshape(true.shape)
        counts = is_used.sum(1)
        wrong = ((predicted != true) & is_used).sum(1)
        return np.where(counts > 0, wrong / np.maximum(counts, 1), np.nan)
    if target.size != values.size:
        return None
    differences = np.abs(target.reshape(values.shape).astype(np.float64) - values)
    return np.asarray(differences.reshape(samples, -1).mean(1))


def _measure_certainty(results: OutputResults, values: Array) -> Array:
    """Return the distance of the highest probability from the second highest: of shape (samples,)."""
    if results.meaning.kind == "binary":
        return np.asarray(np.abs(2 * values.reshape(len(values), -1)[:, 0] - 1))
    highest = np.partition(values, -2, axis=-1)[:, -2:]
    return np.asarray(highest[:, 1] - highest[:, 0])
