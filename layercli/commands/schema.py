"""``layercli schema``: print the config language as JSON Schema."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import Annotated

import typer

from layercli.commands.options import JsonOption
from layercli.io.atomic import report_write_errors, write_text
from layercli.json_schema import config_schema


def command(
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to this file, not to standard output."),
    ] = None,
    json: JsonOption = False,  # noqa: ARG001 - the output is always JSON
) -> None:
    """Print the JSON Schema (2020-12) of configs, for completion and checks in an editor."""
    text = json_module.dumps(config_schema(), indent=1, ensure_ascii=False) + "\n"
    if output is None:
        sys.stdout.write(text)
        return
    with report_write_errors("The schema", output):
        write_text(Path(output), text)
