"""Texts of shape (batch, 1) whose vectors Keras returns without the axis that it declares."""

import pytest

from layercli.check import check_config, require_valid
from layercli.graph.text_vectors import should_squeeze_texts

CONFIG = """
model:
  input: {{shape: [{size}], dtype: string}}
  layers:
    - {{type: TextVectorization, name: words, max_tokens: 9, {arguments}}}
    - {{type: Dense, units: 3}}
"""


def is_squeezed(arguments, *layers, size=1, node=0):
    entries = [f"    - {{type: {each}, inputs: words}}\n" for each in layers]
    text = CONFIG.format(arguments=arguments, size=size) + "".join(entries)
    valid = require_valid(check_config("config.yaml", text=text))
    return should_squeeze_texts(valid.graph.nodes[node], valid.shapes)


@pytest.mark.parametrize(
    ("arguments", "layers", "expected"),
    [
        ("output_mode: multi_hot", ["BatchNormalization"], True),
        ("output_mode: count", ["Reshape, target_shape: [3, 3]"], True),
        ("output_mode: multi_hot", [], False),  # Dense reads the last axis of any rank
        ("output_mode: multi_hot", ["Activation, activation: relu"], False),
        ("output_mode: int, output_sequence_length: 4", ["BatchNormalization"], False),
        ("output_sequence_length: 4", ["BatchNormalization"], False),
    ],
)
def test_vectors_are_squeezed_for_layers_that_depend_on_the_rank(arguments, layers, expected):
    assert is_squeezed(arguments, *layers) is expected


def test_several_texts_and_other_layers_are_not_squeezed():
    assert not is_squeezed("output_mode: multi_hot, split: null", "BatchNormalization", size=2)
    assert not is_squeezed("output_mode: multi_hot", "BatchNormalization", node=1)
