"""Peak memory of a training on large data of each type, as a multiple of its data in memory.

Each training runs in a new process; the peak of one with few examples, which is that of Python and TensorFlow, is subtracted.
The last column is the growth of the peak from a third of the data to all of it: without what all large data needs, as batches.
Streamed data is read in batches, so its peak does not depend on its size.

python benchmarks/memory.py [--mib 150] [--types csv parquet ...]
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import csv, parquet

COLUMNS, CHUNK, SMALL = 20, 500_000, 1000
HEAD = "[{type: Dense, units: 8, activation: relu}, {type: Dense, units: 3, activation: softmax}]"
SPLIT = "split: {validation: 0.1, test: 0.1}"


def make_columns(start: int, count: int) -> dict[str, np.ndarray]:
    """Return random float32 columns and a target of three classes."""
    rng = np.random.default_rng(start)
    columns = {f"c{index}": rng.normal(size=count).astype(np.float32) for index in range(COLUMNS)}
    return {**columns, "y": rng.integers(0, 3, count)}


def write_table(folder: Path, rows: int, kind: str) -> None:
    """Write a table in chunks."""
    writer = None
    for start in range(0, rows, CHUNK):
        table = pa.table(make_columns(start, min(CHUNK, rows - start)))
        if kind == "feather":
            writer = writer or pa.ipc.new_file(folder / "rows.feather", table.schema)
        else:
            make = parquet.ParquetWriter if kind == "parquet" else csv.CSVWriter
            writer = writer or make(folder / f"rows.{kind}", table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def write_jsonl(folder: Path, rows: int) -> None:
    """Write a table as JSON lines."""
    with (folder / "rows.jsonl").open("w") as stream:
        for start in range(0, rows, CHUNK):
            columns = make_columns(start, min(CHUNK, rows - start))
            line = "{" + ", ".join(f'"{name}": %.7g' for name in columns) + "}"
            stream.writelines(line % row + "\n" for row in zip(*columns.values(), strict=True))


def write_arrays(folder: Path, rows: int, kind: str) -> None:
    """Write the columns as one array, and the target."""
    columns = make_columns(0, rows)
    y = columns.pop("y")
    x = np.stack(list(columns.values()), axis=1)
    if kind == "npz":
        np.savez(folder / "rows.npz", x=x, y=y)
    else:
        np.save(folder / "x.npy", x)
        np.save(folder / "y.npy", y)


def write_images(folder: Path, count: int) -> None:
    """Write PNG images of 64 x 64 pixels in two classes."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / "images" / str(number % 3) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.repeat(np.repeat(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8), 8, 0), 8, 1)
        Image.fromarray(pixels).save(path, compress_level=1)


def write_texts(folder: Path, count: int) -> None:
    """Write texts of about 500 characters in a table."""
    rng = np.random.default_rng(0)
    words = np.array([f"word{number}" for number in range(5000)])
    with (folder / "rows.csv").open("w") as stream:
        stream.write("text,y\n")
        for number in range(count):
            stream.write(" ".join(words[rng.integers(0, 5000, 60)]) + f",{number % 3}\n")


class Kind(NamedTuple):
    """One type of data: how it is written, its config, and the bytes of an example in memory."""

    write: Callable[[Path, int], None]
    data: str
    shape: str
    layers: str
    loss: str
    example_bytes: int


CLASSES = "sparse_categorical_crossentropy"
TABLE = f"[Normalization, {HEAD[1:]}"


def make_table_kind(kind: str, options: str = "") -> Kind:
    return Kind(
        lambda folder, rows: write_table(folder, rows, kind),
        f"{{type: {kind}, path: rows.{kind}, target: y, {SPLIT}{options}}}",
        f"[{COLUMNS}]",
        TABLE,
        CLASSES,
        4 * COLUMNS,
    )


KINDS = {
    "csv": make_table_kind("csv", ", stream: never"),
    "parquet": make_table_kind("parquet", ", stream: never"),
    "feather": make_table_kind("feather", ", stream: never"),
    "jsonl": make_table_kind("jsonl", ", stream: never")._replace(write=write_jsonl),
    "npz": Kind(
        lambda folder, rows: write_arrays(folder, rows, "npz"),
        f"{{type: npz, path: rows.npz, features: x, target: y, {SPLIT}}}",
        f"[{COLUMNS}]",
        TABLE,
        CLASSES,
        4 * COLUMNS,
    ),
    "npy": Kind(
        lambda folder, rows: write_arrays(folder, rows, "npy"),
        f"{{type: npy, features: x.npy, target: y.npy, {SPLIT}}}",
        f"[{COLUMNS}]",
        TABLE,
        CLASSES,
        4 * COLUMNS,
    ),
    "images": Kind(
        write_images,
        f"{{type: images, path: images, size: [64, 64], channels: 3, {SPLIT}}}",
        "[64, 64, 3]",
        f"[{{type: Rescaling, scale: 0.004}}, GlobalAveragePooling2D, {HEAD[1:]}",
        CLASSES,
        64 * 64 * 3,
    ),
    "texts": Kind(
        write_texts,
        f"{{type: text, path: rows.csv, column: text, target: y, {SPLIT}}}",
        "{shape: [1], dtype: string}",
        "[{type: TextVectorization, max_tokens: 6000, output_sequence_length: 60}, "
        f"{{type: Embedding, input_dim: 6000, output_dim: 8}}, GlobalAveragePooling1D, {HEAD[1:]}",
        CLASSES,
        526,
    ),
    "windows": Kind(
        lambda folder, rows: write_table(folder, rows, "csv"),
        f"{{type: csv, path: rows.csv, target: c0, windows: {{length: 16, horizon: 1}}, stream: never, {SPLIT}}}",
        f"[16, {COLUMNS + 1}]",
        "[Normalization, Flatten, {type: Dense, units: 1}]",
        "mse",
        4 * COLUMNS,
    ),
    "csv, streamed": make_table_kind("csv", ", stream: always"),
    "parquet, streamed": make_table_kind("parquet", ", stream: always"),
}
"""The types by their name; a window shares the memory of its rows."""


def measure_peak(kind: Kind, examples: int) -> float:
    """Return the largest memory of ``layercli train`` on a number of examples, in MiB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kind.write(folder, examples)
        batch_size = max(32, min(4096, 2**20 // kind.example_bytes))
        train = f"{{epochs: 1, batch_size: {batch_size}, loss: {kind.loss}}}"
        (folder / "config.yaml").write_text(
            f"data: {kind.data}\nmodel: {{input: {kind.shape}, layers: {kind.layers}}}\ntrain: {train}\n"
        )
        command = [sys.executable, "-m", "layercli", "train", "config.yaml", "--run-dir", "run", "--quiet"]
        environment = {**os.environ, "XDG_CACHE_HOME": name}
        process = subprocess.Popen(command, cwd=name, env=environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        return usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=150, help="memory of the data")
    parser.add_argument("--types", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    print("type               data (MiB)  without data  peak  times the data  growth")
    for name in options.types:
        kind = KINDS[name]
        examples = options.mib * 2**20 // kind.example_bytes
        base, third, peak = (measure_peak(kind, count) for count in (SMALL, examples // 3, examples))
        times, growth = (peak - base) / options.mib, (peak - third) / (options.mib * 2 / 3)
        print(f"{name:18}{options.mib:11}{base:14.0f}{peak:6.0f}{times:16.2f}{growth:8.2f}", flush=True)


if __name__ == "__main__":
    main()
