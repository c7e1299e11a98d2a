"""The first import of Keras: without TensorFlow's chatter and, in our process, without what we never use."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from layercli import runtime
from layercli.runtime import capture_native_stderr

_UNUSED_PACKAGES = ("sklearn", "scipy", "pandas")
"""Keras imports these where they are installed, for wrappers and frames; that takes a third of its start."""


def start_keras() -> None:
    """Import Keras on the TensorFlow backend; must run before any other import of either."""
    gc.enable()
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _blocking_imports(_UNUSED_PACKAGES if runtime.is_cli_process else ()), capture_native_stderr():
        import keras

        if runtime.cluster is not None:
            from layercli.engine.training.multi_worker import connect_workers

            connect_workers()
        keras.distribution.list_devices()  # looks for accelerators now, while what that prints is held


@contextmanager
def _blocking_imports(names: tuple[str, ...]) -> Iterator[None]:
    """Let imports of these packages fail for now, as if they were not installed."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None is how Python marks it
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
