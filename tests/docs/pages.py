"""The pages of the documentation, their code blocks, and a way to run their commands."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.running import invoke

ROOT = Path(__file__).parents[2]
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))} | {
    name: (ROOT / f"{name}.md").read_text(encoding="utf-8") for name in ("README", "CONTRIBUTING")
}
"""Each page by its name, without the suffix."""


_TERMINAL = {"COLUMNS": "80", "TERMINAL_WIDTH": "80"}
_UNSET = {"FORCE_COLOR", "GITHUB_ACTIONS"}


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
    """Run a shell command with layercli and Python of the tests; return the exit code and the standard output.

    A command of layercli, alone or at the start of a pipe, runs in this process, where TensorFlow is loaded once.
    """
    code, output = 0, ""
    for part in command.split(" && "):
        first, _, rest = part.partition(" | ")
        words = shlex.split(first)
        is_plain = words[0] == "layercli" and not set(words) & {"<", ">"}
        code, printed = _run_here(words[1:], folder) if is_plain else _run_in_shell(part, folder)
        if is_plain and rest:
            code, printed = _run_in_shell(rest, folder, printed)
        output += printed
        if code:
            break
    return code, output


def _run_here(arguments: list[str], folder: Path) -> tuple[int, str]:
    with contextlib.chdir(folder):
        result = invoke(*arguments, env=dict.fromkeys(_UNSET) | _TERMINAL)
    return result.exit_code, result.stdout


def _run_in_shell(command: str, folder: Path, stdin: str | None = None) -> tuple[int, str]:
    environment = {name: os.environ[name] for name in os.environ.keys() - _UNSET}
    aliases = (
        f'layercli() {{ "{sys.executable}" -m layercli "$@"; }}; python() {{ "{sys.executable}" "$@"; }}; '
    )
    done = subprocess.run(
        ["bash", "-c", aliases + command],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        env=environment | _TERMINAL,
        check=False,
    )
    return done.returncode, done.stdout


def train_wine(folder: Path) -> Path:
    """Train the run ``runs/wine/1`` of the pages in a folder, and return the folder."""
    rows = "".join(f"{number},w{number},{number % 7},{'ab'[number % 2]}\n" for number in range(40))
    for name in ("wine.csv", "new.csv"):
        (folder / name).write_text(f"id,name,size,kind\n{rows}")
    (folder / "wine.yaml").write_text(
        "data: {type: csv, path: wine.csv, target: kind, inputs: {numbers: size}, split: {test: 0.2}}\n"
        "model: {inputs: {numbers: [1]}, layers: [{type: Dense, units: 1, activation: sigmoid}]}\n"
        "train: {loss: binary_crossentropy}\n"
    )
    found = invoke("train", folder / "wine.yaml", "--run-dir", folder / "runs" / "wine" / "1")
    assert found.exit_code == 0, found.output
    return folder
