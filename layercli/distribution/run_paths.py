"""Where the processes of a group write: the first one into the run directory, the others nowhere that lasts."""

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
"""A file into which the first process of a group writes its run directory, for who started the group."""


@contextmanager
def make_scratch_run_path() -> Iterator[str | None]:
    """Where a process that is not the first of its group may write, until it ends; None for all others."""
    if runtime.cluster is None or runtime.cluster.rank == 0:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="layercli-") as directory:
        yield str(Path(directory) / "run")


def copy_run(run: Path, target: str) -> Path:
    """A copy of a run to go on with, without what the first process may be writing there."""
    shutil.copytree(run, target, ignore=shutil.ignore_patterns(".*"))
    return Path(target)


def publish_run_path(run: Path) -> None:
    """Tell who started the group where its run is."""
    if (
        (file := os.environ.get(RUN_FILE_VARIABLE))
        and runtime.cluster is not None
        and runtime.cluster.rank == 0
    ):
        write_text(Path(file), str(run.resolve()))
