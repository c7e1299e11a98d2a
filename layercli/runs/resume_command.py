"""The command that resumes a run, for hints."""

from __future__ import annotations

from pathlib import Path
from shlex import quote


def format_resume_command(run_dir: Path | str, *options: str, needs_trust: bool = False) -> str:
    """Return the quoted command that resumes the training of a run, with ``--trust`` if it needs that."""
    trust = ("--trust",) if needs_trust else ()
    return f"`{' '.join(('layercli train --resume', quote(str(run_dir)), *options, *trust))}`"
