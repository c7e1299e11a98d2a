import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Tensor
from tests.layers.errors import argument_error, shape_error
from tests.layers.parity import assert_built_alike, assert_parity

KINDS = ["LSTM", "GRU", "SimpleRNN"]
LSTM = {"type": "LSTM", "units": 4}
CELL = {"type": "GRUCell", "units": 4}
LSTM_CELL = {"type": "LSTMCell", "units": 3}
CONV = {"type": "ConvLSTM2D", "filters": 3, "kernel_size": 2}


def multiply_adds(value, *shapes):
    return LAYERS.parse(value).infer(tuple(Tensor(shape) for shape in shapes)).multiply_adds


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "shape",
    [(None, 5, 3), (None, None, 3), (None, 5, None), (None, 5), (None,), (None, 5, 3, 2), (None, 0, 3)],
)
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"return_sequences": True},
        {"return_state": True},
        {"return_sequences": True, "return_state": True, "dtype": "mixed_float16"},
        {"use_bias": False},
        {"unroll": True},
        {"stateful": True},
        {"go_backwards": True, "dropout": 0.5, "recurrent_dropout": 0.1, "seed": 1},
        {"trainable": False, "activity_regularizer": "L2"},
        {"units": 0},
        {"activation": None},
    ],
    ids=str,
)
def test_recurrent_layers_agree_with_keras(kind, shape, arguments):
    assert_parity({"type": kind, "units": 4} | arguments, shape)


@pytest.mark.parametrize(
    "value",
    [
        LSTM | {"unit_forget_bias": False, "use_cudnn": True},
        LSTM | {"use_cudnn": False, "kernel_initializer": {"type": "HeNormal", "seed": 1}},
        {"type": "GRU", "units": 4, "reset_after": False},
        {"type": "GRU", "units": 4, "reset_after": False, "use_bias": False},
    ],
    ids=str,
)
def test_arguments_of_one_kind_agree_with_keras(value):
    assert_parity(value, (None, 5, 3))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["int32", "float64", "float16", "bool"])
def test_recurrent_layers_on_other_dtypes_agree_with_keras(kind, dtype):
    assert_parity({"type": kind, "units": 4, "return_state": True}, (None, 5, 3), dtype=dtype)
    assert_parity({"type": kind, "units": 4, "autocast": False}, (None, 5, 3), dtype=dtype)


@pytest.mark.parametrize(
    "shape", [(None, 5, 3), (None, None, 3), (None, 5, None), (None, 5), (None, 5, 3, 2)]
)
@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize(
    "cell",
    [
        CELL,
        LSTM_CELL,
        {"type": "SimpleRNNCell", "units": 2, "use_bias": False},
        [LSTM_CELL],
        [CELL, LSTM_CELL],
        [LSTM_CELL | {"trainable": False}, CELL | {"dtype": "float16"}],
        {"type": "StackedRNNCells", "cells": [LSTM_CELL, CELL]},
        {"type": "StackedRNNCells", "cells": [LSTM_CELL, CELL], "trainable": False},
        [{"type": "StackedRNNCells", "cells": [CELL, CELL]}, CELL],
        [{"type": "StackedRNNCells", "cells": [LSTM_CELL]}, CELL],
        [{"type": "StackedRNNCells", "cells": [{"type": "StackedRNNCells", "cells": [CELL]}]}, CELL],
        LSTM_CELL | {"units": -1},
        {"type": "Dense", "units": 3},
        [],
    ],
    ids=str,
)
def test_rnn_agrees_with_keras(cell, shape, return_state):
    assert_parity({"type": "RNN", "cell": cell, "return_state": return_state}, shape)


@pytest.mark.parametrize(
    "flag", ["return_sequences", "go_backwards", "stateful", "unroll", "zero_output_for_mask"]
)
def test_flags_of_rnn_agree_with_keras(flag):
    assert_parity({"type": "RNN", "cell": CELL, flag: True}, (None, 5, 3))


@pytest.mark.parametrize("cell", ["LSTMCell", "GRUCell", "SimpleRNNCell"])
def test_cell_as_a_layer_is_refused_as_by_keras(cell):
    assert_parity({"type": cell, "units": 3}, (None, 5, 3))
    assert_parity({"type": "StackedRNNCells", "cells": [{"type": cell, "units": 3}]}, (None, 5, 3))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"padding": "same", "return_sequences": True},
        {"strides": 2, "return_state": True, "use_bias": False},
        {"dilation_rate": 2, "return_state": True, "return_sequences": True, "dtype": "mixed_bfloat16"},
        {"dilation_rate": 2, "strides": 2},
        {"kernel_size": 7},
        {"kernel_size": 7, "padding": "same"},
        {"strides": 0},
        {"stateful": True},
        {"trainable": False},
        {"kernel_size": [2, 2, 2, 2]},
    ],
    ids=str,
)
def test_convolutional_lstm_agrees_with_keras(rank, data_format, arguments):
    value = {
        "type": f"ConvLSTM{rank}D",
        "filters": 3,
        "kernel_size": 2,
        "data_format": data_format,
    } | arguments
    image = (5, 6, 4)[:rank]
    for timesteps in (4, None):
        shape = (*image, 2) if data_format == "channels_last" else (2, *image)
        assert_parity(value, (None, timesteps, *shape))


@pytest.mark.parametrize(
    "shape", [(None, 4, 5, None, 2), (None, 4, 5, 6, None), (None, 4, 5, 6), (None, 5), (None, 4, 5, 6, 2, 1)]
)
def test_unknown_or_missing_axes_of_images_agree_with_keras(shape):
    assert_parity(CONV, shape)
    assert_parity(CONV | {"data_format": "channels_first"}, shape)


@pytest.mark.parametrize(
    "value",
    [
        *({"type": kind, "units": 4} for kind in KINDS),
        *({"type": f"{kind}Cell", "units": 4} for kind in KINDS),
        {"type": "RNN", "cell": CELL},
        {"type": "RNN", "cell": [CELL, LSTM_CELL]},
        {"type": "StackedRNNCells", "cells": [CELL, LSTM_CELL]},
        *({"type": f"ConvLSTM{rank}D", "filters": 3, "kernel_size": 2} for rank in (1, 2, 3)),
    ],
    ids=lambda value: value["type"],
)
def test_defaults_are_those_of_keras(value):
    assert_built_alike(value)


@settings(max_examples=50)
@given(
    kind=st.sampled_from(KINDS),
    units=st.integers(1, 9),
    shape=st.lists(st.one_of(st.none(), st.integers(0, 7)), min_size=1, max_size=3).map(
        lambda axes: (None, *axes)
    ),
    flags=st.fixed_dictionaries(
        {},
        optional={
            name: st.booleans()
            for name in (
                "return_sequences",
                "return_state",
                "go_backwards",
                "use_bias",
                "trainable",
                "unroll",
            )
        },
    ),
    dtype=st.sampled_from(["float32", "int32", "float16"]),
)
def test_any_recurrent_layer_agrees_with_keras(kind, units, shape, flags, dtype):
    assert_parity({"type": kind, "units": units} | flags, shape, dtype=dtype)


@settings(max_examples=30)
@given(
    sizes=st.lists(st.one_of(st.none(), st.integers(1, 7)), min_size=4, max_size=4),
    kernel=st.lists(st.integers(1, 4), min_size=2, max_size=2),
    strides=st.integers(1, 3),
    padding=st.sampled_from(["valid", "same"]),
    data_format=st.sampled_from([None, "channels_first"]),
    both=st.booleans(),
)
def test_any_convolutional_lstm_agrees_with_keras(sizes, kernel, strides, padding, data_format, both):
    value = CONV | {"kernel_size": kernel, "strides": strides, "padding": padding, "data_format": data_format}
    assert_parity(value | {"return_state": both, "return_sequences": both}, (None, *sizes))


@pytest.mark.parametrize(
    ("value", "shape", "expected"),
    [
        (LSTM, (None, 5, 3), 5 * 4 * 4 * (3 + 4)),
        ({"type": "GRU", "units": 4}, (None, 5, 3), 5 * 3 * 4 * (3 + 4)),
        ({"type": "SimpleRNN", "units": 4}, (None, 5, 3), 5 * 4 * (3 + 4)),
        (LSTM, (None, None, 3), None),
        ({"type": "RNN", "cell": [CELL, LSTM_CELL]}, (None, 5, 3), 5 * (3 * 4 * (3 + 4) + 4 * 3 * (4 + 3))),
        (CONV, (None, 6, 5, 5, 2), 6 * (4 * 4) * (2 * 2) * 4 * 3 * (2 + 3)),
        (CONV, (None, None, 5, 5, 2), None),
    ],
    ids=str,
)
def test_products_are_counted_for_every_timestep_and_gate(value, shape, expected):
    assert multiply_adds(value, shape) == expected


def test_vector_instead_of_sequence_is_explained():
    assert shape_error(LSTM, (None, 128)) == (
        "LSTM expects sequences of shape (batch, timesteps, features), rank 3, got (None, 128).",
        "If the layer before is recurrent, set `return_sequences: true` on it; otherwise create a "
        "sequence with Embedding or Reshape.",
        None,
    )


def test_image_instead_of_sequence_is_explained():
    assert shape_error(LSTM, (None, 10, 8, 8)) == (
        "LSTM expects sequences of shape (batch, timesteps, features), rank 3, got (None, 10, 8, 8).",
        "To flatten each timestep, use {type: TimeDistributed, layer: {type: Flatten}}.",
        None,
    )


def test_loop_that_is_too_long_to_be_unrolled_is_explained():
    assert LAYERS.parse(LSTM | {"unroll": True}).infer((Tensor((None, 1000, 3)),))
    assert shape_error(LSTM | {"unroll": True}, (None, 1001, 3)) == (
        "`unroll` of LSTM must be false for more than 1,000 timesteps, got 1,001: each one becomes a part of the graph.",
        "Remove `unroll`.",
        "unroll",
    )


def test_stateful_is_explained():
    assert shape_error(LSTM | {"stateful": True}, (None, 5, 3)) == (
        "LSTM with `stateful: true` needs a fixed batch size, got (None, 5, 3).",
        "Remove `stateful`. To remember more timesteps, use longer sequences: a larger `length` of the data's windows. "
        "Every batch then starts from zero states and may have any size.",
        "stateful",
    )


def test_a_cell_in_the_stack_is_explained():
    assert shape_error(CELL, (None, 5, 3)) == (
        "GRUCell is a cell, one timestep of a recurrent layer, and cannot be used as a layer.",
        "Use it inside RNN: {type: RNN, cell: {type: GRUCell, ...}}.",
        None,
    )


def test_layer_instead_of_cell_is_explained():
    assert argument_error({"type": "RNN", "cell": LSTM}) == (
        "LSTM is not a cell (one timestep of a recurrent layer).",
        "Did you mean `LSTMCell`?",
        ("cell",),
    )


def test_an_error_in_a_cell_is_placed_at_its_argument():
    message, _, place = argument_error({"type": "RNN", "cell": [CELL, {"type": "LSTMCell", "units": 0}]})
    assert message == "`units` must be a positive integer, got 0."
    assert place == ("cell", 1, "units")


def test_missing_units_are_explained():
    assert argument_error({"type": "LSTM"}) == (
        "LSTM needs `units`: number of features of the output.",
        "Add `units: 32`, for example.",
        ("units",),
    )


def test_a_window_larger_than_the_image_is_explained():
    assert shape_error(CONV | {"kernel_size": 7}, (None, 4, 5, 5, 2)) == (
        "The output of ConvLSTM2D is empty: (None, 4, 5, 5, 2) becomes (None, -1, -1, 3).",
        "Make the window smaller, or write `padding: same`.",
        "kernel_size",
    )
