"""``layercli sweep``: a config with values drawn, trained again and again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from layercli.commands.options import JsonOption, SetOption, TrustOption
from layercli.reports.console import console, is_terminal, print_json
from layercli.reports.problems import print_problems
from layercli.reports.sweep import SweepProgress, print_sweep
from layercli.sweep.plan import Plan, read_plan
from layercli.sweep.study import (
    identity_of_process,
    open_study,
    owner,
    require_optuna,
    sweep_directory,
    tally,
    try_again,
)
from layercli.sweep.worker_pool import Group, terminable
from layercli.workflows.preflight import require_trust

if TYPE_CHECKING:
    import optuna

_LOOK = 0.3
"""Seconds between two looks at the trials."""


def command(
    sweep: Annotated[str, typer.Argument(metavar="SWEEP", help="The sweep file: base, space, objective.")],
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=256, help="Trials at a time on this machine.")] = 1,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="URL",
            envvar="LAYERCLI_STORAGE",
            help="A database that several machines share, such as postgresql://user:password@host/database; "
            "without it a file in the sweep's directory.",
        ),
    ] = None,
    heartbeat: Annotated[
        int,
        typer.Option(min=1, max=3600, help="With --storage: seconds between two signs of life of a trial; "
                                           "after three without one it is tried again."),
    ] = 20,
    json: JsonOption = False,
    set_: SetOption = None,
    trust: TrustOption = False,
) -> None:  # fmt: skip
    """Train a config again and again with values drawn from a space; the best of it is a config that trains by itself."""
    plan, warnings = read_plan(sweep, set_ or ())
    require_trust(plan.base, trust=trust)
    require_optuna(plan)
    out = console(error=json)
    print_problems(console(error=True), warnings)
    directory = sweep_directory(plan, storage)
    study = open_study(plan, directory, storage, heartbeat=heartbeat)
    task = {
        "file": sweep,
        "set": list(set_ or ()),
        "trust": trust,
        "directory": str(directory),
        "storage": storage,
        "heartbeat": heartbeat,
        "deadline": time.time() + plan.sweep.timeout if plan.sweep.timeout else None,
        "command": ["layercli", "sweep", sweep],
    }
    done = tally(study.get_trials(deepcopy=False)).finished
    known = f"; {done} are finished" if done else ""
    out.print(f"Sweep {plan.name}: {plan.sweep.wanted} trials in {directory}{known}.", soft_wrap=True)
    progress = SweepProgress(
        out,
        live=is_terminal(error=json),
        metric=plan.sweep.objective.metric,
        maximizes=plan.maximizes,
        wanted=plan.sweep.wanted,
    )
    group = Group(
        "layercli.workflows.sweep_worker", task, jobs=min(jobs, plan.sweep.wanted), directory=directory
    )
    _watch(plan, study, group, progress)
    from layercli.sweep.results import summarized

    summary = summarized(plan, study, directory)
    if json:
        print_json(summary)
    else:
        print_sweep(out, summary)


def _watch(plan: Plan, study: optuna.Study, group: Group, progress: SweepProgress) -> None:
    """Show the trials until the workers have nothing left to do; an interruption ends them and gives up their trials."""
    from layercli.sweep.results import listed

    try:
        with terminable(), progress, group:
            working = True
            while working:
                time.sleep(_LOOK)
                rows = listed(plan, study.get_trials(deepcopy=False))
                progress.update(rows)
                working = group.watch(sum(row["state"] not in ("running", "waiting") for row in rows))
    finally:
        host, _ = identity_of_process()
        ours = {(host, process) for process in group.all}
        for trial in study.get_trials(deepcopy=False):
            if trial.state.name == "RUNNING" and owner(trial) in ours:
                try_again(study, trial, most=None)
    progress.update(listed(plan, study.get_trials(deepcopy=False)))
