"""Render the command reference. ``python -m tests.cli_reference`` writes it, and the table of shell completion."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any

from typer.models import ArgumentInfo

from layercli.cli import COMMANDS, PANELS

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
HEADER = """\
# Command reference

Generated from the help texts by `python -m tests.cli_reference`. Every command also has `-h` and `--help`.
"""
TYPE_NAMES = {"int": "N", "float": "X", "str": "TEXT"}


def render_reference() -> str:
    """Return the help of every command as Markdown."""
    sections = [HEADER]
    for panel, names in PANELS.items():
        sections.append(f"## {panel}\n")
        sections.extend(render_command(name, import_module(COMMANDS[name]).command) for name in names)
    return "\n".join(sections)


def render_command(name: str, command: Callable[..., None]) -> str:
    """Return the help of one command as Markdown."""
    hints = typing.get_type_hints(command, include_extras=True)
    usage, arguments, options = [], [], []
    for parameter in inspect.signature(command).parameters.values():
        kind, info = typing.get_args(hints[parameter.name])[:2]
        is_required = parameter.default is inspect.Parameter.empty
        if isinstance(info, ArgumentInfo):
            metavar = info.metavar or parameter.name.upper()
            usage.append(f"{metavar if is_required else f'[{metavar}]'}{'...' if is_list(kind) else ''}")
            arguments.append((f"`{metavar}`", info.help or ""))
            continue
        names = [info.default, *info.param_decls] if isinstance(info.default, str) else [*info.param_decls]
        names = names or [f"--{parameter.name.strip('_').replace('_', '-')}"]
        value = "" if kind is bool else f" `{info.metavar or format_type(kind)}`"
        default = "required" if is_required else format_default(parameter.default)
        options.append((f"{', '.join(f'`{each}`' for each in names)}{value}", info.help or "", default))
        if is_required:
            usage.append(f"{names[0]}{value.replace('`', '')}")
    parts = [f"### layercli {name}\n", f"{inspect.getdoc(command)}\n"]
    parts.append(f"```text\n{' '.join(['layercli', name, '[OPTIONS]', *usage])}\n```\n")
    if arguments:
        parts.append(render_table(("Argument", "Description"), arguments))
    parts.append(render_table(("Option", "Description", "Default"), options))
    return "\n".join(parts)


def is_list(kind: Any) -> bool:
    """Return whether a parameter takes several values."""
    return any(typing.get_origin(each) is list for each in (kind, *typing.get_args(kind)))


def format_type(kind: Any) -> str:
    """Return the values that an option accepts."""
    kinds = [each for each in typing.get_args(kind) if each is not type(None)]
    if kinds and typing.get_origin(kind) is not typing.Literal:
        return format_type(kinds[0])
    if kinds:
        return "|".join(kinds)
    if issubclass(kind, StrEnum):
        return "|".join(kind)
    return TYPE_NAMES[kind.__name__]


def format_default(default: object) -> str:
    """Return a default for the table; empty for flags and absent values."""
    return "" if default is None or default is False else f"`{default}`"


def render_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [titles, ["---"] * len(titles), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    from layercli.command_line.completion import TABLE_FILE
    from tests.completion_table import render_completion_table

    PAGE.write_text(render_reference(), encoding="utf-8")
    TABLE_FILE.write_text(render_completion_table(), encoding="utf-8")
