"""What a training writes into its run directory while it goes on, and what happens when nothing more can be written."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from layercli import runtime
from layercli.check import Valid
from layercli.errors import LayercliError, Problem
from layercli.reports.console import finite
from layercli.reports.progress import Silent
from layercli.runs import directory as runs
from layercli.runs.checkpoints import Checkpoints

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def disk_watched(run: Path, valid: Valid, *, begun: bool = True) -> Iterator[None]:
    """A disk that is full, or a file that cannot be read or written, ends a training but is no bug.

    Raises:
        LayercliError: that happened; a run that has ``begun`` can go on from its last checkpoint.
    """
    from layercli.data.examples import RefusedDataError

    try:
        yield
    except RefusedDataError as error:  # of data that are read while training goes on
        raise LayercliError(valid.placed(found) for found in error.findings) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        full = error.errno in _FULL
        unwritable = full or error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
        what = "The disk is full" if full else f"Training stopped: {error.strerror or error}"
        named = f" ({error.filename})" if error.filename else ""
        mend = "Make room" if full else "Mend that"
        again = f"go on with `layercli train --resume {run}`" if begun else "train again"
        problem = Problem(
            code="cannot-write" if unwritable else "training-failed",
            message=f"{what}{named}{'; the last checkpoint stands' if begun else ''}.",
            hint=f"{mend}; then {again}.",
            file=str(run),
        )
        raise LayercliError(problem) from None


class Store:
    """Keeps checkpoints in the run directory, with the seconds that training has taken in all."""

    def __init__(self, checkpoints: Checkpoints, began: float) -> None:
        self._checkpoints = checkpoints
        self._began = began

    def save(self, epoch: int, step: int, arrays: Mapping[str, Any], state: Mapping[str, Any]) -> Path | None:
        """Write one; of several processes the first alone does."""
        if runtime.cluster is not None and runtime.cluster.rank:
            return None
        elapsed = time.perf_counter() - self._began
        return self._checkpoints.save(epoch, step, arrays, {**state, "elapsed": elapsed})


class Recorder:
    """Writes each epoch into the history and passes the news on."""

    def __init__(self, run: Path, progress: Silent) -> None:
        self._history = run / runs.HISTORY
        self.step = progress.step
        self._show = progress.epoch

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Record and show a finished epoch."""
        runs.append_line(self._history, finite(record))
        self._show(record)
