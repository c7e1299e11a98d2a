"""Paths and errors that the parts of ``layercli init`` share."""

from __future__ import annotations

import os
from pathlib import Path

from layercli.data.paths import expand_paths
from layercli.data.remote_files import find_address
from layercli.data.types import PATH_KEY, DataError
from layercli.errors import LayercliError, make_file_error
from layercli.source.nodes import sanitize_text

_MAX_PARENTS = 3
"""Data in folders that are more steps away has an absolute path."""


def make_relative(path: Path, folder: Path) -> str:
    """Return a path as a config in the folder writes it: relative unless it is far away."""
    address = find_address(path)
    if address is not None:
        return address
    path, folder = path.resolve(), folder.resolve()
    relative = os.path.relpath(path, folder)
    return relative if relative.count("..") <= _MAX_PARENTS else str(path)


def fetch_for_init(address: str) -> list[Path]:
    """Return the local copies of remote files, whose addresses the config will have.

    Raises:
        LayercliError: It cannot be read.
    """
    try:
        return expand_paths([address], PATH_KEY)
    except DataError as error:
        raise convert_data_error(error) from None


def make_init_error(path: Path, message: str, hint: str | None) -> LayercliError:
    """Return the error of data for which no config can be written."""
    return make_file_error(sanitize_text(str(path)), "unreadable-data", message, hint)


def convert_data_error(error: DataError) -> LayercliError:
    """Return the same findings without the keys of a config, which does not exist yet."""
    return LayercliError(found.to_file_problem(None) for found in error.findings)
