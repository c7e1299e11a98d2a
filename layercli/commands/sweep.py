"""``layercli sweep``: train a config repeatedly with sampled values."""

from __future__ import annotations

from typing import Annotated

import typer

from layercli.command_line.options import JsonOption, SetOption, TrustOption
from layercli.reports.console import is_terminal, make_console, print_json
from layercli.reports.formatting import count_noun
from layercli.reports.problems import print_problems, problems_json
from layercli.reports.sweep import SweepProgress, print_sweep_summary
from layercli.sweep.plan import read_sweep_plan
from layercli.sweep.study import require_optuna
from layercli.workflows.preflight import require_trust
from layercli.workflows.sweep import find_early_end, open_sweep, run_sweep


def command(
    sweep: Annotated[
        str, typer.Argument(metavar="SWEEP", help="The sweep file with base, space and objective.")
    ],
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, max=256, help="Number of parallel trials on this machine.")
    ] = 1,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="URL",
            envvar="LAYERCLI_STORAGE",
            help="A database that several machines share, such as postgresql://user:password@host/database. "
            "Default: a file in the directory of the sweep.",
        ),
    ] = None,
    heartbeat: Annotated[
        int,
        typer.Option(
            min=1,
            max=3600,
            help="With --storage: seconds between two heartbeats of a trial. A trial that misses three is retried.",
        ),
    ] = 20,
    json: JsonOption = False,
    set_: SetOption = None,
    trust: TrustOption = False,
) -> None:
    """Train a config repeatedly with values from a search space, and write the best config."""
    plan, warnings = read_sweep_plan(sweep, set_ or ())
    require_trust(plan.base, trust=trust)
    require_optuna(plan)
    out = make_console(error=json)
    print_problems(make_console(error=True), warnings)
    open_sweep_run = open_sweep(plan, sweep, set_ or (), storage=storage, heartbeat=heartbeat, trust=trust)
    finished_note = f"; {open_sweep_run.finished_count} are finished" if open_sweep_run.finished_count else ""
    count = count_noun(plan.sweep.trial_count, "trial")
    title = f"{plan.title}: {count} in {open_sweep_run.directory}{finished_note}."
    out.print(title, soft_wrap=True)
    progress = SweepProgress(
        out,
        is_live=is_terminal(error=json),
        metrics=[objective.metric for objective in plan.objectives],
        maximize=[objective.is_maximizing for objective in plan.objectives],
        trial_count=plan.sweep.trial_count,
    )
    summary = run_sweep(open_sweep_run, progress, jobs=jobs)
    early_end = find_early_end(open_sweep_run)
    if early_end is not None:
        print_problems(make_console(error=True), [early_end])
        warnings = [*warnings, early_end]
    if json:
        print_json({**summary, **problems_json(warnings)})
    else:
        print_sweep_summary(out, summary)
