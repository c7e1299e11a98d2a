"""The error for data that cannot be used; this module does not import numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from layercli.graph.finding import Finding
from layercli.source.nodes import KeyPath

if TYPE_CHECKING:
    from layercli.data.examples import Dataset

PATH_KEY: Final[KeyPath] = ("data", "path")
"""The config key that names the files of most types of data."""


class DataError(Exception):
    """Data that cannot be used; ``findings`` give the reasons."""

    def __init__(
        self, *findings: Finding, readable: Dataset | None = None, inputs: Dataset | None = None
    ) -> None:
        """Create the error, with what can be read, in which more problems are found.

        Args:
            findings: The reasons.
            readable: The examples whose targets can be read.
            inputs: The inputs that can be read, without targets.
        """
        super().__init__("; ".join(finding.message for finding in findings))
        self.findings = findings
        self.readable = readable
        self.inputs = inputs


def make_data_finding(message: str, path: KeyPath, hint: str | None) -> Finding:
    """Return a finding for unreadable data; ``path`` is the config key that names the data."""
    return Finding(code="unreadable-data", message=message, path=path, hint=hint)


def raise_data_error(message: str, path: KeyPath, hint: str | None) -> NoReturn:
    """Raise ``DataError`` for unreadable data; ``path`` is the config key that names the data."""
    raise DataError(make_data_finding(message, path, hint))
