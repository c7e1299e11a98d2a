"""Draw a config in Neovim. Write it to docs/editor-neovim.svg with ``python -m tests.neovim_picture``; needs tmux."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "editor-neovim.svg"
_WIDTH, _HEIGHT = 100, 19
_TEXT = """\
model:
  input: [28, 28, 1]
  layers:
    - {type: Conv2D, filters: 32, kernel_size: 3, activation: relu, name: edges}
    - {type: MaxPooling2D}
    - {type: Dropout, rat: 0.3}
    - {type: Flatten}
"""
_SETTINGS = """\
vim.opt.termguicolors = true
vim.opt.laststatus = 0
vim.opt.hlsearch = false
vim.opt.signcolumn = "yes"
vim.cmd("highlight NormalFloat guibg=#3b3f4d")
vim.cmd("highlight SignColumn guibg=NONE")
vim.cmd("highlight Error guibg=NONE guifg=NONE")
vim.cmd("highlight Todo guibg=NONE guifg=NONE gui=bold")
"""


def find_setup() -> str:
    """Return the setup of Neovim in docs/editor.md."""
    blocks = re.findall(r"```lua\n(.*?)```", (ROOT / "docs" / "editor.md").read_text(), re.DOTALL)
    return next(str(block) for block in blocks if "start_client" in block)


def main() -> None:
    """Open a config with a mistake, show the hover of a layer, and write the screen."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "init.lua").write_text(_SETTINGS + find_setup())
        (folder / "digits.yaml").write_text(_TEXT)
        search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        tmux = ["tmux", "-L", f"layercli-{os.getpid()}"]
        environment = [f"XDG_{kind}_HOME={folder / kind}" for kind in ("CONFIG", "DATA", "STATE", "CACHE")]
        command = ["env", f"PATH={search}", *environment, "nvim", "-u", "init.lua", "digits.yaml"]
        size = ["-x", str(_WIDTH), "-y", str(_HEIGHT)]
        subprocess.run([*tmux, "new-session", "-d", *size, "-c", name, *command], check=True)
        try:
            time.sleep(6)
            for keys in ("/Flatten", ":lua vim.lsp.buf.hover()"):
                subprocess.run([*tmux, "send-keys", keys, "Enter"], check=True)
                time.sleep(2)
            screen = subprocess.run(
                [*tmux, "capture-pane", "-e", "-p"], check=True, capture_output=True, text=True
            ).stdout
        finally:
            subprocess.run([*tmux, "kill-server"], check=False)
    console = Console(
        file=io.StringIO(), record=True, width=_WIDTH, color_system="truecolor", force_terminal=True
    )
    console.print(Text.from_ansi(screen))
    svg = console.export_svg(title="nvim digits.yaml", unique_id="neovim")
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    PICTURE.write_text(svg.replace("Fira Code, monospace", "monospace"), encoding="utf-8")


if __name__ == "__main__":
    main()
