"""A warning for images that have their channels first, as in PyTorch."""

import pytest

from layercli.check import check_config

CONV = "{type: Conv2D, filters: 4, kernel_size: 1}"
CODE = "channels-first-input"


def list_warnings(tmp_path, shape, *layers):
    path = tmp_path / "c.yaml"
    path.write_text(
        f"model:\n  input: {shape}\n  layers:\n" + "".join(f"    - {layer}\n" for layer in layers)
    )
    return [(each.code, each.line, each.hint) for each in check_config(str(path)).problems]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_first_image_is_a_warning(tmp_path, channels):
    hint = f"Declare `model.input: [8, 8, {channels}]`: the channels are the last axis."
    assert list_warnings(tmp_path, [channels, 8, 8], CONV, CONV) == [(CODE, 4, hint)]


@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ([8, 8, 3], [CONV]),
        ([3, 7, 7], [CONV]),
        ([2, 8, 8], [CONV]),
        ([3, 8, 9], [CONV]),
        (["null", 8, 8], [CONV]),
        ([3, "null", "null"], [CONV]),
        ([3, 8, 8], ["{type: Permute, dims: [2, 3, 1]}", CONV]),
        ([3, 8, 8], ["{type: Conv2D, filters: 4, kernel_size: 1, data_format: channels_first}", CONV]),
        ([3, 8, 8], ["Flatten"]),
    ],
)
def test_other_images_have_no_warning(tmp_path, shape, layers):
    shown = str(shape).replace("'", "")
    assert CODE not in [code for code, *_ in list_warnings(tmp_path, shown, *layers)]


def test_data_of_a_fixed_shape_needs_a_layer(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        f"model: {{input: [3, 8, 8], layers: [{CONV}]}}\ndata: {{type: npz, path: x.npz, features: x, target: y}}\n"
    )
    hints = [problem.hint for problem in check_config(str(path)).problems if problem.code == CODE]
    assert hints == [
        "Put {type: Permute, dims: [2, 3, 1]} as the first layer of the model: it moves the channels to the last axis."
    ]
