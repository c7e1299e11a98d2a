"""The server in Emacs with Eglot, if they are installed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import HANG_SECONDS

SESSION = Path(__file__).with_name("emacs_session.el")
PAGE = (Path(__file__).parents[2] / "docs" / "editor.md").read_text()
TEXT = """\
model:
  input: [8, 4]
  layers:
    - {type: Conv1D, filters: 4, kernel_size: 3, name: stem}
    - {type: Flatten, inputs: [stem]}
    - {type: Dense, unit: 3}
"""


def test_emacs_shows_problems_hover_and_definition(tmp_path):
    emacs = shutil.which("emacs")
    check = [
        str(emacs),
        "--batch",
        "-f",
        "package-initialize",
        "--eval",
        "(require 'eglot)",
        "-l",
        "yaml-mode",
    ]
    if emacs is None or subprocess.run(check, capture_output=True, timeout=HANG_SECONDS).returncode:
        pytest.skip("Emacs with Eglot and yaml-mode is not installed")
    (tmp_path / "config.yaml").write_text(TEXT)
    (setup,) = re.findall(r"```lisp\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "setup.el").write_text(setup)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    completed = subprocess.run(
        [emacs, "--batch", "-l", str(SESSION)],
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": path, "HOME": str(tmp_path)},
        cwd=tmp_path,
        timeout=HANG_SECONDS,
    )
    assert completed.returncode == 0, completed.stderr
    shown = json.loads(completed.stdout)
    assert shown["diagnostics"] == [
        {"line": 6, "text": 'layercli [unknown-key]: Dense has no argument "unit".'}
    ]
    assert "(None, 6, 4) → **(None, 24)**" in shown["hover"]
    assert shown["definition"] == [4]
