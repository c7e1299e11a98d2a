"""``layercli export``: the model of a run outside layercli, proven equal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from layercli.commands.options import JsonOption, TrustOption
from layercli.reports.console import make_console, print_json, redirect_stdout_for_json
from layercli.reports.export import print_export_report
from layercli.workflows.export import ExportRequest, export_run
from layercli.workflows.export_files import EXPORT_SUFFIXES
from layercli.workflows.export_script import export_script


def command(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="The directory of a finished training; for python also a config."),
    ],
    format_: Annotated[
        Literal["keras", "saved_model", "onnx", "litert", "python"],
        typer.Option("--format", "-f", help="In which form."),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="PATH", help="Where to; without it, here, named as the model."
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size", min=1, metavar="N", help="Examples in each batch; without it, any number."
        ),
    ] = None,
    opset: Annotated[
        int | None, typer.Option("--opset", min=7, metavar="N", help="Version of ONNX's operations.")
    ] = None,
    quantize: Annotated[
        Literal["float16", "int8"] | None,
        typer.Option(
            "--quantize", help="LiteRT: smaller weights; int8 learns ranges from training examples."
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance", min=0, metavar="X", help="Largest difference, as a part of the largest output."
        ),
    ] = None,
    weights: Annotated[
        bool,
        typer.Option(
            "--weights", help="Python: write the run's weights beside the script, which loads them."
        ),
    ] = False,
    json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Write a run's model for use elsewhere, load it there, and compare what it gives with the original."""
    request = ExportRequest(
        run, format_, _parse_output_path(output, format_), batch_size, opset, quantize, tolerance
    )
    _check_options(request, weights=weights)
    with redirect_stdout_for_json(json):
        result = (
            export_script(request, weights=weights, trust=trust)
            if format_ == "python"
            else export_run(request, trust=trust)
        )
    if json:
        print_json(result)
    else:
        print_export_report(make_console(), make_console(error=True), result)


def _parse_output_path(output: str | None, format_name: str) -> Path | None:
    """Where to write, as ``--output`` says.

    Raises:
        BadParameter: nothing of this form can be written there.
    """
    if output is None:
        return None
    path, suffix = Path(output), EXPORT_SUFFIXES[format_name]
    if suffix and path.suffix != suffix:
        raise typer.BadParameter(f"{output}: a file of this format ends in {suffix}.", param_hint="--output")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no directory {path.parent}.", param_hint="--output")
    return path


def _check_options(request: ExportRequest, *, weights: bool) -> None:
    """Refuse options that the form does not have.

    Raises:
        BadParameter: it has one that it does not.
    """
    own: dict[str, tuple[Any, tuple[str, ...]]] = {
        "--batch-size": (request.batch_size, ("saved_model", "onnx", "litert")),
        "--opset": (request.opset, ("onnx",)),
        "--quantize": (request.quantize, ("litert",)),
        "--weights": (weights or None, ("python",)),
    }
    for option, (value, forms) in own.items():
        if value is not None and request.format not in forms:
            raise typer.BadParameter(f"goes with --format {' or '.join(forms)}.", param_hint=option)
