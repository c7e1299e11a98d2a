"""What a training writes into its run directory while it goes on, and what happens when nothing more can be written."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from layercli import runtime
from layercli.check import ValidConfig
from layercli.errors import LayercliError, Problem
from layercli.reports.console import replace_non_finite
from layercli.reports.progress import SilentProgress
from layercli.runs import directory as runs
from layercli.runs.checkpoints import CheckpointDirectory

_DISK_FULL_ERRNOS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def report_disk_errors(run: Path, valid: ValidConfig, *, is_resumable: bool = True) -> Iterator[None]:
    """A disk that is full, or a file that cannot be read or written, ends a training but is no bug.

    Raises:
        LayercliError: that happened; a run that has ``begun`` can go on from its last checkpoint.
    """
    from layercli.data.types import DataError

    try:
        yield
    except DataError as error:  # of data that are read while training goes on
        raise LayercliError(valid.problem_from_finding(found) for found in error.findings) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        is_disk_full = error.errno in _DISK_FULL_ERRNOS
        is_unwritable = is_disk_full or error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
        what = "The disk is full" if is_disk_full else f"Training stopped: {error.strerror or error}"
        file_note = f" ({error.filename})" if error.filename else ""
        remedy = "Make room" if is_disk_full else "Mend that"
        next_step = f"go on with `layercli train --resume {run}`" if is_resumable else "train again"
        problem = Problem(
            code="cannot-write" if is_unwritable else "training-failed",
            message=f"{what}{file_note}{'; the last checkpoint stands' if is_resumable else ''}.",
            hint=f"{remedy}; then {next_step}.",
            file=str(run),
        )
        raise LayercliError(problem) from None


class TimedCheckpointStore:
    """Keeps checkpoints in the run directory, with the seconds that training has taken in all."""

    def __init__(self, checkpoints: CheckpointDirectory, started_at: float) -> None:
        self._checkpoints = checkpoints
        self._started_at = started_at

    def save(self, epoch: int, step: int, arrays: Mapping[str, Any], state: Mapping[str, Any]) -> Path | None:
        """Write one; of several processes the first alone does."""
        if runtime.cluster is not None and runtime.cluster.rank:
            return None
        elapsed = time.perf_counter() - self._started_at
        return self._checkpoints.save(epoch, step, arrays, {**state, "elapsed": elapsed})


class HistoryWriter:
    """Writes each epoch into the history and passes the news on."""

    def __init__(self, run: Path, progress: SilentProgress) -> None:
        self._history = run / runs.HISTORY
        self.finish_step = progress.finish_step
        self._show_epoch = progress.finish_epoch

    def finish_epoch(self, record: Mapping[str, Any]) -> None:
        """Record and show a finished epoch."""
        runs.append_json_line(self._history, replace_non_finite(record))
        self._show_epoch(record)
