"""The comparison of an imported model with the rebuilt one."""

import keras
import numpy as np
import pytest
from keras import layers

from layercli import api
from layercli.engine import import_check
from layercli.engine.assemble import assemble_model
from layercli.engine.comparison_inputs import is_length_accepted
from layercli.engine.import_weights import copy_original_weights
from layercli.errors import LayercliError
from layercli.importing.build_stack import read_stack
from layercli.importing.custom_classes import refuse_custom_class
from layercli.importing.flatten import flatten_stack
from layercli.importing.model_file import read_model_file
from tests.running import invoke


@pytest.fixture
def load_rebuilt(tmp_path):
    """Import a model from its JSON; return the original, the rebuilt model, the config and its layers."""

    def load_rebuilt(model, *, is_untrained=True):
        (tmp_path / "model.json").write_text(model.to_json())
        result = invoke("import", tmp_path / "model.json", "--output", tmp_path / "c.yaml", "--force")
        assert result.exit_code == 0, result.output
        valid = api.load(tmp_path / "c.yaml")
        assembled = assemble_model(valid)
        stack, problems = read_stack(
            read_model_file(str(tmp_path / "model.json")).document, refuse_custom_class
        )
        assert problems == []
        calls, outputs = flatten_stack(stack)
        copy_original_weights(model, assembled, valid, calls, is_untrained=is_untrained)
        return assembled, valid, calls, outputs

    return load_rebuilt


def deep_model(size):
    """A model whose initial weights shrink the activations at each depthwise convolution."""
    steps = []
    for strides in (2, 2, 1, 1, 1):
        steps += [
            layers.Conv2D(16, 3, strides=strides, padding="same", use_bias=False),
            layers.DepthwiseConv2D(3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
        ]
    steps.append(layers.DepthwiseConv2D(3))  # its window is larger than what is left of an 8 x 8 image
    return keras.Sequential(
        [keras.Input((size, size, 3)), *steps, layers.GlobalAveragePooling2D(), layers.Dense(4)]
    )


def test_untrained_weights_keep_activations_in_range(load_rebuilt):
    model = deep_model(64)
    load_rebuilt(model)
    probe = keras.Model(model.inputs[0], [layer.output for layer in model.layers if layer.weights])
    x = np.random.default_rng(0).standard_normal((4, 64, 64, 3)).astype("float32")
    deviations = [float(np.std(output)) for output in probe(x, training=False)]
    assert min(deviations) > 0.3
    assert max(deviations) < 3
    first, second = np.asarray(model(x[:2], training=False))
    assert np.abs(first - second).max() > 0.01  # outputs depend on the inputs


def test_input_size_gives_finite_outputs(load_rebuilt):
    model = deep_model(None)
    assembled, valid, calls, outputs = load_rebuilt(model)
    # The smallest candidate size is too small for the last window; TensorFlow returns what was in memory, NaN or any number.
    assert not is_length_accepted(valid, 8)
    reference, reason = import_check._run_original(model, valid)
    assert reason == ""
    assert [array.shape for array in reference.case.inputs.values()] == [(2, 64, 64, 3)]
    assert np.isfinite(reference.outputs[0]).all()
    assembled.layers["dense"].bias.assign([0.0, 0.0, 0.1, 0.0])
    with pytest.raises(LayercliError, match=r"differs by .* of the largest output"):
        import_check.compare_models(model, assembled, valid, calls, outputs, refuse_custom_class, None)


def test_difference_includes_sensitivity_of_original(load_rebuilt):
    steep = keras.Sequential(
        [keras.Input((4,)), layers.Rescaling(1e4), layers.Activation("tanh"), layers.Dense(3)]
    )
    assembled, valid, calls, outputs = load_rebuilt(steep)
    found = import_check.compare_models(steep, assembled, valid, calls, outputs, refuse_custom_class, None)
    assert (found.largest_difference, found.sensitivity) == (0.0, None)
    assembled.layers["dense"].kernel.assign(assembled.layers["dense"].kernel * (1 + 2**-21))
    found = import_check.compare_models(steep, assembled, valid, calls, outputs, refuse_custom_class, None)
    assert 0 < found.largest_difference < 1e-5
    assembled.layers["dense"].kernel.assign(assembled.layers["dense"].kernel * 1.5)
    with pytest.raises(LayercliError, match="The original itself changes by"):
        import_check.compare_models(steep, assembled, valid, calls, outputs, refuse_custom_class, None)
