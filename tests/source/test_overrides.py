"""``--set KEY=VALUE`` changes the nodes before they are checked."""

from pathlib import Path

import pytest

from layercli.errors import LayercliError
from layercli.source.load import parse_yaml
from layercli.source.nodes import SourceText
from layercli.source.overrides import apply_overrides

CONFIG = """\
name: x
model:
  layers:
    - Flatten
    - {type: Dense, units: 10, name: head}
train: {epochs: 1, metrics: [accuracy]}
"""


def names(items):
    plain = [item.to_plain() for item in items]
    return [value.get("name", "") if isinstance(value, dict) else str(value).lower() for value in plain]


def read(text=CONFIG):
    return parse_yaml(SourceText("c.yaml", text.split("\n"), Path()))


def changed(*overrides, text=CONFIG):
    root = read(text)
    apply_overrides(root, overrides, names)
    return root


def refusals(*overrides):
    with pytest.raises(LayercliError) as caught:
        changed(*overrides)
    assert all(problem.line is None for problem in caught.value.problems)
    return [(problem.file, problem.code, problem.message, problem.hint) for problem in caught.value.problems]


def test_a_value_is_replaced():
    assert changed("train.epochs=3").to_plain()["train"] == {"epochs": 3, "metrics": ["accuracy"]}


def test_a_value_is_read_as_yaml():
    train = changed(
        "train.epochs=1e-3", "train.metrics=[a, {type: AUC}]", "train.x=no", "train.y=a=b", "train.z="
    )
    assert train.to_plain()["train"] == {
        "epochs": 0.001,
        "metrics": ["a", {"type": "AUC"}],
        "x": "no",
        "y": "a=b",
        "z": None,
    }


@pytest.mark.parametrize(
    "key",
    [
        "model.layers.1.units",
        "model.layers[1].units",
        "model.layers[-1].units",
        "model.layers.head.units",
        "model.layers.-1.units",
    ],
)
def test_a_layer_is_addressed_by_index_or_by_name(key):
    assert changed(f"{key}=20").to_plain()["model"]["layers"][1] == {
        "type": "Dense",
        "units": 20,
        "name": "head",
    }


def test_a_layer_is_replaced():
    assert changed("model.layers[0]=Dropout").to_plain()["model"]["layers"][0] == "Dropout"


def test_a_bare_name_becomes_a_mapping():
    assert changed("model.layers.flatten.name=f").to_plain()["model"]["layers"][0] == {
        "type": "Flatten",
        "name": "f",
    }


def test_missing_mappings_are_made():
    assert changed("data.split.test=0.1").to_plain()["data"] == {"split": {"test": 0.1}}


def test_nothing_counts_as_an_empty_mapping():
    assert changed("train.epochs=3", text="train:\n").to_plain() == {"train": {"epochs": 3}}


def test_the_last_one_wins():
    assert changed("name=a", "name=b").to_plain()["name"] == "b"


def test_names_follow_earlier_changes():
    text = "model: {layers: [{name: a, type: X}, {name: b, type: X}]}"
    root = parse_yaml(SourceText("config.yaml", text.split("\n"), Path()))
    options = [
        "model.layers.b.units=1",
        "model.layers.a.name=c",
        "model.layers.c.units=2",
        "model.layers.b.rate=3",
    ]
    apply_overrides(root, options, names)
    assert root.to_plain()["model"]["layers"] == [
        {"name": "c", "type": "X", "units": 2},
        {"name": "b", "type": "X", "units": 1, "rate": 3},
    ]
    for change in (
        "model.layers[0]={name: d, type: X}",
        "model.layers=[{name: d}]",
        "model={layers: [{name: d}]}",
    ):
        root = parse_yaml(SourceText("config.yaml", text.split("\n"), Path()))
        apply_overrides(root, ["model.layers.a.x=1", change, "model.layers.d.x=2"], names)
        assert root.to_plain()["model"]["layers"][0]["x"] == 2
        with pytest.raises(LayercliError, match="has no item"):
            apply_overrides(root, ["model.layers.d.x=1", change, "model.layers.a.x=2"], names)


def test_names_are_listed_once_for_many_changes():
    calls = []

    def count(items):
        calls.append(len(items))
        return names(items)

    text = "model: {layers: [{name: a}, {name: b}]}"
    root = parse_yaml(SourceText("config.yaml", [text], Path()))
    apply_overrides(root, [f"model.layers.{'ab'[number % 2]}.x{number}=1" for number in range(50)], count)
    assert calls == [2]


def test_an_alias_is_changed_in_one_place_only():
    root = changed("b.rate=2", text="a: &a {rate: 1}\nb: *a\n")
    assert root.to_plain() == {"a": {"rate": 1}, "b": {"rate": 2}}


def test_changed_value_is_located_at_the_option():
    mark = changed("train.epochs=3").find_mark(("train", "epochs"))
    assert mark.source.name == "--set train.epochs=3"
    assert not mark.source.has_positions


@pytest.mark.parametrize(
    "option", ["x", "=3", "", "a..b=1", "model.layers[]=1", "model.layers[x]=1", ".a=1", "[0]=1"]
)
def test_invalid_option_is_refused(option):
    assert refusals(option) == [
        (
            f"--set {option}",
            "bad-override",
            "`--set` must be `KEY=VALUE`.",
            "For example `--set train.epochs=3`.",
        )
    ]


def test_unknown_item_error_lists_valid_names():
    assert refusals("model.layers.haed.units=1") == [
        (
            "--set model.layers.haed.units=1",
            "bad-override",
            '`model.layers` has no item "haed".',
            "Valid names: `flatten`, `head`.",
        )
    ]


@pytest.mark.parametrize("index", ["2", "-3", "999999999"])
def test_an_index_beyond_the_list_is_refused(index):
    ((_, code, message, hint),) = refusals(f"model.layers[{index}].units=1")
    assert code == "bad-override"
    assert message == f"`model.layers` has no item {index}: it has 2 items."
    ((_, _, message, _),) = refusals("model.layers[9999999999].units=1")
    assert message == '`model.layers` has no item "9999999999".'
    assert hint == "Valid indices are 0 to 1."


def test_a_number_has_no_keys():
    ((_, code, message, hint),) = refusals("train.epochs.x=1")
    assert (code, message, hint) == ("bad-override", "`train.epochs` has no key `x`: it is 1.", None)


def test_key_depth_limit():
    ((_, code, message, hint),) = refusals("a." * 5_000 + "b=1")
    assert (code, message) == ("bad-override", "The key has 5001 steps; the limit is 100.")
    assert hint == "Shorten the key."
    ((_, _, message, _),) = refusals("a." * 100 + "b=1")
    assert message == "The key has 101 steps; the limit is 100."
    assert changed("a." * 99 + "b=1").to_plain()["a"]["a"]


def test_invalid_yaml_value_is_refused():
    problems = refusals("train.epochs=012", "name=!!python/name:os.system x", "train.metrics=[")
    assert [code for _, code, _, _ in problems] == ["ambiguous-number", "tag-refused", "yaml-syntax"]


def test_control_characters_in_an_option_are_not_shown():
    ((file, _, _, _),) = refusals("\x1b[31mred")
    assert file == "--set \N{REPLACEMENT CHARACTER}[31mred"


def test_values_of_all_overrides_are_bounded_together(monkeypatch):
    monkeypatch.setattr("layercli.source.overrides.MAX_NODES", 10)
    apply_overrides(read(), ["name=a", "train.metrics=[a, b, c, d]"], names)
    with pytest.raises(LayercliError) as caught:
        apply_overrides(read(), ["train.metrics=[a, b, c, d]"] * 3 + ["wrong.key=1"], names)
    (problem,) = caught.value.problems
    assert problem.code == "too-many-nodes"
    assert problem.message == "The values of `--set` contain more than 10 values in total."
