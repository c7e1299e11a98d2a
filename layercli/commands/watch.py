"""``layercli watch``: show shapes and problems again each time a config is saved."""

from __future__ import annotations

from pathlib import Path

import typer

from layercli.command_line.options import ConfigArgument, JsonOption, SetOption
from layercli.reports.console import is_terminal, make_console, print_json_line
from layercli.reports.watch import draw_result, print_result, watch_json
from layercli.source.load import STDIN
from layercli.workflows.watch import iterate_checks


def command(config: ConfigArgument, json: JsonOption = False, set_: SetOption = None) -> None:
    """Show shapes, problems and totals again each time the config, or a file that it extends, is saved."""
    if config == STDIN:
        raise typer.BadParameter("standard input cannot be watched; name a file.")
    console = make_console()
    for number, result in enumerate(iterate_checks(config, set_ or ())):
        if json:
            print_json_line(watch_json(result))
        elif is_terminal():
            draw_result(console, result)
        else:
            print_result(console, result)
        if number == 0 and not Path(config).exists():
            raise typer.Exit(1)
