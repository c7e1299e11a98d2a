"""Results for classes: confusion counts, and precision, recall, F1 and IoU of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from layercli.data.evaluation.value_counts import ValueCounts
from layercli.data.types import Array

MAX_CONFUSION_CLASSES: Final = 1_000
"""Largest number of classes whose whole confusion matrix is returned."""


class ClassResult:
    """Counts of pairs of a true and a predicted class.

    ``majority`` is the class that a guess predicts, the most frequent one of training; None takes that of the added pairs.
    """

    def __init__(
        self, class_names: Sequence[str], *, has_positions: bool = False, majority: int | None = None
    ) -> None:
        self._majority = majority
        self._class_names = class_names
        self._has_positions = has_positions
        self._pairs = ValueCounts()

    def add(self, true: Array, predicted: Array) -> None:
        """Count pairs of class numbers: two integer arrays of the same shape."""
        self._pairs.add(true.astype(np.int64).ravel() * len(self._class_names) + predicted.ravel())

    @property
    def is_empty(self) -> bool:
        """Whether no pair was counted, for example because every position is masked."""
        return not len(self._pairs.values)

    def to_json(self) -> dict[str, Any]:
        """Return the confusion counts and the results of each class, as ``sklearn.metrics`` computes them."""
        from sklearn.metrics import precision_recall_fscore_support

        names, size = list(self._class_names), len(self._class_names)
        true, predicted = np.divmod(self._pairs.values, size)
        counts = self._pairs.counts
        arguments: dict[str, Any] = {
            "y_true": true,
            "y_pred": predicted,
            "labels": np.arange(size),
            "sample_weight": counts,
            "zero_division": 0,
        }
        precision, recall, f1, support = precision_recall_fscore_support(**arguments)
        rows = _make_class_rows(names, precision, recall, f1, support)
        document: dict[str, Any] = {"classes": names, "per_class": rows}
        for average in ("macro", "weighted"):
            values = precision_recall_fscore_support(**arguments, average=average)[:3]
            document[average] = dict(zip(("precision", "recall", "f1"), map(float, values), strict=True))
        total = int(counts.sum())
        majority = int(support.argmax()) if self._majority is None else self._majority
        document["baseline"] = {
            "targets": "evaluated" if self._majority is None else "training",
            "class": names[majority],
            "accuracy": float(support[majority]) / total,
        }
        if self._has_positions:
            self._add_overlaps(document, true, predicted, counts)
        if size <= MAX_CONFUSION_CLASSES:
            confusion = np.zeros((size, size), np.int64)
            confusion[true, predicted] = counts
            document["confusion"] = confusion.tolist()
        is_wrong = true != predicted
        order = np.lexsort((predicted[is_wrong], true[is_wrong], -counts[is_wrong]))[:10]
        document["most_confused"] = [
            {"class": names[a], "predicted": names[b], "count": int(count)}
            for a, b, count in zip(
                true[is_wrong][order], predicted[is_wrong][order], counts[is_wrong][order], strict=True
            )
        ]
        return document

    def _add_overlaps(self, document: dict[str, Any], true: Array, predicted: Array, counts: Array) -> None:
        """Add the intersection over union of each class, and their mean over the classes that occur."""
        size = len(self._class_names)
        both = np.bincount(true[true == predicted], counts[true == predicted], size)
        either = np.bincount(true, counts, size) + np.bincount(predicted, counts, size) - both
        overlaps = [float(x / y) if y else None for x, y in zip(both, either, strict=True)]
        for row, overlap in zip(document["per_class"], overlaps, strict=True):
            row["iou"] = overlap
        known = [overlap for overlap in overlaps if overlap is not None]
        document["mean_iou"] = sum(known) / len(known)


class LabelResult:
    """Counts for several labels, of which an example can have any number.

    ``majority`` says for each label whether a guess predicts it: whether most training examples have it; None takes
    that of the added examples.
    """

    def __init__(self, label_names: Sequence[str], *, majority: Array | None = None) -> None:
        self._names = label_names
        self._majority = majority
        self._examples = 0
        self._counts = np.zeros((3, len(label_names)), np.int64)

    def add(self, true: Array, predicted: Array) -> None:
        """Count labels: two boolean arrays of shape (..., labels)."""
        size = len(self._names)
        true, predicted = true.reshape(-1, size), predicted.reshape(-1, size)
        self._examples += len(true)
        self._counts += np.stack([(true & predicted).sum(0), true.sum(0), predicted.sum(0)])

    @property
    def is_empty(self) -> bool:
        """Whether no example was counted."""
        return not self._examples

    def to_json(self) -> dict[str, Any]:
        """Return the results of each label."""
        both, true, predicted = self._counts.astype(float)
        precision, recall = _divide(both, predicted), _divide(both, true)
        f1 = _divide(2 * both, true + predicted)
        names = list(self._names)
        rows = _make_class_rows(names, precision, recall, f1, true)
        shares = _divide(true, true.sum())
        return {
            "classes": names,
            "per_class": rows,
            "macro": _average(precision, recall, f1, np.full(len(names), 1 / len(names))),
            "weighted": _average(precision, recall, f1, shares),
            "baseline": self._compare_with_guess(true),
        }

    def _compare_with_guess(self, true: Array) -> dict[str, Any]:
        """Return the results of predicting the more frequent value of each label; ``true`` is the examples of each label."""
        is_guessed = true * 2 > self._examples if self._majority is None else self._majority
        shares = true / self._examples
        f1 = np.where(is_guessed, _divide(2 * true, true + self._examples), 0.0)
        return {
            "targets": "evaluated" if self._majority is None else "training",
            "labels": [name for name, is_one in zip(self._names, is_guessed, strict=True) if is_one],
            "accuracy": float(np.where(is_guessed, shares, 1 - shares).mean()),
            "f1": float(f1.mean()),
        }


def _make_class_rows(
    names: Sequence[str], precision: Array, recall: Array, f1: Array, support: Array
) -> list[dict[str, Any]]:
    """Return the results of each class as JSON values; ``support`` is the number of its examples."""
    return [
        {
            "class": name,
            "precision": float(precision[index]),
            "recall": float(recall[index]),
            "f1": float(f1[index]),
            "support": int(support[index]),
        }
        for index, name in enumerate(names)
    ]


def _divide(x: Array, y: Any) -> Array:
    """Return x / y, and 0 where y is 0."""
    result: Array = np.divide(x, y, out=np.zeros_like(x), where=np.asarray(y) > 0)
    return result


def _average(precision: Array, recall: Array, f1: Array, shares: Array) -> dict[str, float]:
    return {
        "precision": float(precision @ shares),
        "recall": float(recall @ shares),
        "f1": float(f1 @ shares),
    }
