"""Output files of an export: check and stage paths, and copy the code files that the export needs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from layercli.check import ValidConfig
from layercli.errors import make_file_error
from layercli.export_formats import EXPORT_FORMATS
from layercli.io.atomic import report_write_errors, stage_file, write_bytes
from layercli.io.regular import create_folder_inside


def require_free_output(output_path: Path, format_name: str) -> None:
    """Check that an export to a folder does not overwrite anything.

    Raises:
        LayercliError: The path is a file or a folder that is not empty.
    """
    if (
        EXPORT_FORMATS[format_name].suffix == ""
        and output_path.exists()
        and (not output_path.is_dir() or any(output_path.iterdir()))
    ):
        message = "The output path already exists; an export does not overwrite a folder."
        hint = "Remove it, or name a different path with `--output`."
        raise make_file_error(output_path, "cannot-write", message, hint)


@contextmanager
def stage_output(output_path: Path, format_name: str) -> Iterator[Path]:
    """Yield a temporary path that is moved to ``target`` on success and removed on failure.

    Raises:
        LayercliError: The output cannot be written.
    """
    with report_write_errors("The export", output_path):
        if EXPORT_FORMATS[format_name].suffix:
            with stage_file(output_path) as staging:
                yield staging
            return
        folder = Path(tempfile.mkdtemp(prefix=".", dir=output_path.parent))
        try:
            yield folder / output_path.name
            (folder / output_path.name).replace(output_path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def measure_output(path: Path) -> int:
    """Return the size in bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def find_data_code(valid: ValidConfig) -> dict[str, Path]:
    """Return the file of the data function: its name in the script's import -> its path. Empty without one."""
    data = valid.config.data
    function = None if data is None else valid.resolve_data_paths(data).user_function
    if function is None or function.file is None:
        return {}
    return {function.file.name: function.file}


def require_free_code_paths(files: Mapping[str, Path], folder: Path) -> None:
    """Check that copying code files to the folder of the export does not overwrite anything.

    Raises:
        LayercliError: The folder contains another file with the same name.
    """
    for relative_path, file in files.items():
        target = folder / relative_path
        if target.exists() and (not target.is_file() or target.read_bytes() != file.read_bytes()):
            message = "The export needs a copy of the run's file at this path, but another file exists there."
            raise make_file_error(target, "cannot-write", message, "Export into an empty folder.")


def copy_code_files(files: Mapping[str, Path], folder: Path) -> list[Path]:
    """Copy code files to the folder of the export, and return the copies.

    Raises:
        LayercliError: The folder contains another file with the same name, or a link in the place of a folder.
    """
    require_free_code_paths(files, folder)
    copied_files = []
    for relative_path, file in files.items():
        target = folder / relative_path
        if not target.exists():
            with report_write_errors("The copy of the code", target):
                create_folder_inside(folder, Path(relative_path).parent)
                write_bytes(target, file.read_bytes())
            copied_files.append(target)
    return copied_files
