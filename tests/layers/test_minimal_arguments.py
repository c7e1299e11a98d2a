import pytest

from layercli.layers.minimal_arguments import minimal_config
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
