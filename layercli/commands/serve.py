"""``layercli serve``: answer requests over HTTP with the model of a run."""

from __future__ import annotations

import signal
import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from socket import socket
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from layercli.command_line.options import JsonOption, RunArgument, TrustOption
from layercli.errors import ExitCode, LayercliError, Problem
from layercli.reports.console import make_console, print_json, redirect_stdout_for_json
from layercli.reports.problems import print_problems

if TYPE_CHECKING:
    from layercli.serving.service import ServerLimits

_PACKAGES: Final = ("starlette", "uvicorn", "prometheus_client")


def command(
    run: RunArgument,
    host: Annotated[
        str,
        typer.Option(
            "--host", metavar="HOST", help="The address to listen on; by default this machine only."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, metavar="N", help="The port; 0 takes a free one.")
    ] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="A name that requests may have in the headers Host and Origin, such as that of this server or of a proxy.",
        ),
    ] = None,
    max_batch: Annotated[
        int,
        typer.Option(
            "--max-batch", min=1, metavar="N", help="Examples of several requests that are computed together."
        ),
    ] = 128,
    max_delay_ms: Annotated[
        float,
        typer.Option(
            "--max-delay-ms",
            min=0,
            max=10_000,
            metavar="N",
            help="Milliseconds that a request waits for others, if there are any.",
        ),
    ] = 1.0,
    max_queue: Annotated[
        int,
        typer.Option(
            "--max-queue", min=1, metavar="N", help="Requests that may wait; more of them get status 429."
        ),
    ] = 256,
    max_body_mib: Annotated[
        float,
        typer.Option("--max-body-mib", min=0.001, max=2048, metavar="N", help="Largest body of a request."),
    ] = 16.0,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            min=0.1,
            max=3600,
            metavar="SECONDS",
            help="Longest time to receive a request, to answer it, and to finish requests at the end.",
        ),
    ] = 30.0,
    json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Answer requests over HTTP: rows as JSON, and the Open Inference Protocol.

    Answers are those of `layercli predict`. SIGTERM or Ctrl-C ends the server when all requests are answered; SIGHUP loads
    the run again.
    """
    _require_packages()
    from layercli.serving.batcher import BatchLimits
    from layercli.serving.server import open_socket
    from layercli.serving.service import ServerLimits

    batches = BatchLimits(max_batch, max_delay_ms / 1000, max_queue, timeout)
    with open_socket(host, port) as listener:
        names = frozenset(name.lower() for name in (host, *(allow_host or ())))
        limits = ServerLimits(batches, round(max_body_mib * 2**20), names)
        _serve(run, listener, limits, trust=trust, json=json)


def _serve(run: str, listener: socket, limits: ServerLimits, *, trust: bool, json: bool) -> NoReturn:
    """Load the run, serve until a stop signal, and exit."""
    from layercli.serving.served_model import ServedModel
    from layercli.serving.server import check_host, format_address, run_server
    from layercli.serving.service import Service

    stdout = sys.stdout
    warnings, address = check_host(listener), format_address(listener)

    def report_start() -> None:
        model = service.model
        if json:
            document = {"run": model.path, "model": model.name, "version": model.version, "url": address}
            with redirect_stdout(stdout):
                print_json({"ok": True, **document, "problems": [problem.as_json() for problem in warnings]})
        else:
            print_problems(make_console(error=True), warnings)
            make_console().print(f"Serving {model.title} at {address} - stop with Ctrl-C.", soft_wrap=True)
            stdout.flush()

    def report_reload(error: LayercliError | None) -> None:
        console = make_console(error=True)
        if error is None:
            console.print(f"Loaded {service.model.title}.", soft_wrap=True)
        else:
            print_problems(console, error.problems)
            console.print("The model that was loaded before stays.")

    with redirect_stdout_for_json(json):
        service = Service(run, ServedModel.load(run, trust=trust), limits, trust=trust)
        number = run_server(service, listener, on_start=report_start, on_reload=report_reload)
    make_console(error=True).print("Stopped; all requests were answered." if service.is_idle else "Stopped.")
    raise typer.Exit(ExitCode.TERMINATED if number == signal.SIGTERM else ExitCode.INTERRUPTED)


def _require_packages() -> None:
    """Check that the packages of the server are installed, without importing them.

    Raises:
        LayercliError: A package is not installed.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        message = f"{' and '.join(missing)} must be installed for the server."
        hint = "Install it: `pip install 'layercli[serve]'`."
        raise LayercliError(Problem(code="missing-package", message=message, hint=hint))
