"""Statistics of examples do not depend on the batch size."""

import numpy as np
import pytest

from layercli.data import examples, statistics
from layercli.data.examples import Examples
from layercli.data.statistics import compute_statistics, count_labels

RNG = np.random.default_rng(5)
NUMBERS = RNG.normal(size=(200, 3)).astype("float32")
NUMBERS[17, 1] = NUMBERS[40, 1] = np.nan
NUMBERS[60, 2] = np.inf
LABELS = RNG.integers(-1, 3, 200).astype("int32")
WORDS = RNG.choice(["", "x", "y"], (200, 1)).astype(object)
SEQUENCES = RNG.integers(0, 255, (200, 4, 2)).astype("uint8")
EXAMPLES = Examples(
    {"n": NUMBERS, "w": WORDS, "s": SEQUENCES},
    LABELS,
    columns={"n": ("a", "b", "c"), "w": ("word",), "s": ("low", "high")},
)


@pytest.mark.parametrize("batch_bytes", [1, 1000, 1 << 24])
def test_statistics_do_not_depend_on_batch_size(monkeypatch, batch_bytes):
    monkeypatch.setattr(examples, "_BATCH_BYTES", batch_bytes)
    found = compute_statistics(EXAMPLES)
    numbers = found.inputs["n"]
    finite = np.where(np.isfinite(NUMBERS), NUMBERS, np.nan)
    assert numbers.missing_counts.tolist() == [0, 2, 0]
    assert numbers.infinite_counts.tolist() == [0, 0, 1]
    assert (numbers.first_missing, numbers.first_infinite) == ({1: (17, 1)}, {2: (60, 2)})
    assert numbers.finite_counts.tolist() == [200, 198, 199]
    np.testing.assert_array_equal(numbers.minima, np.nanmin(finite, axis=0))
    np.testing.assert_array_equal(numbers.maxima, np.nanmax(finite, axis=0))
    np.testing.assert_allclose(numbers.totals, np.nansum(finite.astype("float64"), axis=0))
    words = found.inputs["w"]
    assert words.missing_counts.tolist() == [(WORDS == "").sum()]
    assert words.distinct_values == {0: {"", "x", "y"}}
    assert words.sample_values == [WORDS[:3, 0].tolist()]
    steps = found.inputs["s"]  # sequences with named columns: statistics over all steps
    np.testing.assert_array_equal(steps.totals, SEQUENCES.sum(axis=(0, 1)))
    assert steps.finite_counts.tolist() == [800, 800]
    values, counts = np.unique(LABELS, return_counts=True)
    target = found.target_values[None]
    assert target.counts == dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert target.first_rows[-1] == int(np.flatnonzero(LABELS == -1)[0])
    assert count_labels(EXAMPLES)[None].counts == target.counts


def test_many_distinct_values_are_not_kept(monkeypatch):
    monkeypatch.setattr(statistics, "MAX_DISTINCT", 100)
    found = compute_statistics(EXAMPLES).inputs
    assert 0 not in found["n"].distinct_values
    assert found["w"].distinct_values


def test_first_missing_value_has_all_its_indices():
    x = np.ones((5, 2, 3, 2), dtype="float32")
    x[3, 1, 2, 0] = np.nan
    assert compute_statistics(Examples(x, np.zeros(5))).inputs[None].first_missing == {0: (3, 1, 2, 0)}


@pytest.mark.parametrize("batch_bytes", [1, 1 << 24])
def test_ids_have_their_extremes_and_rows(monkeypatch, batch_bytes):
    monkeypatch.setattr(examples, "_BATCH_BYTES", batch_bytes)
    ids = np.tile(np.arange(6), (50, 1))
    ids[7, 2], ids[9, 1], ids[11, 1] = 2**60 + 1, -3, -3
    halves = np.ones((50, 2), "float32")
    halves[8, 1] = 0.5
    halves[3, 0] = np.nan
    found = compute_statistics(Examples({"ids": ids, "halves": halves}, np.zeros(50)), has_ids=True).ids
    assert found["ids"].high == (2**60 + 1, (7, 2))
    assert found["ids"].low == (-3, (9, 1))
    assert found["ids"].fraction is None
    assert found["halves"].fraction == (0.5, (8, 1))
    assert compute_statistics(Examples(ids, np.zeros(50))).ids == {}
