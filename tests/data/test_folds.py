"""Folds equal those of scikit-learn; examples outside the fold are for training and validation."""

import numpy as np
import pytest
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from layercli.config.data.section import DATA_TYPES, SplitConfig
from layercli.data.examples import Examples
from layercli.data.folds import UNUSED, assign_fold
from layercli.data.split_datasets import KeyedDataset
from layercli.data.split_keys import SplitKeys
from layercli.data.types import DataError
from layercli.formats.registry import load_dataset
from layercli.workflows.dataset import split_dataset

RNG = np.random.default_rng(5)
Y = RNG.choice(3, 40, p=[0.5, 0.3, 0.2]).astype(np.int32)
GROUPS = RNG.integers(0, 9, 40)
TIMES = RNG.permutation(40)
DATA = Examples(np.arange(40, dtype=np.float32)[:, None], Y)


def fold_rows(dataset, number, *, folds=4, repeat=1, seed=3, shuffle=True, **split):
    section = SplitConfig.model_validate(
        {"fold": {"number": number, "folds": folds, "repeat": repeat}, **split}
    )
    assigned = assign_fold(dataset, section, seed=seed, shuffle=shuffle)
    return [np.flatnonzero(assigned == value).tolist() for value in (0, 1, 2, UNUSED)]


def keyed(key, values):
    return KeyedDataset(DATA, SplitKeys(key, "k", values))


@pytest.mark.parametrize(
    ("dataset", "split", "splitter", "groups"),
    [
        (DATA, {}, KFold(4, shuffle=True, random_state=3), None),
        (DATA, {"stratify": True}, StratifiedKFold(4, shuffle=True, random_state=3), None),
        (DATA, {"repeat": 3}, KFold(4, shuffle=True, random_state=5), None),
        (DATA, {"shuffle": False}, TimeSeriesSplit(4), None),
        (DATA, {"shuffle": False, "stratify": True}, StratifiedKFold(4), None),
        (keyed("group", GROUPS), {"group": "k"}, GroupKFold(4), GROUPS),
        (
            keyed("group", GROUPS),
            {"group": "k", "stratify": True},
            StratifiedGroupKFold(4, shuffle=True, random_state=3),
            GROUPS,
        ),
    ],
)
def test_folds_equal_those_of_scikit_learn(dataset, split, splitter, groups):
    expected = splitter.split(np.zeros(40), Y, groups)
    for number, (train, test) in enumerate(expected, start=1):
        found_train, validation, found_test, unused = fold_rows(dataset, number, **split)
        assert (found_train, found_test) == (sorted(train.tolist()), sorted(test.tolist()))
        assert validation == []
        assert len(unused) == 40 - len(train) - len(test)


def test_chronological_folds_follow_the_order_of_the_values():
    for number, (train, test) in enumerate(TimeSeriesSplit(4).split(np.zeros(40)), start=1):
        found_train, _, found_test, _ = fold_rows(keyed("order", TIMES), number, order="k")
        assert TIMES[found_train].max() < TIMES[found_test].min()
        assert sorted(TIMES[found_train].tolist()) == train.tolist()
        assert sorted(TIMES[found_test].tolist()) == test.tolist()


def test_validation_is_taken_from_the_examples_outside_the_fold():
    train, validation, test, _ = fold_rows(DATA, 2, validation=0.2, stratify=True)
    assert (len(train), len(validation), len(test)) == (24, 6, 10)
    assert sorted([*train, *validation, *test]) == list(range(40))
    train, validation, test, _ = fold_rows(keyed("group", GROUPS), 1, group="k", validation=0.25)
    parts = [set(GROUPS[rows].tolist()) for rows in (train, validation, test)]
    assert not parts[0] & parts[1]
    assert not parts[1] & parts[2]
    assert not parts[0] & parts[2]
    train, validation, test, _ = fold_rows(keyed("order", TIMES), 4, order="k", validation=4)
    assert len(validation) == 4
    assert TIMES[train].max() < TIMES[validation].min() < TIMES[validation].max() < TIMES[test].min()


def test_every_example_is_in_one_fold():
    for repeat in (1, 2):
        tests = [fold_rows(DATA, number, repeat=repeat, stratify=True)[2] for number in range(1, 5)]
        assert sorted(row for rows in tests for row in rows) == list(range(40))
    assert fold_rows(DATA, 1)[2] != fold_rows(DATA, 1, repeat=2)[2]


@pytest.mark.parametrize(
    ("dataset", "split", "message"),
    [
        (DATA, {"folds": 41}, "41 folds need at least 41 examples, got 40."),
        (keyed("group", GROUPS), {"group": "k", "folds": 10}, "10 folds need at least 10 groups, got 9."),
    ],
)
def test_too_many_folds_are_an_error(dataset, split, message):
    with pytest.raises(DataError) as caught:
        fold_rows(dataset, 1, **split)
    [finding] = caught.value.findings
    assert (finding.code, finding.message) == ("bad-split", message)


def test_groups_without_shuffle_validate_on_the_last_ones():
    train, validation, _, _ = fold_rows(keyed("group", GROUPS), 2, group="k", validation=0.2, shuffle=False)
    assert GROUPS[train].max() < GROUPS[validation].min()


@pytest.mark.parametrize(
    ("number", "validation", "expected"),
    [
        (1, 0, [range(3), [], range(3, 6), range(6, 12)]),
        (3, 0, [range(9), [], range(9, 12), []]),
        (3, 3, [range(6), range(6, 9), range(9, 12), []]),
        (2, 0.5, [range(3), range(3, 6), range(6, 9), range(9, 12)]),
    ],
)
def test_each_series_is_divided_in_time(tmp_path, number, validation, expected):
    # Rows of two series in turn, the latest first; TimeSeriesSplit(3) of 12 rows has folds of 3.
    rows = [f"{name},{time},{time * 2}" for time in range(11, -1, -1) for name in "ab"]
    (tmp_path / "rows.csv").write_text("\n".join(["name,time,value", *rows]) + "\n")
    windows = {"length": 2, "by": "name", "time": "time"}
    section = {"type": "csv", "path": str(tmp_path / "rows.csv"), "target": "value", "windows": windows}
    dataset = load_dataset(DATA_TYPES.parse(section | {"inputs": {"past": ["value"]}}))
    found = fold_rows(dataset, number, folds=3, validation=validation)
    for rows_found, times in zip(found, expected, strict=True):
        for series in (0, 1):
            own = [11 - row // 2 for row in rows_found if row % 2 == series]
            assert sorted(own) == list(times)


@pytest.mark.parametrize("stream", ["never", "always"])
def test_rows_after_a_chronological_fold_are_in_no_set(tmp_path, stream):
    rows = [f"{time},{time * 3},{time}" for time in range(16)]
    (tmp_path / "rows.csv").write_text("\n".join(["time,a,y", *rows]) + "\n")
    section = {"type": "csv", "path": str(tmp_path / "rows.csv"), "target": "y", "stream": stream}
    split = {"order": "time", "fold": {"number": 1, "folds": 3}}
    data = DATA_TYPES.parse(section | {"inputs": {"x": ["a"]}, "split": split})
    splits = split_dataset(load_dataset(data), data, seed=0)
    found = [
        np.concatenate([*part.target_batches()]).tolist() if len(part) else [] for part in splits.subsets
    ]
    assert found == [[0, 1, 2, 3], [], [4, 5, 6, 7]]
