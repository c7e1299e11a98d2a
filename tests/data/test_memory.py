"""Limits of data that is loaded at once, at the sizes that the messages and docs name."""

import pytest

from layercli.data.memory import is_too_large_to_load, limit_item_bytes

MIB, GIB = 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("decoded", "file", "memory", "expected"),
    [
        (GIB, GIB, 4 * GIB, False),  # a quarter of the memory
        (GIB + 1, GIB, 4 * GIB, True),
        (512 * MIB, 1, 64 * GIB, False),  # small data, whatever the size of its file
        (512 * MIB + 1, 1, 64 * GIB, True),
        (GIB, 32 * MIB, 64 * GIB, False),  # 32 times the size of its file
        (GIB + 1, 32 * MIB, 64 * GIB, True),
        (1 << 50, 1, None, False),
    ],
)
def test_data_that_must_be_read_batch_by_batch(decoded, file, memory, expected):
    assert is_too_large_to_load(decoded, file, memory) is expected


@pytest.mark.parametrize(
    ("memory", "limit"), [(None, GIB), (64 * GIB, GIB), (2 * GIB, 512 * MIB), (8 * MIB, 2 * MIB), (0, MIB)]
)
def test_limit_of_an_image_is_a_quarter_of_the_memory(memory, limit):
    assert limit_item_bytes(memory) == limit
