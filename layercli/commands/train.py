"""``layercli train``: train a config, or resume an interrupted run."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated

import typer

from layercli import runtime
from layercli.check import check_config, require_valid
from layercli.commands.options import JsonOption, SetOption, TrustOption
from layercli.distribution.cluster import count_shared_gpus, join_cluster
from layercli.distribution.process_group import ProcessGroup
from layercli.distribution.run_paths import copy_run, make_scratch_run_path
from layercli.reports.console import is_terminal, make_console, print_json, redirect_stdout_for_json
from layercli.reports.problems import print_problems
from layercli.reports.progress import QuietProgress, SilentProgress, TrainingProgress
from layercli.reports.training import print_training_summary
from layercli.source.load import STDIN
from layercli.workflows.next_commands import list_next_commands
from layercli.workflows.resume import open_for_resume, resume_run
from layercli.workflows.train import run_smoke_test, train_new_run


def command(
    config: Annotated[
        str | None,
        typer.Argument(
            metavar="CONFIG", help="The config file; - reads standard input. Optional with --resume."
        ),
    ] = None,
    run_dir: Annotated[
        str | None,
        typer.Option("--run-dir", metavar="DIR", help="The run directory. Default: runs/<name>/<number>."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="RUN", help="Resume the interrupted run in this directory."),
    ] = None,
    allow_changes: Annotated[
        bool,
        typer.Option(
            "--allow-changes",
            help="Resume even if the config, data or package versions changed.",
        ),
    ] = False,
    smoke: Annotated[
        bool,
        typer.Option("--smoke", help="Train and validate for two steps only, and keep nothing."),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Show only warnings and, at the end, the run directory."),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Also show how steps are executed, and why."),
    ] = False,
    json: JsonOption = False,
    set_: SetOption = None,
    trust: TrustOption = False,
) -> None:
    """Train the model and write a run directory."""
    if resume is None and config is None:
        raise typer.BadParameter("CONFIG or --resume RUN is required.")
    if resume is not None and run_dir is not None:
        raise typer.BadParameter("--run-dir cannot be used with --resume: a resumed run keeps its directory.")
    if smoke and (resume is not None or run_dir is not None):
        option = "--run-dir" if resume is None else "--resume"
        raise typer.BadParameter(f"{option} cannot be used with --smoke: a smoke test keeps no run.")
    out = make_console(error=json)
    resumable = (
        None
        if resume is None
        else open_for_resume(resume, config=config, overrides=set_ or (), allow_changes=allow_changes)
    )
    valid = require_valid(check_config(str(config), set_ or ())) if resumable is None else resumable.valid
    if (gpus := count_shared_gpus(valid)) and config != STDIN:
        raise typer.Exit(ProcessGroup(["train", *sys.argv[2:]], size=gpus, restarts=0).run())
    warnings = join_cluster(valid)
    if resumable is None:
        print_problems(make_console(error=True), valid.check_result.problems)
    print_problems(make_console(error=True), warnings)
    visible_progress = (
        QuietProgress(make_console(error=True))
        if quiet
        else TrainingProgress(out, live=is_terminal(error=json), is_verbose=verbose)
    )
    with redirect_stdout_for_json(json), make_scratch_run_path() as scratch_dir:
        progress = visible_progress if scratch_dir is None else SilentProgress()
        if smoke:
            summary = run_smoke_test(valid, trust=trust, progress=progress, is_interruptible=True)
        elif resumable is None:
            target_dir = run_dir if scratch_dir is None else scratch_dir
            summary = train_new_run(
                valid, run_dir=target_dir, trust=trust, progress=progress, is_interruptible=True
            )
        else:
            resumable = (
                resumable
                if scratch_dir is None
                else replace(resumable, run_dir=copy_run(resumable.run_dir, scratch_dir))
            )
            summary = resume_run(resumable, trust=trust, progress=progress, is_interruptible=True)
    if scratch_dir is not None:
        summary = {"ok": True, "worker": runtime.cluster.rank if runtime.cluster else 0}
    if json:
        print_json({**summary, "problems": summary.get("problems", [])})
    elif quiet and scratch_dir is None and not smoke:
        out.print(summary["run"], soft_wrap=True)
    elif scratch_dir is None and not quiet:
        print_training_summary(out, summary, [] if smoke else list_next_commands(valid, summary))
