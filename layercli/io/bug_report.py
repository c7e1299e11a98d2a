"""The log file of an internal error."""

from __future__ import annotations

import platform
import sys
import tempfile
import traceback

from layercli.version import __version__


def write_bug_report(error: BaseException) -> str:
    """Write the traceback to a log file in the folder for temporary files, and return its name."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="layercli-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        log.write(f"layercli {__version__}, Python {platform.python_version()}, {platform.platform()}\n")
        log.write(f"{' '.join(sys.argv)}\n\n{''.join(traceback.format_exception(error))}")
    return log.name
