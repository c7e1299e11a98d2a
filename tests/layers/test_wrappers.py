import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layercli.engine.keras_objects import keras_object
from layercli.layers.registry import LAYERS
from layercli.layers.shapes import RankError, Tensor
from tests.layers.errors import argument_error, shape_error
from tests.layers.parity import assert_built_alike, assert_parity

LSTM = {"type": "LSTM", "units": 4}
GRU = {"type": "GRU", "units": 4}
DENSE = {"type": "Dense", "units": 3}
RNN = {"type": "RNN", "cell": [{"type": "LSTMCell", "units": 4}, {"type": "GRUCell", "units": 3}]}
CONV = {"type": "ConvLSTM1D", "filters": 3, "kernel_size": 2}
BACK = {"go_backwards": True}


def bidirectional(layer, **arguments):
    return {"type": "Bidirectional", "layer": layer} | arguments


def distributed(layer, **arguments):
    return {"type": "TimeDistributed", "layer": layer} | arguments


def spectral(layer, **arguments):
    return {"type": "SpectralNormalization", "layer": layer} | arguments


def inferred(value, *shapes):
    return LAYERS.parse(value).infer(tuple(Tensor(shape) for shape in shapes))


@pytest.mark.parametrize(
    "shape", [(None, 5, 3), (None, None, 3), (None, 5, None), (None, 5), (None, 5, 6, 2)]
)
@pytest.mark.parametrize("merge_mode", ["concat", "sum", None])
@pytest.mark.parametrize(
    "layer",
    [
        LSTM,
        LSTM | {"return_sequences": True},
        LSTM | {"return_state": True},
        GRU | {"return_sequences": True, "return_state": True, "trainable": False},
        RNN,
        RNN | {"return_state": True},
        {"type": "SimpleRNN", "units": 4, "dtype": "float16"},
        CONV | {"return_state": True},
        LSTM | {"stateful": True},
        LSTM | BACK,
        LSTM | {"units": 0},
        DENSE,
    ],
    ids=str,
)
def test_bidirectional_agrees_with_keras(layer, merge_mode, shape):
    assert_parity(bidirectional(layer, merge_mode=merge_mode), shape)


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        (LSTM, LSTM | BACK),
        (LSTM, GRU | BACK | {"units": 7}),
        (LSTM | BACK, GRU),
        (LSTM, LSTM),
        (LSTM | BACK, LSTM | BACK),
        (LSTM | {"return_state": True}, GRU | BACK | {"return_state": True}),
        (LSTM | {"return_state": True}, LSTM | BACK),
        (LSTM, LSTM | BACK | {"return_sequences": True}),
        (LSTM, LSTM | BACK | {"stateful": True}),
        (LSTM, LSTM | BACK | {"trainable": False}),
        (LSTM, RNN | BACK),
        (LSTM, DENSE),
        (LSTM, None),
    ],
    ids=str,
)
def test_custom_backward_layer_agrees_with_keras(forward, backward):
    for merge_mode in ("concat", "ave", None):
        assert_parity(bidirectional(forward, backward_layer=backward, merge_mode=merge_mode), (None, 5, 3))


@pytest.mark.parametrize(
    "arguments",
    [
        {"trainable": False},
        {"dtype": "mixed_float16"},
        {"autocast": False},
        {"merge_mode": "max"},
        {"layer": LSTM},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "int32", "float16"])
def test_arguments_of_bidirectional_agree_with_keras(arguments, dtype):
    assert_parity(bidirectional(LSTM) | arguments, (None, 5, 3), dtype=dtype)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (DENSE, (None, 5, 3)),
        (DENSE, (None, None, 3)),
        (DENSE, (None, 5, None)),
        (DENSE, (None, 5, 6, 3)),
        (DENSE, (None, 5)),
        (DENSE, (None,)),
        (DENSE | {"trainable": False, "lora_rank": 1}, (None, 5, 3)),
        (DENSE | {"dtype": "float16"}, (None, 5, 3)),
        (LSTM, (None, 2, 5, 3)),
        (LSTM | {"return_sequences": True}, (None, None, None, 3)),
        (LSTM | {"return_state": True}, (None, 2, 5, 3)),
        (LSTM, (None, 5, 3)),
        (LSTM | {"stateful": True}, (None, 2, 5, 3)),
        (bidirectional(LSTM), (None, 2, 5, 3)),
        (bidirectional(LSTM, trainable=False), (None, 2, 5, 3)),
        (bidirectional(LSTM, merge_mode=None), (None, 2, 5, 3)),
        (RNN | {"trainable": False}, (None, 2, 5, 3)),
        (CONV | {"trainable": False}, (None, 2, 4, 5, 2)),
        (distributed(DENSE), (None, 2, 5, 3)),
        (distributed(DENSE | {"trainable": False}), (None, 2, 5, 3)),
        (distributed(DENSE, trainable=False), (None, 2, 5, 3)),
        (distributed(DENSE), (None, 2, 5)),
        (spectral(DENSE), (None, 5, 3)),
        ({"type": "Embedding", "input_dim": 9, "output_dim": 2}, (None, 5, 3)),
        ({"type": "Masking"}, (None, 5, 3)),
        ({"type": "BatchNormalization", "trainable": False}, (None, 5, 4, 3)),
        ({"type": "GRUCell", "units": 3}, (None, 5, 3)),
        ({"type": "Add"}, (None, 5, 3)),
        ({"type": "MultiHeadAttention", "num_heads": 2, "key_dim": 2}, (None, 5, 3, 3)),
        ({"type": "Dense"}, (None, 5, 3)),
    ],
    ids=str,
)
def test_time_distributed_agrees_with_keras(layer, shape):
    assert_parity(distributed(layer), shape)
    assert_parity(distributed(layer, dtype="mixed_bfloat16", trainable=False), shape, dtype="int32")


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (DENSE, (None, 5)),
        (DENSE | {"trainable": False}, (None, 5, 6)),
        (DENSE | {"lora_rank": 2}, (None, 5)),
        (DENSE | {"dtype": "float16"}, (None, 5)),
        (DENSE, (None, None)),
        (DENSE, (None,)),
        ({"type": "Embedding", "input_dim": 9, "output_dim": 2, "lora_rank": 1}, (None, 5)),
        (spectral(DENSE), (None, 5)),
        (spectral(DENSE, trainable=False), (None, 5)),
        (distributed(DENSE), (None, 5, 3)),
        (LSTM, (None, 5, 3)),
        (RNN, (None, 5, 3)),
        (bidirectional(LSTM), (None, 5, 3)),
        (CONV, (None, 4, 5, 2)),
        ({"type": "GRUCell", "units": 3}, (None, 5)),
        ({"type": "BatchNormalization"}, (None, 5, 3)),
        ({"type": "Masking"}, (None, 5, 3)),
        ({"type": "Add"}, (None, 5, 3)),
    ],
    ids=str,
)
def test_spectral_normalization_agrees_with_keras(layer, shape):
    assert_parity(spectral(layer), shape)
    assert_parity(spectral(layer, power_iterations=2, dtype="float16"), shape)


@pytest.mark.parametrize("power_iterations", [0, -1])
def test_power_iterations_below_one_are_refused_as_by_keras(power_iterations):
    assert_parity(spectral(DENSE, power_iterations=power_iterations), (None, 5))


@settings(max_examples=50)
@given(
    layer=st.fixed_dictionaries(
        {"type": st.sampled_from(["LSTM", "GRU", "SimpleRNN"]), "units": st.integers(1, 5)},
        optional={
            key: st.booleans()
            for key in (
                "return_sequences",
                "return_state",
                "go_backwards",
                "trainable",
                "use_bias",
                "stateful",
            )
        },
    ),
    backward=st.none() | st.fixed_dictionaries({"units": st.integers(1, 5), "return_state": st.booleans()}),
    merge_mode=st.sampled_from(["concat", "sum", "mul", "ave", None]),
    timesteps=st.none() | st.integers(1, 6),
    outer=st.booleans(),
)
def test_any_wrapped_recurrent_layer_agrees_with_keras(layer, backward, merge_mode, timesteps, outer):
    other = backward and layer | BACK | backward
    value = bidirectional(layer, merge_mode=merge_mode, backward_layer=other)
    assert_parity(value, (None, timesteps, 3))
    if outer:
        assert_parity(distributed(value), (None, 2, timesteps, 3))


@pytest.mark.parametrize(
    "value",
    [
        bidirectional(LSTM),
        bidirectional(
            GRU | {"return_sequences": True}, backward_layer=LSTM | BACK | {"return_sequences": True}
        ),
        bidirectional(RNN, merge_mode=None),
        bidirectional(CONV),
        distributed(DENSE),
        distributed(bidirectional(LSTM)),
        spectral(DENSE),
    ],
    ids=str,
)
def test_nested_defaults_are_those_of_keras(value):
    assert_built_alike(value)


def test_nested_layer_keeps_its_name():
    value = distributed(DENSE | {"name": "scorer"})
    layer = LAYERS.parse(value)
    assert keras_object(layer, name="outer").layer.name == "scorer"
    assert keras_object(LAYERS.parse(layer.to_plain())).layer.name == "scorer"
    assert layer.to_plain()["layer"]["name"] == "scorer"
    assert layer.layer.title() == "Dense"


def test_names_inside_bidirectional_are_those_of_keras():
    value = bidirectional(LSTM | {"name": "reader"}, backward_layer=GRU | BACK | {"name": "returner"})
    built = keras_object(LAYERS.parse(value))
    assert isinstance(built, keras.layers.Bidirectional)
    assert (built.forward_layer.name, built.backward_layer.name) == ("forward_reader", "returner")


def test_null_name_of_a_nested_layer_is_ignored():
    assert LAYERS.parse(distributed(DENSE | {"name": None})) == LAYERS.parse(distributed(DENSE))


def test_nested_name_with_a_slash_is_explained():
    assert argument_error(distributed(DENSE | {"name": "a/b"})) == (
        '`name` must be a name of letters, digits, `_`, `-` and `.`, got "a/b".',
        None,
        ("layer", "name"),
    )


@pytest.mark.parametrize(
    ("value", "shape", "expected"),
    [
        (bidirectional(LSTM), (None, 5, 3), 2 * 5 * 4 * 4 * (3 + 4)),
        (bidirectional(LSTM, backward_layer=GRU | BACK), (None, 5, 3), 5 * (4 + 3) * 4 * (3 + 4)),
        (bidirectional(LSTM), (None, None, 3), None),
        (distributed(DENSE), (None, 5, 7), 5 * 7 * 3),
        (distributed(DENSE), (None, None, 7), None),
        (distributed({"type": "Masking"}), (None, None, 7), 0),
        (spectral(DENSE), (None, 7), 7 * 3),
    ],
    ids=str,
)
def test_wrappers_count_nested_multiply_adds(value, shape, expected):
    assert inferred(value, shape).multiply_adds == expected


def test_bidirectional_weights_have_distinct_names():
    names = [weight.name for weight in inferred(bidirectional(LSTM), (None, 5, 3)).weights]
    assert names[0] == "forward/kernel"
    assert names[3] == "backward/kernel"


def test_nested_layers_are_inferred_once():
    value = DENSE
    for _ in range(30):
        value = distributed(value)
    shape = (None, *(1 for _ in range(30)), 3)
    assert inferred(value, shape).outputs[0].shape == shape


def test_a_layer_that_is_not_recurrent_in_bidirectional_is_explained():
    assert argument_error(bidirectional(DENSE)) == (
        "Bidirectional needs a recurrent layer, but Dense is not recurrent.",
        "Recurrent layers are LSTM, GRU, SimpleRNN, RNN and ConvLSTM1D, 2D and 3D.",
        ("layer",),
    )


def test_two_layers_in_the_same_direction_are_explained():
    assert argument_error(bidirectional(LSTM, backward_layer=GRU)) == (
        "Bidirectional needs one layer for each direction, but both layers run forwards.",
        "Write `go_backwards: true` in `backward_layer`.",
        ("backward_layer",),
    )


def test_directions_that_return_different_things_are_explained():
    assert argument_error(bidirectional(LSTM | {"return_sequences": True}, backward_layer=LSTM | BACK)) == (
        "Bidirectional needs the same `return_sequences` in both layers, got true in `layer` and "
        "false in `backward_layer`.",
        "Write `return_sequences: true` in `backward_layer`.",
        ("backward_layer",),
    )


def test_a_missing_layer_is_explained():
    assert argument_error({"type": "Bidirectional"}) == (
        "Bidirectional needs `layer`: the recurrent layer to run.",
        "Add `layer: {type: LSTM, units: 32}`, for example.",
        ("layer",),
    )


def test_unknown_nested_argument_is_located():
    message, hint, place = argument_error(bidirectional({"type": "LSTM", "unit": 32, "units": 4}))
    assert (message, hint, place) == (
        'LSTM has no argument "unit".',
        "Did you mean `units`?",
        ("layer", "unit"),
    )


def test_invalid_timestep_shape_is_explained():
    value = distributed(LSTM)
    assert shape_error(value, (None, 5, 3)) == (
        "TimeDistributed passes one timestep at a time to its layer, (None, 3): LSTM expects "
        "sequences of shape (batch, timesteps, features), rank 3, got (None, 3).",
        "If the layer before is recurrent, set `return_sequences: true` on it; otherwise create a "
        "sequence with Embedding or Reshape.",
        "layer",
    )
    with pytest.raises(RankError):
        inferred(value, (None, 5, 3))


def test_a_layer_without_a_kernel_is_explained():
    assert shape_error(spectral({"type": "Masking"}), (None, 5, 3)) == (
        "SpectralNormalization needs a layer with a kernel or embeddings, but Masking has neither.",
        "Use it with Dense, EinsumDense, Embedding or a convolution.",
        "layer",
    )


def test_a_pipeline_for_every_timestep_is_refused_as_keras_refuses_it():
    pipeline = {"type": "Pipeline", "layers": [{"type": "Rescaling", "scale": 2.0}]}
    assert_parity({"type": "TimeDistributed", "layer": pipeline}, (None, 4, 3))
