"""The command that resumes a run, for hints."""

from __future__ import annotations

from pathlib import Path


def format_resume_command(run_dir: Path | str, *options: str) -> str:
    """Return the quoted command that resumes the training of a run."""
    return f"`{' '.join(('layercli train --resume', str(run_dir), *options))}`"
