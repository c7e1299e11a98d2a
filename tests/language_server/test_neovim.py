"""The server in a real editor: Neovim without a screen, if it is installed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from layercli.workflows.config_files import find_problems
from tests.running import HANG_SECONDS

SESSION = Path(__file__).with_name("neovim_session.lua")
PAGE = (Path(__file__).parents[2] / "docs" / "editor.md").read_text()
TEXT = """\
model:
  input: [8, 4]
  layers:
    - {type: Conv1D, filters: 4, kernel_size: 3, name: stem}
    - {type: Flatten, inputs: [stem]}
    - {type: Dense, unit: 3}
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Return what Neovim knows after the session, and the problems of ``validate``."""
    neovim = shutil.which("nvim")
    if neovim is None:
        pytest.skip("Neovim is not installed")
    folder = tmp_path_factory.mktemp("neovim")
    path = folder / "config.yaml"
    path.write_text(TEXT)
    setup = next(
        block for block in re.findall(r"```lua\n(.*?)```", PAGE, re.DOTALL) if "start_client" in block
    )
    (folder / "init.lua").write_text(setup)
    environment = {
        **os.environ,
        **{f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("CONFIG", "DATA", "STATE", "CACHE")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    completed = subprocess.run(
        [neovim, "--headless", "-u", "init.lua", "config.yaml", "-c", f"luafile {SESSION}", "-c", "cquit!"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=HANG_SECONDS,
    )
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout), find_problems(str(path))


def test_neovim_shows_the_problems_of_validate(session):
    shown, problems = session
    expected = [(one.code, one.line, one.column, one.full_message) for one in problems]
    assert [
        tuple(one[key] for key in ("code", "line", "column", "message")) for one in shown["diagnostics"]
    ] == expected
    assert [one[:3] for one in expected] == [("unknown-key", 6, 21)]


def test_neovim_shows_hover_completion_definition_and_shapes(session):
    shown, _ = session
    assert "(None, 6, 4) → **(None, 24)**" in shown["hover"]
    assert "units" in shown["completion"]
    assert shown["definition"] == {"line": 3, "character": TEXT.splitlines()[3].index("stem")}
    assert shown["hints"][:2] == ["→ (None, 6, 4)", "→ (None, 24)"]


def test_neovim_applies_a_fix(session):
    shown, _ = session
    assert shown["text"] == TEXT.replace("unit:", "units:").splitlines()
    assert shown["action"]
