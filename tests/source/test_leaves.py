"""Leaves of nested values, with their paths written by hand."""

import pytest

from layercli.source.leaves import format_key_path, has_mappings, iterate_leaves

DOCUMENT = {
    "a": {"b": 1, "empty": {}},
    "items": [{"name": "x", "y": 2}, {"y": 3}],
    "sizes": [4, 5],
    "none": [],
}
NESTED = {
    "name": "x",
    "layers": [{"name": "head", "units": 3}, {"units": 4}, {"name": 5, "units": 6}],
    "metrics": ["mae", "mse"],
    "nothing": [],
    "empty": {},
    7: None,
}


@pytest.mark.parametrize(
    ("should_open", "leaves"),
    [
        (
            lambda _: False,
            {"a.b": 1, "a.empty": {}, "items": DOCUMENT["items"], "sizes": [4, 5], "none": []},
        ),
        (
            has_mappings,
            {
                "a.b": 1,
                "a.empty": {},
                "items[0].name": "x",
                "items[0].y": 2,
                "items[1].y": 3,
                "sizes": [4, 5],
                "none": [],
            },
        ),
        (
            lambda _: True,
            {
                "a.b": 1,
                "a.empty": {},
                "items[0].name": "x",
                "items[0].y": 2,
                "items[1].y": 3,
                "sizes[0]": 4,
                "sizes[1]": 5,
                "none": [],
            },
        ),
    ],
)
def test_leaves_of_opened_lists(should_open, leaves):
    assert {format_key_path(path): value for path, value in iterate_leaves(DOCUMENT, should_open)} == leaves


def test_item_names_as_steps():
    leaves = iterate_leaves(DOCUMENT["items"], has_mappings, use_item_names=True)
    assert [path for path, _ in leaves] == [("x", "name"), ("x", "y"), (1, "y")]


def leaves(**options):
    return [(path, value) for path, value in iterate_leaves(NESTED, has_mappings, **options)]


def test_leaves_have_the_path_of_keys_and_indices():
    assert leaves() == [
        (("name",), "x"),
        (("layers", 0, "name"), "head"),
        (("layers", 0, "units"), 3),
        (("layers", 1, "units"), 4),
        (("layers", 2, "name"), 5),
        (("layers", 2, "units"), 6),
        (("metrics",), ["mae", "mse"]),
        (("nothing",), []),
        (("empty",), {}),
        (("7",), None),
    ]


def test_leaves_use_item_names_that_are_text():
    paths = [path for path, _ in leaves(use_item_names=True)]
    assert paths[1:6] == [
        ("layers", "head", "name"),
        ("layers", "head", "units"),
        ("layers", 1, "units"),
        ("layers", 2, "name"),
        ("layers", 2, "units"),
    ]


def test_leaves_of_a_plain_value_and_of_opened_lists():
    assert list(iterate_leaves(3, has_mappings)) == [((), 3)]
    assert list(iterate_leaves([1, [2]], lambda _: True)) == [((0,), 1), ((1, 0), 2)]
    assert list(iterate_leaves([1, [2]], lambda _: False)) == [((), [1, [2]])]


def test_path_is_joined_with_dots_and_brackets():
    assert format_key_path(("callbacks", 0, "type")) == "callbacks[0].type"
    assert format_key_path((0, 12, "a.b")) == "[0][12].a.b"
    assert format_key_path(("0",)) == "0"
    assert format_key_path(()) == ""


def test_one_mapping_in_a_list_is_enough():
    assert has_mappings([1, {}])
    assert not has_mappings([1, [{}]])
    assert not has_mappings([])
