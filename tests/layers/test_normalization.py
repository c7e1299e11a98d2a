import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Tensor
from tests.layers.errors import argument_error, shape_error
from tests.layers.parity import assert_built_alike, assert_parity

AXIS = ["BatchNormalization", "GroupNormalization"]
AXES = ["LayerNormalization", "RMSNormalization", "UnitNormalization"]
AFFINE = ["BatchNormalization", "LayerNormalization", "GroupNormalization"]
SHAPES = [
    (None, 8),
    (None, 4, 8),
    (None, 6, 4, 8),
    (None, None, None, 8),
    (None, 4, None),
    (None, None),
    (None,),
    (None, 2, 3, 4, 8),
]


def declared(kind, **arguments):
    groups = {"groups": 2} if kind == "GroupNormalization" else {}
    return {"type": kind} | groups | arguments


@pytest.mark.parametrize("kind", AXIS + AXES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", [-1, 1, 0, -2, 2, 4, -4])
def test_every_axis_agrees_with_keras(kind, shape, axis):
    assert_parity(declared(kind, axis=axis), shape)


@pytest.mark.parametrize("kind", AXES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", [[-1], [1, 2], [2, 1], [-1, 1], [0, 1], [1, 1], [3, 1], []])
def test_lists_of_axes_agree_with_keras(kind, shape, axis):
    assert_parity(declared(kind, axis=axis), shape)


@pytest.mark.parametrize("kind", AXIS)
def test_single_axis_arguments_refuse_lists(kind):
    assert_parity(declared(kind, axis=[1, 2]), (None, 4, 8))


@pytest.mark.parametrize("kind", AFFINE)
@pytest.mark.parametrize("shape", [(None, 4, 8), (None, 4, None), (None,)])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("trainable", [True, False])
def test_center_and_scale_agree_with_keras(kind, shape, center, scale, trainable):
    assert_parity(declared(kind, center=center, scale=scale, trainable=trainable), shape)


@pytest.mark.parametrize("kind", AXIS + AXES)
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int32", "bool"])
@pytest.mark.parametrize(
    "arguments", [{}, {"dtype": "mixed_float16"}, {"dtype": "float64"}, {"autocast": False}]
)
def test_dtypes_agree_with_keras(kind, dtype, arguments):
    assert_parity(declared(kind, **arguments), (None, 4, 8), dtype=dtype)


@pytest.mark.parametrize(
    "arguments",
    [
        {"renorm": True},
        {"renorm": True, "scale": False, "renorm_momentum": 0.5},
        {"renorm": True, "renorm_clipping": {"rmin": 0.5, "rmax": 2, "dmax": 3}},
        {"renorm": True, "renorm_clipping": {"rmin": 2.0, "rmax": 0.5}},
        {"renorm": False, "renorm_clipping": {"rmin": 2.0, "rmax": 0.5}},
        {"renorm": True, "renorm_clipping": {"dmax": -1.0}},
        {"renorm": True, "renorm_clipping": {"dmax": None}},
        {"renorm": True, "renorm_clipping": {"rmean": 1.0}},
        {"synchronized": True, "momentum": 0.9, "epsilon": 1e-5, "gamma_regularizer": "L2"},
    ],
    ids=str,
)
def test_arguments_of_batch_normalization_agree_with_keras(arguments):
    assert_parity(declared("BatchNormalization", **arguments), (None, 4, 8))


@pytest.mark.parametrize("groups", [1, 2, 3, 8, 16, 32, -1, 0, -2])
@pytest.mark.parametrize("shape", [(None, 4, 8), (None, 4, None), (None, 3, 3, 32), (None, 7)])
def test_groups_agree_with_keras(groups, shape):
    assert_parity({"type": "GroupNormalization", "groups": groups}, shape)


@pytest.mark.parametrize("kind", AXIS + AXES)
def test_defaults_are_those_of_keras(kind):
    assert_built_alike({"type": kind})


def test_clipping_reaches_keras():
    clipping = {"rmin": 0.5, "rmax": 2.0}
    assert_built_alike({"type": "BatchNormalization", "renorm": True, "renorm_clipping": clipping})
    assert_built_alike({"type": "LayerNormalization", "axis": [1, 2]})


@settings(max_examples=50)
@given(
    kind=st.sampled_from(AXIS + AXES),
    axes=st.lists(st.none() | st.integers(1, 6), max_size=3),
    axis=st.integers(-4, 4),
    second=st.none() | st.integers(-4, 4),
    flags=st.fixed_dictionaries({"center": st.booleans(), "scale": st.booleans()}),
)
def test_any_normalization_agrees_with_keras(kind, axes, axis, second, flags):
    chosen = axis if second is None or kind in AXIS else [axis, second]
    arguments = flags if kind in AFFINE else {}
    assert_parity(declared(kind, axis=chosen, **arguments), (None, *axes))


@pytest.mark.parametrize("kind", AXIS + AXES)
def test_normalization_multiplies_no_matrices(kind):
    layer = LAYERS.parse(declared(kind))
    assert layer.infer((Tensor((None, 4, 8)),)).multiply_adds == 0


def test_moving_statistics_are_not_trained():
    layer = LAYERS.parse("BatchNormalization")
    weights = layer.infer((Tensor((None, 4, 8)),)).weights
    assert [(weight.name, weight.trainable) for weight in weights] == [
        ("gamma", True),
        ("beta", True),
        ("moving_mean", False),
        ("moving_variance", False),
    ]


def test_groups_that_do_not_divide_the_channels_are_explained():
    assert shape_error({"type": "GroupNormalization"}, (None, 8, 8, 16)) == (
        "GroupNormalization cannot split 16 channels into 32 equal groups, got (None, 8, 8, 16).",
        "Use a divisor of 16, such as `groups: 16`.",
        "groups",
    )


def test_the_batch_axis_is_explained():
    assert shape_error({"type": "BatchNormalization", "axis": 0}, (None, 8)) == (
        "BatchNormalization cannot normalize axis 0 of (None, 8): it is the batch axis.",
        "Use the feature axis: `axis: -1`.",
        "axis",
    )


def test_missing_axis_is_explained():
    assert shape_error({"type": "LayerNormalization", "axis": 3}, (None, 4, 8)) == (
        "LayerNormalization cannot normalize axis 3 of (None, 4, 8).",
        "Axis 0 is the batch, axis -1 is the last one.",
        "axis",
    )


def test_crossed_clipping_bounds_are_explained():
    value = {"type": "BatchNormalization", "renorm": True, "renorm_clipping": {"rmin": 2.0, "rmax": 0.5}}
    assert argument_error(value) == (
        "`renorm_clipping` must have rmin below rmax, got rmin 2 and rmax 0.5.",
        "Increase rmax.",
        ("renorm_clipping",),
    )


def test_an_unknown_clipping_bound_is_explained():
    assert argument_error({"type": "BatchNormalization", "renorm_clipping": {"r_max": 3.0}}) == (
        '`renorm_clipping` must contain only rmin, rmax and dmax, got "r_max".',
        "Did you mean `rmax`?",
        ("renorm_clipping",),
    )


def test_zero_groups_are_explained():
    assert argument_error({"type": "GroupNormalization", "groups": 0}) == (
        "`groups` must be a positive integer, or -1 for one group per channel, got 0.",
        None,
        ("groups",),
    )


def test_the_deprecated_scaling_points_to_its_successor():
    assert argument_error({"type": "LayerNormalization", "rms_scaling": True}) == (
        'LayerNormalization has no argument "rms_scaling".',
        "Deprecated in Keras; use the layer RMSNormalization.",
        ("rms_scaling",),
    )
