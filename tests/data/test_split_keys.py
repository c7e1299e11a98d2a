"""Sets by group, by order and by a column: no group is in two sets, and sets in order never overlap."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from layercli.config.data.section import SplitConfig
from layercli.data.split_keys import SplitKeys, make_split_keys
from layercli.data.types import DataError


def assign(key, values, *, strata=None, seed=None, **sizes):
    keys = make_split_keys(key, "k", np.array(values), len(values))
    strata = None if strata is None else np.array(strata)
    config = SplitConfig(**{key: "k"}, **sizes)
    return keys.assign_rows(config, strata=strata, seed=seed).tolist()


def refuse(key, values, dtype=None):
    with pytest.raises(DataError) as caught:
        make_split_keys(key, "k", np.array(values, dtype=dtype), 3)
    [finding] = caught.value.findings
    assert (finding.code, finding.path) == ("bad-split", ("data", "split", key))
    return finding.message


def test_last_values_are_the_test_set():
    assert assign("order", [5, 1, 4, 2, 3], validation=1, test=1) == [2, 0, 1, 0, 0]


def test_order_of_texts_is_that_of_dates():
    days = np.array(["2024-03-01", "2024-01-31", "2024-02-01T12:00"], dtype=object)
    keys = make_split_keys("order", "k", days, 3)
    assert keys.assign_rows(SplitConfig(order="k", test=1), strata=None, seed=1).tolist() == [2, 0, 0]


@pytest.mark.parametrize(
    ("values", "test", "expected"),
    [
        ([1, 2, 2, 2, 3], 3, [0, 2, 2, 2, 2]),  # 4 rows are as near as 1
        ([1, 1, 2, 2, 2, 3], 2, [0, 0, 0, 0, 0, 2]),
        ([1, 2, 2, 2, 2, 3], 4, [0, 2, 2, 2, 2, 2]),
        ([7, 7, 7], 1, [0, 0, 0]),
        ([1, 1, 2], 2, [0, 0, 2]),
    ],
)
def test_equal_values_are_in_one_set(values, test, expected):
    assert assign("order", values, test=test) == expected


def test_groups_keep_their_order_without_shuffle():
    assert assign("group", ["b", "b", "a", "c", "c"], validation=1, test=2) == [0, 0, 1, 2, 2]
    assert assign("group", ["b", "a", "c", "c", "c"], test=1) == [0, 0, 2, 2, 2]


def test_groups_fit_the_sizes():
    sizes = [50, 20, 10, 10, 10]
    groups = np.repeat(np.arange(5), sizes)
    for seed in range(20):
        splits = np.array(assign("group", groups, seed=seed, test=0.1, validation=0.2))
        assert 10 <= (splits == 2).sum() <= 20
        assert 10 <= (splits == 1).sum() <= 30


def test_groups_depend_on_the_seed():
    groups = list(range(40))
    drawn = {tuple(assign("group", groups, seed=seed, test=0.5)) for seed in range(5)}
    assert len(drawn) == 5
    assert assign("group", groups, seed=3, test=0.5) == assign("group", groups, seed=3, test=0.5)


def test_stratified_groups_have_each_class_in_proportion():
    groups = np.repeat(np.arange(20), 5)
    strata = np.repeat([0, 1], 50)
    splits = np.array(assign("group", groups, strata=strata, seed=1, stratify=True, test=0.2, validation=0.2))
    for index, share in ((0, 30), (1, 10), (2, 10)):
        assert np.bincount(strata[splits == index]).tolist() == [share, share]


def test_a_set_name_has_several_spellings():
    names = ["train", "Validation", "val", "valid", "dev", "TEST", " test "]
    assert assign("column", names) == [0, 1, 1, 1, 1, 2, 2]


def test_too_few_groups():
    with pytest.raises(DataError, match="`k` has 2 groups, too few for 3 sets"):
        assign("group", [1, 1, 2], validation=1, test=1)


@pytest.mark.parametrize(
    ("key", "values", "message"),
    [
        ("group", ["a", "", "b"], "`k` is missing in row 2."),
        ("order", [1, 2, np.nan], "`k` is missing in row 3."),
        ("order", ["a", "b", "c"], "`k` must contain numbers or dates, got text."),
        ("order", [1, 2], "`k` must have one value for each of 3 examples, got the shape (2,)."),
        (
            "column",
            ["train", "holdout", "test"],
            '`k` must be train, validation or test, got "holdout" in row 2.',
        ),
        ("order", [0, np.inf, 2], "`k` must be a number or a date, got .inf in row 2."),
        ("order", [0, 1, -np.inf], "`k` must be a number or a date, got -.inf in row 3."),
        ("column", [0, 1, 2], "`k` must be train, validation or test, got 0 in row 1."),
    ],
)
def test_values_that_cannot_split(key, values, message):
    dtype = object if isinstance(values[0], str) else None
    assert refuse(key, values, dtype) == message


sizes = st.fractions(min_value=0, max_value="9/20").map(float)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), sizes, sizes, st.booleans(), st.integers(0, 9))
@example([0, 0, 1, 2], 0.4, 0.38, True, 0)  # the sizes round to no row for training
def test_no_group_is_in_two_sets(groups, validation, test, stratify, seed):
    config = SplitConfig(group="k", validation=validation, test=test or 0.1, stratify=stratify)
    keys = make_split_keys("group", "k", np.array(groups), len(groups))
    strata = np.arange(len(groups)) % 3 if stratify else None
    wanted = [size > 0 for size in config.counts(len(groups))[1:]]
    if len(set(groups)) < 1 + sum(wanted):
        with pytest.raises(DataError):
            keys.assign_rows(config, strata=strata, seed=seed)
        return
    splits = keys.assign_rows(config, strata=strata, seed=seed)
    assert len(set(zip(groups, splits.tolist(), strict=True))) == len(set(groups))
    assert 0 in splits
    assert [1 in splits, 2 in splits] == wanted


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), sizes, sizes)
def test_sets_in_order_never_overlap(values, validation, test):
    config = SplitConfig(order="k", validation=validation, test=test or 0.1)
    splits = SplitKeys("order", "k", np.array(values)).assign_rows(config, strata=None, seed=None)
    array = np.array(values)
    parts = [array[splits == index] for index in range(3) if (splits == index).any()]
    assert all(before.max() < after.min() for before, after in pairwise(parts))
    assert 0 in splits
