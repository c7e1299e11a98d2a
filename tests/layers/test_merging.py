import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Tensor
from tests.layers.errors import argument_error, shape_error
from tests.layers.parity import assert_built_alike, assert_parity

ELEMENTWISE = ["Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"]
KINDS = [*ELEMENTWISE, "Concatenate"]
GROUPS = [
    [(None, 4), (None, 4)],
    [(None, 4), (None, 5)],
    [(None, 4), (None, 1)],
    [(None, 3, 4), (None, 4)],
    [(None, 4), (None, 2, 3, 4)],
    [(None, 3, None), (None, None, 4)],
    [(None, None, 1), (None, 5, 4)],
    [(None,), (None,)],
    [(None,), (None, 4)],
    [(None, 4)],
    [(None, 4), (None, 4), (None, 4)],
    [(None, 4), (None, 1), (None, 3, 4)],
    [(None, 4), (None, None), (None, 5)],
    [(2, 4), (None, 4)],
    [(2, 4), (3, 4)],
    [(None, 8, 8, 3), (None, 8, 8, 5)],
    [(None, 8, 8, 3), (None, 4, 4, 3)],
    [(None, 0), (None, 1)],
]


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        (kind, shapes)
        for kind in KINDS
        for shapes in GROUPS
        if kind != "Concatenate" or {shape[0] for shape in shapes} == {None}
    ],
    ids=str,
)
def test_merging_agrees_with_keras(kind, shapes):
    assert_parity({"type": kind}, *shapes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["int32", "float16", "float64", "bool"])
@pytest.mark.parametrize(
    "arguments", [{}, {"dtype": "mixed_float16"}, {"autocast": False, "trainable": False}]
)
def test_dtypes_agree_with_keras(kind, dtype, arguments):
    assert_parity({"type": kind} | arguments, (None, 4), (None, 4), dtype=dtype)


@pytest.mark.parametrize("axis", [-1, -2, -3, -4, 0, 1, 2, 3])
@pytest.mark.parametrize(
    "shapes",
    [
        [(None, 3, 4), (None, 3, 4)],
        [(None, 3, 4), (None, 5, 4)],
        [(None, 3, 4), (None, None, 4), (None, 2, 4)],
        [(None, 3, 4), (None, 3, None)],
        [(None, 3, 4), (None, 1, 4)],
        [(None, 4), (None, 4)],
    ],
    ids=str,
)
def test_axes_of_concatenate_agree_with_keras(axis, shapes):
    assert_parity({"type": "Concatenate", "axis": axis}, *shapes)


@pytest.mark.parametrize(
    "axes", [-1, -2, 1, 2, 3, [1, 1], [1, 2], [2, 1], [-1, -2], [-1, 1], [5, 1], [-7, 1]]
)
@pytest.mark.parametrize(
    "shapes",
    [
        [(None, 4), (None, 4)],
        [(None, 4), (None, 5)],
        [(None, 3, 4), (None, 4, 3)],
        [(None, 3, 4), (None, 3, 4)],
        [(None, 3, 4), (None, 4)],
        [(None, 3, None), (None, None, 3)],
        [(None, 2, 3, 4), (None, 4, 3, 5)],
        [(None, 4), (None, 4), (None, 4)],
        [(None, 4)],
    ],
    ids=str,
)
def test_dot_agrees_with_keras(axes, shapes):
    if not isinstance(axes, list) and any(axes % len(shape) == 0 for shape in shapes if axes < 0):
        # Keras wraps this axis around to the batch, and fails only when it runs.
        shape_error({"type": "Dot", "axes": axes}, *shapes)
        return
    assert_parity({"type": "Dot", "axes": axes}, *shapes)
    assert_parity({"type": "Dot", "axes": axes, "normalize": True, "dtype": "float16"}, *shapes)


@pytest.mark.parametrize("axes", [[1], [1, 2, 3], 1.5, "1", None, [1, 1.5]])
def test_dot_refuses_axes_that_keras_refuses(axes):
    assert_parity({"type": "Dot", "axes": axes}, (None, 3, 4), (None, 3, 4))


@pytest.mark.parametrize(
    "value", [*({"type": kind} for kind in KINDS), {"type": "Dot", "axes": [1, 2]}], ids=str
)
def test_defaults_are_those_of_keras(value):
    assert_built_alike(value)


AXES = st.lists(st.none() | st.integers(1, 3), min_size=1, max_size=3)


@settings(max_examples=60)
@given(kind=st.sampled_from(ELEMENTWISE), shapes=st.lists(AXES, min_size=2, max_size=3))
def test_any_elementwise_merging_agrees_with_keras(kind, shapes):
    assert_parity({"type": kind}, *((None, *axes) for axes in shapes))


@settings(max_examples=60)
@given(data=st.data(), rank=st.integers(1, 3), axis=st.integers(-4, 3))
def test_any_concatenation_agrees_with_keras(data, rank, axis):
    axes = st.lists(st.none() | st.integers(2, 3), min_size=rank, max_size=rank)
    shapes = data.draw(st.lists(axes, min_size=2, max_size=3))
    assert_parity({"type": "Concatenate", "axis": axis}, *((None, *axes) for axes in shapes))


@pytest.mark.parametrize(
    ("value", "shapes", "expected"),
    [
        ({"type": "Dot", "axes": 1}, [(None, 7), (None, 7)], 7),
        ({"type": "Dot", "axes": [2, 1]}, [(None, 3, 4), (None, 4, 5)], 3 * 4 * 5),
        ({"type": "Dot", "axes": [2, 1]}, [(None, None, 4), (None, 4, 5)], None),
        ({"type": "Add"}, [(None, 7), (None, 7)], 0),
        ({"type": "Concatenate"}, [(None, None), (None, 7)], 0),
    ],
    ids=str,
)
def test_only_dot_multiplies(value, shapes, expected):
    inferred = LAYERS.parse(value).infer(tuple(Tensor(shape) for shape in shapes))
    assert inferred.multiply_adds == expected


def test_error_shows_all_mismatched_shapes():
    assert shape_error({"type": "Add"}, (None, 8, 8, 16), (None, 8, 8, 32)) == (
        "Add expects inputs of the same shape, or axes of size 1 to stretch, got (None, 8, 8, 16) and "
        "(None, 8, 8, 32): 16 and 32 do not match.",
        "Give the layers before it outputs of the same size, or join them with Concatenate.",
        None,
    )


def test_a_single_input_is_explained():
    assert shape_error({"type": "Add"}, (None, 4)) == ("Add expects two inputs or more, got 1.", None, None)
    assert shape_error({"type": "Subtract"}, (None, 4), (None, 4), (None, 4)) == (
        "Subtract expects exactly two inputs, got 3.",
        None,
        None,
    )


def test_images_of_different_size_cannot_be_concatenated():
    assert shape_error({"type": "Concatenate"}, (None, 8, 8, 3), (None, 4, 4, 3), (None, 8, 8, 3)) == (
        "Concatenate joins axis -1; the inputs must be equal in all other axes, got (None, 8, 8, 3), "
        "(None, 4, 4, 3) and (None, 8, 8, 3), which differ in axis 1.",
        "Give the layers before it outputs of the same size: with `padding: same`, convolutions keep the size.",
        None,
    )


def test_inputs_of_different_rank_cannot_be_concatenated():
    assert shape_error({"type": "Concatenate"}, (None, 8), (None, 4, 8))[0] == (
        "Concatenate expects inputs of the same rank, got (None, 8) and (None, 4, 8)."
    )


def test_vectors_of_different_size_have_no_dot_product():
    assert shape_error({"type": "Dot", "axes": -1}, (None, 8), (None, 9)) == (
        "Dot sums axis 1 of (None, 8) and axis 1 of (None, 9); their sizes must be equal, got 8 and 9.",
        "Give the layers before it outputs of the same size.",
        "axes",
    )


def test_dot_names_the_axes_of_the_same_size():
    assert shape_error({"type": "Dot", "axes": -1}, (None, 8, 3), (None, 3, 8))[1] == (
        "Write `axes: [1, 2]` for the axes of size 8."
    )


def test_the_batch_cannot_be_summed_over():
    assert argument_error({"type": "Dot", "axes": 0}) == (
        "`axes` must not contain axis 0, the batch, got 0.",
        "Write `axes: -1` for the last axis of both inputs.",
        ("axes",),
    )
    assert "summed over its batch" in shape_error({"type": "Dot", "axes": -2}, (None, 8), (None, 8))[0]
