"""``layercli diff``: two configs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from layercli import runs
from layercli.check import Valid, check, require
from layercli.commands.options import JsonOption, SetOption
from layercli.errors import LayercliError
from layercli.graph.diff import Side, compare, value_differences
from layercli.reports.console import console, print_json
from layercli.reports.diff import Comparison, diff_json, print_diff


def command(
    before: Annotated[str, typer.Argument(metavar="A", help="A config, or a run directory.")],
    after: Annotated[
        str, typer.Argument(metavar="B", help="The config to compare it with, or a run directory.")
    ],
    all_: Annotated[bool, typer.Option("--all", help="Show layers that are the same, too.")] = False,
    json: JsonOption = False,
    set_: SetOption = None,
) -> None:
    """Compare two configs: layers, shapes, parameters, FLOPs, and which weights would carry over."""
    comparison = diff(before, after, set_ or ())
    if json:
        print_json({"ok": True, **diff_json(comparison)})
    else:
        print_diff(console(), comparison, unchanged=all_)


def diff(before: str, after: str, overrides: list[str] | tuple[()] = ()) -> Comparison:
    """What differs between two configs; ``overrides`` apply to the second.

    Raises:
        LayercliError: with the problems of both, if one is wrong.
    """
    checked = check(_config_of(before)), check(_config_of(after), overrides)
    if not all(one.ok for one in checked):
        raise LayercliError([problem for one in checked for problem in one.problems])
    old, new = map(require, checked)
    pairs = compare(_side(old), _side(new))
    settings = list(value_differences(_settings(old), _settings(new)))
    changed = " ".join([after, *(f"--set {override}" for override in overrides)])
    return Comparison((before, changed), old.shapes, new.shapes, pairs, settings)


def _side(valid: Valid) -> Side:
    return Side(valid.config, valid.shapes)


def _settings(valid: Valid) -> dict[str, object]:
    """All of a config but its layers."""
    document = valid.resolved()
    model = {key: value for key, value in document["model"].items() if key != "layers"}
    return {key: value for key, value in document.items() if key != "model"} | {"model": model}


def _config_of(name: str) -> str:
    """The config of a run directory, or the file itself."""
    config = Path(name) / runs.CONFIG
    try:
        return str(config) if config.is_file() else name
    except (OSError, ValueError):  # a name that no file has; reading it says so
        return name
