import pytest

from layercli.layers.minimal_arguments import is_default_argument, is_required_argument, minimal_config
from layercli.layers.registry import LAYERS


@pytest.mark.parametrize(
    ("layer", "arguments"),
    [
        ({"type": "Dense", "units": 4}, {"units": 4}),
        ({"type": "Dense", "units": 4, "activation": None, "use_bias": True}, {"units": 4}),
        ({"type": "Dense", "units": 4, "kernel_initializer": {"type": "GlorotUniform"}}, {"units": 4}),
        (
            {"type": "Dense", "units": 4, "kernel_initializer": {"type": "HeNormal"}},
            {"units": 4, "kernel_initializer": "he_normal"},
        ),
        (
            {"type": "Dense", "units": 4, "kernel_regularizer": {"type": "L2", "l2": 0.5}},
            {"units": 4, "kernel_regularizer": {"type": "L2", "l2": 0.5}},
        ),
        (
            {
                "type": "Conv2D",
                "filters": 8,
                "kernel_size": [3, 3],
                "strides": [2, 2],
                "dilation_rate": [1, 1],
            },
            {"filters": 8, "kernel_size": 3, "strides": 2},
        ),
        ({"type": "Conv2D", "filters": 8, "kernel_size": [3, 5]}, {"filters": 8, "kernel_size": [3, 5]}),
        ({"type": "ZeroPadding2D", "padding": [[2, 2], [2, 2]]}, {"padding": 2}),
        ({"type": "ZeroPadding2D", "padding": [[1, 2], [1, 2]]}, {"padding": [[1, 2], [1, 2]]}),
        ({"type": "ZeroPadding2D", "padding": [1, 1]}, {}),
    ],
)
def test_arguments_without_defaults_in_shortest_form(layer, arguments):
    assert minimal_config(LAYERS.parse(layer)) == arguments


DENSE = LAYERS.parse({"type": "Dense", "units": 3, "activation": "relu", "use_bias": True})


def test_argument_without_a_default_is_required():
    assert is_required_argument(DENSE, "units") is True
    assert is_required_argument(DENSE, "activation") is False
    assert is_required_argument(DENSE, "use_bias") is False


def test_minimal_config_has_only_changed_arguments():
    assert minimal_config(DENSE) == {"units": 3, "activation": "relu"}
    assert is_default_argument(DENSE, "use_bias") is True
    assert is_default_argument(DENSE, "activation") is False


@pytest.mark.parametrize(
    ("value", "expected"),
    [({"type": "Dropout", "rate": 0.5}, {"rate": 0.5}), ({"type": "Flatten"}, {})],
)
def test_defaults_are_left_out(value, expected):
    assert minimal_config(LAYERS.parse(value)) == expected
