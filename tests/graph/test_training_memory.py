import pytest

from layercli.check import check_config, require_valid
from layercli.graph.training_memory import estimate_training_memory
from tests.running import write_config


def estimate(directory, layers, shape=(4,), **train):
    train = {"loss": "mse", "batch_size": 10, "optimizer": "SGD"} | train
    config = write_config(
        directory, [], data=None, model={"input": list(shape), "layers": layers}, train=train
    )
    valid = require_valid(check_config(str(config)))
    return estimate_training_memory(valid.shapes, valid.config.train)


def test_dense_model_has_memory_calculated_by_hand(tmp_path):
    layers = [{"type": "Dense", "units": 100, "activation": "relu"}, {"type": "Dense", "units": 1}]
    memory = estimate(tmp_path, layers, batch_size=1000, optimizer="Adam")
    weights = 4 * (4 * 100 + 100 + 100 + 1)
    assert (memory.weights, memory.gradients, memory.optimizer) == (weights, weights, 2 * weights)
    assert memory.activations == 4 * 1000 * 100  # the output of ReLU, which both gradients read
    assert memory.temporary == 4 * 1000 * 2 * 100  # the gradients after and before ReLU
    assert memory.batch == 4 * 1000 * 4
    assert memory.total == 4 * weights + 4 * 1000 * (100 + 200 + 4)


@pytest.mark.parametrize(("layer", "gradients"), [("LayerNormalization", 3), ("BatchNormalization", 3)])
def test_normalizations_need_a_second_gradient_of_their_input(tmp_path, layer, gradients):
    memory = estimate(tmp_path, [{"type": "Dense", "units": 16}, layer, {"type": "Dense", "units": 1}])
    assert (
        memory.temporary == gradients * 4 * 10 * 16
    )  # of its output and input, and one through its statistics


def test_frozen_layers_have_no_gradients_and_keep_nothing(tmp_path):
    frozen = {"type": "Dense", "units": 100, "activation": "relu", "trainable": False}
    memory = estimate(tmp_path, [frozen, {"type": "Dense", "units": 1}])
    assert (memory.weights, memory.gradients) == (4 * (500 + 101), 4 * 101)
    assert memory.activations == 4 * 10 * 100  # the input of the trained layer


@pytest.mark.parametrize(
    ("layer", "shape", "kept_bytes"),
    [
        ({"type": "Dense", "units": 5, "activation": "gelu"}, (4,), 4 * (4 + 4 * 5)),
        ({"type": "Dense", "units": 5, "activation": "tanh"}, (4,), 4 * (4 + 5)),
        ({"type": "Dropout", "rate": 0.5}, (4,), 4 * 4 + 4),  # a mask of one byte for each value
        ("LayerNormalization", (4,), 4 * (4 + 4)),
        ("BatchNormalization", (4,), 4 * 4),
        ({"type": "MaxPooling1D"}, (8, 2), 4 * (16 + 8)),
        ({"type": "LSTM", "units": 3}, (7, 2), 4 * (7 * 2 + 9 * 7 * 3)),
        ({"type": "GRU", "units": 3}, (7, 2), 4 * (7 * 2 + 8 * 7 * 3)),
        (
            {"type": "Bidirectional", "layer": {"type": "LSTM", "units": 3}},
            (7, 2),
            4 * (7 * 2 + 9 * 7 * 6),
        ),
    ],
)
def test_layers_keep_what_their_gradients_read(tmp_path, layer, shape, kept_bytes):
    layers = [{"type": "Dense", "units": shape[-1]}, layer, {"type": "Dense", "units": 1}]
    assert estimate(tmp_path, layers, shape, batch_size=1).activations == kept_bytes


def test_convolutions_have_copies_in_the_layout_of_onednn(tmp_path):
    layers = [
        {"type": "Conv1D", "filters": 3, "kernel_size": 1, "activation": "relu"},
        "GlobalAveragePooling1D",
    ]
    memory = estimate(tmp_path, layers, (100, 2), batch_size=1)
    assert memory.activations == 4 * 100 * 3
    assert memory.temporary == 4 * 100 * (3 + 3 + 2 + 3)


def test_unknown_sizes_have_no_estimate(tmp_path):
    layers = [{"type": "LSTM", "units": 3}, {"type": "Dense", "units": 1}]
    assert estimate(tmp_path, layers, (None, 2)) is None


def test_pretrained_model_keeps_what_its_layers_keep(tmp_path):
    layer = {"type": "VGG16", "include_top": False, "weights": None, "pooling": "avg"}
    memory = estimate(tmp_path, [layer, {"type": "Dense", "units": 1}], (32, 32, 3), batch_size=1)
    assert memory.gradients == 4 * (14_714_688 + 512 + 1)
    assert memory.activations == 4 * 32**2 * 64  # the input of the second convolution, where the peak is
    frozen = estimate(
        tmp_path, [layer | {"trainable": False}, {"type": "Dense", "units": 1}], (32, 32, 3), batch_size=1
    )
    assert frozen.temporary == 4 * 2 * 32**2 * 64  # the input and the output of its largest layer
    assert frozen.gradients == 4 * (512 + 1)


def test_update_needs_the_sum_with_the_kernel_and_its_gradient(tmp_path):
    layers = [
        {"type": "Dense", "units": 100, "lora_rank": 1},
        {"type": "Dense", "units": 100, "lora_rank": 1},
    ]
    memory = estimate(tmp_path, layers, (100,), batch_size=1)
    kernel = 4 * 100 * 100
    assert memory.activations - kernel == 4 * 100  # the gradient of the second input reads its kernel
    assert memory.temporary == kernel + 4 * (100 + 100)
