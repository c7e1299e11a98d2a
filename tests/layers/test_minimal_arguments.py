"""Required, default and minimal arguments of layers."""

import pytest

from layercli.layers.minimal_arguments import is_default_argument, is_required_argument, minimal_config
from layercli.layers.registry import LAYERS

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
