"""``layercli crossval``: train a config once for each fold of its data."""

from __future__ import annotations

from typing import Annotated

import typer

from layercli.command_line.options import JsonOption, SetOption, TrustOption
from layercli.reports.console import is_terminal, make_console, print_json
from layercli.reports.crossval import make_fold_progress, print_crossval_summary, print_next_commands
from layercli.reports.problems import ALL_ADVICE, print_problems
from layercli.source.load import STDIN
from layercli.workflows.crossval import CrossvalRequest, open_crossval, run_crossval
from layercli.workflows.ensemble import write_ensemble


def command(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="The config file.")],
    folds: Annotated[
        int, typer.Option("--folds", min=2, max=10_000, metavar="K", help="Number of folds.")
    ] = 5,
    repeats: Annotated[
        int,
        typer.Option(
            "--repeats", min=1, max=10_000, metavar="N", help="Number of different divisions into folds."
        ),
    ] = 1,
    run_dir: Annotated[
        str | None,
        typer.Option(
            "--run-dir", metavar="DIR", help="The directory of the runs. Default: runs/<name>-crossval."
        ),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=256, help="Number of parallel trainings.")] = 1,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Also average the models in one, in the folder `ensemble`.")
    ] = False,
    json: JsonOption = False,
    set_: SetOption = None,
    trust: TrustOption = False,
) -> None:
    """Train once for each fold, test on the fold, and combine the results."""
    if config == STDIN:
        raise typer.BadParameter("CONFIG must be a file, because several processes read it.")
    request = CrossvalRequest(
        config, set_ or (), run_dir, jobs, trust, folds=folds, repeats=repeats, ensemble=ensemble
    )
    crossval = open_crossval(request)
    print_problems(make_console(error=True), crossval.valid.check_result.problems, advice=ALL_ADVICE)
    out = make_console(error=json)
    total = folds * repeats
    done = sum(map(crossval.directory.is_finished, crossval.directory.list_members()))
    finished_note = f"; {done} are finished" if done else ""
    out.print(
        f"Cross-validation: {total} trainings in {crossval.directory.path}{finished_note}.", soft_wrap=True
    )
    progress = make_fold_progress(out, is_live=is_terminal(error=json), total=total, repeats=repeats)
    summary = run_crossval(crossval, progress)
    if not json:
        print_crossval_summary(out, summary)
    if ensemble:
        path, warnings = write_ensemble(crossval.directory, summary, trust=trust)
        summary |= {"ensemble": str(path)}
        summary["problems"] += [warning.as_json() for warning in warnings]
        print_problems(make_console(error=True), warnings)
    if json:
        print_json(summary)
    else:
        print_next_commands(out, summary)
