"""A console whose reader may go away, as in ``layercli ... | head``."""

from __future__ import annotations

import os

from rich.console import Console


class PipedConsole(Console):
    """Falls silent when nobody reads any more; the command goes on to its own end and exit code."""

    def on_broken_pipe(self) -> None:
        """Send what else is said to nowhere."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())
