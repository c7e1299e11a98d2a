"""Splits that contradict themselves or their type of data."""

import pytest
from pydantic import ValidationError

from layercli.config.data.section import DATA_TYPES, SplitConfig, TargetValues

SPLITS = [
    (
        {"test": "0.1"},
        'Invalid split size: expected a number, got the string "0.1".',
        "Remove the quotes: `0.1`.",
    ),
    (
        {"test": [1]},
        "Invalid split size: expected a fraction from 0 to below 1, a number of examples, or files, got [1].",
        "For example `validation: 0.1`, or `validation: validation.csv`.",
    ),
    (
        {"column": "part", "test": 0.1, "stratify": True},
        "`test` and `stratify` contradict `column: part`, which names the set of each example.",
        "Remove `test` and `stratify`, or remove `column`.",
    ),
    (
        {"order": "day", "test": 0.1, "group": "who"},
        "`group` contradicts `order: day`, which splits the examples by order.",
        "Remove `group`, or remove `order`.",
    ),
    (
        {"group": "who", "test": "t.csv"},
        "`group` has no effect: no set is a part of the examples of `path`.",
        "Add a size, such as `test: 0.2`, or remove `group`.",
    ),
    (
        {"order": "day"},
        "`order` has no effect: no set is a part of the examples of `path`.",
        "Add a size, such as `test: 0.2`, or remove `order`.",
    ),
]


@pytest.mark.parametrize(
    "names",
    [
        {"features": "", "target": "y"},
        {"features": "x", "target": ""},
        {"inputs": {"image": ""}, "target": "y"},
        {"features": "x", "target": {"out": ""}},
        {"features": "x", "target": "y", "weights": ""},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [{"type": "npy"}, {"type": "npz", "path": "d.npz"}], ids=["npy", "npz"])
def test_names_of_arrays_are_not_empty(kind, names):
    with pytest.raises(ValidationError, match='must be a non-empty string, got ""'):
        DATA_TYPES.parse(kind | names)


@pytest.mark.parametrize(("split", "message", "hint"), SPLITS)
def test_splits_that_contradict(split, message, hint):
    with pytest.raises(ValidationError) as caught:
        SplitConfig.model_validate(split)
    [error] = caught.value.errors()
    assert (error["msg"], error["ctx"]["hint"]) == (message, hint)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"type": "sklearn", "dataset": "iris", "split": {"test": "t.csv"}},
            "sklearn data cannot have separate files for test.",
        ),
        (
            {"type": "python", "function": "m:f", "split": {"test": 0.1, "group": "g"}},
            "`group` names a column or an array, and python data has none.",
        ),
        (
            {"type": "images", "path": "d", "split": {"column": "g"}},
            "`column` names a column or an array, and images data has none.",
        ),
        (
            {"type": "text", "path": "d", "split": {"test": 1, "order": "g"}},
            "`order` names a column or an array, and text data has none.",
        ),
        (
            {
                "type": "csv",
                "path": "d",
                "target": "y",
                "windows": {"length": 2},
                "split": {"test": 0.1, "order": "g"},
            },
            "With `windows`, the sets are consecutive in time already; `order` has no effect.",
        ),
    ],
)
def test_splits_that_a_type_cannot_have(data, message):
    with pytest.raises(ValidationError) as caught:
        DATA_TYPES.parse(data)
    assert [error["msg"] for error in caught.value.errors()] == [message]


def test_sizes_of_separate_files_are_0():
    split = SplitConfig(validation="v.csv", test=0.25)
    assert split.own_files == {"validation": ["v.csv"]}
    assert split.counts(8) == (6, 0, 2)
    assert split.has_validation
    assert SplitConfig(column="part").has_validation
    assert not SplitConfig(test=0.1).has_validation


@pytest.mark.parametrize(
    "section",
    [
        {"split": {"order": "day"}},
        {"shuffle": False},
        {"shuffle": False, "split": {"group": "who"}},
        {"windows": {"length": 3}},
    ],
)
def test_folds_in_order_have_no_repetitions(section):
    def make_section(repeat):
        split = section.get("split", {}) | {"fold": {"number": 1, "folds": 3, "repeat": repeat}}
        return {"type": "csv", "path": "t.csv", "target": "y"} | section | {"split": split}

    assert DATA_TYPES.parse(make_section(1)).split.fold.repeat == 1
    with pytest.raises(ValidationError, match="`repeat` must be 1, got 2"):
        DATA_TYPES.parse(make_section(2))
    assert DATA_TYPES.parse(make_section(1) | {"windows": None, "shuffle": True}).split.fold.folds == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": 0.1}, "`test` contradicts `fold`: the fold is the test set."),
        ({"column": "part"}, "`column` contradicts `fold`: it names the set of each example."),
        (
            {"validation": "v.csv"},
            "`validation` must be a fraction or a number of examples with `fold`, got files.",
        ),
        ({"fold": {"number": 4, "folds": 3}}, "`number` must be at most `folds`, 3, got 4."),
    ],
)
def test_fold_determines_the_test_set(changes, message):
    with pytest.raises(ValidationError) as caught:
        SplitConfig.model_validate({"fold": {"number": 1, "folds": 3}} | changes)
    [error] = caught.value.errors()
    assert error["msg"] == message


def test_values_of_classes_begin_at_0():
    values = TargetValues.of_classes(3)
    assert (values.low, values.high, values.distinct) == (0, 2, [0.0, 1.0, 2.0])
    assert values.is_integral
