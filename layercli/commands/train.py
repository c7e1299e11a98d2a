"""``layercli train``: a config in, a run directory out; ``--resume``: a run that was interrupted goes on."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated

import typer

from layercli import runtime
from layercli.check import check, require
from layercli.commands.options import JsonOption, SetOption, TrustOption
from layercli.distribution.cluster import gpus_to_share, join
from layercli.distribution.process_group import Members
from layercli.distribution.run_paths import copied, place_of_follower
from layercli.reports.console import console, is_terminal, kept_for_json, print_json
from layercli.reports.problems import print_problems
from layercli.reports.progress import Progress, Quiet, Silent
from layercli.reports.training import print_outcome
from layercli.source.load import STDIN
from layercli.workflows.resume import go_on
from layercli.workflows.resume_check import reopen
from layercli.workflows.train import train


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
    out = console(error=json)
    begun = None if resume is None else reopen(
        resume, config=config, overrides=set_ or (), allow_changes=allow_changes
    )  # fmt: skip
    valid = require(check(str(config), set_ or ())) if begun is None else begun.valid
    if (gpus := gpus_to_share(valid)) and config != STDIN:
        raise typer.Exit(Members(["train", *sys.argv[2:]], size=gpus, restarts=0).run())
    warnings = join(valid)
    if begun is None:
        print_problems(console(error=True), valid.checked.problems)
    print_problems(console(error=True), warnings)
    shown = Quiet(console(error=True)) if quiet else Progress(out, live=is_terminal(error=json))
    with kept_for_json(json), place_of_follower() as place:
        progress = shown if place is None else Silent()
        if begun is None:
            place_or_dir = run_dir if place is None else place
            summary = train(valid, run_dir=place_or_dir, trust=trust, progress=progress, interruptible=True)
        else:
            begun = begun if place is None else replace(begun, run=copied(begun.run, place))
            summary = go_on(begun, trust=trust, progress=progress, interruptible=True)
    if place is not None:
        summary = {"ok": True, "worker": runtime.cluster.rank if runtime.cluster else 0}
    if json:
        print_json(summary)
    elif quiet and place is None:
        out.print(summary["run"], soft_wrap=True)
    elif place is None:
        print_outcome(out, summary)
