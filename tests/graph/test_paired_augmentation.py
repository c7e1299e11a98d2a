"""Augmentation layers and targets with a value for each pixel."""

import pytest

from layercli.check import check_config, require_valid
from layercli.config.data.section import DataFacts, TargetFacts
from layercli.graph.paired_augmentation import (
    check_moved_targets,
    find_paired_layers,
    has_target_for_pixels,
)

MASKS = "{type: images, path: i, masks: {path: m}}"
CONV = "{type: Conv2D, filters: 3, kernel_size: 1, activation: softmax}"


@pytest.fixture
def check(tmp_path):
    def check(*layers, data=MASKS, input="[8, 8, 3]"):
        path = tmp_path / "config.yaml"
        lines = "".join(f"    - {layer}\n" for layer in (*layers, CONV))
        path.write_text(
            f"data: {data}\nmodel:\n  input: {input}\n  layers:\n{lines}"
            "train: {loss: sparse_categorical_crossentropy}\n"
        )
        return check_config(str(path))

    return check


def lines(result):
    return [(problem.code, problem.line) for problem in result.problems]


@pytest.mark.parametrize(
    "layers",
    [
        ("RandomFlip",),
        ("{type: Rescaling, scale: 0.1}", "RandomFlip", "{type: RandomZoom, height_factor: 0.1}"),
        ("{type: RandomBrightness, factor: 0.1}", "{type: RandomRotation, factor: 0.1}"),
        ("{type: Conv2D, filters: 2, kernel_size: 1}", "{type: RandomContrast, factor: 0.1}"),
    ],
)
def test_layers_at_the_start_are_accepted(check, layers):
    assert lines(check(*layers)) == []


def test_paired_layers_end_at_the_last_that_moves(check):
    layers = ("{type: Rescaling, scale: 0.1}", "RandomFlip", "{type: RandomContrast, factor: 0.1}")
    shapes = require_valid(check(*layers)).shapes
    assert [node.type_name for node in find_paired_layers(shapes)] == ["Rescaling", "RandomFlip"]
    assert find_paired_layers(require_valid(check("{type: Rescaling, scale: 0.1}")).shapes) == []


def test_layers_elsewhere_are_refused(check):
    conv = "{type: Conv2D, filters: 3, kernel_size: 1}"
    assert lines(check("RandomFlip", conv, "RandomFlip")) == [("moved-target", 7)]
    branches = ("{type: RandomFlip, name: f}", "{type: Add, inputs: [f, input]}")
    assert lines(check(*branches, input="[8, 8, 3]")) == [("moved-target", 5)]


@pytest.mark.parametrize("layer", ["MixUp", "CutMix", "{type: RandomElasticTransform, factor: 0.5}"])
def test_layers_that_cannot_move_a_target_are_refused(check, layer):
    result = check(layer)
    assert lines(result) == [("moved-target", 5)]
    assert "cannot do the same with the target" in result.problems[0].message


def test_class_targets_are_not_concerned(check):
    conv = "{type: Conv2D, filters: 3, kernel_size: 1}"
    result = check(conv, "RandomFlip", "GlobalAveragePooling2D", "{type: Reshape, target_shape: [1, 1, 3]}")
    assert [code for code, _ in lines(result)] == ["moved-target"]
    folders = check(conv, "RandomFlip", data="{type: images, path: i}")
    assert "moved-target" not in [code for code, _ in lines(folders)]


def test_integer_input_is_refused(check):
    result = check("RandomFlip", input="{shape: [8, 8, 3], dtype: int32}")
    assert ("moved-target", 5) in lines(result)


@pytest.mark.parametrize(
    ("target", "is_paired"),
    [((8, 8), True), ((8, 8, 3), True), ((8, 7), False), ((8,), False), ((), False)],
)
def test_shape_of_arrays_decides(check, target, is_paired):
    valid = require_valid(
        check(
            "{type: Conv2D, filters: 3, kernel_size: 1}",
            data="{type: npz, path: d.npz, features: x, target: y}",
        )
    )
    assert has_target_for_pixels(valid.shapes, target) == is_paired
    facts = DataFacts(4, (8, 8, 3), TargetFacts(shape=target))
    valid = require_valid(
        check(
            "RandomFlip",
            "{type: Conv2D, filters: 3, kernel_size: 1}",
            data="{type: npz, path: d.npz, features: x, target: y}",
        )
    )
    assert list(check_moved_targets(valid.config, valid.shapes, facts)) == []
    moved = check(
        "{type: Conv2D, filters: 3, kernel_size: 1}",
        "RandomFlip",
        data="{type: npz, path: d.npz, features: x, target: y}",
    )
    valid = require_valid(moved)
    assert bool(list(check_moved_targets(valid.config, valid.shapes, facts))) == is_paired
