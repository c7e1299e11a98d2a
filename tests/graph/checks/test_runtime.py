"""Dtypes and masks of real tensors, which Keras checks only when it runs."""

import pytest
import yaml

from tests.stacks_text import checked_layers

EMBEDDING = {"type": "Embedding", "input_dim": 10, "output_dim": 4, "mask_zero": True}
CONV = {"type": "Conv1D", "filters": 2, "kernel_size": 2}


def problems(layers, dtype="int32", shape=(6,)):
    return [(each.code, each.line, each.severity) for each in checked_layers(layers, dtype, shape).problems]


@pytest.mark.parametrize(
    ("layer", "dtype", "shape"),
    [
        ({"type": "Dense", "units": 2}, "string", (6,)),
        (CONV, "int32", (6, 3)),
        (CONV, "bool", (6, 3)),
        ({"type": "StringLookup"}, "float32", (6,)),
        ({"type": "StringLookup"}, "int64", (6,)),
        ({"type": "TextVectorization"}, "float32", (1,)),
        ({"type": "IntegerLookup"}, "string", (6,)),
        ({"type": "Embedding", "input_dim": 3, "output_dim": 2}, "string", (6,)),
        ({"type": "Dropout", "rate": 0.5}, "int32", (6,)),
        ({"type": "MaxPooling1D"}, "uint32", (6, 3)),
        ({"type": "Activation", "activation": "softmax"}, "int32", (6,)),
        ({"type": "LSTM", "units": 2, "dropout": 0.5}, "int32", (6, 3)),
        ({"type": "TimeDistributed", "layer": "Softmax"}, "int64", (6, 3)),
        ({"type": "Attention", "inputs": ["input", "input"]}, "int32", (6, 3)),
    ],
)
def test_dtype_that_keras_rejects_is_an_error_at_the_layer(layer, dtype, shape):
    assert problems([layer], dtype, shape) == [("dtype-mismatch", 4, "error")]


@pytest.mark.parametrize(
    ("layer", "dtype", "shape"),
    [
        ({"type": "Dense", "units": 2}, "uint8", (6,)),
        ({"type": "Dropout", "rate": 0.0}, "int32", (6,)),
        ({"type": "MaxPooling1D"}, "uint8", (6, 3)),
        ({"type": "Activation", "activation": "relu"}, "int32", (6,)),
        ({"type": "LSTM", "units": 2}, "int32", (6, 3)),
        ({"type": "Attention", "score_mode": "concat", "inputs": ["input", "input"]}, "int32", (6, 3)),
        ({"type": "Hashing", "num_bins": 3}, "string", (6,)),
        ({"type": "IntegerLookup"}, "float32", (6,)),
        ("Flatten", "string", (6,)),
    ],
)
def test_dtype_that_keras_accepts_has_no_problem(layer, dtype, shape):
    assert problems([layer], dtype, shape) == []


def test_layers_that_keep_integers_pass_them_on():
    # Keras declares float32 after RepeatVector, but hands integers to the convolution.
    assert problems([{"type": "RepeatVector", "n": 4}, CONV]) == [("dtype-mismatch", 5, "error")]
    assert problems([{"type": "RepeatVector", "n": 4}, {"type": "Rescaling", "scale": 1.0}, CONV]) == []
    words = {"type": "StringLookup", "vocabulary": ["a", "b"], "output_mode": "one_hot"}
    assert problems([words, CONV], "string") == [("dtype-mismatch", 5, "error")]


def test_integers_and_floats_can_be_merged():
    layers = [{"type": "Rescaling", "scale": 0.5}, {"type": "Add", "inputs": ["rescaling", "input"]}]
    assert problems(layers, "bool") == []
    assert problems([{"type": "Add", "inputs": ["input", "input"]}], "bool") == [
        ("dtype-mismatch", 4, "error")
    ]


@pytest.mark.parametrize(
    ("layers", "dtype", "shape"),
    [
        ([CONV], "int32", (6, 3)),
        ([CONV], "bool", (6, 3)),
        ([{"type": "Dense", "units": 2}], "string", (6,)),
        ([{"type": "Dense", "units": 2}], "string", (1,)),
        ([{"type": "Embedding", "input_dim": 3, "output_dim": 2}], "string", (6,)),
        ([{"type": "LSTM", "units": 2, "dropout": 0.5}], "int32", (6, 3)),
    ],
)
def test_hint_about_the_dtype_solves_the_problem(layers, dtype, shape):
    (problem,) = checked_layers(layers, dtype, shape).problems
    added = yaml.safe_load(problem.hint[problem.hint.index("{") : problem.hint.index("}") + 1])
    assert problems([added, *layers], dtype, shape) == []


@pytest.mark.parametrize(
    ("layer", "dtype", "hint"),
    [
        ("StringLookup", "int64", "Use IntegerLookup instead of StringLookup."),
        ("StringLookup", "float32", "Declare the model input with `dtype: string`."),
        ("TextVectorization", "int64", "Declare the model input with `dtype: string`."),
        ("IntegerLookup", "string", "Use StringLookup instead of IntegerLookup."),
    ],
)
def test_hint_about_the_dtype_of_a_lookup(layer, dtype, hint):
    (problem,) = checked_layers([layer], dtype, (1,)).problems
    assert problem.hint == hint


def test_dropped_mask_is_a_warning_at_the_layer_that_drops_it():
    found = checked_layers([EMBEDDING, {"type": "Dropout", "rate": 0.1}, "Flatten", "Flatten"])
    (problem,) = found.problems
    assert (problem.code, problem.line, problem.severity) == ("dropped-mask", 6, "warning")
    assert problem.message == (
        "`flatten` (Flatten) drops the mask of `embedding` (line 4): from here on, padding is treated as data."
    )
    assert problem.hint.startswith("Remove `mask_zero` from `embedding`, or")
    assert found.ok


@pytest.mark.parametrize(
    "layers",
    [
        [EMBEDDING | {"mask_zero": False}, "Flatten"],
        [EMBEDDING, {"type": "LSTM", "units": 2}, "Flatten"],
        [EMBEDDING, "GlobalAveragePooling1D"],
        [
            EMBEDDING,
            {"type": "Bidirectional", "layer": {"type": "GRU", "units": 2}},
            CONV | {"type": "Flatten"},
        ][:2],
        [
            EMBEDDING,
            {"type": "TimeDistributed", "layer": {"type": "Dense", "units": 2}},
            "GlobalAveragePooling1D",
        ],
        [EMBEDDING, {"type": "Dot", "axes": -1, "inputs": ["embedding", "embedding"]}, "Flatten"],
        [EMBEDDING, {"type": "SpectralNormalization", "layer": {"type": "Dense", "units": 2}}],
        [{"type": "Embedding", "input_dim": 9, "output_dim": 4}, "Masking", {"type": "LSTM", "units": 2}],
    ],
)
def test_mask_that_is_used_has_no_problem(layers):
    assert problems(layers) == []


@pytest.mark.parametrize(
    "dropping",
    [
        CONV,
        "GlobalMaxPooling1D",
        "RMSNormalization",
        {"type": "EinsumDense", "equation": "abc,cd->abd", "output_shape": [None, 3]},
        {"type": "Reshape", "target_shape": [-1]},
        {"type": "Permute", "dims": [2, 1]},
        {"type": "Pipeline", "layers": [{"type": "Rescaling", "scale": 2.0}]},
    ],
)
@pytest.mark.parametrize("before", [[], [{"type": "LSTM", "units": 4, "return_sequences": True}]])
def test_layers_without_masking_drop_the_mask(dropping, before):
    assert problems([EMBEDDING, *before, dropping]) == [("dropped-mask", 5 + len(before), "warning")]


@pytest.mark.parametrize("layer", ["Softmax", {"type": "TimeDistributed", "layer": "Softmax"}])
def test_mask_that_keras_rejects_is_an_error(layer):
    assert problems([EMBEDDING, layer]) == [("shape-mismatch", 5, "error")]
