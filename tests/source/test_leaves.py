import pytest

from layercli.source.leaves import has_mappings, iterate_leaves, join_path

DOCUMENT = {
    "a": {"b": 1, "empty": {}},
    "items": [{"name": "x", "y": 2}, {"y": 3}],
    "sizes": [4, 5],
    "none": [],
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
    assert {join_path(path): value for path, value in iterate_leaves(DOCUMENT, should_open)} == leaves


def test_item_names_as_steps():
    leaves = iterate_leaves(DOCUMENT["items"], has_mappings, use_item_names=True)
    assert [path for path, _ in leaves] == [("x", "name"), ("x", "y"), (1, "y")]
