"""Typer classes whose usage errors say what to write instead, and are a JSON document with ``--json``."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any, Final

from typer import BadParameter
from typer.core import TyperCommand, TyperGroup

from layercli.command_line.optional_values import add_left_out_values
from layercli.errors import ExitCode, Problem
from layercli.schema.suggestions import find_closest
from layercli.source.nodes import sanitize_text

_CONFIG_OPTIONS: Final = {
    name: path
    for names, path in (
        ("epochs epoch nb-epoch nb-epochs num-epochs n-epochs max-epochs", "train.epochs"),
        ("batch-size batchsize bs", "train.batch_size"),
        ("learning-rate lr", "train.optimizer.learning_rate"),
        ("optimizer optim", "train.optimizer"),
        ("loss", "train.loss"),
        ("metrics", "train.metrics"),
        ("random-seed seed", "seed"),
        ("validation-split val-split validation", "data.split.validation"),
        ("test-size test-split", "data.split.test"),
        ("data data-path dataset", "data.path"),
        ("target", "data.target"),
        ("dtype", "model.dtype"),
        ("weights initial-weights", "model.weights"),
        ("name run-name", "name"),
    )
    for name in names.split()
}
"""Options of other programs -> the path in the config."""
_OTHER_OPTIONS: Final = {
    name: options.split()
    for names, options in (
        ("output-dir out-dir outdir save-dir logdir log-dir dir", "--run-dir --output"),
        ("output o out save-path to", "--output --run-dir"),
        ("debug log-level", "--verbose"),
        ("verbose silent q", "--quiet"),
        ("checkpoint from-checkpoint resume-from continue", "--resume"),
        ("dry-run fast-dev-run test-run", "--smoke"),
        ("overwrite yes y", "--force"),
        ("workers num-workers n-jobs j parallel", "--jobs"),
        ("jobs", "--workers"),
        ("in file i input-file test-data", "--input --data"),
        ("input", "--data"),
        ("data", "--input"),
    )
    for name in names.split()
}
"""Options of other programs -> those of layercli; the first that the command has is meant."""
_DEVICE_OPTIONS: Final = ("gpu", "gpus", "device", "devices", "cuda", "accelerator")
_OTHER_COMMANDS: Final = {
    name: command
    for names, command in (
        ("fit run start", "train"),
        ("check lint verify", "validate"),
        ("summary shapes inspect", "inspect-shapes"),
        ("test eval score", "evaluate"),
        ("infer", "predict"),
        ("resume continue", "train --resume RUN"),
        ("plot draw graph", "build CONFIG --plot model.svg"),
        ("compare", "diff"),
        ("deploy", "serve"),
        ("cv cross-validate kfold", "crossval"),
        ("tune search hpo", "sweep"),
        ("create new", "init"),
        ("convert save", "export"),
        ("list history ls", "runs"),
        ("version", "--version"),
        ("help", "--help"),
    )
    for name in names.split()
}
"""Commands of other programs -> the command of layercli."""


_EXPECTED_VALUES: Final = {
    re.compile(pattern): expected
    for pattern, expected in (
        ("Input should be less than or equal to (.+)", r"must be at most \1"),
        ("Input should be greater than or equal to (.+)", r"must be at least \1"),
        ("Input should be less than (.+)", r"must be less than \1"),
        ("Input should be greater than (.+)", r"must be greater than \1"),
        ("Input should be a valid integer", "must be an integer"),
        ("Input should be a valid number", "must be a number"),
    )
}
"""Pydantic's message for an invalid value -> what is expected."""
_UNKNOWN_CHOICE: Final = re.compile(r"'(.{0,60})' is not one of ((?:'[^']+'(?:, |\.))+)", re.DOTALL)
"""Typer's message for a value that is not a choice."""
_CHOICE: Final = re.compile(r"'([^']+)'")
_EXTRA_ARGUMENTS: Final = "Got unexpected extra argument"
_ANY_USAGE_ERROR: Final[Any] = BadParameter.__mro__[2]
"""Typer's base class of usage errors, which it does not export: unknown options, missing arguments, invalid values."""


def is_json_requested(arguments: Sequence[str]) -> bool:
    """Return whether a command line asks for a JSON document, even if the command line is wrong."""
    return any(argument.partition("=")[0] == "--json" for argument in arguments)


def print_usage_error_json(error: Any) -> None:
    """Print the JSON document of a usage error."""
    from layercli.reports.console import print_json

    message = sanitize_text(error.format_message())
    context = getattr(error, "ctx", None)
    help_command = f"{context.command_path if context else 'layercli'} --help"
    problem = Problem(
        code="usage-error",
        message=message if message.endswith((".", "?", ")")) else f"{message}.",
        hint=f"Run `{help_command}` for the arguments and options.",
    )
    print_json({"ok": False, "problems": [problem.as_json()]})


class Command(TyperCommand):
    """A command whose usage errors name it; that for an unknown option names the key of the config or the option to write."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; add what to write to the error for an unknown option."""
        given = list(args)
        known = {name for parameter in self.params for name in parameter.opts}
        try:
            return super().parse_args(ctx, add_left_out_values(args))
        except Exception as error:
            option = getattr(error, "option_name", None)
            if isinstance(error, _ANY_USAGE_ERROR):
                error.ctx = error.ctx or ctx  # an option without its value does not set it
                error.message = _explain_value(error, given)
                if type(error).__name__ == "MissingParameter":
                    error.message = getattr(error.param, "help", None) or ""
                elif error.message.startswith(_EXTRA_ARGUMENTS):
                    error.message += _suggest_for_extra_argument(error.message, known)
            advice = suggest_option(option, given, known) if isinstance(option, str) else None
            if advice is not None:
                error.message = f"No such option: {sanitize_text(str(option), limit=60)}. {advice}"  # type: ignore[attr-defined]
                error.possibilities = None  # type: ignore[attr-defined]
            raise


class Group(TyperGroup):
    """The app, whose error for an unknown command suggests the closest one."""

    def main(self, args: Sequence[str] | None = None, *others: Any, **settings: Any) -> Any:
        """Run a command line and exit; with ``--json``, print a usage error as a JSON document."""
        if not is_json_requested(sys.argv[1:] if args is None else args):
            return super().main(args, *others, **settings)
        try:
            sys.exit(super().main(args, *others, **settings | {"standalone_mode": False}) or ExitCode.OK)
        except _ANY_USAGE_ERROR as error:
            print_usage_error_json(error)
            sys.exit(error.exit_code)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options before the command; say where ``--json`` belongs."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except _ANY_USAGE_ERROR as error:
            if is_json_requested(given[:1]):
                error.message = "Write --json after the command."
                error.possibilities = None
            raise

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; add what to write to the error for an unknown one."""
        try:
            return super().resolve_command(ctx, args)
        except Exception as error:
            advice = suggest_command(args[0]) if args else None
            if advice is not None and hasattr(error, "message"):
                error.message = f"No such command '{sanitize_text(args[0], limit=60)}'. {advice}"
            raise


def suggest_option(option: str, args: Sequence[str], known: set[str]) -> str | None:
    """Return what to write instead of an unknown option, or None if its meaning is unknown.

    Args:
        option: The option, as ``--epochs``.
        args: The arguments of the command.
        known: The options of the command.
    """
    name = option.lstrip("-").replace("_", "-").lower()
    if name in ("config", "c") and "--set" in known:
        return "The config is an argument without an option."
    other = next((each for each in _OTHER_OPTIONS.get(name, ()) if each in known), None)
    if other == "--jobs" and "--seeds" in known:
        other = None  # only several seeds are trained at the same time
    if name.removeprefix("n-") == "trials" and "--storage" in known:
        return f"Write `trials: {_find_value(option, args)}` in the sweep file."
    if other is not None:
        return f"Write `{other}`."
    if name == "version":
        return "Write `layercli --version`."
    if name in _DEVICE_OPTIONS and "--trust" in known:
        return "Keras uses a GPU if there is one; `CUDA_VISIBLE_DEVICES=-1 layercli ...` hides it."
    path = _CONFIG_OPTIONS.get(name)
    if path is None or "--set" not in known:
        return None
    value = _find_value(option, args)
    return f"Write `--set {path}={value}`."


def _explain_value(error: Any, args: Sequence[str]) -> str:
    """Return the message of a usage error; for an invalid value, what is expected and was received."""
    message: str = error.message
    options = getattr(getattr(error, "param", None), "opts", ())
    for pattern, expected in _EXPECTED_VALUES.items():
        if match := pattern.match(message):
            value = next((found for option in options if (found := _find_value(option, args)) != "VALUE"), "")
            return f"{match.expand(expected)}{value and ', got '}{value}."
    message = message.removeprefix("Value error, ")  # of Typer's own types
    if (choice := _UNKNOWN_CHOICE.fullmatch(message)) is not None:
        message = f"{message} {_suggest_choice(choice[1], options, _CHOICE.findall(choice[2]))}".rstrip()
    return message


def _suggest_choice(value: str, options: Sequence[str], choices: Sequence[str]) -> str:
    """Return what to write instead of an unknown value of an option with choices; empty if nothing is close."""
    from layercli.export_formats import suggest_format  # only mistakes need it

    hint = suggest_format(value) if "litert" in choices else None
    match = find_closest(value, choices)
    option = max(options, key=len, default="")
    return hint or (f"Write `{option} {match}`." if match is not None and option.startswith("--") else "")


def _suggest_for_extra_argument(message: str, known: set[str]) -> str:
    """Return a sentence with the option that takes an argument which the command does not take; empty if none does."""
    if "=" in message:
        return ". Write `--set KEY=VALUE` to change a value of the config." if "--set" in known else ""
    option = next((name for name in ("--input", "--data") if name in known), None)
    return f". Write `{option} FILE` for new data." if option else ""


def _find_value(option: str, args: Sequence[str]) -> str:
    """Return the value that an option has on the command line, or ``VALUE``."""
    for index, argument in enumerate(args):
        if argument == option and index + 1 < len(args) and not args[index + 1].startswith("--"):
            value = args[index + 1]
        elif argument.startswith(f"{option}="):
            value = argument.removeprefix(f"{option}=")
        else:
            continue
        if re.fullmatch(r"[\w.+/-]{1,60}", value):
            return value
    return "VALUE"


def suggest_command(name: str) -> str | None:
    """Return what to write instead of an unknown command, or None."""
    if name.lower().endswith((".yaml", ".yml")):
        return (
            f"Write `layercli train {sanitize_text(name, limit=60)}`, or another command before the config."
        )
    meant = _OTHER_COMMANDS.get(name.lower())
    return None if meant is None else f"Write `layercli {meant}`."
