"""Optimizer arguments have the same effect in a layercli training as in Keras's ``fit``."""

import keras
import numpy as np
import pytest

from layercli import api
from layercli.engine.assemble import assemble_model
from layercli.engine.training.compile import compile_model
from layercli.formats.registry import load_dataset
from tests.running import train, write_config

HEAD = {"type": "Dense", "units": 3, "activation": "softmax"}
SCHEDULE = {
    "type": "CosineDecay",
    "initial_learning_rate": 0.0,
    "warmup_target": 0.05,
    "warmup_steps": 3,
    "decay_steps": 9,
}
ARGUMENTS = {
    "weight_decay": 0.1,
    "clipnorm": 0.01,
    "clipvalue": 0.001,
    "global_clipnorm": 0.01,
    "use_ema": True,
    "gradient_accumulation_steps": 2,
    "loss_scale_factor": 8.0,
    "learning_rate": SCHEDULE,
}


def weights(config):
    model = keras.models.load_model(train(config, config.parent / "run").path / "model.keras", compile=False)
    return [np.asarray(weight) for weight in model.weights]


def weights_of_keras(config):
    """Return the weights after Keras's ``fit`` over the same examples, without shuffling."""
    valid = api.load(config)
    model, section = assemble_model(valid).model, valid.config.train
    compile_model(model, section, valid)
    source = load_dataset(valid.config.data)
    model.fit(
        source.x, source.y, batch_size=section.batch_size, epochs=section.epochs, shuffle=False, verbose=0
    )
    return [np.asarray(weight) for weight in model.weights]


@pytest.mark.slow
@pytest.mark.parametrize("argument", [None, *ARGUMENTS])
def test_optimizer_arguments_train_as_in_keras(tmp_path, argument):
    changed = {} if argument is None else {argument: ARGUMENTS[argument]}
    optimizer = {"type": "SGD", "learning_rate": 0.05, "momentum": 0.9} | changed
    section = {
        "epochs": 2,
        "batch_size": 32,
        "loss": "sparse_categorical_crossentropy",
        "optimizer": optimizer,
    }
    data = {"type": "sklearn", "dataset": "iris", "shuffle": False}
    config = write_config(tmp_path, [HEAD], train=section, data=data)
    ours = weights(config)
    for one, other in zip(ours, weights_of_keras(config), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    if argument not in (None, "loss_scale_factor"):
        del optimizer[argument]
        optimizer["learning_rate"] = 0.05
        plain = weights_of_keras(write_config(tmp_path, [HEAD], train=section, data=data))
        assert any(not np.allclose(one, other, atol=1e-5) for one, other in zip(ours, plain, strict=True))
