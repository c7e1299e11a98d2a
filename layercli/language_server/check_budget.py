"""The time that a request has for checks of changed texts."""

from __future__ import annotations

import time
from typing import Final

from layercli.check import CheckResult
from layercli.workflows.config_files import check_text

_MAX_SECONDS: Final = 1.0
"""Processor time after which no other check starts; a check of the longest text takes about as long."""


class BudgetSpentError(Exception):
    """The time for checks has run out."""


class CheckBudget:
    """The processor time of one request, from the start of the request."""

    def __init__(self) -> None:
        self._end = time.process_time() + _MAX_SECONDS

    def require_time(self) -> None:
        """Raise an error if the time has run out.

        Raises:
            BudgetSpentError: It has run out.
        """
        if time.process_time() >= self._end:
            raise BudgetSpentError

    def check_text(self, file: str, text: str) -> CheckResult:
        """Check a text in place of the content of a file.

        Raises:
            BudgetSpentError: The time has run out.
        """
        self.require_time()
        return check_text(file, text)
