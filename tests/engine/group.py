"""One process of a group, for tests: does several trainings one after the other, each in a directory of its own."""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from layercli import runtime


def main() -> None:
    task = json.loads(sys.argv[1])
    rank, size = task["rank"], task["size"]
    runtime.is_cli_process = True
    runtime.cluster = runtime.Cluster(rank, size)
    from layercli.check import check_config, require_valid
    from layercli.distribution.run_paths import copy_run
    from layercli.workflows.resume import resume_run
    from layercli.workflows.resume_check import open_for_resume
    from layercli.workflows.signals import TrainingInterruptedError
    from layercli.workflows.train import train_new_run

    own = Path(task["place"]) / str(rank)
    for config in task["configs"]:
        train_new_run(require_valid(check_config(config)), run_dir=str(own / Path(config).stem), trust=True)
    for run in task["resumed"]:
        begun = open_for_resume(run)
        resume_run(
            begun if rank == 0 else replace(begun, run_dir=copy_run(begun.run_dir, own / begun.run_dir.name)),
            trust=True,
        )
    for config, block in task["stopped"]:
        if rank == size - 1:  # one is told, and all end
            sigterm_after(block)
        try:
            train_new_run(
                require_valid(check_config(config)),
                run_dir=str(own / Path(config).stem),
                trust=True,
                is_interruptible=True,
            )
        except TrainingInterruptedError:
            continue
        raise AssertionError(config)


def sigterm_after(blocks: int) -> None:
    """Have this process get SIGTERM after so many blocks of steps."""
    from layercli.engine.training.checkpointing import DivergenceGuard

    after, left = DivergenceGuard.on_train_batch_end, [blocks]

    def on_train_batch_end(self, batch, logs=None):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            DivergenceGuard.on_train_batch_end = after
        after(self, batch, logs)

    DivergenceGuard.on_train_batch_end = on_train_batch_end


if __name__ == "__main__":
    main()
