"""The order of arguments, in which a call such as ``Conv2D(32, 3)`` or ``L2(0.01)`` is read, is that of Keras."""

import inspect

import keras
import pytest

from layercli.config.training.registry import LOSSES, OPTIMIZERS
from layercli.layers.object_registry import CONSTRAINTS, INITIALIZERS, REGULARIZERS
from layercli.layers.registry import LAYERS
from layercli.schema.component import positional_arguments

CATALOGUES = {
    "layers": LAYERS,
    "optimizers": OPTIMIZERS,
    "losses": LOSSES,
    "initializers": INITIALIZERS,
    "regularizers": REGULARIZERS,
    "constraints": CONSTRAINTS,
}


@pytest.mark.parametrize("name", [name for name in LAYERS.modules if hasattr(keras.layers, name)])
def test_required_arguments_have_the_order_of_keras(name):
    parameters = list(inspect.signature(getattr(keras.layers, name).__init__).parameters)[1:]
    required = positional_arguments(LAYERS.load(name))
    assert [parameter for parameter in parameters if parameter in required] == required


@pytest.mark.parametrize("kind", CATALOGUES)
def test_first_argument_is_that_of_keras(kind):
    catalogue = CATALOGUES[kind]
    ours, theirs = {}, {}
    for name in catalogue.names:
        positional = positional_arguments(catalogue.load(name))
        keras_class = getattr(getattr(keras, kind), name, None)
        if positional and keras_class is not None:
            ours[name] = positional[0]
            theirs[name] = list(inspect.signature(keras_class.__init__).parameters)[1]
    assert ours == theirs
