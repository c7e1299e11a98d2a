"""Peak memory of a training on a large table, as a multiple of its data in memory.

Each training runs in a new process; the peak of one with few rows, which is that of Python and TensorFlow, is subtracted.

python benchmarks/memory.py [--rows 2000000] [--format parquet]
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

COLUMNS, CHUNK = 20, 500_000
CONFIG = """
data: {{type: {kind}, path: rows.{kind}, target: y, stream: never, split: {{validation: 0.1, test: 0.1}}}}
model:
  input: [20]
  layers:
    - Normalization
    - {{type: Dense, units: 8, activation: relu}}
    - {{type: Dense, units: 3, activation: softmax}}
train: {{epochs: 1, batch_size: 4096, loss: sparse_categorical_crossentropy}}
"""


def write(folder: Path, rows: int, kind: str) -> None:
    """Write random float32 columns and a target of three classes."""
    writer = None
    for start in range(0, rows, CHUNK):
        rng, count = np.random.default_rng(start), min(CHUNK, rows - start)
        columns = {f"c{index}": rng.normal(size=count).astype(np.float32) for index in range(COLUMNS)}
        table = pa.table({**columns, "y": rng.integers(0, 3, count)})
        make = parquet.ParquetWriter if kind == "parquet" else csv.CSVWriter
        writer = writer or make(folder / f"rows.{kind}", table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    (folder / "config.yaml").write_text(CONFIG.format(kind=kind))


def measure_peak(rows: int, kind: str) -> float:
    """Return the largest memory of ``layercli train`` on so many rows, in MiB."""
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), rows, kind)
        command = [sys.executable, "-m", "layercli", "train", "config.yaml", "--run-dir", "run", "--quiet"]
        process = subprocess.Popen(command, cwd=name)
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        return usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--format", choices=("parquet", "csv"), default="parquet")
    options = parser.parse_args()
    base = measure_peak(1000, options.format)
    peak = measure_peak(options.rows, options.format)
    data = options.rows * COLUMNS * 4 / 2**20
    print(
        f"{options.rows:,} rows: {data:,.0f} MiB of data; {peak:,.0f} MiB at most, {base:,.0f} MiB without data"
    )
    print(f"the data takes {(peak - base) / data:.2f} times its size")


if __name__ == "__main__":
    main()
