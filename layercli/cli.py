"""The Typer app and its error boundary."""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from layercli import runtime
from layercli.activity import show_activity
from layercli.command_line.completion import COMPLETION_VARIABLE, print_completions
from layercli.command_line.usage import Command, Group, is_json_requested
from layercli.errors import ExitCode, InvalidConfigError, LayercliError, Problem
from layercli.io.atomic import make_system_error
from layercli.reports.activity_line import ActivityLine
from layercli.version import __version__

PANELS = {
    "Start": ("init", "import", "layers", "schema"),
    "Check": ("validate", "watch", "lsp", "show", "diff", "inspect-shapes", "inspect-data", "build"),
    "Train": ("train", "find-rate", "crossval", "launch", "sweep", "runs"),
    "Use": ("evaluate", "report", "predict", "serve"),
    "Share": ("export",),
}
"""Panel of ``--help`` -> its commands, in their order."""

COMMANDS = {
    name: f"layercli.commands.{'import_' if name == 'import' else name.replace('-', '_')}"
    for names in PANELS.values()
    for name in names
}
"""Command name -> module with the function ``command``, in the order of ``--help``."""

_LABELS = {
    "init": "Writing the config",
    "import": "Importing the model",
    "layers": "Listing the layers",
    "schema": "Writing the schema",
    "validate": "Checking the configs",
    "show": "Resolving the config",
    "diff": "Comparing the configs",
    "inspect-shapes": "Computing the shapes",
    "inspect-data": "Reading the data",
    "build": "Building the model",
    "train": "Training",
    "find-rate": "Finding the learning rate",
    "crossval": "Training the folds",
    "sweep": "Running the sweep",
    "runs": "Reading the runs",
    "evaluate": "Evaluating",
    "report": "Writing the report",
    "predict": "Predicting",
    "export": "Exporting",
}
"""Command -> its work, which is shown where no part of it is known; without those that run until they are stopped."""

_FIRST_STEPS = """\
layercli checks, builds and trains the Keras model that a YAML file declares.

  layercli init        write a first config
  layercli validate    check it
  layercli train       train the model

List all commands with: layercli --help
"""


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"layercli {__version__}")
        raise typer.Exit


def _handle_global_options(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(_FIRST_STEPS, nl=False)
        raise typer.Exit(ExitCode.USAGE)


def _do_nothing() -> None:
    """Do nothing: a command of which only the name and the help text are needed."""


def catch_errors(command: Callable[..., None], name: str = "") -> Callable[..., None]:
    """Wrap a command: convert every exception to a message and an exit code."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        json = bool(kwargs.get("json"))
        label = _LABELS.get(name, "")
        try:
            with (
                ActivityLine(is_shown=bool(label) and not json and not kwargs.get("quiet")),
                show_activity(label),
            ):
                command(*args, **kwargs)
        except (typer.Exit, typer.BadParameter):
            raise
        except LayercliError as error:
            _print_error(_explain_directories(error), json=json)
            raise typer.Exit(error.exit_code) from None
        except (KeyboardInterrupt, typer.Abort):  # Abort: raised by a prompt
            _print_interruption(json=json)
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except BrokenPipeError:
            # The reader closed the pipe, for example `layercli ... | head`.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(ExitCode.OK) from None
        except OSError as error:
            _print_error(make_system_error(error), json=json)
            raise typer.Exit(ExitCode.INVALID_INPUT) from None
        except MemoryError:
            message = "The command needs more memory than this process may use."
            hint = "Use a smaller model or less data, or allow the process more memory."
            _print_error(LayercliError(Problem(code="too-large", message=message, hint=hint)), json=json)
            raise typer.Exit(ExitCode.INVALID_INPUT) from None
        except Exception as error:
            _report_bug(error, json=json)
            raise typer.Exit(ExitCode.BUG) from None

    return run


def _explain_directories(error: LayercliError) -> LayercliError:
    """Return the error; a directory that was named as a config is explained if it is a run or contains runs."""
    if all(problem.code != "unreadable-file" for problem in error.problems):
        return error
    from layercli.runs.run_folder import explain_directory

    return LayercliError(map(explain_directory, error.problems))


def _print_interruption(*, json: bool) -> None:
    if json:
        _print_error(LayercliError(Problem(code="interrupted", message="Interrupted.")), json=True)
    print("\nInterrupted.", file=sys.stderr)


def _print_error(error: LayercliError, *, json: bool) -> None:
    from layercli.reports.console import make_console, print_json
    from layercli.reports.problems import ALL_ADVICE, print_problems, problems_json

    if json:
        print_json({"ok": False, **problems_json(error.problems)})
    else:
        advice = ALL_ADVICE if isinstance(error, InvalidConfigError) else ""
        print_problems(make_console(error=True), error.problems, advice=advice)


def _open_missing_streams() -> None:
    """Open standard streams that are closed, so that no file that is opened later gets their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


def _run_app(app: typer.Typer) -> None:
    """Run the command and exit. Output that cannot be written is an error of the environment, not a bug."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(ExitCode.OK)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python writes the rest when it exits
        with suppress(OSError):
            _print_error(make_system_error(error), json=False)
        sys.exit(ExitCode.INVALID_INPUT)


def _report_bug(error: Exception, *, json: bool) -> None:
    """Print that this is a bug in layercli, and write the traceback to a log file."""
    from layercli.io.bug_report import write_bug_report

    message = (
        f"Internal error in layercli: {type(error).__name__}. The traceback is in {write_bug_report(error)}"
    )
    if json:
        from layercli.reports.console import print_json

        problem = Problem(
            code="internal-error", message=message, hint="Please report this bug and attach that file."
        )
        print_json({"ok": False, "problems": [problem.as_json()]})
    print(f"{message}\nPlease report this bug and attach that file.", file=sys.stderr)


def make_app(names: Iterable[str] = COMMANDS, *, is_listing: bool = False) -> typer.Typer:
    """Return the Typer app with these commands.

    Only the modules of these commands are imported. If ``is_listing``, no module is imported: the app then only has
    the names and help texts of the commands.
    """
    app = typer.Typer(
        cls=Group,
        name="layercli",
        help="Check, build and train a Keras model that a YAML file declares.",
        invoke_without_command=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_handle_global_options)
    panels = {name: panel for panel, panel_names in PANELS.items() for name in panel_names}
    for name in names:
        if is_listing:
            app.command(name, help=_read_docstring(COMMANDS[name]), rich_help_panel=panels[name])(_do_nothing)
        else:
            app.command(name, cls=Command, rich_help_panel=panels[name])(
                catch_errors(import_module(COMMANDS[name]).command, name)
            )
    return app


def make_app_for(arguments: Sequence[str]) -> typer.Typer:
    """Return the Typer app with the commands that these arguments need: making each takes time."""
    first = arguments[0] if arguments else ""
    if first in COMMANDS:
        if os.environ.get("PYDANTIC_DISABLE_PLUGINS") == "1" and runtime.is_cli_process:
            _leave_out_plugin_search()
        return make_app([first])
    return make_app(is_listing=not first or first.startswith("-"))


def _read_docstring(module: str) -> str | None:
    """Return the docstring of a command from its source, because importing every command is slow."""
    import ast

    path = Path(__file__).parents[1] / f"{module.replace('.', '/')}.py"
    statements = ast.parse(path.read_text(encoding="utf-8")).body
    functions = {
        statement.name: statement for statement in statements if isinstance(statement, ast.FunctionDef)
    }
    return ast.get_docstring(functions["command"])


def _leave_out_plugin_search() -> None:
    """Replace Pydantic's search for plugins, which is off anyway: its import takes 10 ms."""
    loader = ModuleType("pydantic.plugin._loader")
    loader.get_plugins = tuple  # type: ignore[attr-defined]
    sys.modules.setdefault(loader.__name__, loader)


def main() -> None:
    """Run the console script."""
    runtime.is_cli_process = True
    _open_missing_streams()
    # No Python process that this one or a library starts imports modules from the current folder.
    os.environ["PYTHONSAFEPATH"] = "1"
    gc.disable()  # for speed: checking creates little garbage; the engine enables it again
    # For speed: the search for plugins reads every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    if os.environ.get(COMPLETION_VARIABLE, "").startswith("complete_"):
        sys.exit(print_completions(list(COMMANDS)))
    try:
        _run_app(make_app_for(sys.argv[1:]))
    except KeyboardInterrupt:  # before the command has started
        _print_interruption(json=is_json_requested(sys.argv))
        sys.exit(ExitCode.INTERRUPTED)
    except Exception as error:
        _report_bug(error, json=is_json_requested(sys.argv))
        sys.exit(ExitCode.BUG)
