"""Render the table of shell completion, ``layercli/command_line/completion.json``. ``tests.cli_reference`` writes it."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from pydantic import BaseModel
from typer.models import ArgumentInfo

from layercli.cli import COMMANDS
from layercli.config.config import Config
from layercli.config.data.section import DATA_TYPES
from layercli.config.training.registry import LOSSES, OPTIMIZERS
from layercli.layers.registry import LAYERS
from tests.cli_reference import format_type

SKIPPED_KEYS = {"data", "train.optimizer", "model.layers"}


def render_completion_table() -> str:
    """Return the table as JSON, with a line for each parameter, key and component."""
    components = {
        "data": {name.lower(): list(list_keys(DATA_TYPES.load(name), "")) for name in DATA_TYPES.names},
        "train.optimizer": {name: [*OPTIMIZERS.load(name).model_fields] for name in OPTIMIZERS.names},
        "layers": {name: [*LAYERS.load(name).model_fields] for name in LAYERS.names},
    }
    keys = list_keys(Config, "") | {
        "data.type": [name.lower() for name in DATA_TYPES.names],
        "train.loss": [*LOSSES.names],
        "train.optimizer": [*OPTIMIZERS.names],
        "train.optimizer.type": [*OPTIMIZERS.names],
        "train.optimizer.learning_rate": [],
    }
    table = {
        "commands": {
            name: describe_command(import_module(module).command) for name, module in COMMANDS.items()
        },
        "keys": keys,
        "components": components,
    }
    return format_json(table) + "\n"


def describe_command(command: Callable[..., None]) -> dict[str, Any]:
    """Return the help text and the parameters of a command."""
    hints = typing.get_type_hints(command, include_extras=True)
    parameters = []
    for name in inspect.signature(command).parameters:
        kind, info = typing.get_args(hints[name])[:2]
        kinds = [each for each in typing.get_args(kind) or (kind,) if each is not type(None)]
        is_argument = isinstance(info, ArgumentInfo)
        declared = (
            []
            if is_argument
            else [info.default, *info.param_decls]
            if isinstance(info.default, str)
            else [*info.param_decls]
        )
        types = "" if kind is bool or typing.get_origin(kinds[0]) is list else format_choices(kind)
        described = {
            "name": name,
            "options": [] if is_argument else declared or [f"--{name.strip('_').replace('_', '-')}"],
            "metavar": info.metavar if is_argument else None,
            "is_flag": kind is bool,
            "is_repeated": any(typing.get_origin(each) is list for each in (kind, *kinds)),
            "choices": types.split("|") if types else [],
            "help": info.help,
        }
        parameters.append({key: value for key, value in described.items() if value})
    return {"help": (inspect.getdoc(command) or "").split("\n")[0], "parameters": parameters}


def format_choices(kind: Any) -> str:
    """Return the values of a choice, or an empty text."""
    text = format_type(kind)
    return text if text != text.upper() else ""


def list_keys(model: type[BaseModel], prefix: str) -> dict[str, list[str]]:
    """Return the paths of the values of a section, each with its values if they are few."""
    return dict(iterate_keys(model, prefix))


def iterate_keys(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, list[str]]]:
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        parts = [field.annotation, *typing.get_args(field.annotation)]
        models = [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
        if models and path not in SKIPPED_KEYS:
            yield from iterate_keys(models[0], f"{path}.")
        elif path not in SKIPPED_KEYS:
            literals = [
                each
                for part in parts
                if typing.get_origin(part) is typing.Literal
                for each in typing.get_args(part)
            ]
            yield (
                path,
                ["true", "false"]
                if bool in parts
                else [str(each) for each in literals if isinstance(each, str)],
            )


def format_json(value: Any, indent: str = "") -> str:
    """Return JSON in which each item of a mapping of mappings or lists has its line."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + len(indent) <= 250 or not isinstance(value, (dict, list)):
        return flat
    inner = f"{indent} "
    if isinstance(value, dict):
        items = [f"{inner}{json.dumps(key)}: {format_json(item, inner)}" for key, item in value.items()]
    elif all(isinstance(item, str) for item in value):
        return flat
    else:
        items = [inner + format_json(item, inner) for item in value]
    brackets = "{}" if isinstance(value, dict) else "[]"
    return f"{brackets[0]}\n" + ",\n".join(items) + f"\n{indent}{brackets[1]}"
