import pytest

from tests.layers.parity import assert_built_alike, assert_parity

DENSE = {"type": "Dense", "units": 5}


@pytest.mark.parametrize("shape", [(None, 4), (None, 3, 4), (None, None, 4), (None, 2, 3, 4), (None,), (None, None)])
@pytest.mark.parametrize(
    "arguments",
    [{}, {"use_bias": False}, {"lora_rank": 2}, {"trainable": False}, {"dtype": "mixed_float16"}, {"units": 0}],
)
def test_dense_agrees_with_keras(shape, arguments):
    assert_parity(DENSE | arguments, shape)


@pytest.mark.parametrize("dtype", ["int32", "float64", "float16", "bool"])
def test_dense_on_other_dtypes_agrees_with_keras(dtype):
    assert_parity(DENSE, (None, 4), dtype=dtype)


@pytest.mark.parametrize("shape", [(None,), (None, 7), (None, None), (None, 2, 3)])
@pytest.mark.parametrize("arguments", [{}, {"mask_zero": True}, {"lora_rank": 2}, {"input_dim": 0}])
@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_embedding_agrees_with_keras(shape, arguments, dtype):
    assert_parity({"type": "Embedding", "input_dim": 11, "output_dim": 3} | arguments, shape, dtype=dtype)


@pytest.mark.parametrize("kind", ["Masking", "Identity"])
@pytest.mark.parametrize("shape", [(None,), (None, 4), (None, None, 3)])
@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_layers_that_keep_their_input_agree_with_keras(kind, shape, dtype):
    assert_parity({"type": kind}, shape, dtype=dtype)


@pytest.mark.parametrize(
    "value",
    [DENSE, {"type": "Embedding", "input_dim": 11, "output_dim": 3}, {"type": "Masking"}, {"type": "Identity"}],
    ids=lambda value: value["type"],
)
def test_defaults_are_those_of_keras(value):
    assert_built_alike(value)
