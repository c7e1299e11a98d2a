"""Graphs that are not optimized: optimizing them takes longer than the short trainings of these tests."""

from collections.abc import Iterator
from importlib import import_module

import pytest

OPTIMIZED = ("test_resume", "test_signals")
"""Files that test graphs as users run them, as the tests of `engine/`, of the example configs and of processes do."""


@pytest.fixture(scope="module", autouse=True)
def unoptimized_graphs(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let TensorFlow run graphs as they are traced; the results of all trainings in a file are comparable."""
    if request.path.stem in OPTIMIZED:
        yield
        return
    import_module("layercli.engine")  # it configures TensorFlow
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
