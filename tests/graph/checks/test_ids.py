"""Ids are compared with the layers that look them up, before Keras runs."""

import pytest

from layercli.graph.checks.ids import (
    Extreme,
    IdRange,
    check_ids,
    find_closed_lookups,
    find_computed_lookups,
    has_id_layers,
)
from tests.stacks_text import checked_layers


def bad_ids(layers, dtype="int32", shape=(6,), **inputs):
    shapes = checked_layers(layers, dtype, shape).shapes
    return [(found.message, found.path[3:], found.hint) for found in check_ids(shapes, inputs)]


def data(low, high, fraction=None):
    ends = Extreme(low, "in row 2"), Extreme(high, "in row 3")
    return IdRange(*ends, None if fraction is None else Extreme(fraction, "in row 5"))


EMBEDDING = {"type": "Embedding", "input_dim": 10, "output_dim": 2}


def test_largest_id_of_the_data_names_row_and_needed_size():
    message = "`input_dim` of `embedding` must be at least 13, because the largest id is 12 in row 3; got 10."
    assert bad_ids([EMBEDDING], input=data(0, 12)) == [(message, ("input_dim",), "Write `input_dim: 13`.")]
    assert bad_ids([EMBEDDING], input=data(0, 9)) == []


def test_negative_and_fractional_ids_name_the_row():
    found = bad_ids([EMBEDDING], input=data(-4, 9, fraction=0.5))
    assert [message for message, _, _ in found] == [
        "`embedding` (Embedding) expects ids of at least 0, got -4 in row 2.",
        "`embedding` (Embedding) expects integers as ids, got 0.5 in row 5. Keras would cut off the fraction.",
    ]


@pytest.mark.parametrize(
    "before",
    [
        [{"type": "Reshape", "target_shape": [2, 3]}],
        [{"type": "Reshape", "target_shape": [6, 1]}, {"type": "Cropping1D", "cropping": 1}, "Flatten"],
        [{"type": "Concatenate", "inputs": ["input", "input"]}],
    ],
)
def test_ids_pass_layers_that_keep_values(before):
    assert len(bad_ids([*before, EMBEDDING], input=data(0, 10))) == 1


RESCALED = "`embedding` (Embedding) expects ids of at least 0, got -1 in row 2, after `rescaling`."


def test_ids_after_rescaling_by_integers_name_the_row():
    shifted = [{"type": "Rescaling", "scale": 1, "offset": -1}, EMBEDDING]
    assert bad_ids(shifted, input=data(0, 10)) == [
        (RESCALED, (), "Change the layers before `embedding` so that every id is at least 0.")
    ]
    assert bad_ids(shifted, input=data(1, 10)) == []
    tripled = [
        {"type": "TimeDistributed", "layer": {"type": "Rescaling", "scale": -3.0, "offset": 30}},
        EMBEDDING,
    ]
    (found,) = bad_ids(tripled, shape=(2, 3), input=data(4, 9))
    assert found[0].endswith("because the largest id is 18 in row 2, after `time_distributed`; got 10.")
    assert found[2] == "Write `input_dim: 19`."


def test_padding_adds_zeros_and_other_layers_do_not():
    shift = {"type": "Rescaling", "scale": 1, "offset": -1}
    reshape = {"type": "Reshape", "target_shape": [6, 1]}
    assert bad_ids([reshape, shift, EMBEDDING], input=data(5, 6)) == []
    (found,) = bad_ids([reshape, {"type": "ZeroPadding1D", "padding": 1}, shift, EMBEDDING], input=data(5, 6))
    assert found[0].endswith("got -1 (from `zero_padding1d`), after `rescaling`.")


def test_joined_ids_are_known_if_all_are():
    joined = [
        {"type": "Rescaling", "scale": 0.5, "name": "half"},
        {"type": "Concatenate", "inputs": ["input", "half"]},
        EMBEDDING,
    ]
    assert bad_ids(joined, input=data(-4, 20)) == []  # the values are computed before training


def test_hint_for_joined_ids_names_the_layers_if_one_computes_them():
    rescaling = {"type": "Rescaling", "scale": 1.0, "offset": 1}
    reshape = {"type": "Reshape", "target_shape": [6]}
    for layer, hint in ((rescaling, "Change the layers before"), (reshape, "Put {type: IntegerLookup")):
        joined = [layer | {"name": "first"}, {"type": "Concatenate", "inputs": ["input", "first"]}, EMBEDDING]
        (found,) = bad_ids(joined, input=data(-4, 8))
        assert found[2].startswith(hint)


def test_limit_of_a_hash_names_its_argument():
    (found,) = bad_ids([{"type": "Hashing", "num_bins": 12}, EMBEDDING])
    assert "because the largest id is 11 (from `hashing` with `num_bins: 12`)" in found[0]
    boundaries = {"type": "Discretization", "bin_boundaries": [float(n) for n in range(11)]}
    (found,) = bad_ids([boundaries, EMBEDDING], dtype="float32")
    assert "because the largest id is 11 (from `discretization`)" in found[0]


def test_lookups_of_computed_ids():
    def names(*layers, dtype="int32"):
        shapes = checked_layers(list(layers), dtype, (6,)).shapes
        return [node.name for node in find_computed_lookups(shapes)]

    assert names({"type": "Rescaling", "scale": 2}, EMBEDDING) == []  # its values follow from the data
    assert names({"type": "Rescaling", "scale": 0.5}, EMBEDDING) == ["embedding"]
    assert names({"type": "Add", "inputs": ["input", "input"]}, EMBEDDING) == ["embedding"]
    assert names("Flatten", {"type": "StringLookup", "max_tokens": 9}, EMBEDDING, dtype="string") == []


def test_lookups_that_fail_for_unknown_words():
    def names(**arguments):
        layers = [{"type": "StringLookup", "vocabulary": ["a"], **arguments}]
        return [node.name for node in find_closed_lookups(checked_layers(layers, "string", (6,)).shapes)]

    assert names(num_oov_indices=0) == ["string_lookup"]
    assert names() == []
    assert names(num_oov_indices=0, invert=True, oov_token="?") == []


def test_calculated_values_are_not_ids():
    assert bad_ids([{"type": "Rescaling", "scale": 0.1}, EMBEDDING], input=data(0, 90)) == []


@pytest.mark.parametrize(
    ("lookup", "dtype", "largest"),
    [
        ({"type": "StringLookup", "max_tokens": 20}, "string", 19),
        ({"type": "StringLookup", "vocabulary": list("abcdefghij")}, "string", 10),
        ({"type": "StringLookup", "vocabulary": list("abcdefghi"), "num_oov_indices": 3}, "string", 11),
        ({"type": "IntegerLookup", "vocabulary": list(range(5, 16)), "mask_token": 0}, "int64", 12),
        ({"type": "TextVectorization", "max_tokens": 11}, "string", 10),
        ({"type": "TextVectorization", "vocabulary": list("abcdefghi")}, "string", 10),
        ({"type": "Hashing", "num_bins": 11}, "string", 10),
        ({"type": "Discretization", "num_bins": 12}, "float32", 11),
        ({"type": "Discretization", "bin_boundaries": [float(n) for n in range(10)]}, "float32", 10),
    ],
)
def test_lookups_return_ids_up_to_their_size(lookup, dtype, largest):
    layers = [lookup, {"type": "Embedding", "input_dim": largest, "output_dim": 2}]
    shape = [1] if lookup["type"] == "TextVectorization" else [6]
    (problem,) = [each for each in checked_layers(layers, dtype, shape).problems if each.code == "bad-id"]
    assert f"must be at least {largest + 1}, because the largest id is {largest} (from " in problem.message
    assert (problem.line, problem.hint) == (5, f"Write `input_dim: {largest + 1}`.")
    layers[1]["input_dim"] = largest + 1
    assert checked_layers(layers, dtype, shape).ok


def test_category_encoding_and_wrapped_embeddings_are_checked():
    encoding = {"type": "CategoryEncoding", "num_tokens": 4}
    assert bad_ids([encoding], input=data(0, 4))[0][2] == "Write `num_tokens: 5`."
    wrapped = {"type": "TimeDistributed", "layer": EMBEDDING}
    found = bad_ids([wrapped], shape=(3, 4), input=data(0, 10))
    assert found[0][1] == ("layer", "input_dim")


def test_learned_vocabulary_is_compared_when_it_is_known():
    shapes = checked_layers([{"type": "StringLookup"}, EMBEDDING], "string").shapes
    assert list(check_ids(shapes, {})) == []
    (found,) = check_ids(shapes, {}, {"string_lookup": 11})
    assert "must be at least 11, because the largest id is 10 (from `string_lookup`); got 10" in found.message


def test_only_models_with_lookups_need_the_ids_of_the_data():
    assert has_id_layers(checked_layers([EMBEDDING]).shapes)
    assert not has_id_layers(checked_layers(["Flatten"]).shapes)


def test_new_ids_of_a_trained_model_can_only_be_corrected():
    shapes = checked_layers([EMBEDDING], "int32", (6,)).shapes
    (found,) = check_ids(shapes, {"input": data(0, 10)}, is_trained=True)
    assert found.message == "Ids for `embedding` must be below 10, got 10 in row 3."
    assert found.hint.endswith("For larger ids, train a model with `input_dim: 11`.")
    findings = list(check_ids(shapes, {"input": data(-1, 9, fraction=0.5)}, is_trained=True))
    hint = "Correct the data: the model has learned only the ids of its training."
    assert [found.hint for found in findings] == [hint, hint]
