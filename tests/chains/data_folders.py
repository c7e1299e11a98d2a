"""Small data of every type, and the first layers of a model that reads it; some of it damaged."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import feather, parquet

from tests.security.mutate import damage_bytes

ROWS = 24
WORDS = ["red", "green", "blue", "old", "new", "cat", "dog", "fig"]
FUNCTION = """
import numpy as np


def make(rows={rows}):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 6, 3)).astype("float32"), rng.integers(0, 3, rows)
"""


@dataclass(frozen=True)
class Source:
    """A data section, the part of `model` that fits it, and the number of classes; 0: numbers."""

    section: dict[str, Any]
    model: dict[str, Any]
    first_layers: tuple[Any, ...] = ()
    classes: int = 3


def make_data(folder: Path, kind: str, rng: random.Random) -> Source:
    """Write data of a type to a folder."""
    source = MAKERS[kind](folder, kind, rng)
    section = source.section | {"split": {"validation": 0.25, "test": 0.25}}
    if rng.random() < 0.2:
        section["split"] |= rng.choice(({"stratify": True}, {"order": "a"}, {"group": "t"}, {"test": 0}))
    return Source(section, source.model, source.first_layers, source.classes)


def damage_data(folder: Path, rng: random.Random) -> None:
    """Damage one file of the data: its bytes, its rows, or the file itself."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        return
    path = rng.choice(files)
    content = path.read_bytes()
    match rng.randrange(8):
        case 0 | 1 | 2:
            path.write_bytes(damage_bytes(content, rng))
        case 3:
            path.write_bytes(b"")
        case 4:
            path.unlink()
        case 5:
            path.write_bytes(rng.choice(files).read_bytes())
        case 6:
            path.write_bytes(
                content.replace(b",", rng.choice((b";", b",,", b"\n", b',"')), rng.choice((-1, 1, 9)))
            )
        case _:
            odd = rng.choice((b"nan", b"1e999", b"-", b"\xff\xfe", b'"', b"99999999999999999999999", b" "))
            path.write_bytes(content.replace(b"1", odd, rng.choice((1, 5, -1))))


def _columns(rng: random.Random) -> dict[str, list[Any]]:
    def number() -> float | None:
        return None if rng.random() < gaps else round(rng.gauss(0, 1), 3)

    gaps = rng.choice((0, 0, 0, 0.1))
    target = rng.choice((["yes", "no"], ["a", "b", "c"], [0, 1], [0.5, 1.25, 7.5]))
    return {
        "a": [number() for _ in range(ROWS)],
        "b": [number() for _ in range(ROWS)],
        "n": [row % 5 for row in range(ROWS)],
        "t": [rng.choice(WORDS) for _ in range(ROWS)],
        "d": [f"2024-0{row % 9 + 1}-11" for row in range(ROWS)],
        "y": [target[row % len(target)] for row in range(ROWS)],
    }


def _make_table(folder: Path, kind: str, rng: random.Random) -> Source:
    columns = _columns(rng)
    path = folder / f"t.{kind}"
    if kind == "csv":
        rows = [list(columns), *zip(*columns.values(), strict=True)]
        text = "\n".join(",".join("" if cell is None else str(cell) for cell in row) for row in rows) + "\n"
        path.write_text(text, encoding=rng.choice(("utf-8", "utf-8-sig")), newline=rng.choice(("\n", "\r\n")))
    elif kind == "jsonl":
        records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    else:
        (parquet.write_table if kind == "parquet" else feather.write_feather)(pa.table(columns), path)
    section: dict[str, Any] = {"type": kind, "path": path.name, "target": "y"}
    options = (
        {},
        {"missing": {"numbers": "median"}},
        {"missing": "drop"},
        {"dates": {"d": ["month"]}},
        {"streaming": True},
    )
    section |= rng.choice(options)
    classes = 0 if isinstance(columns["y"][0], float) else len(set(columns["y"]))
    if rng.random() < 0.5:
        windows = {"windows": {"length": 3}} if rng.random() < 0.3 else {}
        shape = [3, 3] if windows else [3]
        return Source(
            {**section, "inputs": {"x": ["a", "b", "n"]}, **windows},
            {"inputs": {"x": shape}},
            (),
            classes,
        )
    section |= {"inputs": {"x": ["a", "b"], "t": "t"}}
    text_layers = rng.choice(
        (
            (
                {
                    "type": "StringLookup",
                    "name": "lookup",
                    "inputs": "t",
                    "output_mode": "one_hot",
                    "max_tokens": 9,
                },
            ),
            ({"type": "Hashing", "name": "lookup", "inputs": "t", "num_bins": 4, "output_mode": "one_hot"},),
            (
                {
                    "type": "TextVectorization",
                    "name": "lookup",
                    "inputs": "t",
                    "output_mode": "tf_idf",
                    "max_tokens": 9,
                },
            ),
        )
    )
    layers = (*text_layers, {"type": "Concatenate", "inputs": ["x", "lookup"]})
    return Source(section, {"inputs": {"x": [2], "t": {"shape": [1], "dtype": "string"}}}, layers, classes)


def _draw_array(rng: random.Random) -> tuple[np.ndarray, np.ndarray, int]:
    shape = rng.choice(((4,), (6, 3), (8, 8, 1), (8, 8, 3), (4, 4, 4, 2)))
    numbers = np.random.default_rng(rng.randrange(1000))
    features = numbers.normal(size=(ROWS, *shape)).astype(rng.choice(("float32", "float64", "float16")))
    has_classes = rng.random() < 0.7
    target = numbers.integers(0, 3, ROWS) if has_classes else numbers.normal(size=ROWS).astype("float32")
    return features, target, 3 * has_classes


def _make_arrays(folder: Path, kind: str, rng: random.Random) -> Source:
    features, target, classes = _draw_array(rng)
    if kind == "npz":
        np.savez(folder / "a.npz", x=features, y=target)
        section = {"type": "npz", "path": "a.npz", "features": "x", "target": "y"}
    else:
        np.save(folder / "x.npy", features)
        np.save(folder / "y.npy", target)
        section = {"type": "npy", "features": "x.npy", "target": "y.npy"}
    return Source(section, {"input": list(features.shape[1:])}, (), classes)


def _make_images(folder: Path, kind: str, rng: random.Random) -> Source:  # noqa: ARG001
    channels = rng.choice((1, 3))
    numbers = np.random.default_rng(rng.randrange(1000))
    for number in range(ROWS):
        place = folder / "images" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        pixels = numbers.integers(0, 255, (8, 8) if channels == 1 else (8, 8, 3), dtype="uint8")
        Image.fromarray(pixels).save(place / f"{number}.{rng.choice(('png', 'png', 'jpg', 'bmp'))}")
    section = {"type": "images", "path": "images", "size": [8, 8], "channels": channels}
    return Source(section, {"input": [8, 8, channels]}, ({"type": "Rescaling", "scale": 0.004},), 2)


def _make_texts(folder: Path, kind: str, rng: random.Random) -> Source:  # noqa: ARG001
    for number in range(ROWS):
        place = folder / "texts" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.txt").write_text(" ".join(rng.choices(WORDS, k=5)))
    vectors = {"type": "TextVectorization", "max_tokens": 12, "output_sequence_length": 6}
    embedding = {"type": "Embedding", "input_dim": 12, "output_dim": 3}
    section = {"type": "text", "path": "texts"}
    return Source(section, {"input": {"shape": [1], "dtype": "string"}}, (vectors, embedding), 2)


def _make_function(folder: Path, kind: str, rng: random.Random) -> Source:
    (folder / "make.py").write_text(FUNCTION.format(rows=ROWS))
    section = {"type": kind, "function": "make.py:make"}
    if rng.random() < 0.3:
        section["parameters"] = rng.choice(({"rows": 12}, {"rows": 0}, {"rows": "x"}, {"other": 1}))
    return Source(section, {"input": [6, 3]})


def _make_sklearn(folder: Path, kind: str, rng: random.Random) -> Source:  # noqa: ARG001
    dataset = rng.choice(("iris", "wine"))
    return Source(
        {"type": kind, "dataset": dataset}, {"input": [4 if dataset == "iris" else 13]}, ("Normalization",)
    )


MAKERS: Mapping[str, Callable[[Path, str, random.Random], Source]] = {
    "csv": _make_table,
    "jsonl": _make_table,
    "parquet": _make_table,
    "feather": _make_table,
    "npz": _make_arrays,
    "npy": _make_arrays,
    "images": _make_images,
    "text": _make_texts,
    "python": _make_function,
    "sklearn": _make_sklearn,
}
"""Type of data -> the function that writes it."""
