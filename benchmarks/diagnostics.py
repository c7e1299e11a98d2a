"""How much processor time `train.diagnostics` adds to a steady epoch of the example configs.

Run ``python -m benchmarks.diagnostics``. The time of the statistics is measured in the same epochs as that of the steps,
because two trainings of the same config can differ by more than it. Trainings without diagnostics alternate with them, as a
check. The first two epochs, which trace functions, are left out, and medians over the others are compared. The last column
is the time that tracing the statistics takes once. The statistics need 2 ms for any model, which is much of an epoch that
takes 20 ms.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from layercli.check import check_config, require_valid
from layercli.engine.training.diagnostics import DiagnosticsCallback
from layercli.reports.training_progress import SilentProgress
from layercli.workflows.train import train_new_run

CONFIGS = Path(__file__).parents[1] / "configs"
NAMES = (
    "digits_dense",
    "digits_cnn",
    "digits_conv1d",
    "digits_lstm",
    "digits_residual",
    "digits_transformer",
    "breast_cancer_binary",
    "diabetes_regression",
)
WARM_EPOCHS = 2


class EpochTimer(SilentProgress):
    """Records the processor time at the end of each epoch, and that of the statistics after it."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.statistics: list[float] = []

    def finish_epoch(self, record: Mapping[str, Any]) -> None:
        """Record the time."""
        del record
        self.ends.append(time.process_time())


def measure_epochs(config: Path, *, epochs: int, has_diagnostics: bool) -> EpochTimer:
    """Train a config without callbacks, and return the times of its epochs."""
    overrides = [
        f"train.epochs={epochs}",
        f"train.diagnostics={str(has_diagnostics).lower()}",
        "train.callbacks=[]",
    ]
    timer, record = EpochTimer(), DiagnosticsCallback.record

    def record_timed(self: DiagnosticsCallback, epoch: int) -> None:
        start = time.process_time()
        record(self, epoch)
        timer.statistics.append(time.process_time() - start)

    DiagnosticsCallback.record = record_timed  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as folder:
            valid = require_valid(check_config(str(config), overrides))
            train_new_run(valid, run_dir=str(Path(folder, "run")), progress=timer)
    finally:
        DiagnosticsCallback.record = record  # type: ignore[method-assign]
    return timer


def list_epoch_times(timer: EpochTimer) -> list[float]:
    """Return the processor seconds of each steady epoch, with the statistics after it."""
    ends = timer.ends[WARM_EPOCHS:]
    return [after - before for before, after in pairwise(ends)]


def main() -> None:
    """Print the seconds of an epoch, of its statistics, and their share."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("configs", nargs="*", default=NAMES)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    titles = ("without", "with", "statistics", "added", "once")
    print(f"{'config':22}{''.join(f'{title:>11}' for title in titles)}")
    for name in arguments.configs:
        without: list[float] = []
        epochs: list[float] = []
        added: list[float] = []
        first: list[float] = []
        for _ in range(arguments.repeats):
            config = CONFIGS / f"{name}.yaml"
            without += list_epoch_times(
                measure_epochs(config, epochs=arguments.epochs, has_diagnostics=False)
            )
            timer = measure_epochs(config, epochs=arguments.epochs, has_diagnostics=True)
            epochs += list_epoch_times(timer)
            first.append(timer.statistics[0])
            added += timer.statistics[1 + WARM_EPOCHS :]
        cost, whole = median(added), median(epochs)
        print(
            f"{name:22}{median(without):>10.4f}s{whole:>10.4f}s{cost:>10.4f}s{100 * cost / (whole - cost):>10.1f}%"
            f"{median(first):>10.2f}s",
            flush=True,
        )


if __name__ == "__main__":
    main()
