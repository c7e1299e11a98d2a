import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from layercli.check import check_config
from layercli.engine.keras_objects import keras_object
from layercli.layers.object_registry import CONSTRAINTS, INITIALIZERS, REGULARIZERS
from layercli.layers.registry import LAYERS
from layercli.layers.shapes import ShapeError, Tensor
from tests.layers.parity import assert_built_alike, assert_parity

DENSE = {"type": "Dense", "units": 5}
EMBEDDING = {"type": "Embedding", "input_dim": 11, "output_dim": 3}
REVERSIBLE = EMBEDDING | {"type": "ReversibleEmbedding"}
EINSUM = {"type": "EinsumDense", "equation": "ab,bc->ac", "output_shape": 5}


@pytest.mark.parametrize(
    "shape", [(None, 4), (None, 3, 4), (None, None, 4), (None, 2, 3, 4), (None,), (None, None)]
)
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"use_bias": False},
        {"lora_rank": 2},
        {"trainable": False},
        {"dtype": "mixed_float16"},
        {"units": 0},
    ],
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
def test_identity_and_masking_agree_with_keras(kind, shape, dtype):
    assert_parity({"type": kind}, shape, dtype=dtype)


@pytest.mark.parametrize(
    "value",
    [
        DENSE,
        EMBEDDING,
        {"type": "Masking"},
        {"type": "Identity"},
        EINSUM,
        REVERSIBLE,
        EINSUM
        | {"equation": "abc,cde->abde", "output_shape": [None, 2, 5], "bias_axes": "de", "lora_rank": 2},
        REVERSIBLE | {"tie_weights": False, "reverse_dtype": "float16", "logit_soft_cap": 3.0},
    ],
    ids=str,
)
def test_defaults_are_those_of_keras(value):
    assert_built_alike(value)


@pytest.mark.parametrize("shape", [(None,), (None, 7), (None, None), (None, 2, 3)])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"tie_weights": False},
        {"tie_weights": False, "lora_rank": 2},
        {"lora_rank": 2},
        {"mask_zero": True},
        {"reverse_dtype": "float16", "logit_soft_cap": 3.0},
        {"trainable": False, "tie_weights": False},
        {"dtype": "mixed_float16"},
        {"input_dim": 0},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_reversible_embedding_agrees_with_keras(shape, arguments, dtype):
    assert_parity(REVERSIBLE | arguments, shape, dtype=dtype)


@pytest.mark.parametrize(
    "value",
    [
        DENSE | {"kernel_constraint": "non_neg"},
        EINSUM | {"kernel_constraint": "non_neg"},
        EMBEDDING | {"embeddings_constraint": "non_neg"},
        REVERSIBLE | {"embeddings_constraint": "non_neg"},
    ],
    ids=str,
)
@pytest.mark.parametrize("lora", [{}, {"lora_rank": 2}, {"lora_rank": 2, "lora_alpha": 1.0}])
def test_lora_and_constraints_are_exclusive_as_in_keras(value, lora):
    assert_parity(value | lora, (None, 3))


EQUATIONS = [
    ("ab,bc->ac", 5, "c"),
    ("ab,bc->ac", [5], None),
    ("ab,bc->ac", [None], None),
    ("ab,bc->ac", [5, 6], None),
    ("ab,bc->ac", [], None),
    ("ab,b->a", [], None),
    ("abc,cd->abd", [None, 5], "d"),
    ("abc,cd->abd", [3, 5], "bd"),
    ("abc,cd->abd", [None, 5], "bd"),
    ("abc,cd->abd", [7, 5], None),
    ("abc,cd->abd", 5, None),
    ("abc,cd->abd", [None, 5], ""),
    ("abc,cd->abd", [None, 5], "z"),
    ("abc,cd->abd", [None, 5], "dd"),
    ("abc,cd->abd", [None, -5], None),
    ("abc,bcd->ad", 5, "d"),
    ("abc,cde->abde", [None, 2, 5], "de"),
    ("abc,cde->abde", [None, 2, 5], "d"),
    ("abc,cd->abe", [None, 5], None),
    ("abc,cdf->abd", [None, 5], None),
    ("...x,xy->...y", 5, "y"),
    ("...x,xy->...y", [None, 5], "y"),
    ("...bc,cd->...bd", [3, 5], "bd"),
    ("...bc,cd->...bd", [None, 5], None),
    ("ab...,bc->ac...", 5, "c"),
    ("abc...,cd->abd...", [None, 5], "d"),
    ("a...,ab->b...", 5, "b"),
    ("abb,bc->ac", 5, None),
    ("ab,bb->ab", 3, "b"),
    ("ab,bc->acc", [5, 5], "c"),
    ("ab,bc->ca", 5, "c"),
    ("ab,ac->bc", 5, "c"),
    ("AB,BC->AC", 5, "C"),
    ("ab, bc->ac", 5, None),
    ("ab0,bc->ac", 5, None),
    ("nope", 5, None),
]
TENSORS = [
    (None, 3),
    (None, 3, 4),
    (None, 2, 3),
    (None, None, 4),
    (None, 3, None),
    (None, 2, 3, 4),
    (None, 6, 2, 3, 4),
]


@pytest.mark.parametrize(("equation", "output_shape", "bias_axes"), EQUATIONS)
def test_equations_agree_with_keras(equation, output_shape, bias_axes):
    value = {"equation": equation, "output_shape": output_shape, "bias_axes": bias_axes}
    for shape in TENSORS:
        assert_parity(EINSUM | value, shape)


@pytest.mark.parametrize(
    "arguments",
    [
        {"lora_rank": 2},
        {"activation": "relu"},
        {"trainable": False},
        {"dtype": "mixed_float16"},
        {"equation": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_einsum_agrees_with_keras_on_arguments(arguments, dtype):
    value = {"equation": "abc,cde->abde", "output_shape": [None, 2, 5], "bias_axes": "e"}
    assert_parity(EINSUM | value | arguments, (None, 3, 4), dtype=dtype)


@settings(max_examples=80)
@given(
    st.sampled_from(["{}b,bc->{}c", "a{}b,bc->a{}c", "ab{},bc->ac{}", "abd{},bc->acd{}"]),
    st.sampled_from(["", "...", "e"]),
    st.none() | st.sampled_from(["c", "ac", "e", "cd"]),
    st.lists(st.none() | st.integers(1, 3), min_size=1, max_size=3),
    st.lists(st.none() | st.integers(1, 3), min_size=1, max_size=4),
)
def test_any_equation_agrees_with_keras(pattern, letters, bias_axes, output_shape, shape):
    value = {
        "equation": pattern.format(letters, letters),
        "output_shape": output_shape,
        "bias_axes": bias_axes,
    }
    assert_parity(EINSUM | value, (None, *shape))


@pytest.mark.parametrize(
    ("equation", "output_shape", "shape", "products"),
    [
        ("ab,bc->ac", 5, (None, 3), 15),
        ("abc,cd->abd", [None, 5], (None, 3, 4), 60),
        ("abc,cd->abd", [None, 5], (None, None, 4), None),
        ("...x,xy->...y", 5, (None, 3), 15),
        ("...x,xy->...y", 5, (None, 7, 3), 105),
        ("...x,xy->...y", 5, (None, None, 3), None),
        ("ab...,bc->ac...", 5, (None, 3, 7), 105),
        ("abc,cde->abde", [None, 2, 5], (None, 3, 4), 120),
    ],
)
def test_products_of_an_equation_are_those_of_its_axes(equation, output_shape, shape, products):
    layer = LAYERS.parse(EINSUM | {"equation": equation, "output_shape": output_shape})
    assert layer.infer((Tensor(shape),)).multiply_adds == products


def test_spaces_in_an_equation_are_explained():
    with pytest.raises(ValidationError) as caught:
        LAYERS.parse(EINSUM | {"equation": "ab, bc -> ac"})
    (error,) = caught.value.errors()
    assert error["msg"] == (
        '`equation` must name the axes of input, kernel and output by letters, got "ab, bc -> ac".'
    )
    assert error["ctx"]["hint"] == (
        "For example `equation: abc,cd->abd` or `...x,xy->...y`. Write it without spaces."
    )


def test_equation_for_a_different_rank_is_explained():
    with pytest.raises(ShapeError) as caught:
        LAYERS.parse(EINSUM | {"equation": "abc,cd->abd", "output_shape": [None, 5]}).infer(
            (Tensor((None, 3)),)
        )
    assert str(caught.value) == "`equation` abc,cd->abd expects an input with 3 axes, got (None, 3)."
    assert caught.value.argument == "equation"


def test_objects_without_a_keras_short_name_are_created():
    layer = keras_object(
        LAYERS.parse(
            {"type": "Dense", "units": 1, "bias_initializer": "constant", "kernel_regularizer": "l1l2"}
        )
    )
    assert isinstance(layer.bias_initializer, keras.initializers.Constant)
    assert isinstance(layer.kernel_regularizer, keras.regularizers.L1L2)


@pytest.mark.parametrize(
    ("catalogue", "home"),
    [(INITIALIZERS, "initializers"), (REGULARIZERS, "regularizers"), (CONSTRAINTS, "constraints")],
)
def test_bare_names_are_keras_names(catalogue, home):
    for name in [*catalogue.names, *catalogue.aliases]:
        if name not in catalogue.not_by_name:
            assert getattr(keras, home).get(catalogue.parse_or_name(name)) is not None


@pytest.mark.parametrize("kind", ["Identity", "ELU"])
def test_activity_regularizer_that_cannot_be_saved_is_refused(kind):
    layer = getattr(keras.layers, kind)(activity_regularizer=keras.regularizers.L2(0.1))
    with pytest.raises(NotImplementedError):
        keras.layers.serialize(layer)
    with pytest.raises(ValidationError, match="Keras cannot save"):
        LAYERS.parse({"type": kind, "activity_regularizer": "l2"})


@pytest.mark.parametrize(
    ("layer", "shape", "argument"),
    [
        ("{type: ReLU, activity_regularizer: OrthogonalRegularizer}", "[8, 8, 3]", "activity_regularizer"),
        (
            "{type: Conv2D, filters: 2, kernel_size: 3, kernel_regularizer: {type: OrthogonalRegularizer}}",
            "[8, 8, 3]",
            "kernel_regularizer",
        ),
        ("{type: Dense, units: 2, bias_regularizer: OrthogonalRegularizer}", "[4]", "bias_regularizer"),
    ],
)
def test_orthogonal_regularizer_requires_a_matrix(layer, shape, argument):
    [problem] = check_config("m.yaml", text=f"model: {{input: {shape}, layers: [{layer}]}}").problems
    assert problem.path == f"model.layers[0].{argument}"
    assert problem.hint == f"Remove `{argument}`."
    with pytest.raises(ValueError, match="rank 2"):
        keras.regularizers.OrthogonalRegularizer()(keras.ops.ones((2, 3, 4)))


def test_orthogonal_regularizer_of_a_matrix_is_valid():
    layer = "{type: Dense, units: 2, kernel_regularizer: OrthogonalRegularizer, activity_regularizer: OrthogonalRegularizer}"
    assert check_config("m.yaml", text=f"model: {{input: [4], layers: [{layer}]}}").ok


def test_mask_value_must_fit_into_float32():
    text = "model: {input: [8, 3], layers: [{type: Masking, mask_value: 1.0e+39}]}"
    [problem] = check_config("m.yaml", text=text).problems
    assert (problem.code, problem.path) == ("out-of-range", "model.layers[0].mask_value")
    with pytest.raises(ValueError, match="out of range"):
        keras.layers.Masking(1e39)(keras.ops.ones((2, 8, 3)))
