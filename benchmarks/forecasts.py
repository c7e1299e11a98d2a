"""Error of the forecasts of the model that ``layercli init`` writes for a series, compared with the last known value.

    python benchmarks/forecasts.py                 # the series below
    python benchmarks/forecasts.py prices.csv      # your files: a column of dates and one of numbers, in the order of time

``init`` and ``train`` see the first 85% of the rows, ``predict`` the rest; nothing is edited. The error is the mean absolute
error of the next row, and ``ratio`` is the one of ``init`` to the one of the last known value.
"""

from __future__ import annotations

import argparse
import csv
import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tables import run

TRAINING_SHARE = 0.85
HOURS = 4_000


def make_series(name: str) -> list[tuple[str, float]]:
    """Return the times and the numbers of a generated series of hours."""
    rng = np.random.default_rng(1)
    hours = np.arange(HOURS)
    values = {
        "walk": lambda: 100 + np.cumsum(rng.normal(0, 1, HOURS)),
        "growth": lambda: 50 * np.exp(hours / 1_500 + np.cumsum(rng.normal(0, 0.01, HOURS))),
        "days": lambda: 10 + 5 * np.sin(hours * math.tau / 24) + rng.normal(0, 0.5, HOURS),
        "noise": lambda: rng.normal(20, 3, HOURS),
    }[name]()
    times = np.datetime64("2024-01-01T00:00") + hours.astype("timedelta64[h]")
    return [(str(time), float(value)) for time, value in zip(times, values.round(4), strict=True)]


SERIES: dict[str, Callable[[], list[tuple[str, float]]]] = {
    name: (lambda name=name: make_series(name)) for name in ("walk", "growth", "days", "noise")
}


def read_series(path: Path) -> list[tuple[str, float]]:
    """Return the times and the numbers of a file with two columns and a header."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(row[0], float(row[1])) for row in list(csv.reader(file))[1:] if row]


def compare_forecasts(rows: list[tuple[str, float]], folder: Path) -> tuple[float, float]:
    """Return the errors of the forecasts of ``init``'s model, and of the last known value."""
    end = int(len(rows) * TRAINING_SHARE)
    for name, part in (("train", rows[:end]), ("new", rows[end:])):
        lines = [f"{time},{value}" for time, value in part]
        (folder / f"{name}.csv").write_text("\n".join(["time,value", *lines]) + "\n", "utf-8")
    config, predictions = folder / "config.yaml", folder / "predictions.csv"
    run("init", folder / "train.csv", "--target", "value", "--output", config)
    run("train", config, "--run-dir", folder / "run", "--json")
    run("predict", folder / "run", "--input", folder / "new.csv", "--output", predictions)
    values = [value for _, value in rows[end:]]
    errors, naive = [], []
    with predictions.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            last = int(row["row"]) - 1
            if last + 1 < len(values):
                errors.append(abs(float(row["prediction"]) - values[last + 1]))
                naive.append(abs(values[last] - values[last + 1]))
    return float(np.mean(errors)), float(np.mean(naive))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    files = parser.parse_args().files
    series = {path.stem: read_series(path) for path in files} or {
        name: make() for name, make in SERIES.items()
    }
    line = "{:22} {:>7} {:>10} {:>10} {:>6}"
    print(line.format("series", "rows", "init", "last value", "ratio"))
    ratios = []
    for name, rows in series.items():
        with tempfile.TemporaryDirectory() as folder:
            error, naive = compare_forecasts(rows, Path(folder))
        print(
            line.format(name[:22], f"{len(rows):,}", f"{error:.4g}", f"{naive:.4g}", f"{error / naive:.2f}"),
            flush=True,
        )
        ratios.append(error / naive)
    print(f"geometric mean of the ratios: {math.exp(np.mean(np.log(ratios))):.3f}")


if __name__ == "__main__":
    main()
