"""Comparison of two models: inserted, removed, renamed and changed layers, settings and weights."""

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from layercli.check import check_config, require_valid
from layercli.graph.diff import ComparedModel, compare_layers, compare_settings, match_weights
from tests.running import CONFIGS, IRIS

STACK = [
    {"type": "Dense", "units": 8},
    {"type": "Dense", "units": 8},
    {"type": "Dropout", "rate": 0.5},
    {"type": "Dense", "units": 8, "activation": "relu", "name": "code"},
    {"type": "Dense", "units": 8, "use_bias": False},
]
NOISE = {"type": "GaussianNoise", "stddev": 1.0}
DENSE = {"type": "Dense", "units": 8, "activation": "tanh"}


@pytest.fixture
def side(tmp_path):
    def side(config):
        path = tmp_path / "c.yaml"
        document = config if isinstance(config, dict) else {"model": {"input": [8], "layers": config}}
        path.write_text(config if isinstance(config, str) else yaml.safe_dump(document))
        valid = require_valid(check_config(str(path)))
        return ComparedModel(valid.config, valid.shapes)

    return side


def list_differences(pairs):
    """Return the pairs that differ in more than the number of an automatic name."""
    return [
        (pair.status, (pair.after or pair.before).node.type_name, [d.label for d in pair.differences])
        for pair in pairs
        if pair.status != "same" and not pair.is_renumbered
    ]


@pytest.mark.parametrize("new", [NOISE, DENSE], ids=["noise", "dense"])
@pytest.mark.parametrize("place", range(len(STACK) + 1))
def test_inserted_layer_is_the_only_difference(side, place, new):
    pairs = compare_layers(side(STACK), side([*STACK[:place], new, *STACK[place:]]))
    assert list_differences(pairs) == [("added", new["type"], [])]
    assert pairs[place].status == "added"


@pytest.mark.parametrize("place", range(len(STACK)))
def test_removed_layer_is_the_only_difference(side, place):
    pairs = compare_layers(side(STACK), side(STACK[:place] + STACK[place + 1 :]))
    assert list_differences(pairs) == [("removed", STACK[place]["type"], [])]
    gone = next(pair.before for pair in pairs if pair.status == "removed")
    assert (
        gone.node.layer.to_plain().items()
        >= {key: STACK[place][key] for key in STACK[place] if key != "name"}.items()
    )


@pytest.mark.parametrize("place", range(len(STACK)))
def test_renamed_layer_is_the_only_difference(side, place):
    renamed = [layer | {"name": "other"} if number == place else layer for number, layer in enumerate(STACK)]
    pairs = compare_layers(side(STACK), side(renamed))
    assert list_differences(pairs) == [("renamed", STACK[place]["type"], ["name"])]
    assert pairs[place].name_difference.after == "other"


@pytest.mark.parametrize("place", [0, 1, 3, 4])
def test_changed_argument_has_both_values(side, place):
    changed = [
        layer | {"activation": "gelu"} if number == place else layer for number, layer in enumerate(STACK)
    ]
    pairs = compare_layers(side(STACK), side(changed))
    assert list_differences(pairs) == [("changed", "Dense", ["activation"])]
    [difference] = pairs[place].differences
    assert (difference.before, difference.after) == (STACK[place].get("activation"), "gelu")


def test_replacement_follows_the_removed_layer(side):
    pairs = compare_layers(side(STACK), side([*STACK[:2], NOISE, *STACK[3:]]))
    assert [pair.status for pair in pairs] == ["same", "same", "removed", "added", "same", "same"]


def test_shifted_layers_are_not_changed(side):
    stack = [{"type": "Dense", "units": units} for units in (1, 2, 3, 4, 5)]
    pairs = compare_layers(side(stack[:4]), side(stack[1:]))
    assert [pair.status for pair in pairs] == ["removed", "changed", "renamed", "renamed", "added"]
    assert [d.label for d in pairs[1].differences] == ["name", "parameters"]  # its input differs


def test_changed_output_shape_of_an_unchanged_layer(side):
    pairs = compare_layers(side(STACK[:3]), side([STACK[0], {"type": "Dense", "units": 6}, STACK[2]]))
    assert list_differences(pairs) == [
        ("changed", "Dense", ["units", "output", "parameters"]),
        ("changed", "Dropout", ["output"]),
    ]


def test_named_layers_match_across_moves_and_type_changes(side):
    swapped = [STACK[3] | {"type": "PReLU"}, *STACK[:3], STACK[4]]
    del swapped[0]["units"], swapped[0]["activation"]
    [first, *others] = compare_layers(side(STACK), side(swapped))
    assert (first.before.node.name, first.after.node.name) == ("code", "code")
    assert first.differences[0].label == "type"
    assert first.differences[0].before == {"type": "Dense", "units": 8, "activation": "relu"}
    assert first.differences[0].after == "PReLU"
    assert {pair.status for pair in others} <= {"same", "changed"}


def test_only_changed_inputs_are_differences(side):
    base = [
        {"type": "Dense", "units": 8, "name": "a"},
        {"type": "Dense", "units": 8},
        {"type": "Add", "inputs": ["a", "dense"]},
    ]
    other = [*base[:2], {"type": "Add", "inputs": ["input", "dense"]}]
    [pair] = [pair for pair in compare_layers(side(base), side(other)) if pair.status == "changed"]
    assert [(d.label, d.before, d.after) for d in pair.differences] == [
        ("inputs", ["a", "dense"], ["input", "dense"])
    ]
    moved = [{"type": "Dense", "units": 8, "name": "new"}, *base]
    assert [pair.status for pair in compare_layers(side(base), side(moved))] == [
        "added",
        "same",
        "same",
        "same",
    ]


def test_inserted_residual_block(side):
    block = [DENSE | {"name": "new"}, {"type": "Add", "name": "sum", "inputs": ["code", "new"]}]
    pairs = compare_layers(side(STACK), side([*STACK[:4], *block, STACK[4]]))
    assert list_differences(pairs) == [("added", "Dense", []), ("added", "Add", [])]
    around = [block[0], block[1] | {"inputs": ["dense", "new"]}]
    pairs = compare_layers(side(STACK), side([*STACK[:4], *around, STACK[4]]))
    assert list_differences(pairs)[2:] == [("changed", "Dense", ["inputs"])]


def test_output_index_and_reuse_are_inputs(side):
    lstm = {"type": "LSTM", "name": "encoder", "units": 3, "return_state": True}
    head = {"type": "Dense", "units": 3}

    def model(*layers):
        return side({"model": {"input": [5, 3], "layers": list(layers)}})

    pairs = compare_layers(
        model(lstm, head | {"inputs": "encoder:1"}), model(lstm, head | {"inputs": "encoder:2"})
    )
    assert list_differences(pairs) == [("changed", "Dense", ["inputs"])]
    twice = [lstm, head | {"inputs": "encoder:0"}, head | {"name": "again"}]
    pairs = compare_layers(model(*twice), model(*twice[:2], {"reuse": "dense", "name": "again"}))
    assert list_differences(pairs) == [("changed", "Dense", ["inputs", "parameters"])]


def test_alignment_of_many_layers_with_few_differences(side):
    stack = [{"type": "Dense", "units": 1 + number % 7} for number in range(600)]
    other = [*stack[:20], {"type": "Dense", "units": 9}, *stack[21:300], NOISE, *stack[300:560], *stack[561:]]
    pairs = compare_layers(side(stack), side(other))
    kinds = [kind for kind, _, _ in list_differences(pairs)]
    assert (kinds.count("added"), kinds.count("removed")) == (1, 1)
    assert len(kinds) <= 6


def test_thousands_of_different_layers_match_by_name(side):
    pairs = compare_layers(*(side([{"type": "Dense", "units": units}] * 2000) for units in (3, 4)))
    assert len(pairs) == 2000
    assert all(pair.before.node.name == pair.after.node.name for pair in pairs)


entries = st.sampled_from([*STACK, NOISE, DENSE, "ReLU", {"type": "ReLU", "name": "act"}])
stacks = st.lists(entries, min_size=1, max_size=8)


@profile(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(stacks, stacks)
def test_every_layer_is_in_exactly_one_pair(side, first, second):
    before, after = (side(unique(layers)) for layers in (first, second))
    pairs = compare_layers(before, after)
    assert sorted(pair.before.node.path for pair in pairs if pair.before) == [
        row.node.path for row in before.shapes.rows
    ]
    assert [pair.after.node.path for pair in pairs if pair.after] == [
        row.node.path for row in after.shapes.rows
    ]
    same = [pair for pair in pairs if pair.status == "same"]
    assert all(pair.before.node.layer == pair.after.node.layer for pair in same)
    if unique(first) == unique(second):
        assert len(same) == len(pairs)


def unique(layers):
    """Return the layers without duplicate names."""
    kept, names = [], set()
    for layer in layers:
        name = layer.get("name") if isinstance(layer, dict) else None
        if name is None or name not in names:
            kept.append(layer)
            names.add(name)
    return kept


def weights(before, after):
    pairs = compare_layers(before, after)
    return {
        name: (one.obstacle, one.previous_name)
        for name, one in match_weights(before.shapes, after.shapes, pairs).items()
    }


@pytest.mark.parametrize("layer", [STACK[3], {"type": "TimeDistributed", "layer": STACK[0], "name": "code"}])
def test_weights_match_with_and_without_lora(side, layer):
    inner = layer.get("layer", layer) | {"lora_rank": 2}
    tuned = layer | {"layer": inner} if "layer" in layer else inner
    plain, low_rank = (side({"model": {"input": [4, 8], "layers": [one]}}) for one in (layer, tuned))
    assert weights(plain, low_rank) == weights(low_rank, plain) == {"code": (None, "code")}


def test_weights_match_by_name_and_shape(side):
    assert weights(side(STACK), side([*STACK[:3], STACK[3] | {"units": 5}, STACK[4]])) == {
        "dense": (None, "dense"),
        "dense_1": (None, "dense_1"),
        "code": ("kernel (8, 8) -> (8, 5), bias (8,) -> (5,)", "code"),
        "dense_2": ("kernel (8, 8) -> (5, 8)", "dense_2"),
    }
    assert weights(side(STACK), side([STACK[3] | {"name": "x"}])) == {"x": ("no layer has this name", "code")}
    unbiased = side([STACK[4] | {"name": "code"}])
    assert weights(side([STACK[3]]), unbiased) == {"code": ("2 -> 1 weights", "code")}
    assert weights(side([{"type": "ReLU", "name": "code"}]), unbiased) == {
        "code": ("the layer has no weights", "code")
    }


def test_weights_match_by_name_across_different_layers(side):
    assert weights(side(STACK[:2]), side([DENSE, *STACK[:2]])) == {
        "dense": (None, None),
        "dense_1": (None, "dense"),
        "dense_2": ("no layer has this name", "dense_1"),
    }


def settings(before, after):
    found = compare_settings(before, after, compare_layers(before, after))
    return [(difference.label, difference.before, difference.after) for difference in found]


def test_explicit_default_is_not_a_difference(side):
    written = "\n  batch_size: 32\n  callbacks: []\n"
    named = IRIS.replace("{type: Adam, learning_rate: 0.02}", "adam")
    spelt = IRIS.replace("{type: Adam, learning_rate: 0.02}", "{type: Adam, learning_rate: 0.001}")
    assert settings(side(IRIS), side(IRIS + written)) == []
    assert settings(side(named), side(spelt)) == []
    zeros = [STACK[0] | {"bias_initializer": value} for value in ("zeros", "Zeros", {"type": "Zeros"})]
    for other in zeros:
        assert {pair.status for pair in compare_layers(side(STACK[:1]), side([other]))} == {"same"}


def test_settings_differ_by_path_or_as_a_whole(side):
    other = (
        IRIS.replace("seed: 3", "seed: 4")
        .replace("epochs: 2", "epochs: 9")
        .replace("{type: Adam, learning_rate: 0.02}", "{type: SGD, momentum: 0.9}")
        .replace("[accuracy]", "[accuracy, {type: AUC, name: auc}]")
        .replace("test: 0.2", "test: 30")
    )
    assert settings(side(IRIS), side(other)) == [
        ("seed", 3, 4),
        ("data.split.test", 0.2, 30),
        ("train.epochs", 2, 9),
        ("train.optimizer", {"type": "Adam", "learning_rate": 0.02}, {"type": "SGD", "momentum": 0.9}),
        ("train.metrics[1]", None, {"type": "AUC", "name": "auc"}),
    ]


def test_model_inputs_and_outputs_are_settings(side):
    two = {"type": "Dense", "units": 2, "name": "two"}
    base = {"model": {"input": [8], "layers": [two, STACK[0]]}}
    assert settings(side(base), side({"model": base["model"] | {"outputs": ["dense"]}})) == []
    assert settings(side(base), side({"model": base["model"] | {"outputs": ["two", "dense"]}})) == [
        ("model.outputs", ["dense"], ["two", "dense"])
    ]
    assert settings(side(base), side({"model": base["model"] | {"input": [9]}})) == [
        ("model.input.shape", [8], [9])
    ]


def test_name_derived_from_the_file_is_not_a_difference(side):
    named = {"name": "mine", "model": {"input": [8], "layers": STACK}}
    assert settings(side(STACK), side(named)) == []
    assert settings(side(named), side(named | {"name": "yours"})) == [("name", "mine", "yours")]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_config_equals_itself(path):
    sides = [
        ComparedModel(valid.config, valid.shapes)
        for valid in (require_valid(check_config(str(path))) for _ in range(2))
    ]
    pairs = compare_layers(*sides)
    assert {pair.status for pair in pairs} == {"same"}
    assert compare_settings(*sides, pairs) == []
