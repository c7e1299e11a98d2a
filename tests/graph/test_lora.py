"""`model.lora_rank`: which layers train a low-rank update, and wrong names and ranks."""

import pytest

from layercli.check import check_config, require_valid
from layercli.graph.lora import ignores_lora_alpha, merge_lora
from layercli.layers.registry import LAYERS as CATALOGUE
from tests.running import write_config

LAYERS = [
    {"type": "Dense", "name": "hidden_1", "units": 64, "activation": "relu"},
    {"type": "Dropout", "name": "hidden_2", "rate": 0.1},
    {"type": "Dense", "name": "top", "units": 32},
]
MODEL = {"input": [16], "layers": LAYERS, "weights": "runs/base/1"}


def check_model(directory, **model):
    return check_config(str(write_config(directory, [], data=None, train=None, model=MODEL | model)))


def infer_shapes(directory, **model):
    return require_valid(check_model(directory, **model)).shapes


def find_ranks(directory, **model):
    return {
        row.node.name: getattr(row.node.layer, "lora_rank", None)
        for row in infer_shapes(directory, **model).rows
    }


def test_rank_of_a_pattern_counts_for_each_matching_layer(tmp_path):
    assert find_ranks(tmp_path, lora_rank={"hidden*": 4}) == {"hidden_1": 4, "hidden_2": None, "top": None}
    row = infer_shapes(tmp_path, lora_rank={"hidden*": 4}).by_name["hidden_1"]
    assert row.parameters == 16 * 64 + 64 + 4 * (16 + 64)
    assert row.trainable == 64 + 4 * (16 + 64)  # the bias and the update


def test_first_pattern_and_the_layers_own_rank_count(tmp_path):
    own = [*LAYERS[:2], LAYERS[2] | {"lora_rank": 1}]
    ranks = find_ranks(tmp_path, layers=own, lora_rank={"hidden_1": 2, "*": 8})
    assert ranks == {"hidden_1": 2, "hidden_2": None, "top": 1}


def test_frozen_layers_get_no_rank_and_reused_ones_share_it(tmp_path):
    layers = [*LAYERS, {"type": "Dense", "units": 16, "name": "back"}, {"reuse": "hidden_1"}]
    found = infer_shapes(tmp_path, layers=layers, lora_rank={"*": 2}, freeze=["top"]).rows
    assert [getattr(row.node.layer, "lora_rank", None) for row in found] == [2, None, None, 2, 2]
    assert found[-1].parameters == 0


@pytest.mark.parametrize(
    ("model", "code", "path", "hint"),
    [
        (
            {"lora_rank": {"hiden_1": 2}},
            "unknown-name",
            "model.lora_rank.hiden_1",
            "Did you mean `hidden_1`?",
        ),
        ({"lora_rank": {"a*": 2}}, "unknown-name", 'model.lora_rank["a*"]', "Known names"),
        ({"lora_rank": {"hidden_2": 2}}, "bad-argument", "model.lora_rank.hidden_2", "Dense, EinsumDense"),
        ({"lora_rank": {"*_2": 2}}, "bad-argument", 'model.lora_rank["*_2"]', 'Remove "*_2"'),
        ({"lora_rank": {"top": 2}, "freeze": ["t*"]}, "bad-argument", "model.lora_rank.top", "from `freeze`"),
        ({"lora_rank": {"top": 0}}, "out-of-range", "model.lora_rank.top", "4}"),
        ({"lora_rank": {"top": "4"}}, "wrong-type", "model.lora_rank.top", "`top: 4`"),
        ({"lora_rank": ["top"]}, "wrong-type", "model.lora_rank", "4}"),
        ({"lora_rank": {"a*" * 200: 2}}, "bad-argument", "model.lora_rank", "shorter"),
    ],
)
def test_wrong_names_and_ranks_are_errors(model, code, path, hint, tmp_path):
    (problem,) = check_model(tmp_path, **model).problems
    assert (problem.code, problem.path) == (code, path)
    assert hint in problem.hint


def test_update_of_a_constrained_kernel_is_refused_at_the_layer(tmp_path):
    layers = [LAYERS[0] | {"kernel_constraint": "NonNeg"}]
    (problem,) = check_model(tmp_path, layers=layers, lora_rank={"*": 2}).problems
    assert (problem.code, problem.path) == ("bad-argument", "model.layers[0].kernel_constraint")
    assert problem.hint == "Remove `kernel_constraint` or `lora_rank`."


def test_update_of_a_random_kernel_is_a_warning(tmp_path):
    (problem,) = check_model(tmp_path, weights=None, lora_rank={"top": 2}).problems
    assert (problem.code, problem.severity, problem.path) == (
        "random-kernel",
        "warning",
        "model.lora_rank",
    )
    own = check_model(tmp_path, weights=None, layers=[LAYERS[0] | {"lora_rank": 2}]).problems
    assert [each.path for each in own] == ["model.layers[0].lora_rank"]
    assert check_model(tmp_path, lora_rank={"top": 2}).problems == []


def test_merged_graph_has_no_updates_in_nested_layers(tmp_path):
    inner = {"type": "Dense", "units": 3, "lora_rank": 2, "lora_alpha": 4.0}
    layers = [{"type": "TimeDistributed", "layer": inner}, "Flatten", {"type": "Dense", "units": 2}]
    graph = infer_shapes(tmp_path, input=[5, 4], layers=layers).graph
    merged = merge_lora(graph)
    assert merged.nodes[0].layer.layer.arguments()["lora_rank"] is None
    assert merged.nodes[1].layer is graph.nodes[1].layer
    assert graph.nodes[0].layer.layer.lora_rank == 2
    assert merge_lora(merged) is merged


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ({"type": "Embedding", "input_dim": 9, "output_dim": 4, "lora_rank": 2, "lora_alpha": 6.0}, True),
        ({"type": "Embedding", "input_dim": 9, "output_dim": 4, "lora_rank": 2}, False),
        ({"type": "Embedding", "input_dim": 9, "output_dim": 4, "lora_alpha": 6.0}, False),
        ({"type": "Dense", "units": 4, "lora_rank": 2, "lora_alpha": 6.0}, False),
    ],
)
def test_keras_ignores_the_scale_of_an_embedding(layer, expected):
    assert ignores_lora_alpha(CATALOGUE.parse(layer)) is expected
