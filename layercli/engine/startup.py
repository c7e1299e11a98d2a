"""Import Keras without TensorFlow's log output and, in layercli's own process, without unused packages."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from layercli import runtime
from layercli.activity import show_activity
from layercli.runtime import capture_native_stderr

_UNUSED_PACKAGES = ("sklearn", "scipy", "pandas", "matplotlib")
"""Optional packages that Keras imports if they are installed; they take a third of its startup time.

Matplotlib also reads a file ``matplotlibrc`` of the current folder, which is not trusted and could be a pipe.
"""


def start_keras() -> None:
    """Import Keras with the TensorFlow backend; must run before any other import of Keras or TensorFlow."""
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever was set for other programs
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # The checks before a run report what these warnings say, at the line of the layer.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"keras\.")
    with (
        show_activity("Loading TensorFlow"),
        _disable_garbage_collection(),
        _block_imports(_UNUSED_PACKAGES if runtime.is_cli_process else ()),
        capture_native_stderr(),
    ):
        import keras
        from keras.src.layers.preprocessing import index_lookup  # not public

        # Keras opens the files of vocabularies in the encoding of the locale: "Köln" would become another word.
        vars(index_lookup)["open"] = partial(open, encoding="utf-8")
        if runtime.cluster is not None:
            from layercli.engine.training.multi_worker import connect_workers

            connect_workers()
        keras.distribution.list_devices()  # finds accelerators now, while native output is captured


@contextmanager
def _block_imports(names: tuple[str, ...]) -> Iterator[None]:
    """Make imports of these packages fail inside the context, as if they were not installed."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # Python's marker for a blocked import
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


@contextmanager
def _disable_garbage_collection() -> Iterator[None]:
    """Collect no garbage inside the context; in layercli's own process, exclude what it creates from later collections.

    The modules of TensorFlow have half a million objects that exist until the process ends.
    """
    was_enabled = gc.isenabled() or runtime.is_cli_process
    gc.disable()
    try:
        yield
    finally:
        if runtime.is_cli_process:
            gc.freeze()
        if was_enabled:
            gc.enable()
