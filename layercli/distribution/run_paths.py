"""The paths to which the processes of a group write: the run directory for the first, scratch for the others."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from layercli import runtime
from layercli.io.atomic import write_text

RUN_FILE_VARIABLE = "LAYERCLI_RUN_FILE"
"""Environment variable with a file, into which the first process writes its run directory for the launcher."""


@contextmanager
def make_scratch_run_path() -> Iterator[str | None]:
    """Yield a temporary run directory for a process that is not the first of its group; None for all others."""
    if runtime.cluster is None or runtime.cluster.rank == 0:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="layercli-") as directory:
        yield str(Path(directory) / "run")


def copy_run(run_dir: Path, target: str) -> Path:
    """Copy a run to resume it, without the files that the first process may be writing."""
    shutil.copytree(run_dir, target, ignore=shutil.ignore_patterns(".*"))
    return Path(target)


def publish_run_path(run_dir: Path) -> None:
    """Write the run directory for the launcher of the group."""
    if (
        (file := os.environ.get(RUN_FILE_VARIABLE))
        and runtime.cluster is not None
        and runtime.cluster.rank == 0
    ):
        write_text(Path(file), str(run_dir.resolve()))
