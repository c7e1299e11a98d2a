"""Keras's shapes and weights without allocating the weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
from keras.src.backend.common import global_state  # not public


@contextmanager
def unallocated_weights() -> Iterator[None]:
    """Create weights without values; Keras would create them all at the next call of any layer."""
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute("uninitialized_variables", [])
