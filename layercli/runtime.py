"""Whose process this is: the command line's own, or that of a person who imports layercli; and what it prints."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Cluster(NamedTuple):
    """Processes that train one model together, and which of them this one is, from 0."""

    rank: int
    size: int


is_cli_process = False
"""Set by the console script before anything else; only then may the process be made lean."""

cluster: Cluster | None = None
"""Set before TensorFlow is loaded, where this process is one of several."""


@contextmanager
def capture_native_stderr(*, should_show_on_error: bool = True) -> Iterator[None]:
    """Keep what C++ code writes to standard error off the screen; ``shown`` if it ends in an error."""
    import tempfile

    sys.stderr.flush()
    try:
        screen = os.dup(2)
    except OSError:  # standard error is closed: nothing would be seen anyway
        yield
        return
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            captured.seek(0)
            os.write(screen, captured.read() if should_show_on_error else b"")
            raise
        finally:
            os.dup2(screen, 2)
            os.close(screen)
