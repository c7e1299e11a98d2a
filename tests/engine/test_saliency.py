import keras
import numpy as np
import pytest

from layercli.data.examples import Examples
from layercli.engine.saliency import compute_saliency


def examples(size=3):
    return Examples(np.random.default_rng(0).random((size, 4, 4, 1)).astype("float32"), np.zeros(size))


def weighted_model(activation):
    """A model in which only the pixel in row 1, column 2 matters, twice as much as that in row 3, column 0."""
    kernel = np.zeros((16, 2), "float32")
    kernel[6, 1], kernel[12, 1] = 50, 25
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.9),  # without effect outside training
            keras.layers.Dense(2, activation=activation),
        ]
    )
    model.layers[-1].set_weights([kernel, np.zeros(2, "float32")])
    return model


@pytest.mark.parametrize(("activation", "is_logits"), [("softmax", False), (None, True)])
def test_pixels_that_matter_are_marked_even_if_the_model_is_certain(activation, is_logits):
    found = compute_saliency(weighted_model(activation), examples(), 0, is_choice=True, is_logits=is_logits)
    assert [each.input for each in found] == [None]
    maps = found[0].maps
    assert maps.shape == (3, 4, 4)
    assert (maps.reshape(3, -1).argmax(1) == 6).all()
    assert maps[:, 3, 0] == pytest.approx(maps[:, 1, 2] / 2, rel=0.1)
    assert np.count_nonzero(maps[0]) == 2


def test_gradient_of_numbers():
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Lambda(lambda x: x[:, 2, 3])])
    maps = compute_saliency(model, examples(), 0, is_choice=False, is_logits=False)[0].maps
    assert np.argwhere(maps[0]).tolist() == [[2, 3]]


def test_models_without_a_gradient_have_no_saliency():
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Lambda(lambda x: keras.ops.round(x[:, 0, 0]))]
    )
    assert compute_saliency(model, examples(), 0, is_choice=False, is_logits=False) == []


def test_inputs_that_are_not_images_have_no_saliency():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    rows = Examples(np.zeros((2, 3), "float32"), np.zeros(2))
    assert compute_saliency(model, rows, 0, is_choice=False, is_logits=False) == []
