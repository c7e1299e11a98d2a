"""Rows of a table that does not fit into memory: peak memory as it grows, and rows per second into the training step.

python benchmarks/streaming.py                      # 1 and 10 million rows of 20 columns: some minutes, 5 GB of disk
python benchmarks/streaming.py --rows 100000 1000000 --repeats 1        # a minute
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

COLUMNS = 20
BATCH = 1024
NAMES = [f"c{number}" for number in range(COLUMNS - 1)]
CONFIG = {"type": "csv", "target": "y", "stream": "always", "split": {"test": 0.1}}


def write(path: Path, rows: int) -> None:
    """Write a table of text with numbers, whose last column is a label."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv

    rng = np.random.default_rng(0)
    with csv.CSVWriter(
        path, pa.schema([*((name, pa.float32()) for name in NAMES), ("y", pa.int64())])
    ) as writer:
        for first in range(0, rows, 100_000):
            count = min(100_000, rows - first)
            columns = {name: rng.normal(size=count).astype("float32").round(4) for name in NAMES}
            label = (columns["c0"] + columns["c1"] > 0).astype("int64")
            writer.write_table(pa.table({**columns, "y": label}))


def source(path: Path):
    from layercli.config.data.section import DATA_TYPES
    from layercli.formats.registry import load_dataset

    return load_dataset(DATA_TYPES.parse(CONFIG | {"path": str(path)}))


def trained(path: Path):
    """Return the training set."""
    from layercli.config.data.section import SplitConfig

    return source(path).split(SplitConfig(test=0.1), seed=1, shuffle=True).train


Pass = Callable[[int], int]
"""Reads all rows once, as in that epoch, and returns their number."""


def layercli_batches(path: Path) -> Pass:
    """Return a shuffled pass in batches of arrays."""
    from layercli.data.examples import ShuffleSeed

    part = trained(path)
    return lambda epoch: sum(len(batch) for batch in part.batches(BATCH, shuffle=ShuffleSeed(1, epoch)))


def layercli_steps(path: Path) -> Pass:
    """Return the same through the feed of the training loop: tensors, in blocks of 32 steps."""
    from layercli.data.examples import ShuffleSeed
    from layercli.engine.training.feed import Span, StreamFeed

    feed = StreamFeed(trained(path), BATCH)
    steps = -(-feed.samples // BATCH)
    spans = [Span(first, min(first + 32, steps)) for first in range(0, steps, 32)]
    return lambda epoch: sum(int(block[0].shape[0]) for block in feed.blocks(spans, ShuffleSeed(1, epoch)))


def pyarrow_batches(path: Path) -> Pass:
    """Return a pass by pyarrow only over the same Parquet file, unshuffled: each batch is one array."""
    import numpy as np
    from pyarrow import parquet

    [file] = source(path).row_groups.files

    def rows(_: int) -> int:
        batches = parquet.ParquetFile(file).iter_batches(batch_size=BATCH)
        return sum(len(np.column_stack([column.to_numpy() for column in batch.columns])) for batch in batches)

    return rows


def pyarrow_groups(path: Path) -> Pass:
    """Return the same in arrays as large as the row groups, the fastest pass of pyarrow, unshuffled and without batches."""
    import numpy as np
    from pyarrow import parquet

    [file] = source(path).row_groups.files

    def rows(_: int) -> int:
        opened = parquet.ParquetFile(file)
        tables = (opened.read_row_group(group) for group in range(opened.num_row_groups))
        return sum(len(np.column_stack([column.to_numpy() for column in table.columns])) for table in tables)

    return rows


def tensorflow_batches(path: Path) -> Pass:
    """Return a shuffled pass over the first 50,000 rows by tf.data.experimental.make_csv_dataset."""
    import tensorflow as tf

    dataset = tf.data.experimental.make_csv_dataset(
        str(path), BATCH, label_name="y", num_epochs=1, shuffle_buffer_size=10_000, num_parallel_reads=2
    ).take(50)
    return lambda _: sum(int(label.shape[0]) for _, label in dataset)


BASE = "pyarrow, batches"
WAYS = {
    "layercli, into the training step": layercli_steps,
    "layercli, batches": layercli_batches,
    BASE: pyarrow_batches,
    "pyarrow, row groups": pyarrow_groups,
    "make_csv_dataset": tensorflow_batches,
}


def peak() -> float:
    """Return the peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(*arguments: object) -> dict[str, float]:
    """Return what this script prints in a separate process."""
    command = [sys.executable, __file__, "--child", *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(what: str, path: Path) -> None:
    """Run one pass in this process."""
    if what == "conversion":
        began = time.perf_counter()
        rows = len(source(path))
    else:
        one_pass = WAYS[what](path)
        one_pass(0)  # what is loaded once is not timed
        began = time.perf_counter()
        rows = one_pass(1)
    print(json.dumps({"rows": rows, "seconds": time.perf_counter() - began, "peak": peak()}))


def train(path: Path) -> float:
    """Return the peak memory of ``layercli train`` of one epoch in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "stream.yaml")
        model = {"input": [COLUMNS - 1], "layers": [{"type": "Dense", "units": 1, "activation": "sigmoid"}]}
        section = {"epochs": 1, "batch_size": BATCH, "loss": "binary_crossentropy"}
        config.write_text(
            json.dumps({"data": CONFIG | {"path": str(path)}, "model": model, "train": section})
        )
        command = [
            str(Path(sys.executable).with_name("layercli")),
            "train",
            str(config),
            "--json",
            "--run-dir",
            str(Path(folder, "run")),
        ]
        with Path(folder, "out").open("w") as out:
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, Path(folder, "out").read_text()
    return usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", help="where the tables are written; else a temporary folder")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        what, path = options.child
        measure(what, Path(path))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        print("rows        conversion     peak of it   peak of a training, MiB")
        paths, peaks = [], []
        for rows in options.rows:
            path = Path(folder, f"{rows}.csv")
            write(path, rows)
            paths.append(path)
            converted = child("conversion", path)
            peaks.append(train(path))
            print(
                f"{rows:<12,}{converted['seconds']:>8.1f} s {converted['peak']:>12.0f}   {peaks[-1]:>12.0f}"
            )
        print(f"peak memory, most rows to fewest: {peaks[-1] / peaks[0]:.3f}\n")
        ratios: dict[str, list[float]] = {name: [] for name in WAYS}
        for _ in range(options.repeats):
            found = {name: child(name, paths[0]) for name in WAYS}
            rates = {name: one["rows"] / one["seconds"] for name, one in found.items()}
            for name, rate in rates.items():
                ratios[name].append(rate / rates[BASE])
            print("   ".join(f"{name}: {rate:,.0f}" for name, rate in rates.items()))
        print("\nrows per second, as a share of pyarrow's batches (median of the runs)")
        for name, shares in ratios.items():
            print(f"  {name:34}{statistics.median(shares):7.3f}")


if __name__ == "__main__":
    main()
