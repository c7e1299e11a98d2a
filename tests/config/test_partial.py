"""Layers in place of malformed entries, so that the others can be checked."""

import pytest

from layercli.config.layer_entries import Uncertainty
from layercli.config.partial import _repair_layer


@pytest.mark.parametrize(
    ("arguments", "units", "uncertainty"),
    [
        ({"units": 3, "use_bais": False}, 3, Uncertainty.SIZES),  # the name is corrected
        ({"units": 3, "unknown_key": 1}, 3, Uncertainty.RANK),
        ({"units": "three"}, 64, Uncertainty.SIZES),  # the example of the field
        ({"units": 3, "activation": 7}, 3, Uncertainty.RANK),
        ({"units": 3} | {f"key{number}": 1 for number in range(97)}, 3, Uncertainty.RANK),
    ],
)
def test_malformed_layer_keeps_its_valid_arguments(arguments, units, uncertainty):
    layer, found = _repair_layer({"type": "Dense", "name": "x", **arguments})
    assert (layer.units, found) == (units, uncertainty)
    assert layer.use_bias is ("use_bais" not in arguments)


@pytest.mark.parametrize(
    "value",
    [{"type": "Unknown"}, {"type": 3}, {}, {"type": "Dense"} | {f"key{number}": 1 for number in range(100)}],
)
def test_layer_of_unknown_type_or_with_very_many_keys_is_unknown(value):
    assert _repair_layer(value) == (None, Uncertainty.RANK)
