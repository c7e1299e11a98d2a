"""Two stacks side by side: what was inserted, removed, renamed or changed is found as exactly that."""

import pytest
import yaml

from layercli.check import check, require
from layercli.graph.diff import Side, carried_over, compare, value_differences
from tests.running import CONFIGS

STACK = [
    {"type": "Dense", "units": 8},
    {"type": "Dense", "units": 8},
    {"type": "Dropout", "rate": 0.5},
    {"type": "Dense", "units": 4, "name": "code"},
    {"type": "Dense", "units": 8},
]


@pytest.fixture
def side(tmp_path):
    def side(layers):
        path = tmp_path / "c.yaml"
        path.write_text(yaml.safe_dump({"model": {"input": [8], "layers": layers}}))
        valid = require(check(str(path)))
        return Side(valid.config, valid.shapes)

    return side


def kinds(pairs):
    return [(pair.kind, (pair.after or pair.before).node.type_name) for pair in pairs if pair.kind != "same"]


def arguments(pairs):
    """The differences that were made, not those that follow: numbered names, wiring, shapes."""
    follow = ("name", "inputs", "output")
    return [d.what for pair in pairs for d in pair.differences if d.what not in follow]


@pytest.mark.parametrize("place", range(len(STACK) + 1))
def test_an_inserted_layer_is_found_wherever_it_stands(side, place):
    pairs = compare(
        side(STACK), side([*STACK[:place], {"type": "GaussianNoise", "stddev": 1.0}, *STACK[place:]])
    )
    assert [kind for kind in kinds(pairs) if kind[0] in ("added", "removed")] == [("added", "GaussianNoise")]
    assert arguments(pairs) == []
    assert pairs[place].kind == "added"


@pytest.mark.parametrize("place", range(len(STACK)))
def test_a_removed_layer_is_found_wherever_it_stood(side, place):
    pairs = compare(side(STACK), side(STACK[:place] + STACK[place + 1 :]))
    gone = [kind for kind in kinds(pairs) if kind[0] in ("added", "removed")]
    assert gone == [("removed", STACK[place]["type"])]
    assert arguments(pairs) == []


@pytest.mark.parametrize("place", range(len(STACK)))
def test_a_renamed_layer_is_the_same_layer_of_another_name(side, place):
    renamed = [layer | {"name": "other"} if number == place else layer for number, layer in enumerate(STACK)]
    pairs = compare(side(STACK), side(renamed))
    assert [pair.kind for pair in pairs].count("changed") >= 1
    assert not {"added", "removed"} & {pair.kind for pair in pairs}
    assert [d.after for d in pairs[place].differences if d.what == "name"] == ["other"]


@pytest.mark.parametrize("place", [0, 1, 3, 4])
def test_a_changed_argument_is_found_with_both_values(side, place):
    changed = [layer | {"units": 9} if number == place else layer for number, layer in enumerate(STACK)]
    pairs = compare(side(STACK), side(changed))
    assert arguments(pairs) == ["units"]
    [difference] = [d for d in pairs[place].differences if d.what == "units"]
    assert (difference.before, difference.after) == (STACK[place]["units"], 9)


def test_wiring_that_changes_is_told_and_wiring_that_only_moves_is_not(side):
    base = [
        {"type": "Dense", "units": 8, "name": "a"},
        {"type": "Dense", "units": 8},
        {"type": "Add", "inputs": ["a", "dense"]},
    ]
    other = [*base[:2], {"type": "Add", "inputs": ["input", "dense"]}]
    [pair] = [pair for pair in compare(side(base), side(other)) if pair.kind == "changed"]
    assert [(d.what, d.before, d.after) for d in pair.differences] == [
        ("inputs", ["a", "dense"], ["input", "dense"])
    ]
    moved = [
        {"type": "Dense", "units": 8, "name": "new"},
        *base[:2],
        {"type": "Add", "inputs": ["a", "dense"]},
    ]
    assert [pair.kind for pair in compare(side(base), side(moved))] == ["added", "changed", "same", "same"]


def test_weights_carry_over_where_name_and_shapes_are_equal(side):
    before, after = side(STACK).shapes, side([*STACK[:3], STACK[3] | {"units": 5}, STACK[4]]).shapes
    assert carried_over(before, after) == {
        "dense": None,
        "dense_1": None,
        "code": "kernel (8, 5) was (8, 4), and 1 more",
        "dense_2": "kernel (5, 8) was (4, 8)",
    }
    assert carried_over(before, side([{"type": "Dense", "units": 8, "name": "x"}]).shapes) == {
        "x": "no layer of that name has weights"
    }


def test_equal_numbers_of_different_kinds_differ():
    assert [d.what for d in value_differences({"a": 1, "b": [1, {"c": 2}]}, {"a": 1.0, "b": [1, {"c": 3}]})] == [
        "a", "b[1].c",
    ]  # fmt: skip


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_config_is_the_same_as_itself(path):
    sides = [Side(valid.config, valid.shapes) for valid in (require(check(str(path))) for _ in range(2))]
    assert {pair.kind for pair in compare(*sides)} == {"same"}
