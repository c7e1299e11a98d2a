"""``layercli export``: export the model of a run, and verify the result."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from layercli.command_line.options import JsonOption, TrustOption, require_parent_directory
from layercli.export_formats import EXPORT_FORMATS, ExportFormatName
from layercli.reports.console import make_console, print_json, redirect_stdout_for_json
from layercli.reports.export import print_export_report, print_format_benchmark
from layercli.workflows.export import ExportRequest, export_run
from layercli.workflows.export_benchmark import benchmark_formats
from layercli.workflows.export_script import export_script


def command(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="The directory of a finished run; `layercli runs` lists runs. For python also a config.",
        ),
    ],
    format_: Annotated[
        ExportFormatName | None,
        typer.Option("--format", "-f", help="The export format. Required without --benchmark."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="The output path. Default: the model name in the current directory.",
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", min=1, metavar="N", help="Fixed batch size. Default: any size."),
    ] = None,
    opset: Annotated[
        int | None, typer.Option("--opset", min=7, metavar="N", help="ONNX opset version.")
    ] = None,
    quantize: Annotated[
        Literal["float16", "int8"] | None,
        typer.Option(
            "--quantize", help="LiteRT only: quantize weights. int8 calibrates ranges on training examples."
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance", min=0, metavar="X", help="Maximum difference, relative to the largest output."
        ),
    ] = None,
    weights: Annotated[
        bool,
        typer.Option(
            "--weights", help="Python only: write the run's weights next to the script, which loads them."
        ),
    ] = False,
    benchmark: Annotated[
        bool,
        typer.Option(
            "--benchmark",
            help="Compare size, latency and metrics of all formats, or of --format. No file is written.",
        ),
    ] = False,
    json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Export a run's model, load the exported model, and compare its outputs with the original."""
    format_options = {
        "--batch-size": batch_size,
        "--opset": opset,
        "--quantize": quantize,
        "--weights": weights or None,
    }
    if benchmark:
        others = {"--output": output, **format_options, "--tolerance": tolerance}
        _run_benchmark(run, format_, others, as_json=json, trust=trust)
        return
    if format_ is None:
        raise typer.BadParameter(
            "it is required; one of " + ", ".join(EXPORT_FORMATS) + ".", param_hint="--format"
        )
    request = ExportRequest(
        run, format_, _parse_output_path(output, format_), batch_size, opset, quantize, tolerance
    )
    _check_format_options(format_, format_options)
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


def _run_benchmark(
    run: str,
    format_name: ExportFormatName | None,
    others: Mapping[str, object],
    *,
    as_json: bool,
    trust: bool,
) -> None:
    """Print the comparison of formats.

    Raises:
        BadParameter: There are other options, or the format is a script.
    """
    given = next((option for option, value in others.items() if value is not None), None)
    if given is not None:
        raise typer.BadParameter("it has no effect with --benchmark.", param_hint=given)
    if format_name == "python":
        raise typer.BadParameter("a script has no runtime to measure.", param_hint="--format")
    with redirect_stdout_for_json(as_json):
        result = benchmark_formats(run, None if format_name is None else [format_name], trust=trust)
    if as_json:
        print_json(result)
    else:
        print_format_benchmark(make_console(), make_console(error=True), result)


def _parse_output_path(output: str | None, format_name: str) -> Path | None:
    """Return the path of ``--output``.

    Raises:
        BadParameter: The suffix does not fit the format, or the directory does not exist.
    """
    if output is None:
        return None
    path, suffix = Path(output), EXPORT_FORMATS[format_name].suffix
    if suffix and path.suffix != suffix:
        message = f"the file name must end in {suffix} for --format {format_name}, got {output}."
        raise typer.BadParameter(message, param_hint="--output")
    require_parent_directory(output, option="--output")
    return path


def _check_format_options(format_name: str, values: Mapping[str, object]) -> None:
    """Check that each option with a value applies to the format.

    Raises:
        BadParameter: An option applies to another format.
    """
    for option, value in values.items():
        if value is not None and option not in EXPORT_FORMATS[format_name].options:
            formats = [name for name, facts in EXPORT_FORMATS.items() if option in facts.options]
            raise typer.BadParameter(
                f"requires --format {' or '.join(formats)}, got {format_name}.", param_hint=option
            )
