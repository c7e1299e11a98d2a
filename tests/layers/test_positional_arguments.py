"""The order of required arguments, in which a call such as ``Conv2D(32, 3)`` is read, is that of Keras."""

import inspect

import keras
import pytest

from layercli.layers.registry import LAYERS
from layercli.schema.component import positional_arguments


@pytest.mark.parametrize("name", LAYERS.modules)
def test_required_arguments_have_the_order_of_keras(name):
    parameters = list(inspect.signature(getattr(keras.layers, name).__init__).parameters)[1:]
    required = positional_arguments(LAYERS.load(name))
    assert [parameter for parameter in parameters if parameter in required] == required
