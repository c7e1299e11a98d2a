"""Rules of Keras's pretrained models that are checked without Keras."""

import pytest
from pydantic import ValidationError

from layercli.check import check_config
from layercli.layers.applications.architectures import FILE
from layercli.layers.families.applications import APPLICATIONS
from layercli.layers.registry import LAYERS
from layercli.layers.shapes import ShapeError, Tensor
from tests.layers.explained import explained


def infer(type_name, shape, **arguments):
    return LAYERS.parse({"type": type_name, **arguments}).infer((Tensor((None, *shape)),))


def count_parameters(*args, **arguments):
    return sum(weight.size for weight in infer(*args, **arguments).weights)


@pytest.mark.parametrize(
    ("name", "size", "parameters"),
    [
        ("VGG16", 224, 138_357_544),
        ("ResNet50", 224, 25_636_712),
        ("MobileNet", 224, 4_253_864),
        ("MobileNetV2", 224, 3_538_984),
        ("MobileNetV3Small", 224, 2_554_968),
        ("EfficientNetB0", 224, 5_330_571),
        ("DenseNet121", 224, 8_062_504),
        ("InceptionV3", 299, 23_851_784),
        ("Xception", 299, 22_910_480),
        ("NASNetMobile", 224, 5_326_716),
        ("ConvNeXtTiny", 224, 28_589_128),
    ],
)
def test_parameters_are_those_that_keras_publishes(name, size, parameters):
    assert count_parameters(name, (size, size, 3)) == parameters


def test_every_architecture_is_in_the_catalogue_and_in_a_small_file():
    names = {name for name, module in LAYERS.modules.items() if module == "applications"}
    assert names == set(APPLICATIONS)
    assert FILE.stat().st_size < 20_000


def test_unknown_sizes_keep_the_parameters():
    inferred = infer("ResNet50", (None, None, 3), include_top=False)
    assert inferred.outputs[0].shape == (None, None, None, 2048)
    assert sum(weight.size for weight in inferred.weights) == 23_587_712
    assert inferred.multiply_adds is None


def test_mixed_precision_sets_the_dtype_of_the_output():
    from layercli.layers.base import use_dtype_policy

    with use_dtype_policy("mixed_float16"):
        assert infer("MobileNetV2", (32, 32, 3), include_top=False).outputs[0].dtype == "float16"


@pytest.mark.parametrize(
    ("name", "shape", "arguments", "message"),
    [
        ("MobileNetV2", (31, 64, 3), {"include_top": False}, "at least 32x32"),
        ("MobileNetV3Small", (31, 64, 3), {}, "at least 32x32"),
        ("Xception", (70, 71, 3), {"include_top": False}, "at least 71x71"),
        ("InceptionV3", (75, 74, 3), {"weights": None}, "at least 75x75"),
        ("ResNet50", (64, 64, 1), {"include_top": False}, "needs 3 channels"),
        (
            "ResNet50",
            (64, 64, 1),
            {"include_top": False, "weights": None},
            "preprocessing of ResNet50 needs 3",
        ),
        ("VGG16", (None, None, 3), {"weights": None}, "needs the size"),
        ("NASNetMobile", (None, 64, 3), {"weights": None, "include_top": False}, "needs the size"),
        ("VGG16", (225, 224, 3), {}, "needs images of 224x224"),
        ("MobileNet", (96, 96, 3), {}, "needs images of 224x224"),
        ("VGG16", (64, 64, None), {"weights": None}, "number of channels"),
    ],
)
def test_wrong_inputs_are_refused(name, shape, arguments, message):
    with pytest.raises(ShapeError, match=message):
        infer(name, shape, **arguments)


@pytest.mark.parametrize(
    ("name", "shape", "arguments"),
    [
        ("MobileNet", (160, 160, 3), {}),
        ("MobileNetV2", (96, 96, 3), {}),
        ("MobileNetV3Small", (33, 50, 3), {}),
        ("Xception", (71, 71, 3), {"include_top": False}),
        ("ResNet50", (64, 64, 1), {"weights": None, "include_top": False, "include_preprocessing": False}),
        ("EfficientNetV2B0", (64, 64, 1), {"weights": None, "include_top": False}),
    ],
)
def test_inputs_that_keras_accepts_are_accepted(name, shape, arguments):
    assert infer(name, shape, **arguments).outputs


@pytest.mark.parametrize(
    ("name", "arguments", "argument"),
    [
        ("VGG16", {"classes": 10}, "classes"),
        ("VGG16", {"classifier_activation": "relu"}, "classifier_activation"),
        ("VGG16", {"classifier_activation": "relu", "weights": "a.h5"}, "classifier_activation"),
        ("MobileNet", {"alpha": 0.35}, "alpha"),
        ("MobileNet", {"depth_multiplier": 2}, "depth_multiplier"),
        ("MobileNetV2", {"alpha": 0.25}, "alpha"),
        ("MobileNetV3Small", {"alpha": 0.75, "minimalistic": True}, "alpha"),
    ],
)
def test_wrong_arguments_are_refused(name, arguments, argument):
    with pytest.raises(ValidationError) as caught:
        LAYERS.parse({"type": name, **arguments})
    assert [error["loc"][-1] for error in caught.value.errors()] == [argument]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("VGG16", {"classes": 10, "include_top": False}),
        ("VGG16", {"classes": 10, "weights": None}),
        ("VGG16", {"classifier_activation": None}),
        ("MobileNet", {"alpha": 0.25}),
        ("MobileNetV2", {"alpha": 1.4}),
        ("MobileNetV2", {"alpha": 0.1, "weights": None}),
        ("MobileNetV3Small", {"alpha": 0.75}),
    ],
)
def test_arguments_that_keras_accepts_are_accepted(name, arguments):
    assert LAYERS.parse({"type": name, **arguments})


@pytest.mark.parametrize(
    ("before", "arguments", "codes"),
    [
        ("{type: Rescaling, scale: 0.1}", "", ["scaled-twice"]),
        ("Normalization", "", ["scaled-twice"]),
        ("{type: Rescaling, scale: 0.1}", ", include_preprocessing: false", []),
        ("{type: Dropout, rate: 0.1}", "", []),
    ],
)
def test_scaling_before_the_preprocessing_is_a_warning(tmp_path, before, arguments, codes):
    config = tmp_path / "config.yaml"
    layer = f"{{type: ResNet50, include_top: false, pooling: avg{arguments}}}"
    config.write_text(f"model:\n  input: [64, 64, 3]\n  layers:\n    - {before}\n    - {layer}\n")
    assert [problem.code for problem in check_config(str(config)).problems] == codes


def test_explanation_lists_feature_maps_and_the_types_of_layers():
    layer = LAYERS.parse({"type": "MobileNetV2", "include_top": False, "weights": None, "pooling": "avg"})
    found = explained(layer, [Tensor((None, 96, 96, 3))])
    maps = "96x96x3 -> 48x48x96 -> 24x24x144 -> 12x12x192 -> 6x6x576 -> 3x3x1280 -> 1280"
    assert found.shape == (f"feature maps {maps}",)
    parts = "2,125,536 (35 Conv2D) + 68,224 (52 BatchNormalization) + 64,224 (17 DepthwiseConv2D)"
    assert found.parameters == f"{parts} = 2,257,984"
    assert found.weights == "260 weights in 119 layers"


@pytest.mark.parametrize(
    ("weights", "hint"),
    [
        ("imagnet", "Did you mean `imagenet`?"),
        (
            "weights.keras",
            "Write `weights: imagenet`, `weights: null`, or the path of a file that `save_weights` wrote.",
        ),
    ],
)
def test_weights_are_imagenet_or_an_hdf5_file(weights, hint):
    layer = {"type": "MobileNet", "weights": weights, "include_top": False}
    with pytest.raises(ValidationError) as caught:
        LAYERS.parse(layer)
    (error,) = caught.value.errors()
    assert (error["loc"], error["ctx"]["hint"]) == (("weights",), hint)
    assert LAYERS.parse(layer | {"weights": "a.weights.h5"}).weights == "a.weights.h5"
