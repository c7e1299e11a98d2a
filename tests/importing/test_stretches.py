"""Names of blocks, from the names of their layers."""

from types import SimpleNamespace

import pytest

from layercli.importing.layer_stack import Wire
from layercli.importing.safe_records import _has_one_build_shape, _is_allowed_data
from layercli.importing.stretches import describe_stretch, find_unused_name, last_word


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("encoder", "encoder"),
        ("encoder_b", "encoder"),
        ("stage3_block2", "block"),
        ("Block_1", "block"),
        ("up_sampling_2d", "sampling"),
        ("conv_up", "up"),
        ("a_1", ""),
    ],
)
def test_last_word_of_a_name(name, word):
    assert last_word(name) == word


class FakeStretch(list):
    """Entries with these types; the last one takes the tensors ``x``."""

    inputs = (Wire("x"),)

    def __init__(self, *types, kind="layer", source="x"):
        super().__init__(
            SimpleNamespace(type=name, kind=kind, wires=[Wire(source), Wire("y")]) for name in types
        )


@pytest.mark.parametrize(
    ("stretch", "name"),
    [
        (FakeStretch("Flatten"), "flatten_block"),
        (FakeStretch("Flatten", "ReLU"), "flatten_block"),
        (FakeStretch("Flatten", "ReLU", "Dropout"), "block"),
        (FakeStretch("pair", kind="block"), "block"),
        (FakeStretch("Flatten", "DepthwiseConv2D"), "depthwise"),
        (FakeStretch("SeparableConv2D", "Conv2D"), "separable"),
        (FakeStretch("ReLU", "Conv2D", "Dense"), "convolution"),
        (FakeStretch("Dense"), "hidden"),
        (FakeStretch("Dense", "Add"), "residual"),
        (FakeStretch("Dense", "Add", source="z"), "hidden"),
        (FakeStretch("MultiHeadAttention", "Add"), "attention"),
    ],
)
def test_name_of_a_block_by_its_layers(stretch, name):
    assert describe_stretch(stretch) == name


def test_used_names_get_a_number():
    assert find_unused_name("a", set()) == "a"
    assert find_unused_name("a", {"a", "a_2"}) == "a_3"
    assert find_unused_name("previous", set()) == "previous_2"


@pytest.mark.parametrize(
    ("name", "record", "is_allowed"),
    [
        ("__tuple__", {"items": []}, True),
        ("__tuple__", {"items": [], "config": {}}, False),
        ("__tuple__", {"items": 3}, False),
        ("__numpy__", {"config": {"dtype": "float32"}}, True),
        ("__numpy__", {"config": {"dtype": "object"}}, False),
        ("__numpy__", {}, False),
        ("other", {"config": {"dtype": "float32"}}, False),
    ],
)
def test_data_in_an_architecture_is_plain(name, record, is_allowed):
    assert _is_allowed_data(name, record) is is_allowed


@pytest.mark.parametrize(
    ("build", "config", "is_one"),
    [
        ([None, 3], [None, 3], True),
        ([None, 3], [None, 4], False),
        ([None, 3], None, True),
        (None, [None, 4], True),
        (None, None, True),
    ],
)
def test_shapes_with_which_a_model_is_built_agree(build, config, is_one):
    record = {"build_config": {"input_shape": build}, "config": {"build_input_shape": config}}
    assert _has_one_build_shape(record) is is_one
