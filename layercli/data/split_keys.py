"""Assign examples to training, validation and test by the values of a column: a group, an order, or the name of a set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn, TypeAlias

import numpy as np

from layercli.config.data.section import SplitConfig
from layercli.data.types import Array, DataError
from layercli.graph.finding import Finding
from layercli.source.nodes import quote_value, sanitize_text

SPLIT_OF_NAME: Final[Mapping[str, int]] = {
    "train": 0,
    "validation": 1,
    "val": 1,
    "valid": 1,
    "dev": 1,
    "test": 2,
}
"""The names of the sets in a split column, in lower case -> the index of the set."""

SPLIT_KEY_HINTS: Final[Mapping[str, str]] = {
    "group": "Give each example a group, or remove those without one.",
    "order": "Correct these values, such as to 2024-01-31, or remove those examples.",
    "column": "The names of the sets are train, validation (or val, valid, dev) and test.",
}

SplitKey: TypeAlias = Literal["group", "order", "column"]
"""The key of ``split`` that names the column."""


@dataclass(frozen=True, slots=True)
class SplitKeys:
    """The values of the column that determines the set of each example."""

    key: SplitKey
    column: str
    values: Array
    """The keys, of shape (samples,): numbers of groups from 0, numbers to sort by, or indices of sets."""

    def assign_rows(self, split: SplitConfig, *, strata: Array | None, seed: int | None) -> Array:
        """Return the split (0, 1, 2) of each example: uint8 of shape (samples,).

        ``strata`` is the class of each example if the split is stratified; without a seed, groups keep their order.

        Raises:
            DataError: there are too few groups.
        """
        if self.key == "column":
            return self.values.astype(np.uint8)
        if self.key == "order":
            return split_by_order(self.values, split)
        groups = int(self.values.max(initial=-1)) + 1
        sizes = split.counts(len(self.values))
        requested = 1 + sum(size > 0 for size in sizes[1:])
        if groups < requested:
            _raise_too_few_groups(self.column, groups, requested)
        group_splits = (
            assign_groups(np.bincount(self.values, minlength=groups), sizes, seed)
            if strata is None
            else assign_stratified_groups(_count_classes(self.values, strata, groups), sizes, seed)
        )
        return group_splits[self.values]


def make_split_keys(key: str, name: str, array: Any, samples: int) -> SplitKeys:
    """Return the keys of an array that `split` names, with one value for each example.

    Raises:
        DataError: values are missing or cannot be used.
    """
    title = sanitize_text(name, limit=60)
    if not isinstance(array, np.ndarray) or array.shape != (samples,):
        _raise_bad_key(
            key, f"`{title}` must have one value for each of {samples} examples, got the shape {array.shape}."
        )
    is_missing = (
        array == ""
        if array.dtype.kind == "O"
        else np.isnat(array)
        if array.dtype.kind in "mM"
        else array != array
    )
    if is_missing.any():
        _raise_bad_key(key, f"`{title}` is missing in row {int(is_missing.argmax()) + 1}.")
    if key == "group":
        return SplitKeys("group", name, number_groups(array))
    if key == "order":
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = int(np.isinf(array).argmax())
            received = quote_value(float(array[row]))
            _raise_bad_key(key, f"`{title}` must be a number or a date, got {received} in row {row + 1}.")
        if array.dtype.kind == "O":
            try:
                array = array.astype(str).astype("datetime64[us]")
            except ValueError:
                _raise_bad_key(key, f"`{title}` must contain numbers or dates, got text.")
        return SplitKeys("order", name, array.astype(np.int64) if array.dtype.kind in "mMb" else array)
    splits = [SPLIT_OF_NAME.get(str(value).strip().lower(), -1) for value in array.tolist()]
    if -1 in splits:
        row = splits.index(-1)
        received = quote_value(array[row].item() if isinstance(array[row], np.generic) else array[row])
        _raise_bad_key(key, f"`{title}` must be train, validation or test, got {received} in row {row + 1}.")
    return SplitKeys("column", name, np.array(splits, dtype=np.uint8))


def number_groups(array: Array) -> Array:
    """Return the number of each value, from 0 in the order of their first rows: of shape (samples,)."""
    _, first_rows, inverse = np.unique(
        array.astype(str) if array.dtype.kind == "O" else array, return_index=True, return_inverse=True
    )
    return np.asarray(np.argsort(np.argsort(first_rows))[inverse])


def _raise_bad_key(key: str, message: str) -> NoReturn:
    raise DataError(
        Finding(code="bad-split", message=message, path=("data", "split", key), hint=SPLIT_KEY_HINTS[key])
    )


def split_by_order(values: Array, split: SplitConfig) -> Array:
    """Return the split (0, 1, 2) of each example: the largest values are for testing, those before them for validation.

    Equal values are in the same set, so that the sets never overlap; the sizes are as near as that allows.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    train, validation, _ = split.counts(len(values))
    first_validation = _find_nearest_change(ordered, train)
    first_test = max(_find_nearest_change(ordered, train + validation), first_validation)
    splits = np.zeros(len(values), dtype=np.uint8)
    splits[order[first_validation:first_test]] = 1
    splits[order[first_test:]] = 2
    return splits


def _find_nearest_change(ordered: Array, position: int) -> int:
    """Return the position nearest to ``position``, and above 0, at which a new value begins, or the end."""
    if position >= len(ordered):
        return len(ordered)
    value = ordered[position]
    first = int(np.searchsorted(ordered, value, side="left"))
    after = int(np.searchsorted(ordered, value, side="right"))
    return first if first and position - first <= after - position else after


def assign_groups(group_sizes: Array, sizes: tuple[int, int, int], seed: int | None) -> Array:
    """Return the split (0, 1, 2) of each group: uint8 of shape (groups,), with sizes as near as whole groups allow.

    With a seed the groups are drawn at random; without, the last groups are for testing, those before for validation.
    """
    count = len(group_sizes)
    order = np.arange(count)[::-1] if seed is None else np.random.default_rng(seed).permutation(count)
    splits = np.zeros(count, dtype=np.uint8)
    remaining = order.tolist()
    for index in (2, 1):
        if sizes[index]:
            spare = 2 if index == 2 and sizes[1] else 1
            chosen = _choose_groups(group_sizes, remaining, sizes[index], spare, is_random=seed is not None)
            splits[list(chosen)] = index
            remaining = [group for group in remaining if group not in chosen]
    return splits


def _choose_groups(
    group_sizes: Array, order: list[int], size: int, spare: int, *, is_random: bool
) -> set[int]:
    """Return groups, in this order, whose sizes sum to about ``size``; at least ``spare`` groups are left."""
    chosen: set[int] = set()
    total = 0
    for group in order:
        if total >= size or len(order) - len(chosen) <= spare:
            break
        group_size = int(group_sizes[group])
        if total + group_size - size < size - total:
            chosen.add(group)
            total += group_size
        elif not is_random:
            break
    smallest = min(order, key=lambda group: int(group_sizes[group])) if is_random else order[0]
    return chosen or {smallest}


def assign_stratified_groups(class_counts: Array, sizes: tuple[int, int, int], seed: int | None) -> Array:
    """Return the split (0, 1, 2) of each group: uint8 of shape (groups,), with each class spread in proportion.

    ``class_counts`` has shape (groups, classes). The groups with the most uneven classes are assigned first, each to the
    set that then is nearest to its share of every class.
    """
    count = len(class_counts)
    order = np.arange(count) if seed is None else np.random.default_rng(seed).permutation(count)
    order = order[np.argsort(-class_counts[order].std(axis=1), kind="stable")]
    totals = class_counts.sum(axis=0)
    wanted = np.outer(np.array(sizes) / max(1, sum(sizes)), totals)
    scale = np.maximum(wanted, 1e-9) * np.maximum(totals, 1)
    current = np.zeros_like(wanted)
    splits = np.zeros(count, dtype=np.uint8)
    allowed = np.array(
        [0, *(index for index in (1, 2) if sizes[index])]
    )  # something must be left to train on
    for position, group in enumerate(order.tolist()):
        empty = [index for index in allowed.tolist() if not current[index].any()]
        choices = np.array(empty) if len(empty) >= count - position else allowed
        after = current[choices] + class_counts[group] - wanted[choices]
        before = current[choices] - wanted[choices]
        change = ((after**2 - before**2) / scale[choices]).sum(axis=1)
        best = int(choices[change.argmin()])
        current[best] += class_counts[group]
        splits[group] = best
    return splits


def _count_classes(groups: Array, strata: Array, count: int) -> Array:
    classes = int(strata.max(initial=0)) + 1
    return np.bincount(groups.astype(np.int64) * classes + strata, minlength=count * classes).reshape(
        count, classes
    )


def _raise_too_few_groups(column: str, groups: int, requested: int) -> NoReturn:
    raise DataError(
        Finding(
            code="bad-split",
            message=f"`{sanitize_text(column, limit=60)}` has {groups} {'group' if groups == 1 else 'groups'}, too few for "
            f"{requested} sets.",
            path=("data", "split", "group"),
            hint="Use fewer sets, or a column with more groups.",
        )
    )
