"""The process of a worker of ``WorkerPool``: its task, its answer and its end."""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from layercli import runtime
from layercli.errors import ExitCode, LayercliError
from layercli.io.atomic import make_system_error

Task: TypeAlias = Mapping[str, Any]


def run_task(run: Callable[[Task], None]) -> None:
    """Read the task from standard input, run it, and end the process with it or when standard input closes.

    Problems are written to standard output as JSON.
    """
    runtime.is_cli_process = True
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # several workers share a GPU
    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    sys.argv = task["command"]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of callbacks and custom code goes to the log
    try:
        run(task)
    except (LayercliError, OSError) as error:
        if isinstance(error, OSError):
            error = make_system_error(error)
        if error.exit_code == ExitCode.INVALID_INPUT:
            answers.write(json.dumps([problem.as_json() for problem in error.problems]))
            answers.close()
        sys.exit(error.exit_code)


def _exit_with_parent() -> None:
    sys.stdin.read()
    os._exit(ExitCode.INVALID_INPUT)


def free_keras_memory() -> None:
    """Free the state that Keras keeps of a model, so that every training starts from a clean process."""
    keras = sys.modules.get("keras")
    if keras is not None:
        keras.backend.clear_session()
    gc.collect()
