"""Targets of a table, as its section declares them."""

import pytest

from layercli.config.data.section import DATA_TYPES


def parse(**keys):
    return DATA_TYPES.parse({"type": "csv", "path": "t.csv", **keys})


@pytest.mark.parametrize(
    ("target", "columns"),
    [
        ("y", {None: "y"}),
        ({"only": "y"}, {None: "y"}),
        ({"a": "y", "b": "z"}, {"a": "y", "b": "z"}),
    ],
)
def test_columns_of_one_and_of_several_targets(target, columns):
    assert parse(target=target).target_columns == columns


def test_type_of_a_target_is_that_of_its_output():
    assert parse(target="y").target_type_of(None) is None
    assert parse(target="y", target_type="labels").target_type_of(None) == "labels"
    data = parse(target={"a": "y", "b": "z"}, target_type={"a": "numbers"})
    assert (data.target_type_of("a"), data.target_type_of("b")) == ("numbers", None)
