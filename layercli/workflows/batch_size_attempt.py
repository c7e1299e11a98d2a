"""A child process that trains for two steps, to find whether a batch size fits into memory."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from layercli.check import check_config, require_valid
from layercli.errors import LayercliError
from layercli.io.atomic import write_json
from layercli.processes.pool_worker import Task, run_task
from layercli.workflows.preflight import read_peak_memory
from layercli.workflows.train import run_smoke_test


def main() -> None:
    """Train for two steps, and write the peak of the memory."""
    run_task(_try_batch_size)


def _try_batch_size(task: Task) -> None:
    with suppress(OSError):  # so that the system ends this process first, if memory is short
        Path("/proc/self/oom_score_adj").write_text("1000")
    fits = True
    try:
        run_smoke_test(require_valid(check_config(task["config"], task["set"])), trust=task["trust"])
    except (LayercliError, MemoryError) as error:
        fits = False
        if not is_memory_error(error):
            raise
    write_json(Path(task["result"]), {"fits": fits, "peak_bytes": read_peak_memory()})


def is_memory_error(error: BaseException | None) -> bool:
    """Return whether an error, or its cause, is that memory is short."""
    while error is not None:
        if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
            return True
        if isinstance(error, LayercliError) and any(
            problem.code == "too-large" for problem in error.problems
        ):
            return True
        error = error.__cause__
    return False


if __name__ == "__main__":
    main()
