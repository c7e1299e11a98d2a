from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layercli.config.data.section import SplitConfig
from layercli.data.examples import Examples, ShuffleSeed, Splits, compute_epoch_order, iterate_batches

COUNTED = Examples(np.arange(100.0), np.repeat([0, 1, 2], [60, 30, 10]))


def numbers(parts):
    return [part.x.astype(int).tolist() for part in (parts.train, parts.validation, parts.test)]


@pytest.mark.parametrize(
    ("split", "counts"),
    [
        ({}, (100, 0, 0)),
        ({"validation": 0.1, "test": 0.15}, (75, 10, 15)),
        ({"validation": 7, "test": 3}, (90, 7, 3)),
        ({"test": 0.333}, (67, 0, 33)),
    ],
)
def test_split_sizes_match_fractions_or_counts(split, counts):
    parts = COUNTED.split(SplitConfig(**split), seed=0, shuffle=True)
    assert tuple(map(len, (parts.train, parts.validation, parts.test))) == counts


@settings(max_examples=100)
@given(
    samples=st.integers(1, 60),
    validation=st.floats(0, 0.4),
    test=st.integers(0, 10),
    seed=st.integers(0, 2**31 - 1),
    shuffle=st.booleans(),
    stratify=st.booleans(),
    data=st.data(),
)
def test_every_example_is_in_exactly_one_split_with_its_target(
    samples, validation, test, seed, shuffle, stratify, data
):
    y = np.asarray(data.draw(st.lists(st.integers(0, 3), min_size=samples, max_size=samples)))
    split = SplitConfig(validation=validation, test=min(test, samples // 2), stratify=stratify)
    parts = Examples(np.arange(samples), y).split(split, seed=seed, shuffle=shuffle)
    assert sorted(chain(*numbers(parts))) == list(range(samples))
    assert all(np.array_equal(y[part.x], part.y) for part in (parts.train, parts.validation, parts.test))


def test_same_seed_same_splits_different_seed_different_splits():
    split = SplitConfig(validation=0.2, test=0.2)
    first, again, other = (COUNTED.split(split, seed=seed, shuffle=True) for seed in (5, 5, 6))
    assert numbers(first) == numbers(again)
    assert all(one != two for one, two in zip(numbers(first), numbers(other), strict=True))


def test_splits_keep_data_order_without_shuffle():
    parts = COUNTED.split(SplitConfig(validation=0.2, test=0.1), seed=5, shuffle=False)
    assert numbers(parts) == [list(range(70)), list(range(70, 90)), list(range(90, 100))]


@pytest.mark.parametrize("shuffle", [True, False])
def test_stratified_splits_keep_class_proportions(shuffle):
    parts = COUNTED.split(SplitConfig(validation=0.2, test=0.1, stratify=True), seed=1, shuffle=shuffle)
    counts = [
        np.bincount(part.y, minlength=3).tolist() for part in (parts.train, parts.validation, parts.test)
    ]
    assert counts == [[42, 21, 7], [12, 6, 2], [6, 3, 1]]


def test_unstratified_splits_are_random():
    parts = COUNTED.split(SplitConfig(validation=0.2), seed=0, shuffle=True)
    assert np.bincount(parts.validation.y, minlength=3).tolist() != [12, 6, 2]


def test_fingerprint_depends_on_values_shapes_dtypes_and_order():
    split = SplitConfig(validation=0.2)
    original = COUNTED.split(split, seed=0, shuffle=False).fingerprint()
    assert original == COUNTED.split(split, seed=1, shuffle=False).fingerprint()
    assert original.startswith("sha256:")
    changed = COUNTED.x.copy()
    changed[99] += 1
    others = [
        Examples(changed, COUNTED.y).split(split, seed=0, shuffle=False),
        Examples(COUNTED.x.astype("float32"), COUNTED.y).split(split, seed=0, shuffle=False),
        Examples(COUNTED.x[:, None], COUNTED.y).split(split, seed=0, shuffle=False),
        Examples(COUNTED.x, COUNTED.y + 1).split(split, seed=0, shuffle=False),
        COUNTED.split(split, seed=0, shuffle=True),
        COUNTED.split(SplitConfig(validation=0.21), seed=0, shuffle=False),
    ]
    assert len({original, *(parts.fingerprint() for parts in others)}) == 7


@pytest.mark.parametrize("shuffle", [None, ShuffleSeed(seed=3, epoch=1)])
def test_late_start_yields_the_last_batches_of_a_full_pass(shuffle):
    weighted = replace(COUNTED, weights=np.arange(100.0) * 2)
    whole = list(weighted.batches(32, shuffle=shuffle))
    assert [len(batch) for batch in whole] == [32, 32, 32, 4]
    later = list(weighted.batches(32, shuffle=shuffle, start=2))
    assert [batch.x.tolist() for batch in later] == [batch.x.tolist() for batch in whole[2:]]
    seen = np.concatenate([batch.x for batch in whole])
    assert sorted(seen.tolist()) == list(range(100))
    assert np.concatenate([batch.weights for batch in whole]).tolist() == (seen * 2).tolist()


def test_epoch_order_depends_only_on_seed_and_epoch():
    orders = [
        compute_epoch_order(50, shuffle).tolist()
        for shuffle in (ShuffleSeed(1, 0), ShuffleSeed(1, 1), ShuffleSeed(2, 0))
    ]
    assert len(set(map(tuple, orders))) == 3
    assert compute_epoch_order(50, ShuffleSeed(1, 1)).tolist() == orders[1]
    assert compute_epoch_order(50, None).tolist() == list(range(50))


def test_epoch_order_is_that_of_checkpoints_with_64_bit_orders():
    assert compute_epoch_order(10, ShuffleSeed(3, 1)).tolist() == [4, 1, 2, 8, 5, 0, 7, 9, 6, 3]
    large = compute_epoch_order(70_000, ShuffleSeed(3, 1))
    assert np.array_equal(large, np.random.default_rng([3, 1]).permutation(70_000))


@pytest.mark.parametrize(
    ("x", "sizes"),
    [
        (np.zeros(70_000), [65_536, 4_464]),
        (np.zeros((3_000, 1_024)), [2_046, 954]),  # 2**24 bytes // (1024 * 8 + 8)
    ],
)
def test_batches_have_at_most_65536_rows_and_16_mebibytes(x, sizes):
    assert [len(batch) for batch in iterate_batches(Examples(x, np.zeros(len(x))))] == sizes


def test_table_plan_of_splits_is_given_by_name():
    with pytest.raises(TypeError, match="positional"):
        Splits(COUNTED, COUNTED, COUNTED, None)


def test_batches_in_order_share_memory_and_shuffled_ones_do_not():
    examples = Examples(np.arange(10.0).reshape(5, 2), np.arange(5))
    ordered, shuffled = list(examples.batches(2)), list(examples.batches(2, shuffle=ShuffleSeed(1, 0)))
    assert [batch.y.tolist() for batch in ordered] == [[0, 1], [2, 3], [4]]
    assert [batch.y.tolist() for batch in examples.batches(2, start=1)] == [[2, 3], [4]]
    assert np.shares_memory(ordered[1].x, examples.x)
    assert not np.shares_memory(shuffled[1].x, examples.x)
