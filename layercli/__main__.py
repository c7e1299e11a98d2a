"""``python -m layercli``, without modules of the current folder."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the current folder, which `-m` adds: a `typer.py` next to a config must not run

from layercli.cli import main

main()
