"""The process of one worker of a sweep; it reads what to do from standard input, and ends when that closes."""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from layercli import runtime
from layercli.check import Valid
from layercli.errors import ExitCode, LayercliError
from layercli.reports.progress import Silent
from layercli.sweep.plan import read_plan
from layercli.sweep.study import open_study
from layercli.sweep.worker import work
from layercli.workflows.train import train


def main() -> None:
    """Work until the sweep is finished; what is wrong goes to standard output as JSON."""
    runtime.is_ours = True
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # several workers share a GPU
    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    sys.argv = task["command"]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what callbacks and the user's code print goes to the log
    try:
        plan, _ = read_plan(task["file"], task["set"])
        directory = Path(task["directory"])
        study = open_study(plan, directory, task["storage"], heartbeat=task["heartbeat"])
        work(
            plan,
            study,
            directory,
            _trainer(trust=task["trust"]),
            deadline=task["deadline"],
            patience=10 * task["heartbeat"],
        )
    except LayercliError as error:
        answers.write(json.dumps([problem.as_json() for problem in error.problems]))
        answers.close()
        sys.exit(ExitCode.WRONG)


def _end_with_the_parent() -> None:
    sys.stdin.read()
    os._exit(ExitCode.WRONG)


def _trainer(*, trust: bool) -> Callable[[Valid, Path, Callable[[Mapping[str, Any]], None]], None]:
    def train_into(valid: Valid, run: Path, epoch: Callable[[Mapping[str, Any]], None]) -> None:
        try:
            train(valid, run_dir=str(run), trust=trust, progress=_Told(epoch))
        finally:
            _forget()

    return train_into


class _Told(Silent):
    """Passes each epoch on."""

    def __init__(self, epoch: Callable[[Mapping[str, Any]], None]) -> None:
        self._epoch = epoch

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Tell it."""
        self._epoch(record)


def _forget() -> None:
    """Free what Keras keeps of a model, so that the next one finds the process as the first one did."""
    keras = sys.modules.get("keras")
    if keras is not None:
        keras.backend.clear_session()
    gc.collect()


if __name__ == "__main__":
    main()
