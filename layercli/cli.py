"""The Typer app and the one error boundary."""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from layercli import runtime
from layercli.errors import ExitCode, LayercliError, Problem
from layercli.version import __version__

COMMANDS = {
    "validate": "layercli.commands.validate",
    "inspect-shapes": "layercli.commands.inspect_shapes",
    "inspect-data": "layercli.commands.inspect_data",
    "build": "layercli.commands.build",
    "train": "layercli.commands.train",
    "launch": "layercli.commands.launch",
    "evaluate": "layercli.commands.evaluate",
    "predict": "layercli.commands.predict",
    "import": "layercli.commands.import_",
    "runs": "layercli.commands.runs",
    "sweep": "layercli.commands.sweep",
    "export": "layercli.commands.export",
    "show": "layercli.commands.show",
    "diff": "layercli.commands.diff",
    "init": "layercli.commands.init",
    "layers": "layercli.commands.layers",
    "schema": "layercli.commands.schema",
}
"""Each command's module, whose function ``command`` it is."""


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"layercli {__version__}")
        raise typer.Exit


def _handle_global_options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


def catch_errors(command: Callable[..., None]) -> Callable[..., None]:
    """The one error boundary: whatever a command raises becomes a message and an exit code."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        json = bool(kwargs.get("json"))
        try:
            command(*args, **kwargs)
        except (typer.Exit, typer.BadParameter):
            raise
        except LayercliError as error:
            _print_error(error, json=json)
            raise typer.Exit(error.exit_code) from None
        except (KeyboardInterrupt, typer.Abort):  # Abort: while a question was asked
            if json:
                _print_error(LayercliError(Problem(code="interrupted", message="Interrupted.")), json=True)
            print("\nInterrupted.", file=sys.stderr)
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except BrokenPipeError:
            # The reader has gone, as in `layercli ... | head`; nothing more can be said to it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(ExitCode.OK) from None
        except Exception as error:
            _report_bug(error, json=json)
            raise typer.Exit(ExitCode.BUG) from None

    return run


def _print_error(error: LayercliError, *, json: bool) -> None:
    from layercli.reports.console import make_console, print_json
    from layercli.reports.problems import print_problems, problems_json

    if json:
        print_json({"ok": False, **problems_json(error.problems)})
    else:
        print_problems(make_console(error=True), error.problems)


def _report_bug(error: Exception, *, json: bool) -> None:
    """Say that this is a bug of ours, and where the traceback is."""
    import platform
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="layercli-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        log.write(f"layercli {__version__}, Python {platform.python_version()}, {platform.platform()}\n")
        log.write(f"{' '.join(sys.argv)}\n\n{''.join(traceback.format_exception(error))}")
    message = f"This is a bug in layercli: {type(error).__name__}. The details are in {log.name}"
    if json:
        from layercli.reports.console import print_json

        problem = Problem(code="internal-error", message=message, hint="Please report it with that file.")
        print_json({"ok": False, "problems": [problem.as_json()]})
    print(f"{message}\nPlease report it with that file.", file=sys.stderr)


def make_app(names: Iterable[str] = COMMANDS, *, is_listing: bool = False) -> typer.Typer:
    """The Typer app with these commands; only their modules are imported, and none to have them ``listed``."""
    app = typer.Typer(
        name="layercli",
        help="A YAML file declares a stack of Keras layers; layercli checks, builds and trains it.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_handle_global_options)
    for name in names:
        if is_listing:
            app.command(name, help=_read_docstring(COMMANDS[name]))(_handle_global_options)
        else:
            app.command(name)(catch_errors(import_module(COMMANDS[name]).command))
    return app


def _read_docstring(module: str) -> str | None:
    """What a command says of itself, read from its text: importing all commands would take most of the time."""
    import ast

    path = Path(__file__).parents[1] / f"{module.replace('.', '/')}.py"
    statements = ast.parse(path.read_text(encoding="utf-8")).body
    functions = {
        statement.name: statement for statement in statements if isinstance(statement, ast.FunctionDef)
    }
    return ast.get_docstring(functions["command"])


def main() -> None:
    """The console script."""
    runtime.is_cli_process = True
    gc.disable()  # nothing that a check makes outlives it by much; the engine turns it on again
    os.environ.setdefault(
        "PYDANTIC_DISABLE_PLUGINS", "1"
    )  # looking for plugins reads every installed package
    first = "".join(sys.argv[1:2])
    try:
        make_app([first] if first in COMMANDS else COMMANDS, is_listing=not first or first.startswith("-"))()
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
