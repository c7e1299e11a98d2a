"""Suggestions for misspelt names; numbers of edits are counted by hand."""

import pytest

from layercli.schema.suggestions import (
    Suggestion,
    find_closest,
    is_near,
    limit_suggestions,
    list_names,
    suggest_closest,
    suggest_space,
)


@pytest.mark.parametrize(
    ("word", "choice", "expected"),
    [
        ("adm", "adam", True),  # one is inserted
        ("amad", "adam", True),  # two are replaced
        ("elu", "relu", True),
        ("gelu", "relu", True),
        ("sdg", "sgd", True),  # two neighbours are exchanged
        ("gsd", "sgd", True),
        ("slu", "elu", True),
        ("sla", "elu", False),  # two, in words of three letters
        ("rela", "sela", True),
        ("lu", "elu", False),
        ("sigmiod", "sigmoid", True),
        ("drpot", "dropout", True),  # two
        ("drpt", "dropout", False),  # three
        ("dropoutxx", "dropout", True),
        ("dropoutxxx", "dropout", False),
        ("xydense", "dense", True),
        ("dneseu", "dense", True),  # an exchange and an insertion
        ("conv1d", "conv2d", False),  # different digits
        ("cnov2d", "conv2d", True),
        ("Batch_Normalisation", "batchnormalization", True),
    ],
)
def test_near_words_have_at_most_two_edits(word, choice, expected):
    assert is_near(word, choice) is expected
    assert is_near(choice, word) is expected


@pytest.mark.parametrize(
    ("word", "name", "reason"),
    [
        ("unit", "units", None),
        ("u_n_i_t_s", "units", None),
        ("batchsize", "batch_size", None),
        ("rate", "rate", None),
        ("kernel_initialize", "kernel_initializer", None),
        ("kernel", "kernel_size", "`kernel_size` is not similar enough"),  # four edits
        ("strid", "strides", None),
        ("axen", "axes", "it could be `axis`, too"),
        ("initializer", "kernel_initializer", "`kernel_initializer` is not similar enough"),
        ("zzz", None, None),
    ],
)
def test_closest_name_is_suggested_with_its_risk(word, name, reason):
    names = ["units", "batch_size", "rate", "kernel_initializer", "kernel_size", "strides", "axes", "axis"]
    hint = suggest_closest(word, {choice: choice for choice in names})
    if name is None:
        assert hint is None
    else:
        assert (hint, hint.replacement, hint.reason_against) == (f"Did you mean `{name}`?", name, reason)


def test_first_letters_of_one_name_suggest_it():
    assert find_closest("act", ["activity_regularizer", "units"]) == "activity_regularizer"
    assert find_closest("act", ["activity_regularizer", "activation", "units"]) is None
    assert find_closest("ac", ["activity_regularizer", "units"]) is None


def test_missing_space_after_a_colon_is_suggested():
    keys = ["units", "name"]
    hint = suggest_space({"type": "Dense", "units:10": None}, keys)
    assert (hint, hint.replacement) == ("Write a space after the colon: `units: 10`.", "units: 10")
    for mapping in ({"units:10": 3}, {"unit:10": None}, {"units:": None}, {"units": None}):
        assert suggest_space(mapping, keys) is None


def test_number_of_searches_is_limited():
    with limit_suggestions(2):
        assert [find_closest("unit", ["units"]) for _ in range(3)] == ["units", "units", None]
    with limit_suggestions(2):  # 500 choices in all
        assert find_closest("unit", ["units", *map(str, range(499))]) == "units"
        assert find_closest("unit", ["units"]) is None
    with limit_suggestions(1):
        assert find_closest("unit", ["units", *map(str, range(250))]) is None
    assert find_closest("unit", ["units"]) == "units"


def test_long_lists_of_names_are_cut():
    names = [f"n{number}" for number in range(13)]
    assert list_names(names[:12]) == ", ".join(f"`n{number}`" for number in range(12))
    assert list_names(names) == ", ".join(f"`n{number}`" for number in range(12)) + ", …"
    assert list_names(["x" * 61]) == f"`{'x' * 59}…`"


def test_suggestion_is_a_text_with_its_replacement():
    assert Suggestion("Did you mean `a`?", "a").reason_against is None
