"""Arguments of layers as Keras saves them, as a config writes them."""

import pytest

from layercli.importing.keras_config import InexpressibleError, config_arguments
from layercli.layers.registry import LAYERS


def keras_object(module, cls, **config):
    return {"module": f"keras.{module}", "class_name": cls, "config": config, "registered_name": None}


def arguments_of(cls, **config):
    return config_arguments(LAYERS.load(cls), config)


def test_defaults_are_left_out_and_objects_are_mappings():
    found = arguments_of(
        "Dense",
        units=3,
        activation="linear",
        use_bias=True,
        kernel_initializer=keras_object("initializers", "RandomNormal", mean=0.0, stddev=0.5, seed=None),
        bias_initializer=keras_object("initializers", "Zeros"),
        kernel_regularizer=keras_object("regularizers", "L2", l2=0.02),
        kernel_constraint=None,
    )
    assert found == {
        "units": 3,
        "kernel_initializer": {"type": "RandomNormal", "stddev": 0.5},
        "kernel_regularizer": {"type": "L2", "l2": 0.02},
    }


def test_layer_in_a_wrapper_keeps_its_name():
    inner = keras_object("layers", "Dense", name="inner", units=3, activation="relu")
    assert arguments_of("TimeDistributed", layer=inner) == {
        "layer": {"type": "Dense", "name": "inner", "units": 3, "activation": "relu"}
    }


def test_lookup_has_the_size_of_its_learned_vocabulary():
    config = {"max_tokens": None, "num_oov_indices": 1, "output_mode": "multi_hot"}
    assert arguments_of("StringLookup", **config, vocabulary_size=7) == {
        "max_tokens": 7,
        "output_mode": "multi_hot",
    }
    assert arguments_of("StringLookup", **config, vocabulary_size=None) == {"output_mode": "multi_hot"}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (keras_object("initializers", "Unknown"), "which a config cannot express"),
        (keras_object("initializers", 3), "is 3 of"),
        (keras_object("other", "Zeros"), "which a config cannot express"),
        (keras_object("initializers", "Zeros") | {"config": None}, "without arguments"),
        ({"module": "mine", "class_name": "function", "config": "f"}, "is the custom function"),
    ],
)
def test_other_objects_are_refused(value, words):
    with pytest.raises(InexpressibleError, match=words):
        arguments_of("Dense", units=3, kernel_initializer=value)


def test_functions_of_keras_are_their_names():
    function = {"module": "builtins", "class_name": "function", "config": "relu"}
    assert arguments_of("Dense", units=3, activation=function)["activation"] == "relu"
    with pytest.raises(InexpressibleError, match="make it a separate layer, ReLU, after this one"):
        arguments_of("Dense", units=3, activation=keras_object("layers", "ReLU"))
