"""Compare the output of commands with ``--json`` with the published schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from typer.testing import CliRunner, Result

from layercli.cli import COMMANDS
from layercli.reports.document_schemas import find_schema_file, list_documented_commands, read_document_schema


def check_document(arguments: Sequence[str], exit_code: int, output: str) -> None:
    """Check that a command line with ``--json`` printed one document that its schema describes completely."""
    command = next((argument for argument in arguments if argument in COMMANDS), "validate")
    if "--help" in arguments or "-h" in arguments:
        return
    document = json.loads(output)
    if command == "schema" and "$schema" in document:
        return
    assert command in list_documented_commands(), f"Add {find_schema_file(command)}."
    assert document["ok"] == (exit_code == 0)
    error = best_match(validator_of(command).iter_errors(document))
    assert error is None, describe_error(command, error)


@cache
def validator_of(command: str) -> Draft202012Validator:
    """Return a validator that also reports keys that the schema does not describe."""
    schema = read_document_schema(command)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(close_objects(schema))


def close_objects(schema: Any) -> Any:
    """Return a schema whose objects have no other keys than those that it describes."""
    if isinstance(schema, list):
        return [close_objects(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    closed = {
        key: value
        if key in ("if", "then", "description")
        else {name: close_objects(item) for name, item in value.items()}
        if key in ("properties", "$defs")
        else close_objects(value)
        for key, value in schema.items()
    }
    return closed | ({"additionalProperties": False} if "properties" in schema else {})


def describe_error(command: str, error: ValidationError) -> str:
    """Return what to change in which file."""
    name = find_schema_file(command).name
    return (
        f"`layercli {command} --json`, {error.json_path}: {error.message}\n"
        f"Describe every key that the command prints in layercli/json_documents/{name}, or fix the command."
    )


def run_and_check(invoke: Any) -> Any:
    """Return ``CliRunner.invoke`` with a check of every document."""

    def invoke_and_check(self: CliRunner, app: Any, args: Any = None, **settings: Any) -> Result:
        result: Result = invoke(self, app, args, **settings)
        arguments = [str(argument) for argument in args or ()]
        is_crash = result.exception is not None and not isinstance(result.exception, SystemExit)
        if "--json" in arguments and not is_crash:
            check_document(arguments, result.exit_code, result.stdout)
        return result

    return invoke_and_check
