"""Tensors of large arrays share their memory."""

import numpy as np
import pytest
import tensorflow as tf

from layercli.data.examples import Examples
from layercli.data.types import make_aligned_array
from layercli.engine.training import feed
from layercli.engine.training.feed import MemoryFeed, Span


@pytest.fixture(autouse=True)
def share_all(monkeypatch):
    monkeypatch.setattr(feed, "_MIN_SHARED_BYTES", 0)


def make_array(offset, dtype):
    """Return numbers whose memory begins ``offset`` bytes after a multiple of 64."""
    array = make_aligned_array((65, 4), dtype).reshape(-1)
    array = array[offset // array.itemsize :][: 64 * 4].reshape(64, 4)
    array[...] = np.arange(256).reshape(64, 4) % 100
    return array


@pytest.mark.parametrize(("offset", "is_shared"), [(0, True), (8, False), (16, False)])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64])
def test_batches_equal_the_rows(offset, is_shared, dtype):
    x, y = make_array(offset, dtype), make_array(offset, np.int32)[:, 0].copy()
    memory = MemoryFeed(Examples(x, y), batch_size=8)
    [block] = memory.blocks([Span(1, 3)], None)
    batch = memory.make_batch(block, memory.shared_tensors)
    np.testing.assert_array_equal(batch[0], x[8:24])
    np.testing.assert_array_equal(batch[1], y[8:24])
    expected = x[9].copy()
    x[9] = 77
    row = tf.gather(memory.shared_tensors[0], [9])[0]
    np.testing.assert_array_equal(row, x[9] if is_shared else expected)


def test_arrays_that_cannot_be_shared_are_copied():
    x = np.asfortranarray(make_array(0, np.float32))
    x.flags.writeable = False
    texts = np.array([["a"], ["b"]] * 32, dtype=object)
    for array in (x, texts, np.ones(64, dtype=bool)):
        memory = MemoryFeed(Examples(array, np.arange(64)), batch_size=8)
        [block] = memory.blocks([Span(0, 1)], None)
        found = memory.make_batch(block, memory.shared_tensors)[0].numpy()
        assert found.ravel().tolist() == [
            value.encode() if isinstance(value, str) else value for value in array[:8].ravel().tolist()
        ]
