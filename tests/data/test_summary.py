"""Summaries of a few examples, worked out by hand."""

import numpy as np

from layercli.data.examples import Examples, Splits
from layercli.data.statistics import compute_statistics
from layercli.data.summary import (
    compute_class_balances,
    summarize_features,
    summarize_targets,
)
from layercli.graph.target_meaning import TargetMeaning

TABLE = Examples(
    {
        "n": np.array([[1, np.nan], [3, 5], [2, np.inf], [2, -5]], dtype=np.float32),
        "w": np.array([["x"], [""], ["y"], ["x"]], dtype=object),
        "s": np.arange(24, dtype=np.float32).reshape(4, 3, 2),
    },
    np.array([0.5, 1.5, 2.5, 3.5]),
    columns={"n": ("a", "b"), "w": ("word",)},
)


def test_features_are_summarized_by_column():
    rows = [
        (x.input, x.name, x.dtype, x.missing, x.different, x.low, x.mean, x.high, x.samples)
        for x in summarize_features(compute_statistics(TABLE))
    ]
    assert rows[0] == ("n", "a", "float32", 0, 3, 1.0, 2.0, 3.0, (1.0, 3.0, 2.0))
    assert rows[1][:8] == ("n", "b", "float32", 2, 2, -5.0, 0.0, 5.0)
    assert rows[2] == ("w", "word", "text", 1, 3, None, None, None, ("x", "", "y"))
    assert rows[3] == ("s", None, "float32", 0, None, 0.0, 11.5, 23.0, ())
    assert len(rows) == 4


def test_target_has_its_range():
    (row,) = summarize_targets(compute_statistics(TABLE))
    assert (row.name, row.low, row.mean, row.high, row.different) == ("target", 0.5, 2.0, 3.5, 4)


def test_column_without_values_has_no_range():
    examples = Examples(np.full((2, 1), np.nan), np.zeros(2), columns={None: ("a",)})
    (row,) = summarize_features(compute_statistics(examples))
    assert (row.missing, row.low, row.mean, row.high, row.different) == (2, None, None, None, 0)


def make_splits(labels, names=None):
    examples = Examples(np.zeros(len(labels)), np.array(labels, dtype=np.int32), names)
    return Splits(examples, examples.take(np.array([0, 1])), examples.take(np.array([1])))


def test_class_balance_counts_each_split():
    names = ("a", "b", "c")
    expected = [("a", (1, 1, 0)), ("b", (0, 0, 0)), ("c", (2, 1, 1))]
    assert compute_class_balances(make_splits([0, 2, 2], names)) == {None: expected}
    expected = [("0", (1, 1, 0)), ("1", (2, 1, 1))]
    assert compute_class_balances(make_splits([0, 1, 1])) == {None: expected}
    expected = [("-1", (1, 1, 0)), ("1", (2, 1, 1))]
    assert compute_class_balances(make_splits([-1, 1, 1])) == {None: expected}
    assert compute_class_balances(make_splits([0, 1, 100_001])) == {}
    assert len(compute_class_balances(make_splits([0, 1, 100_000]))[None]) == 100_001


def test_class_balance_has_a_row_for_a_label_outside_of_the_classes():
    meanings = {None: TargetMeaning("labels", 2, 1)}
    for void, names in ((255, ["0", "1", "255"]), (-1, ["-1", "0", "1"])):
        examples = Examples(np.zeros(2), np.array([[0, void], [0, 0]]))
        splits = Splits(examples, examples.take(slice(0)), examples.take(slice(0)), target_meanings=meanings)
        (balance,) = compute_class_balances(splits).values()
        assert [name for name, _ in balance] == names
        assert dict(balance)["0"] == (3, 0, 0)
        assert dict(balance)["1"] == (0, 0, 0)


def test_class_balance_lists_255_without_the_classes_before_it():
    expected = [("0", (1, 1, 0)), ("1", (0, 0, 0)), ("2", (1, 1, 1)), ("255", (1, 0, 0))]
    assert compute_class_balances(make_splits([0, 2, 255])) == {None: expected}
    assert len(compute_class_balances(make_splits([0, 127, 255]))[None]) == 256
    assert len(compute_class_balances(make_splits([0, 1, 255], tuple(map(str, range(256)))))[None]) == 256
