"""``layercli sweep``: a config with values drawn, trained again and again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from layercli.commands.options import JsonOption, SetOption, TrustOption
from layercli.reports.console import is_terminal, make_console, print_json
from layercli.reports.problems import print_problems
from layercli.reports.sweep import SweepProgress, print_sweep_summary
from layercli.sweep.plan import SweepPlan, read_sweep_plan
from layercli.sweep.study import (
    find_owner,
    identify_process,
    make_sweep_directory,
    open_study,
    require_optuna,
    retry_trial,
    tally_trials,
)
from layercli.sweep.worker_pool import WorkerPool, handle_termination
from layercli.workflows.preflight import require_trust

if TYPE_CHECKING:
    import optuna

_POLL_SECONDS = 0.3
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
    plan, warnings = read_sweep_plan(sweep, set_ or ())
    require_trust(plan.base, trust=trust)
    require_optuna(plan)
    out = make_console(error=json)
    print_problems(make_console(error=True), warnings)
    directory = make_sweep_directory(plan, storage)
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
    finished_trials = tally_trials(study.get_trials(deepcopy=False)).finished_count
    finished_note = f"; {finished_trials} are finished" if finished_trials else ""
    out.print(
        f"Sweep {plan.name}: {plan.sweep.trial_count} trials in {directory}{finished_note}.", soft_wrap=True
    )
    progress = SweepProgress(
        out,
        live=is_terminal(error=json),
        metric=plan.sweep.objective.metric,
        maximizes=plan.is_maximizing,
        trial_count=plan.sweep.trial_count,
    )
    group = WorkerPool(
        "layercli.workflows.sweep_worker", task, jobs=min(jobs, plan.sweep.trial_count), directory=directory
    )
    _watch_trials(plan, study, group, progress)
    from layercli.sweep.results import summarize_sweep

    summary = summarize_sweep(plan, study, directory)
    if json:
        print_json(summary)
    else:
        print_sweep_summary(out, summary)


def _watch_trials(plan: SweepPlan, study: optuna.Study, group: WorkerPool, progress: SweepProgress) -> None:
    """Show the trials until the workers have nothing left to do; an interruption ends them and gives up their trials."""
    from layercli.sweep.results import list_trial_rows

    try:
        with handle_termination(), progress, group:
            is_working = True
            while is_working:
                time.sleep(_POLL_SECONDS)
                rows = list_trial_rows(plan, study.get_trials(deepcopy=False))
                progress.show_trials(rows)
                is_working = group.supervise(sum(row["state"] not in ("running", "waiting") for row in rows))
    finally:
        host, _ = identify_process()
        own_workers = {(host, process) for process in group.process_ids}
        for trial in study.get_trials(deepcopy=False):
            if trial.state.name == "RUNNING" and find_owner(trial) in own_workers:
                retry_trial(study, trial, max_retries=None)
    progress.show_trials(list_trial_rows(plan, study.get_trials(deepcopy=False)))
