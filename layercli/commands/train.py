"""``layercli train``: a config in, a run directory out; ``--resume``: a run that was interrupted goes on."""

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
from layercli.workflows.resume import resume_run
from layercli.workflows.resume_check import open_for_resume
from layercli.workflows.train import train_new_run


def command(
    config: Annotated[
        str | None,
        typer.Argument(
            metavar="[CONFIG]", help="The config file; - reads standard input. A resumed run has its own."
        ),
    ] = None,
    run_dir: Annotated[
        str | None,
        typer.Option(
            "--run-dir", metavar="DIR", help="The run's own directory; without it runs/<name>/<number>."
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume", metavar="RUN", help="Go on with a run that was interrupted, from its directory."
        ),
    ] = None,
    allow_changes: Annotated[
        bool,
        typer.Option(
            "--allow-changes",
            help="Resume although the config, the data or a version is another than it was.",
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="No progress: only warnings, and at the end the run's directory."),
    ] = False,
    json: JsonOption = False,
    set_: SetOption = None,
    trust: TrustOption = False,
) -> None:
    """Train the model on its data; what comes of it is a run directory."""
    if resume is None and config is None:
        raise typer.BadParameter("name a CONFIG to train, or a run to go on with: --resume RUN.")
    if resume is not None and run_dir is not None:
        raise typer.BadParameter("a resumed run stays in its directory; leave --run-dir out.")
    out = make_console(error=json)
    resumable = None if resume is None else open_for_resume(
        resume, config=config, overrides=set_ or (), allow_changes=allow_changes
    )  # fmt: skip
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
        else TrainingProgress(out, live=is_terminal(error=json))
    )
    with redirect_stdout_for_json(json), make_scratch_run_path() as scratch_dir:
        progress = visible_progress if scratch_dir is None else SilentProgress()
        if resumable is None:
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
        print_json(summary)
    elif quiet and scratch_dir is None:
        out.print(summary["run"], soft_wrap=True)
    elif scratch_dir is None:
        print_training_summary(out, summary)
