"""Permutation importance: how much worse a model becomes if the values of one column are shuffled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from layercli.activity import show_activity
from layercli.data.examples import Examples
from layercli.data.types import Array
from layercli.engine.output_values import Predictor, interpret_output
from layercli.engine.result_details import OutputDetails, find_columns, find_true_values, measure_wrongness

MAX_PREDICTIONS: Final = 200_000
"""Examples that are predicted at most for all columns together."""
MAX_FLOPS: Final = 20_000_000_000
"""Floating-point operations of these predictions."""
_REPEATS: Final = 5
_MIN_REPEATS: Final = 2
_MIN_EXAMPLES: Final = 50
_UNKNOWN_FLOPS: Final = 1_000_000
_BATCH: Final = 1_000


@dataclass(frozen=True, slots=True)
class ColumnImportance:
    """The importance of a column: the mean and the deviation over the repeats."""

    column: str
    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Importance:
    """The importance of each column for one output, the most important first."""

    measure: str
    """What becomes worse."""
    baseline: float
    columns: Sequence[ColumnImportance]
    examples: int
    repeats: int


class ImportanceBudgetError(Exception):
    """More columns than the budget of predictions allows."""


def plan_importance(columns: int, examples: int, flops: int | None) -> tuple[int, int]:
    """Return the number of examples and of repeats that the budget allows.

    Raises:
        ImportanceBudgetError: It does not allow enough.
    """
    budget = min(MAX_PREDICTIONS, MAX_FLOPS // max(1, flops or _UNKNOWN_FLOPS))
    for repeats in range(_REPEATS, _MIN_REPEATS - 1, -1):
        affordable = budget // (columns * repeats)
        if affordable >= min(examples, _MIN_EXAMPLES if repeats == _MIN_REPEATS else examples):
            return min(examples, affordable), repeats
    raise ImportanceBudgetError


@show_activity("Measuring the importance of inputs")
def compute_importance(
    predict: Predictor,
    outputs: Mapping[str, OutputDetails],
    titles: Sequence[str],
    sample: Examples,
    *,
    flops: int | None,
    seed: int = 0,
) -> dict[str, Importance]:
    """Return the importance of the columns of a sample for each output, as ``sklearn.inspection`` computes it.

    Raises:
        ImportanceBudgetError: There are too many columns.
    """
    from sklearn.inspection import permutation_importance

    columns = find_columns(sample)
    if not columns or not len(sample):
        return {}
    count, repeats = plan_importance(len(columns), len(sample), flops)
    model = _RowModel(predict, outputs, titles, sample.take(slice(0, count)))
    rows = np.tile(np.arange(count)[:, None], (1, len(columns)))
    with show_activity(None, len(columns) * repeats + 1) as activity:

        def score(model: _RowModel, rows: Array, y: Any) -> dict[str, float]:
            scores = _score(model, rows, y)
            activity.done += 1
            return scores

        results = permutation_importance(
            model, rows, np.arange(count), scoring=score, n_repeats=repeats, random_state=seed
        )
    baselines = _score(model, rows, None)
    return {
        title: Importance(
            model.measures[title],
            baselines[title],
            sorted(
                (
                    ColumnImportance(name, float(mean), float(deviation))
                    for (_, _, name), mean, deviation in zip(
                        columns, result.importances_mean, result.importances_std, strict=True
                    )
                ),
                key=lambda column: -column.mean,
            ),
            count,
            repeats,
        )
        for title, result in results.items()
    }


class _RowModel:
    """A model whose input has, for each column, the row of the sample from which its value comes.

    So that scikit-learn can shuffle columns of any type, of several inputs.
    """

    def __init__(
        self,
        predict: Predictor,
        outputs: Mapping[str, OutputDetails],
        titles: Sequence[str],
        sample: Examples,
    ) -> None:
        self._predict, self._outputs, self._titles, self._sample = predict, outputs, titles, sample
        self._columns = find_columns(sample)
        self._targets = dict(sample.targets)
        self.measures = {title: self._choose_measure(title) for title in outputs}

    def fit(self, *_: Any) -> None:
        """Do nothing: scikit-learn requires the method."""

    def score(self, rows: Array) -> dict[str, float]:
        """Return the score of each output for rows of shape (samples, columns); a higher one is better."""
        arrays = {name: array.copy() for name, array in self._sample.inputs}
        unchanged = np.arange(len(rows))
        for position, (name, index, _) in enumerate(self._columns):
            if (rows[:, position] != unchanged).any():
                arrays[name][..., index] = dict(self._sample.inputs)[name][rows[:, position]][..., index]
        predicted = self._predict_all(arrays)
        return {title: self._score_output(title, predicted[title]) for title in self._outputs}

    def _predict_all(self, arrays: Mapping[str | None, Array]) -> dict[str, tuple[Array, Array | None]]:
        parts = []
        for start in range(0, len(self._sample), _BATCH):
            chunk = {name: array[start : start + _BATCH] for name, array in arrays.items()}
            rows = self._sample.take(slice(start, start + _BATCH))
            parts.append(self._predict(rows.map_inputs(lambda name, _, chunk=chunk: chunk[name])))  # type: ignore[misc]
        merged = {}
        for title, pieces in zip(self._titles, zip(*parts, strict=True), strict=True):
            masks = [mask for _, mask in pieces if mask is not None]
            mask = np.concatenate(masks) if len(masks) == len(pieces) else None
            merged[title] = np.concatenate([output for output, _ in pieces]), mask
        return merged

    def _choose_measure(self, title: str) -> str:
        kind = self._outputs[title].kind.kind
        if kind == "numbers":
            return "mean absolute error"
        target = self._target_of(title)
        is_both = kind == "two" and target[:1].size == 1 and len(np.unique(target > 0.5)) == 2
        return "ROC-AUC" if is_both else "accuracy"

    def _target_of(self, title: str) -> Array:
        return self._targets[title] if title in self._targets else self._targets[None]

    def _score_output(self, title: str, predicted: tuple[Array, Array | None]) -> float:
        from sklearn.metrics import roc_auc_score

        results, (output, mask) = self._outputs[title].results, predicted
        true = find_true_values(results, self._target_of(title), output)
        if self.measures[title] == "mean absolute error":
            return -float(np.nanmean(measure_wrongness(results, true, output, mask)))
        values = interpret_output(output, results.kind)
        if self.measures[title] == "ROC-AUC":
            return float(roc_auc_score(true.ravel(), values.scores.ravel()))
        return float(np.equal(np.asarray(values.predicted), true).mean())


def _score(model: _RowModel, rows: Array, _: object) -> dict[str, float]:
    return model.score(rows)
