"""Parameter counts of published architectures."""

import pytest

from layercli.graph.shapes import NodeShapes
from tests.stacks import application, checked, document, keras_verdicts, static_verdicts


def conv(filters, size=3, **arguments):
    return {"type": "Conv2D", "filters": filters, "kernel_size": size, **arguments}


def dense(units, activation=None):
    return {"type": "Dense", "units": units, "activation": activation}


def pool(size=2, strides=None):
    return {"type": "MaxPooling2D", "pool_size": size, "strides": strides}


def vgg(*depths, top=True):
    blocks = zip(depths, (64, 128, 256, 512, 512), strict=True)
    trunk = [
        layer
        for depth, filters in blocks
        for layer in [*[conv(filters, padding="same", activation="relu")] * depth, pool(2, 2)]
    ]
    head = ["Flatten", dense(4096, "relu"), dense(4096, "relu"), dense(1000, "softmax")]
    return [*trunk, *head] if top else trunk


def alexnet(groups):
    return [
        conv(96, 11, strides=4, activation="relu"),
        pool(3, 2),
        conv(256, 5, padding="same", groups=groups, activation="relu"),
        pool(3, 2),
        conv(384, padding="same", activation="relu"),
        conv(384, padding="same", groups=groups, activation="relu"),
        conv(256, padding="same", groups=groups, activation="relu"),
        pool(3, 2),
        "Flatten",
        dense(4096, "relu"),
        {"type": "Dropout", "rate": 0.5},
        dense(4096, "relu"),
        {"type": "Dropout", "rate": 0.5},
        dense(1000, "softmax"),
    ]


def mobilenet():
    relu = {"type": "ReLU", "max_value": 6.0}
    layers = [conv(32, padding="same", strides=2, use_bias=False), "BatchNormalization", relu]
    blocks = [
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        *[(512, 1)] * 5,
        (1024, 2),
        (1024, 1),
    ]
    for filters, strides in blocks:
        if strides == 2:
            layers.append({"type": "ZeroPadding2D", "padding": [[0, 1], [0, 1]]})
        padding = "same" if strides == 1 else "valid"
        depthwise = {"kernel_size": 3, "padding": padding, "strides": strides, "use_bias": False}
        layers += [{"type": "DepthwiseConv2D", **depthwise}, "BatchNormalization", relu]
        layers += [conv(filters, 1, padding="same", use_bias=False), "BatchNormalization", relu]
    head = {"type": "GlobalAveragePooling2D", "keepdims": True}
    last = [conv(1000, 1, padding="same"), {"type": "Reshape", "target_shape": [1000]}]
    softmax = {"type": "Activation", "activation": "softmax"}
    return [*layers, head, {"type": "Dropout", "rate": 0.001}, *last, softmax]


def along(kind, filters, size, **arguments):
    return {"type": kind, "filters": filters, "kernel_size": size, "padding": "same", **arguments}


def video(size):
    return along("ConvLSTM2D", 64, size, return_sequences=True, activation="relu")


def scan(filters):
    kernel = {"type": "Conv3D", "filters": filters, "kernel_size": 3, "activation": "relu"}
    return [kernel, {"type": "MaxPooling3D", "pool_size": 2}, "BatchNormalization"]


BI_LSTM = {"type": "Bidirectional", "layer": {"type": "LSTM", "units": 64}}
BI_LSTM_SEQUENCES = {
    "type": "Bidirectional",
    "layer": {"type": "LSTM", "units": 64, "return_sequences": True},
}
WORDS = {"type": "Embedding", "input_dim": 20000, "output_dim": 128}
AVERAGE = {"type": "AveragePooling2D", "pool_size": 2}
SEVEN = along("Conv1D", 128, 7, strides=3, activation="relu") | {"padding": "valid"}
HALVED = {**pool(), "padding": "same"}
HALF = {"type": "Dropout", "rate": 0.5}

# name: input, layers, parameters, of which not trained
STACKS = {
    "LeNet-5": (
        [28, 28, 1],
        [
            conv(6, 5, padding="same", activation="tanh"),
            AVERAGE,
            conv(16, 5, activation="tanh"),
            AVERAGE,
            "Flatten",
            dense(120, "tanh"),
            dense(84, "tanh"),
            dense(10, "softmax"),
        ],
        61_706,
        0,
    ),
    "AlexNet, one tower": ([227, 227, 3], alexnet(groups=1), 62_378_344, 0),
    "AlexNet, two towers": ([227, 227, 3], alexnet(groups=2), 60_965_224, 0),
    "VGG16": ([224, 224, 3], vgg(2, 2, 3, 3, 3), 138_357_544, 0),
    "VGG16, trunk": ([None, None, 3], vgg(2, 2, 3, 3, 3, top=False), 14_714_688, 0),
    "VGG19": ([224, 224, 3], vgg(2, 2, 4, 4, 4), 143_667_240, 0),
    "MobileNet": ([224, 224, 3], mobilenet(), 4_253_864, 21_888),
    "Keras example: MNIST convnet": (
        [28, 28, 1],
        [
            conv(32, activation="relu"),
            pool(),
            conv(64, activation="relu"),
            pool(),
            "Flatten",
            HALF,
            dense(10, "softmax"),
        ],
        34_826,
        0,
    ),
    "Keras example: bidirectional LSTM on IMDB": (
        [None],
        [WORDS, BI_LSTM_SEQUENCES, BI_LSTM, dense(1, "sigmoid")],
        2_757_761,
        0,
    ),
    "Keras example: text classification from scratch": (
        [None],
        [WORDS, HALF, SEVEN, SEVEN, "GlobalMaxPooling1D", dense(128, "relu"), HALF, dense(1, "sigmoid")],
        2_806_273,
        0,
    ),
    "Keras example: next frame of a video": (
        [None, 64, 64, 1],
        [
            video(5),
            "BatchNormalization",
            video(3),
            "BatchNormalization",
            video(1),
            along("Conv3D", 1, 3, activation="sigmoid"),
        ],
        746_689,
        256,
    ),
    "Keras example: denoising autoencoder": (
        [28, 28, 1],
        [
            along("Conv2D", 32, 3),
            HALVED,
            along("Conv2D", 32, 3),
            HALVED,
            along("Conv2DTranspose", 32, 3, strides=2),
            along("Conv2DTranspose", 32, 3, strides=2),
            along("Conv2D", 1, 3),
        ],
        28_353,
        0,
    ),
    "Keras example: CT scans": (
        [128, 128, 64, 1],
        [
            *scan(64),
            *scan(64),
            *scan(128),
            *scan(256),
            "GlobalAveragePooling3D",
            dense(512, "relu"),
            HALF,
            dense(1, "sigmoid"),
        ],
        1_352_897,
        1_024,
    ),
    "Keras example: time series classification": (
        [500, 1],
        [
            *[along("Conv1D", 64, 3), "BatchNormalization", "ReLU"] * 3,
            "GlobalAveragePooling1D",
            dense(2, "softmax"),
        ],
        25_858,
        384,
    ),
    "Keras example: anomalies in a time series": (
        [288, 1],
        [
            along("Conv1D", 32, 7, strides=2),
            HALF,
            along("Conv1D", 16, 7, strides=2),
            along("Conv1DTranspose", 16, 7, strides=2),
            HALF,
            along("Conv1DTranspose", 32, 7, strides=2),
            along("Conv1DTranspose", 1, 7),
        ],
        9_505,
        0,
    ),
}


@pytest.mark.parametrize("name", STACKS)
def test_published_parameter_counts(name):
    shape, layers, parameters, fixed = STACKS[name]
    found = checked(document(shape, layers))
    assert [problem for problem in found.problems if problem.severity == "error"] == []
    assert found.shapes.trainable + found.shapes.non_trainable == parameters
    assert found.shapes.non_trainable == fixed


@pytest.mark.parametrize("name", STACKS)
def test_published_stacks_agree_with_keras(name):
    shape, layers, *_ = STACKS[name]
    assert static_verdicts(checked(document(shape, layers))) == keras_verdicts(shape, layers)


@pytest.mark.parametrize("name", ["VGG16", "VGG19", "MobileNet"])
def test_stack_equals_keras_application(name):
    shape, layers, *_ = STACKS[name]
    ours = checked(document(shape, layers)).shapes.rows
    theirs = application(name).layers[1:]
    assert [row.node.type_name for row in ours] == [type(layer).__name__ for layer in theirs]
    assert [row.outputs[0].shape for row in ours] == [layer.output.shape for layer in theirs]
    assert [row.parameters for row in ours] == [layer.count_params() for layer in theirs]


def vgg16_products() -> int:
    """Multiply-adds of VGG16 by hand: 3 x 3 windows on images that halve, then three dense layers."""
    channels, side, total = 3, 224, 0
    for depth, filters in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        for _ in range(depth):
            total += side * side * 9 * channels * filters
            channels = filters
        side //= 2
    return total + side * side * channels * 4096 + 4096 * 4096 + 4096 * 1000


def test_flops_of_vgg16():
    shape, layers, *_ = STACKS["VGG16"]
    assert vgg16_products() == 15_470_264_320
    assert checked(document(shape, layers)).shapes.flops == 2 * vgg16_products() == 30_940_528_640


def test_flops_of_mobilenet_equal_its_paper():
    shape, layers, *_ = STACKS["MobileNet"]
    assert checked(document(shape, layers)).shapes.flops == 2 * 568_740_352  # "569 million" in the paper


def test_flops_are_unknown_for_unknown_image_size():
    shape, layers, *_ = STACKS["VGG16, trunk"]
    rows: list[NodeShapes] = checked(document(shape, layers)).shapes.rows
    assert [row.flops for row in rows if row.node.type_name == "Conv2D"] == [None] * 13
