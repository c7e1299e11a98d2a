"""The folds of a cross-validation: which examples are for training, validation and testing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np

from layercli.config.data.section import FoldConfig, SplitConfig
from layercli.data.examples import Dataset
from layercli.data.split import split_rows
from layercli.data.split_datasets import KeyedDataset
from layercli.data.split_keys import SplitKeys
from layercli.data.tables.windows import WindowedDataset
from layercli.data.types import Array, DataError
from layercli.graph.finding import Finding

UNUSED = 3
"""The split of examples that are in no set: those after the fold in chronological folds."""


def assign_fold(dataset: Dataset, split: SplitConfig, *, seed: int, shuffle: bool) -> Array:
    """Return the split (0, 1, 2, or ``UNUSED``) of each example, or of each row for windows: uint8.

    The folds are those of scikit-learn: StratifiedKFold with `stratify`, GroupKFold with `group`, StratifiedGroupKFold with
    both, TimeSeriesSplit with `order`, for windows and without `shuffle`, and else KFold. Validation examples are taken from
    the other examples as without folds.

    Raises:
        DataError: there are too few examples, or too few of a group or class, for the folds.
    """
    assert split.fold is not None
    keys = dataset.keys if isinstance(dataset, KeyedDataset) else None
    inner = dataset.dataset if isinstance(dataset, KeyedDataset) else dataset
    rest = split.model_copy(update={"test": 0, "fold": None})
    if keys is None and isinstance(inner, WindowedDataset):
        return _assign_windows(inner, split.fold, rest)
    count = len(dataset) if keys is None else len(keys.values)
    strata = dataset.read_strata() if split.stratify else None
    train_rows, test_rows = _choose_rows(
        count, split.fold, seed=seed, shuffle=shuffle, strata=strata, keys=keys
    )
    assigned = np.full(count, UNUSED, dtype=np.uint8)
    assigned[test_rows] = 2
    assigned[train_rows] = _assign_rest(
        train_rows, rest, seed=seed, shuffle=shuffle, strata=strata, keys=keys
    )
    return assigned


def _choose_rows(
    count: int, fold: FoldConfig, *, seed: int, shuffle: bool, strata: Array | None, keys: SplitKeys | None
) -> tuple[Array, Array]:
    """Return the rows to train on, in order, and those of the fold."""
    splitter, order, groups = _make_splitter(
        count, fold, seed=seed, shuffle=shuffle, strata=strata, keys=keys
    )
    classes = strata if strata is not None else np.zeros(count, dtype=np.int64)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a class with fewer examples than folds
            pairs: Iterator[tuple[Array, Array]] = splitter.split(order, classes[order], groups)
            train, test = next(pair for number, pair in enumerate(pairs, start=1) if number == fold.number)
    except ValueError:
        _raise_too_few(count, fold, groups=groups, strata=strata)
    return order[train], order[test]


def _make_splitter(
    count: int, fold: FoldConfig, *, seed: int, shuffle: bool, strata: Array | None, keys: SplitKeys | None
) -> tuple[Any, Array, Array | None]:
    """Return the splitter of scikit-learn, the order of the rows, and the group of each."""
    from sklearn import model_selection

    rows = np.arange(count)
    state = seed + fold.repeat - 1
    random = {"shuffle": True, "random_state": state} if shuffle else {}
    if keys is not None and keys.key == "order":
        return model_selection.TimeSeriesSplit(fold.folds), np.argsort(keys.values, kind="stable"), None
    if keys is not None and strata is None and fold.repeat == 1:
        return model_selection.GroupKFold(fold.folds), rows, keys.values
    if keys is not None:
        return model_selection.StratifiedGroupKFold(fold.folds, **random), rows, keys.values
    if strata is not None:
        return model_selection.StratifiedKFold(fold.folds, **random), rows, None
    if not shuffle:
        return model_selection.TimeSeriesSplit(fold.folds), rows, None
    return model_selection.KFold(fold.folds, **random), rows, None


def _assign_rest(
    rows: Array, rest: SplitConfig, *, seed: int, shuffle: bool, strata: Array | None, keys: SplitKeys | None
) -> Array:
    """Return whether each of the rows outside the fold is for training (0) or validation (1)."""
    if not rest.counts(len(rows))[1]:
        return np.zeros(len(rows), dtype=np.uint8)
    row_strata = None if strata is None else np.unique(strata[rows], return_inverse=True)[1]
    if keys is None:
        parts = split_rows(row_strata, len(rows), rest, seed=seed, shuffle=shuffle)
        assigned = np.zeros(len(rows), dtype=np.uint8)
        assigned[parts[1]] = 1
        return assigned
    values = keys.values[rows]
    if keys.key == "group":
        values = np.unique(values, return_inverse=True)[1]
    return SplitKeys(keys.key, keys.column, values).assign_rows(
        rest, strata=row_strata, seed=seed if shuffle else None
    )


def _assign_windows(dataset: WindowedDataset, fold: FoldConfig, rest: SplitConfig) -> Array:
    """Return the split of each row of a table of series: each series is divided as TimeSeriesSplit does."""
    count = len(dataset.rows)
    assigned = np.full(count, UNUSED, dtype=np.uint8)
    edges = np.unique(np.concatenate([dataset.row_order.series_starts, [0, count]]))
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        size = (end - start) // (fold.folds + 1)
        test_start = end - (fold.folds - fold.number + 1) * size
        train = rest.counts(test_start - start)[0]
        positions = np.arange(start, test_start + size)
        splits = np.repeat([0, 1, 2], [train, test_start - start - train, size])
        assigned[dataset.row_order.map_to_rows(positions)] = splits
    if not (assigned == 2).any():
        _raise_too_few(count, fold, groups=None, strata=None)
    return assigned


def _raise_too_few(count: int, fold: FoldConfig, *, groups: Array | None, strata: Array | None) -> NoReturn:
    subject, number = "examples", count
    if groups is not None:
        subject, number = "groups", len(np.unique(groups))
    elif strata is not None:
        subject, number = "examples of each class", int(np.bincount(strata).max())
    message = f"{fold.folds} folds need at least {fold.folds} {subject}, got {number}."
    hint = "Use fewer folds."
    raise DataError(Finding(code="bad-split", message=message, path=("data", "split", "fold"), hint=hint))
