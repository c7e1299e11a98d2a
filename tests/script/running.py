"""Helpers that write scripts of configs and run them in this process."""

import subprocess
import sys
from pathlib import Path

from layercli.check import ValidConfig
from layercli.formats.registry import make_data_script
from layercli.graph.target_meaning import TargetMeaning
from layercli.script.facts import ScriptFacts, ScriptTarget
from layercli.script.write_script import ScriptFiles, write_script


def script_of(valid: ValidConfig, facts: ScriptFacts | None = None, folder: Path = Path()) -> str:
    """Return the script of a config."""
    facts = facts or ScriptFacts({None: ScriptTarget(TargetMeaning("labels"))})
    return write_script(valid, facts, ScriptFiles(folder), make_data_script(valid, facts))


def defined(text: str, file: Path) -> dict[str, object]:
    """Return the names that a script defines."""
    names = {"__name__": "exported", "__file__": str(file)}
    exec(compile(text, str(file), "exec"), names)
    return names


def assert_formatted(*texts: str) -> None:
    """Check that ruff's formatter with default settings leaves the scripts unchanged."""
    for text in texts:
        command = [sys.executable, "-m", "ruff", "format", "--isolated", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout == text
