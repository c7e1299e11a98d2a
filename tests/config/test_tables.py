"""Targets of a table, as its section declares them."""

import pytest

from layercli.check import check_config
from layercli.config.data.section import DATA_TYPES


def parse(**keys):
    return DATA_TYPES.parse({"type": "csv", "path": "t.csv", **keys})


@pytest.mark.parametrize(
    ("target", "columns"),
    [
        ("y", {None: ("y",)}),
        ({"only": "y"}, {None: ("y",)}),
        ({"a": "y", "b": "z"}, {"a": ("y",), "b": ("z",)}),
        (["y", "z"], {None: ("y", "z")}),
        ({"only": ["y", "z"]}, {None: ("y", "z")}),
        ({"a": ["y", "x"], "b": "z"}, {"a": ("y", "x"), "b": ("z",)}),
    ],
)
def test_columns_of_one_and_of_several_targets(target, columns):
    assert parse(target=target).target_columns == columns


def test_shape_of_a_target_is_known_before_reading():
    assert parse(target=["y", "z"]).find_declared_target("dense").shape == (2,)
    assert parse(target={"a": ["y", "x", "w"], "b": "z"}).find_declared_target("a").shape == (3,)
    assert parse(target={"a": ["y", "x"], "b": "z"}).find_declared_target("b").shape == ()
    assert parse(target="y").find_declared_target("dense").shape == ()
    assert parse(target="y", label_separators={"y": ";"}).find_declared_target("dense") is None


def test_type_of_a_target_is_that_of_its_output():
    assert parse(target="y").target_type_of(None) is None
    assert parse(target="y", target_type="labels").target_type_of(None) == "labels"
    data = parse(target={"a": "y", "b": "z"}, target_type={"a": "numbers"})
    assert (data.target_type_of("a"), data.target_type_of("b")) == ("numbers", None)


@pytest.mark.parametrize(
    ("target", "paths"),
    [
        (["y", "z"], [("data", "target", 0), ("data", "target", 1)]),
        ({"only": ["y", "z"]}, [("data", "target", "only", 0), ("data", "target", "only", 1)]),
        (
            {"a": ["y", "x"], "b": "z"},
            [("data", "target", "a", 0), ("data", "target", "a", 1), ("data", "target", "b")],
        ),
        ({"only": "y"}, [("data", "target")]),
    ],
)
def test_each_target_column_has_its_place_in_the_config(target, paths):
    assert [path for _, _, path in parse(target=target).target_references] == paths


@pytest.mark.parametrize("target", [5, None, [], ["y", 3], ["y", ""], {}, {"a": []}, {"a": {"b": "y"}}, ""])
def test_target_is_a_column_or_columns(target):
    with pytest.raises(ValueError, match="`target` must be a column, a list of columns, or a mapping"):
        parse(target=target)


@pytest.mark.parametrize("target", [["y", "y"], {"a": ["y", "z"], "b": "y"}])
def test_target_column_is_named_once(target):
    with pytest.raises(ValueError, match="names the same column twice"):
        parse(target=target)


def test_labels_require_a_target_of_one_column():
    assert parse(target=["y"], target_type="labels").target_type_of(None) == "labels"
    assert parse(target=["y", "z"], target_type="numbers").target_type_of(None) == "numbers"
    with pytest.raises(ValueError, match="requires a target of one column"):
        parse(target=["y", "z"], target_type="labels")


@pytest.mark.parametrize("value", ["label", "3", "[labels]", "{out: label}"])
def test_wrong_target_type_is_one_problem(tmp_path, value):
    path = tmp_path / "c.yaml"
    path.write_text(
        f"data: {{type: csv, path: t.csv, target: {{out: y}}, target_type: {value}}}\n"
        "model: {input: [2], layers: [{type: Dense, name: out, units: 3}]}\n"
    )
    (problem,) = check_config(str(path)).problems
    assert (problem.code, problem.path, problem.line) == ("unknown-value", "data.target_type", 1)
    assert "must be labels or numbers, or a mapping from an output to one of them, got" in problem.message
