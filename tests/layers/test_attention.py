import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layercli.layers.registry import LAYERS
from layercli.layers.shapes import ShapeError, Tensor
from tests.layers.errors import argument_error, shape_error
from tests.layers.parity import assert_built_alike, assert_parity

MULTI = {"type": "MultiHeadAttention", "num_heads": 2, "key_dim": 3}
GROUP = {"type": "GroupQueryAttention", "head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}
GROUPS = [
    [(None, 5, 8), (None, 6, 8)],
    [(None, 5, 8), (None, 6, 7)],
    [(None, 5, 8), (None, 6, 8), (None, 6, 8)],
    [(None, 5, 8), (None, 6, 8), (None, 6, 4)],
    [(None, 5, 8), (None, 6, 8), (None, 7, 8)],
    [(None, 5, 8), (None, 6, 8), (None, None, 8)],
    [(None, None, 8), (None, None, 8)],
    [(None, 5, None), (None, 6, None)],
    [(None, 5, 8), (None, 6, None)],
    [(None, 5, 8), (None, 6, 8), (None, 6, None)],
    [(None, 5, 8)],
    [(None, 8), (None, 8)],
]


def spread(layer, tensors, **options):
    return layer(*tensors, **options)


def inferred(value, *shapes):
    return LAYERS.parse(value).infer(tuple(Tensor(shape) for shape in shapes))


@pytest.mark.parametrize("shapes", [*GROUPS, [(None, 2, 5, 8), (None, 2, 6, 8)]], ids=str)
@pytest.mark.parametrize(
    "value",
    [
        {"type": "Attention"},
        {"type": "Attention", "use_scale": True, "score_mode": "concat", "trainable": False},
        {"type": "Attention", "score_mode": "concat", "dtype": "mixed_float16", "dropout": 0.5, "seed": 1},
        {"type": "Attention", "score_mode": "cosine"},
        {"type": "AdditiveAttention"},
        {"type": "AdditiveAttention", "use_scale": False, "dropout": 0.5},
    ],
    ids=str,
)
def test_attention_agrees_with_keras(value, shapes):
    assert_parity(value, *shapes, is_real=True)


@pytest.mark.parametrize("shapes", [*GROUPS, [(None, 4, 5, 8), (None, 4, 6, 8)]], ids=str)
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"value_dim": 5, "use_bias": False},
        {"output_shape": 6},
        {"output_shape": [6, 2], "use_gate": True},
        {"output_shape": []},
        {"use_gate": True, "value_dim": 5, "trainable": False},
        {"dtype": "mixed_bfloat16", "dropout": 0.1, "seed": 3, "sliding_window": 2},
        {"flash_attention": True},
        {"flash_attention": True, "dropout": 0.5},
        {"flash_attention": False, "dropout": 0.5},
        {"sliding_window": 0},
        {"num_heads": 0},
        {"key_dim": -1},
        {"value_dim": 0.5},
        {"attention_axes": []},
    ],
    ids=str,
)
def test_multi_head_attention_agrees_with_keras(arguments, shapes):
    assert_parity(MULTI | arguments, *shapes, call=spread, is_real=True)


@pytest.mark.parametrize("axes", [*range(-8, 5), [1, 2], [2, 1], [-2], [1, -3], [9]])
@pytest.mark.parametrize("shape", [(None, 5, 8), (None, 4, 5, 8)])
def test_attention_axes_agree_with_keras(axes, shape):
    assert_parity(MULTI | {"attention_axes": axes}, shape, shape, call=spread, is_real=True)


@pytest.mark.parametrize("shapes", GROUPS, ids=str)
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"use_bias": False, "use_gate": True},
        {"use_gate": True, "trainable": False},
        {"num_key_value_heads": 4, "dtype": "float16"},
        {"num_key_value_heads": 3},
        {"num_key_value_heads": 8},
        {"flash_attention": True, "dropout": 0.5},
        {"sliding_window": -1},
        {"head_dim": 0},
    ],
    ids=str,
)
def test_group_query_attention_agrees_with_keras(arguments, shapes):
    assert_parity(GROUP | arguments, *shapes, call=spread, is_real=True)


@pytest.mark.parametrize("dtype", ["int32", "float16", "float64"])
@pytest.mark.parametrize("autocast", [True, False])
def test_other_dtypes_agree_with_keras(dtype, autocast):
    shapes = [(None, 5, 8), (None, 6, 8)]
    for value in (MULTI, GROUP):
        assert_parity(value | {"autocast": autocast}, *shapes, dtype=dtype, call=spread)
    for kind in ("Attention", "AdditiveAttention"):
        assert_parity({"type": kind, "autocast": autocast}, *shapes, dtype=dtype)


@pytest.mark.parametrize(
    "value",
    [
        {"type": "Attention"},
        {"type": "AdditiveAttention"},
        MULTI,
        MULTI | {"output_shape": [4, 2], "attention_axes": [1]},
        GROUP,
    ],
    ids=str,
)
def test_defaults_are_those_of_keras(value):
    assert_built_alike(value)


SIZE = st.none() | st.integers(1, 9)


@settings(max_examples=50)
@given(
    query=st.tuples(SIZE, SIZE),
    value=st.tuples(SIZE, SIZE),
    key=st.none() | SIZE,
    arguments=st.fixed_dictionaries(
        {"use_bias": st.booleans(), "use_gate": st.booleans()},
        optional={"value_dim": st.integers(1, 5), "output_shape": st.lists(st.integers(1, 5), max_size=3)},
    ),
)
def test_any_multi_head_attention_agrees_with_keras(query, value, key, arguments):
    shapes = [(None, *query), (None, *value)]
    if key is not None:
        shapes.append((None, value[0], key))
    assert_parity(MULTI | arguments, *shapes, call=spread)


@pytest.mark.parametrize(
    ("value", "shapes", "expected"),
    [
        ({"type": "Attention"}, [(None, 5, 8), (None, 6, 7), (None, 6, 8)], 5 * 6 * 8 + 5 * 6 * 7),
        ({"type": "Attention", "score_mode": "concat"}, [(None, 5, 8), (None, 6, 8)], 5 * 6 * 8),
        ({"type": "AdditiveAttention"}, [(None, 5, 8), (None, 6, 8)], 2 * 5 * 6 * 8),
        ({"type": "Attention"}, [(None, 5, 8), (None, None, 8)], None),
        (
            MULTI | {"value_dim": 4},
            [(None, 5, 8), (None, 6, 8)],
            5 * 8 * 2 * 3 + 6 * 8 * 2 * 3 + 6 * 8 * 2 * 4 + 5 * 2 * 4 * 8 + 5 * 6 * 2 * (3 + 4),
        ),
        (
            MULTI | {"attention_axes": 2},
            [(None, 7, 5, 8), (None, 7, 5, 8)],
            4 * (7 * 5 * 8 * 2 * 3) + 7 * 5 * 5 * 2 * (3 + 3),
        ),
        (MULTI, [(None, None, 8), (None, 6, 8)], None),
        (
            GROUP,
            [(None, 5, 8), (None, 6, 8)],
            2 * 5 * 8 * 4 * 3 + 2 * 6 * 8 * 2 * 3 + 2 * 5 * 6 * 4 * 3,
        ),
    ],
    ids=str,
)
def test_projections_scores_and_sums_are_counted(value, shapes, expected):
    assert inferred(value, *shapes).multiply_adds == expected


def test_a_single_input_is_explained():
    assert shape_error(MULTI, (None, 5, 8)) == (
        "MultiHeadAttention expects a query, a value and optionally a key, got 1 inputs.",
        "For self-attention, name the same input twice.",
        None,
    )


def test_key_and_value_of_different_length_are_explained():
    assert shape_error(MULTI, (None, 5, 8), (None, 6, 8), (None, 7, 8)) == (
        "MultiHeadAttention expects a key and a value with the same number of timesteps, got a key "
        "(None, 7, 8) and a value (None, 6, 8).",
        "List the inputs in the order query, value, key.",
        None,
    )


def test_an_unknown_number_of_features_is_explained():
    assert shape_error(MULTI, (None, 5, 8), (None, 6, None)) == (
        "MultiHeadAttention needs the size of the last axis of its value to create its weights, got (None, 6, None).",
        "Declare the size of that axis in `model.input` or before this layer.",
        None,
    )


def test_query_and_value_of_different_size_are_explained():
    assert shape_error(GROUP, (None, 5, 8), (None, 6, 7)) == (
        "GroupQueryAttention expects a query and a value with the same number of features, got a "
        "query (None, 5, 8) and a value (None, 6, 7).",
        "Change the size of one of them with a Dense layer before this layer.",
        None,
    )


def test_heads_that_do_not_divide_are_explained():
    assert argument_error(GROUP | {"num_query_heads": 6, "num_key_value_heads": 4}) == (
        "`num_key_value_heads` must divide `num_query_heads` (6), got 4.",
        "Use `num_key_value_heads: 2`, for example.",
        ("num_key_value_heads",),
    )


def test_flash_attention_with_dropout_is_explained():
    assert argument_error(MULTI | {"flash_attention": True, "dropout": 0.5}) == (
        "`flash_attention` cannot be combined with `dropout` 0.5.",
        "Remove `flash_attention` or `dropout`.",
        ("flash_attention",),
    )


@pytest.mark.parametrize("shapes", [((None, 4, 1), (None, 5, 3)), ((None, 4, 3), (None, 5, 1))])
def test_one_feature_is_stretched_only_by_a_sum(shapes):
    query, key = shapes
    value = (None, 5, 2)
    for name, arguments in (
        ("AdditiveAttention", {"use_scale": False}),
        ("Attention", {"score_mode": "concat"}),
    ):
        LAYERS.load(name).model_validate(arguments).check_shapes(query, value, key)
    with pytest.raises(ShapeError, match="their last axes must have the same size"):
        LAYERS.load("Attention").model_validate({}).check_shapes(query, value, key)
