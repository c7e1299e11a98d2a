"""The event files of TensorBoard: the config and the results as text, and what a resumed training keeps."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import tensorflow as tf

from layercli.io.atomic import write_bytes

_EVENT_FILE: Final = "events.out.tfevents."
_FOLDER: Final = "train"
"""The folder in which Keras writes the metrics of the training."""


def write_texts(log_dir: Path, texts: Mapping[str, str], scalars: Mapping[str, float], step: int) -> None:
    """Write Markdown texts and numbers into a new event file.

    Raises:
        OSError: The file cannot be written.
    """
    try:
        writer = tf.summary.create_file_writer(str(log_dir / _FOLDER))
        with writer.as_default():
            for name, text in texts.items():
                tf.summary.text(name, text, step=step)
            for name, value in scalars.items():
                tf.summary.scalar(name, value, step=step)
        writer.close()
    except tf.errors.OpError as error:
        raise OSError(errno.EIO, error.message, str(log_dir)) from None


def start_event_files(log_dir: Path, config: str) -> None:
    """Remove the events of a training that ended before its first checkpoint, and write the config as text."""
    restore_event_files(log_dir, {})
    write_texts(log_dir, {"config": f"```yaml\n{config}```"}, {}, step=0)


def flush_event_files(callback: Any) -> dict[str, int]:
    """Write the pending events of a TensorBoard callback, and return the size of each event file by its relative path."""
    for writer in callback._writers.values():
        writer.flush()
    log_dir = Path(callback.log_dir)
    return {file.relative_to(log_dir).as_posix(): file.stat().st_size for file in _list_event_files(log_dir)}


def restore_event_files(log_dir: Path, sizes: Mapping[str, Any]) -> None:
    """Remove the events that were written after a checkpoint, given the sizes of the files in it.

    TensorBoard would show steps that are trained again twice.

    Raises:
        ValueError: A size is not a natural number.
    """
    if not all(type(size) is int and size >= 0 for size in sizes.values()):
        raise ValueError("a size of an event file is malformed")
    for file in _list_event_files(log_dir):
        size = sizes.get(file.relative_to(log_dir).as_posix())
        if size is None:
            file.unlink()
        elif file.stat().st_size > size:
            write_bytes(
                file, file.read_bytes()[:size]
            )  # the file can have other names, which must not change


def _list_event_files(log_dir: Path) -> list[Path]:
    """Return the event files in a folder, without following links."""
    return [
        file for file in sorted(log_dir.rglob(f"{_EVENT_FILE}*")) if file.is_file() and not file.is_symlink()
    ]
