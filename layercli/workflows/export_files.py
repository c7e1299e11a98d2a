"""Files of an export: where they may stand, all of them or none, and what of the user's code they need beside them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from layercli.check import ValidConfig
from layercli.errors import LayercliError, Problem
from layercli.runs.directory import stage_file

EXPORT_SUFFIXES = {
    "keras": ".keras",
    "saved_model": "",
    "onnx": ".onnx",
    "litert": ".tflite",
    "python": ".py",
}
"""Form -> how its files end; none where it is a folder."""


def require_free_output(target: Path, format_name: str) -> None:
    """Refuse to write a folder over another one.

    Raises:
        LayercliError: there is one, and it holds something.
    """
    if (
        EXPORT_SUFFIXES[format_name] == ""
        and target.exists()
        and (not target.is_dir() or any(target.iterdir()))
    ):
        message = "There is something under that name already; a folder is not overwritten."
        raise LayercliError(
            Problem(
                code="cannot-write",
                message=message,
                hint="Remove it, or name another by `--output`.",
                file=str(target),
            )
        )


@contextmanager
def stage_output(target: Path, format_name: str) -> Iterator[Path]:
    """A path to write to, which becomes ``target`` when all is well, or is removed.

    Raises:
        LayercliError: nothing can be written there.
    """
    try:
        if EXPORT_SUFFIXES[format_name]:
            with stage_file(target) as staging:
                yield staging
            return
        folder = Path(tempfile.mkdtemp(prefix=".", dir=target.parent))
        try:
            yield folder / target.name
            (folder / target.name).replace(target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        message = f"The export cannot be written: {error.strerror or error}."
        raise LayercliError(Problem(code="cannot-write", message=message, file=str(target))) from None


def measure_size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def find_data_code(valid: ValidConfig) -> dict[str, Path]:
    """The file of the function that gives the data, as a script imports it, and where it is."""
    data = valid.config.data
    function = None if data is None else valid.resolve_data_paths(data).user_function
    if function is None or function.file is None:
        return {}
    return {function.file.name: function.file}


def copy_code_files(files: Mapping[str, Path], folder: Path) -> list[Path]:
    """Put files of the user's code beside what was exported, which needs them; what was copied.

    Raises:
        LayercliError: another file of that name is there.
    """
    copied = []
    for place, file in files.items():
        target = folder / place
        content = file.read_bytes()
        if target.exists():
            if not target.is_file() or target.read_bytes() != content:
                message = "The export needs the run's file of that name beside it, but another one is there."
                raise LayercliError(
                    Problem(
                        code="cannot-write",
                        message=message,
                        hint="Export into an empty folder.",
                        file=str(target),
                    )
                )
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with stage_file(target) as staging:
            staging.write_bytes(content)
        copied.append(target)
    return copied
