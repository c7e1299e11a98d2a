"""The statistics of each layer and epoch in the directory of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from layercli.io.atomic import stage_file
from layercli.io.regular import is_file_inside, parse_json
from layercli.runs.directory import DIAGNOSTICS
from layercli.runs.manifest import open_verified
from layercli.source.scalars import is_number

_MAX_BYTES: Final = 256 << 20
"""Bytes that are read of the file."""
_MAX_LINE_BYTES: Final = 16 << 20
_LAYER_KEYS: Final = ("mean", "std", "dead", "saturated", "gradient_norm", "weight_norm", "update_ratio")


def read_diagnostics(run_dir: Path) -> Iterator[dict[str, Any]]:
    """Yield the record of each epoch in order, from the state before training (epoch 0); none without a file.

    Lines that no training writes, such as one that a kill left incomplete, are left out.

    Raises:
        OSError: The file cannot be read.
        LayercliError: It was modified after training.
    """
    for _, record in _read_lines(run_dir):
        yield record


def keep_diagnostics(run_dir: Path, *, epochs: int) -> None:
    """Remove the records after this number of epochs, which will be trained again; -1 removes all."""
    if not is_file_inside(run_dir, DIAGNOSTICS):
        return
    with stage_file(run_dir / DIAGNOSTICS) as staging, staging.open("wb") as file:
        for line, record in _read_lines(run_dir):
            if record["epoch"] <= epochs:
                file.write(line)


def _read_lines(run_dir: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield each line with a record, if its epoch follows those before."""
    if not is_file_inside(run_dir, DIAGNOSTICS):
        return
    last_epoch, remaining = -1, _MAX_BYTES
    with open_verified(run_dir, DIAGNOSTICS) as file:
        while (line := file.readline(min(_MAX_LINE_BYTES, remaining))).endswith(b"\n"):
            remaining -= len(line)
            try:
                record = parse_json(line)
            except ValueError:
                continue
            if _is_record(record) and record["epoch"] > last_epoch:
                last_epoch = record["epoch"]
                yield line, record


def _is_record(record: Any) -> bool:
    """Return whether a value is the record of an epoch, with numbers or null for each layer."""
    return (
        isinstance(record, dict)
        and type(record.get("epoch")) is int
        and _has_items(record.get("inputs"), "input", ("mean", "std"))
        and _has_items(record.get("layers"), "layer", _LAYER_KEYS)
    )


def _has_items(items: Any, name_key: str, number_keys: tuple[str, ...]) -> bool:
    return isinstance(items, list) and all(
        isinstance(item, dict)
        and isinstance(item.get(name_key), str)
        and all((value := item.get(key)) is None or is_number(value) for key in number_keys)
        for item in items
    )
