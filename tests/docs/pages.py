"""The pages of the documentation, their code blocks, and a way to run their commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))} | {
    name: (ROOT / f"{name}.md").read_text(encoding="utf-8") for name in ("README", "CONTRIBUTING")
}
"""Each page by its name, without the suffix."""


class Block(NamedTuple):
    """A code block of a page."""

    page: str
    language: str
    text: str


BLOCKS = [
    Block(page, language, text)
    for page, content in PAGES.items()
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", content, re.DOTALL | re.MULTILINE)
]


def blocks(language: str, *pages: str) -> list[str]:
    """Return the text of each block in this language, of all pages or of these."""
    return [block.text for block in BLOCKS if block.language == language and block.page in (pages or PAGES)]


def complete_configs(*pages: str) -> dict[str, str]:
    """Return the YAML blocks that start with a comment with a file name, by that name."""
    found = [re.match(r"# (\S+\.yaml)\n", text) for text in blocks("yaml", *pages)]
    return {match[1]: match.string for match in found if match}


def run(command: str, folder: Path) -> tuple[int, str]:
    """Run a shell command with layercli and Python of the tests; return the exit code and the standard output."""
    environment = {name: os.environ[name] for name in os.environ.keys() - {"FORCE_COLOR", "GITHUB_ACTIONS"}}
    aliases = (
        f'layercli() {{ "{sys.executable}" -m layercli "$@"; }}; python() {{ "{sys.executable}" "$@"; }}; '
    )
    done = subprocess.run(
        ["bash", "-c", aliases + command],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment | {"COLUMNS": "80", "TERMINAL_WIDTH": "80"},
        check=False,
    )
    return done.returncode, done.stdout
