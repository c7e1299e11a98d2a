"""``layercli schema``: print the config language, or the output of a command, as JSON Schema."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from layercli.command_line.options import JsonOption
from layercli.io.atomic import report_write_errors, write_text
from layercli.json_schema import config_schema
from layercli.reports.console import print_json, print_text
from layercli.reports.document_schemas import list_documented_commands, read_document_schema


def _validate_command(name: str | None) -> str | None:
    """Check the value of ``--command``.

    Raises:
        BadParameter: The command prints no document.
    """
    if name is not None and name not in list_documented_commands():
        raise typer.BadParameter(f"expected one of {', '.join(list_documented_commands())}, got {name!r}.")
    return name


def command(
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to this file, not to standard output."),
    ] = None,
    command_name: Annotated[
        str | None,
        typer.Option(
            "--command",
            metavar="NAME",
            callback=_validate_command,
            help="The schema of what this command prints with --json, instead of that of configs.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Print the JSON Schema (2020-12) of configs, for completion and checks in an editor; or of a command's output."""
    schema = config_schema() if command_name is None else read_document_schema(command_name)
    text = json_module.dumps(schema, indent=1, ensure_ascii=False) + "\n"
    if output is None:
        print_text(text)
        return
    with report_write_errors("The schema", output):
        write_text(Path(output), text)
    if json:
        print_json({"ok": True, "output": output, "problems": []})
