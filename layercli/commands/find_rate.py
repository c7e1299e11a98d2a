"""``layercli find-rate``: propose a learning rate by a range test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from layercli.check import check_config, require_valid
from layercli.command_line.options import JsonOption, SetOption, TrustOption, require_parent_directory
from layercli.io.paths import is_file
from layercli.page.charts import require_charts
from layercli.reports.console import make_console, print_json, redirect_stdout_for_json, replace_non_finite
from layercli.reports.problems import ALL_ADVICE, print_problems
from layercli.reports.rate_curve import print_rate_curve
from layercli.reports.training_progress import SilentProgress, TrainingProgress
from layercli.source.load import STDIN
from layercli.workflows.find_rate import (
    RateTest,
    describe_replaced_schedule,
    find_rate,
    make_no_rate_error,
    write_curve,
)
from layercli.workflows.next_commands import format_train_command
from layercli.workflows.rate_change import change_rate, write_rate


def _validate_plot_path(path: str | None) -> str | None:
    """Check the value of ``--plot``.

    Raises:
        BadParameter: The suffix is not .svg, or the directory does not exist.
    """
    if path is None:
        return None
    if Path(path).suffix.lower() != ".svg":
        raise typer.BadParameter(f"the file name must end in .svg, got {path}.")
    require_parent_directory(path)
    return path


def command(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="The config file; - reads standard input.")],
    lowest: Annotated[
        float, typer.Option("--from", min=1e-12, max=1e6, metavar="RATE", help="The rate of the first step.")
    ] = 1e-7,
    highest: Annotated[
        float, typer.Option("--to", min=1e-12, max=1e6, metavar="RATE", help="The rate of the last step.")
    ] = 10.0,
    steps: Annotated[
        int, typer.Option("--steps", min=20, max=1000, metavar="N", help="Number of steps.")
    ] = 100,
    plot: Annotated[
        str | None,
        typer.Option(
            "--plot", metavar="FILE", callback=_validate_plot_path, help="Draw the losses as this .svg file."
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the proposal into the config, whose other lines stay.")
    ] = False,
    json: JsonOption = False,
    set_: SetOption = None,
    trust: TrustOption = False,
) -> None:
    """Train a few steps with a rising learning rate, and propose a rate from the losses. No run is written."""
    if highest <= lowest:
        raise typer.BadParameter(f"--to must be larger than --from ({lowest:g}), got {highest:g}.")
    if write and config == STDIN:
        raise typer.BadParameter("--write requires a config file, not standard input.")
    if plot is not None:
        require_charts()
    valid = require_valid(check_config(config, set_ or ()))
    if write:
        if not is_file(Path(config)):
            raise typer.BadParameter("--write requires a regular file, which can be read again and replaced.")
        change_rate(config, valid, lowest, set_ or ())  # an error before the test
    out, errors = make_console(error=json), make_console(error=True)
    print_problems(errors, valid.check_result.problems, advice=ALL_ADVICE)
    progress = TrainingProgress(out, live=False, is_verbose=False) if not json else SilentProgress()
    with redirect_stdout_for_json(json):
        test = find_rate(
            valid,
            lowest=lowest,
            highest=highest,
            steps=steps,
            trust=trust,
            progress=progress,
        )
    if plot is not None:
        write_curve(test, plot)
    if not json:
        print_rate_curve(out, test.curve)
    if test.proposal is None:
        raise make_no_rate_error(test)
    if write:
        write_rate(config, valid, test.proposal, set_ or ())
    if json:
        files = {"plot": plot, "written": config if write else None}
        print_json(replace_non_finite({**test.as_json(), **files}))
        return
    changes = () if write else (f"{'.'.join(map(str, test.rate_path))}={test.proposal:g}",)
    command_line = format_train_command(config, (*(set_ or ()), *changes), trust=trust)
    _print_proposal(test, config, plot, command_line, is_written=write)


def _print_proposal(
    test: RateTest, config: str, plot: str | None, next_command: str, *, is_written: bool
) -> None:
    """Print the proposal and the command that trains with it."""
    out = make_console()
    key = ".".join(map(str, test.rate_path))
    if test.curve.has_diverged:
        out.print(
            f"The loss diverged at the rate {test.curve.rates[-1]:.2g}, after {len(test.curve.rates)} steps.",
            soft_wrap=True,
        )
    schedule = describe_replaced_schedule(test.valid)
    if schedule is not None:
        out.print(schedule, soft_wrap=True)
    out.print(f"Proposal: {test.proposal:g}, in the middle of the longest fall of the loss.", soft_wrap=True)
    if plot is not None:
        out.print(f"Drew {plot}.", soft_wrap=True)
    if is_written:
        out.print(f"Wrote `{key}` into {config}.", soft_wrap=True)
    out.print("Next:", f"  {next_command}", sep="\n", soft_wrap=True)
