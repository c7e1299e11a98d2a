"""Paths and errors that the parts of ``layercli init`` share."""

from __future__ import annotations

from pathlib import Path

from layercli.data.types import DataError
from layercli.errors import LayercliError, Problem, make_file_error
from layercli.source.nodes import sanitize_text


def make_relative(path: Path, folder: Path) -> str:
    """Return a path as a config in the folder writes it: relative if it is below the folder."""
    path, folder = path.resolve(), folder.resolve()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def make_init_error(path: Path, message: str, hint: str | None) -> LayercliError:
    """Return the error of data for which no config can be written."""
    return make_file_error(sanitize_text(str(path)), "unreadable-data", message, hint)


def convert_data_error(error: DataError) -> LayercliError:
    """Return the same findings without the keys of a config, which does not exist yet."""
    return LayercliError(
        Problem(code=found.code, message=found.message, hint=found.hint) for found in error.findings
    )
