"""The function ``split`` of a script, equal to layercli's split of the same rows."""

import numpy as np
import pytest

from layercli.config.data.section import SplitConfig
from layercli.data.split import split_rows
from layercli.graph.target_meaning import TargetMeaning
from layercli.script.facts import ScriptFacts, ScriptTarget
from layercli.script.split_code import write_split, write_split_functions


def split_by_script(split, rows, *, shuffle=True, labels=None):
    target = ScriptTarget(TargetMeaning("numbers" if labels is None else "labels"))
    facts = ScriptFacts({None: target}, block_rows=65_536 if rows > 65_536 else None)
    functions = write_split_functions(split, facts, is_random=shuffle)
    names = {"np": np, "SEED": 5}
    exec("\n".join([*functions, *write_split(split, facts, shuffle=shuffle)]), names)
    return [x for x, _ in names["split"](np.arange(rows), np.zeros(rows) if labels is None else labels)]


@pytest.mark.parametrize("rows", [10, 65_536, 65_537, 200_000])
@pytest.mark.parametrize("sizes", [(0.1, 0.2), (0.0, 0.1), (3, 0), (0, 0)])
@pytest.mark.parametrize("shuffle", [True, False])
def test_rows_of_each_set_are_those_of_a_training(rows, sizes, shuffle):
    split = SplitConfig(validation=sizes[0], test=sizes[1])
    expected = split_rows(None, rows, split, seed=5, shuffle=shuffle)
    found = split_by_script(split, rows, shuffle=shuffle)
    assert [len(each) for each in found] == [len(each) for each in expected]
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def test_many_rows_are_divided_in_blocks():
    train, validation, test = split_by_script(SplitConfig(validation=0.25, test=0.25), 131_072)
    assert [np.count_nonzero(each < 65_536) for each in (train, validation, test)] == [32768, 16384, 16384]
    assert train[:65_536].tolist() != sorted(train.tolist())


@pytest.mark.parametrize("rows", [65_537, 131_072, 200_000])
@pytest.mark.parametrize("sizes", [(0.1, 0.2), (0.0, 0.1), (3, 0), (0, 70_000)])
def test_rows_of_classes_are_those_of_a_training(rows, sizes):
    labels = np.random.default_rng(1).choice(4, rows, p=[0.7, 0.25, 0.0499, 0.0001])
    labels[0] = 3
    split = SplitConfig(validation=sizes[0], test=sizes[1], stratify=True)
    expected = split_rows(labels, rows, split, seed=5, shuffle=True)
    found = split_by_script(split, rows, labels=2 * labels)
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def test_stratified_blocks_have_their_share_of_each_class():
    labels = np.arange(131_072) % 4 // 3
    split = SplitConfig(validation=0.25, test=0.25, stratify=True)
    sets = split_by_script(split, 131_072, labels=labels)
    assert [np.bincount(labels[each]).tolist() for each in sets] == [
        [49152, 16384],
        [24576, 8192],
        [24576, 8192],
    ]
    assert [np.count_nonzero(each < 65_536) for each in sets] == [32768, 16384, 16384]


def test_stratify_without_classes_divides_blocks():
    split = SplitConfig(test=0.5, stratify=True)
    expected = split_rows(None, 70_000, split, seed=5, shuffle=True)
    found = split_by_script(split, 70_000)
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("key", "sizes", "keys", "expected"),
    [
        ("group", (0, 4), [0, 0, 1, 1, 2, 2], [[0, 1], [], [2, 3, 4, 5]]),
        ("group", (1, 4), [0, 0, 1, 1, 2, 2], [[0, 1], [2, 3], [4, 5]]),  # one group is left for each set
        ("group", (2, 0), [0, 0, 1, 1, 2, 2], [[0, 1, 2, 3], [4, 5], []]),
        ("group", (0, 1), [0, 1, 2, 2, 2], [[0, 1], [], [2, 3, 4]]),  # the last one, although it is large
        ("order", (1, 2), [5, 1, 4, 2, 3], [[1, 3], [4], [0, 2]]),
        ("order", (2, 0), [5, 1, 4, 2, 3], [[1, 3, 4], [0, 2], []]),
        ("order", (0, 2), [1, 2, 2, 2, 3], [[0, 1, 2, 3], [], [4]]),  # 3 is one row away, 2 two
        ("column", (0, 0), ["test", "dev", "train", "val", "train"], [[2, 4], [1, 3], [0]]),
    ],
)
def test_sets_by_a_column_without_shuffle(key, sizes, keys, expected):
    facts = ScriptFacts({None: ScriptTarget(TargetMeaning("numbers"))}, split_key=key)
    split = SplitConfig(validation=sizes[0], test=sizes[1])
    functions = write_split_functions(split, facts, is_random=False)
    names = {"np": np}
    exec("\n".join([*functions, *write_split(split, facts, shuffle=False)]), names)
    found = names["split"](np.arange(len(keys)), np.zeros(len(keys)), np.array(keys))
    assert [x.tolist() for x, *_ in found] == expected
