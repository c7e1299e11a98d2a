"""``layercli lsp``: the language server for editors."""

from __future__ import annotations

import sys

import typer


def command() -> None:
    """Start the language server on standard input and output, for an editor. TensorFlow is not loaded."""
    if sys.stdin.isatty():
        raise typer.BadParameter(
            "an editor starts this command; see the page editor.md of the documentation."
        )
    from layercli.language_server.server import serve_standard_streams

    raise typer.Exit(serve_standard_streams())
