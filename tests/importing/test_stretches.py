"""Names of blocks, from the names of their layers."""

import pytest

from layercli.importing.stretches import last_word


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
