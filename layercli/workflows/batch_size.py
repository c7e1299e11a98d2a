"""Find the batch size of ``train.batch_size: auto``: the largest that fits, by an estimate and then by an attempt."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

from layercli.check import ValidConfig
from layercli.config.training.batch_size import AutoBatchSize
from layercli.distribution.cluster import list_local_gpus
from layercli.errors import ExitCode, LayercliError
from layercli.graph.training_memory import estimate_training_memory
from layercli.io.atomic import write_json
from layercli.io.lock import make_lock
from layercli.io.regular import parse_json, read_inside
from layercli.processes.supervisor import Supervisor, close_pipes
from layercli.processes.worker_pool import parse_problem
from layercli.reports.formatting import format_bytes
from layercli.runs import directory as runs
from layercli.workflows.build import complete_output_shapes
from layercli.workflows.dataset import load_training_data
from layercli.workflows.preflight import read_available_memory, read_peak_memory, require_sections

MAX_BATCH_SIZE: Final = 1024
"""The largest size: a step of more examples is hardly faster for each, and needs another learning rate."""
MIN_STEPS: Final = 5
"""The smallest number of steps in an epoch."""
_USED_FRACTION: Final = 0.8
"""The part of the available memory that a training may take: estimates are within 20% of the measured peak."""
_FRAMEWORK_BYTES: Final = 700 << 20
"""The memory of TensorFlow and Keras without a model."""
SHARED_FILE: Final = "batch_size.json"
"""The file of a group of runs with the batch size of all of them."""
_MAX_SHARED_BYTES: Final = 1 << 16
_MODULE: Final = "layercli.workflows.batch_size_attempt"

Limit = Literal["memory", "examples", "maximum"]


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """The result of two training steps with a batch size: whether they fit, and their memory."""

    fits: bool
    peak_bytes: int | None = None

    def fits_into(self, available: int | None) -> bool:
        """Return whether the training ended, and its peak is not above the available memory if that is known."""
        return self.fits and (available is None or (self.peak_bytes or 0) <= available)


@dataclass(frozen=True, slots=True)
class FoundBatchSize:
    """A batch size with the reason why it is not larger."""

    size: int
    limit: Limit
    available_bytes: int | None
    """What a training may take; None for GPUs, and if it is unknown."""
    estimated_bytes: int
    peak_bytes: int | None
    """The measured peak; None if no attempt was necessary."""

    def describe(self, examples: int) -> str:
        """Return a sentence for the screen."""
        reasons = {
            "memory": "the largest power of 2 that fits into memory",
            "examples": f"with {examples:,} training examples, an epoch has at least {MIN_STEPS} steps",
            "maximum": "the largest one that `auto` chooses",
        }
        needed = (
            f"about {format_bytes(self.estimated_bytes)}"
            if self.peak_bytes is None
            else format_bytes(self.peak_bytes)
        )
        available = "" if self.available_bytes is None else f" of {format_bytes(self.available_bytes)}"
        return f"Batch size {self.size:,}: {reasons[self.limit]}. The training needs {needed}{available}."

    def as_json(self) -> dict[str, Any]:
        """Return the value of ``batch_size`` in the manifest."""
        return {
            "found": self.size,
            "limit": self.limit,
            "available_bytes": self.available_bytes,
            "estimated_bytes": self.estimated_bytes,
            "peak_bytes": self.peak_bytes,
        }


def has_auto_batch_size(valid: ValidConfig) -> bool:
    """Return whether the batch size must be found."""
    return valid.config.train is not None and isinstance(valid.config.train.batch_size, AutoBatchSize)


def with_batch_size(valid: ValidConfig, size: int) -> ValidConfig:
    """Return the config with this batch size in place of ``auto``; others are not changed."""
    if not has_auto_batch_size(valid):
        return valid
    _, section = require_sections(valid)
    config = valid.config.model_copy(update={"train": section.model_copy(update={"batch_size": size})})
    return replace(valid, config=config)


def find_batch_size(
    valid: ValidConfig,
    examples: int,
    *,
    trust: bool,
    jobs: int = 1,
    run_attempt: Callable[..., AttemptResult] | None = None,
) -> FoundBatchSize:
    """Return the largest batch size that fits.

    The candidates are powers of 2 of at most ``MAX_BATCH_SIZE`` with which an epoch has ``MIN_STEPS`` steps. The estimate of
    static shapes excludes those that cannot fit. Then a child process trains for two steps: with half the size each time
    that it runs out of memory, or with twice the size if it needed less than half of the memory. The attempt is left out if
    the estimate is below half of the memory, because its error is smaller. The memory of GPUs is not estimated, only tried.

    Args:
        valid: The config.
        examples: The number of training examples.
        trust: Whether custom code may be run.
        jobs: The number of trainings that share the memory.
        run_attempt: Trains for two steps; the default uses a child process.

    Raises:
        LayercliError: Not even one example fits, or the config cannot be trained for another reason.
    """
    run_attempt = run_attempt or run_attempt_process
    by_examples = largest_power_of_two(max(1, examples // MIN_STEPS))
    bound = min(MAX_BATCH_SIZE, by_examples)
    memory = read_available_memory()
    available = None if memory is None or list_local_gpus() else int(_USED_FRACTION * memory / jobs)
    size = bound
    while size > 1 and available is not None and estimate_bytes(valid, size) > available:
        size //= 2
    peak = None
    if not _is_certain(valid, size, available):
        try_size = partial(run_attempt, valid, trust=trust)
        size, peak = _search_by_attempts(valid, size, bound, available, try_size)
    limit: Limit = "memory" if size < bound else "maximum" if bound < by_examples else "examples"
    return FoundBatchSize(size, limit, available, estimate_bytes(valid, size), peak)


def _search_by_attempts(
    valid: ValidConfig,
    size: int,
    bound: int,
    available: int | None,
    run_attempt: Callable[[int], AttemptResult],
) -> tuple[int, int | None]:
    """Return the largest size that fits, and its peak: half of the first size until it fits, otherwise twice while it does.

    Raises:
        LayercliError: Not even one example fits.
    """
    result = run_attempt(size)
    can_grow = result.fits_into(available)
    while not result.fits_into(available):
        if size == 1:
            message = "`batch_size: auto` found no size: the training runs out of memory with one example in each step."
            hint = "Use a smaller model or a machine with more memory."
            raise LayercliError(valid.make_problem(("train", "batch_size"), "too-large", message, hint))
        size //= 2
        result = run_attempt(size)
    while (
        can_grow
        and 2 * size <= bound
        and available is not None
        and 2 * (result.peak_bytes or available) <= available
    ):
        larger = run_attempt(2 * size)
        if not larger.fits_into(available):
            break
        size, result = 2 * size, larger
    return size, result.peak_bytes


def _is_certain(valid: ValidConfig, size: int, available: int | None) -> bool:
    """Return whether a training fits, whatever the error of its estimate is."""
    _, section = require_sections(valid)
    if available is None or estimate_training_memory(valid.shapes, section, size) is None:
        return False
    return estimate_bytes(valid, size) <= available // 2


def make_shared_lock_path(directory: Path) -> Path:
    """Return the file that the run of a group locks that finds the batch size."""
    return directory / f".{SHARED_FILE}.lock"


def find_shared_batch_size(valid: ValidConfig, directory: Path, *, trust: bool, jobs: int) -> int:
    """Return the batch size for all runs of a group: the first run finds it, so that the others have the same.

    Args:
        valid: The config of one of the runs.
        directory: The directory of the group.
        trust: Whether custom code may be run.
        jobs: The number of trainings that share the memory.

    Raises:
        LayercliError: As for ``find_batch_size``.
    """
    with make_lock(make_shared_lock_path(directory)):
        with suppress(OSError, ValueError):
            known = parse_json(read_inside(directory, SHARED_FILE, _MAX_SHARED_BYTES))
            size = known.get("found") if isinstance(known, dict) else None
            if type(size) is int and 1 <= size <= MAX_BATCH_SIZE:
                return size
        data, _ = require_sections(valid)
        completed, splits, _ = load_training_data(complete_output_shapes(valid), data, trust=trust)
        found = find_batch_size(completed, len(splits.train), trust=trust, jobs=jobs)
        write_json(directory / SHARED_FILE, found.as_json())
        return found.size


def largest_power_of_two(limit: int) -> int:
    """Return the largest power of 2 that is not above a positive limit."""
    return 1 << (limit.bit_length() - 1)


def estimate_bytes(valid: ValidConfig, size: int) -> int:
    """Return the memory of a training process with this batch size, with the data that this process has loaded."""
    _, section = require_sections(valid)
    estimate = estimate_training_memory(valid.shapes, section, size)
    step = (
        4 * valid.shapes.weight_bytes + 2 * valid.shapes.activation_bytes(size)
        if estimate is None
        else estimate.total
    )
    return step + _FRAMEWORK_BYTES + (read_peak_memory() or 0)


def run_attempt_process(
    valid: ValidConfig, size: int, *, trust: bool, module: str = _MODULE
) -> AttemptResult:
    """Train for two steps in a child process, which may run out of memory.

    Raises:
        LayercliError: The training failed for another reason.
    """
    with TemporaryDirectory(prefix="layercli-") as folder:
        runs.write_config(Path(folder), valid)
        result_file = Path(folder) / "result.json"
        task = {
            "config": str(Path(folder) / runs.CONFIG),
            "set": [f"train.batch_size={size}"],
            "trust": trust,
            "result": str(result_file),
            "command": ["layercli", "train"],
        }
        supervisor = Supervisor()
        process = supervisor.start(module, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(task) + "\n")
            process.stdin.flush()
            answer = process.stdout.read()
            code = process.wait()
        except BrokenPipeError:
            answer, code = "", process.wait()
        finally:
            supervisor.stop(0)
            close_pipes(process)
        if code == ExitCode.OK:
            return AttemptResult(**parse_json(result_file.read_bytes()))
    if code == ExitCode.INVALID_INPUT and answer:
        file = valid.check_result.file  # that of the attempt is removed
        raise LayercliError(
            replace(parse_problem(document), file=file, line=None, column=None)
            for document in json.loads(answer)
        )
    return AttemptResult(fits=False)  # it was killed, or TensorFlow aborted
