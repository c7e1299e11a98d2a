"""``layercli train``: train a config, or resume an interrupted run."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic_core import PydanticCustomError

from layercli import runtime
from layercli.check import check_config, require_valid
from layercli.command_line.options import JsonOption, SetOption, TrustOption
from layercli.config.training.seeds import parse_seeds
from layercli.distribution.cluster import count_shared_gpus, join_cluster
from layercli.distribution.process_group import ProcessGroup
from layercli.distribution.run_paths import copy_run, make_scratch_run_path
from layercli.reports.console import is_terminal, make_console, print_json, redirect_stdout_for_json
from layercli.reports.problems import ALL_ADVICE, print_problems
from layercli.reports.seeds import make_seed_progress, print_seed_summary
from layercli.reports.training import print_training_summary
from layercli.reports.training_progress import QuietProgress, SilentProgress, TrainingProgress
from layercli.source.load import STDIN
from layercli.workflows.next_commands import list_next_commands
from layercli.workflows.preflight import require_sections
from layercli.workflows.resume import open_for_resume, resume_run
from layercli.workflows.run_group import GroupRequest
from layercli.workflows.seeds import open_seeds, train_seeds
from layercli.workflows.train import run_smoke_test, train_new_run

if TYPE_CHECKING:
    from rich.console import Console


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
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds",
            metavar="N",
            help="Train once for each of N seeds from that of the config on, or of a list such as 1,2,3. Replaces train.seeds.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, max=256, help="Number of parallel trainings of seeds. Default: 1."),
    ] = None,
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
    """Train the model and write a run directory; with --seeds, one for each seed."""
    if resume is None and config is None:
        raise typer.BadParameter("CONFIG or --resume RUN is required.")
    used = {"--resume": resume, "--run-dir": run_dir, "--seeds": seeds, "--jobs": jobs}
    _check_combination([name for name, value in used.items() if value is not None], smoke=smoke)
    out = make_console(error=json)
    chosen_seeds = None if seeds is None else _parse_seeds(seeds)
    resumable = (
        None
        if resume is None
        else open_for_resume(resume, config=config, overrides=set_ or (), allow_changes=allow_changes)
    )
    valid = require_valid(check_config(str(config), set_ or ())) if resumable is None else resumable.valid
    if resumable is None and chosen_seeds is None and not smoke and valid.config.train is not None:
        chosen_seeds = valid.config.train.seeds
    if chosen_seeds is not None:
        request = GroupRequest(str(config), set_ or (), run_dir, jobs or 1, trust)
        _train_seeds(request, chosen_seeds, out, quiet=quiet, json=json)
        return
    if jobs is not None:
        raise typer.BadParameter("--jobs can be used only with several seeds: one training is one process.")
    if (gpus := count_shared_gpus(valid)) and config != STDIN:
        raise typer.Exit(ProcessGroup(["train", *sys.argv[2:]], size=gpus, restarts=0).run())
    warnings = join_cluster(valid)
    if resumable is None:
        print_problems(make_console(error=True), valid.check_result.problems, advice=ALL_ADVICE)
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
        print_training_summary(
            out,
            summary,
            [] if smoke else list_next_commands(valid, summary),
            has_schedule=require_sections(valid)[1].has_schedule,
        )


def _check_combination(used: Sequence[str], *, smoke: bool) -> None:
    """Check that the options that are used have a meaning together.

    Raises:
        BadParameter: They do not.
    """
    if smoke and used:
        reason = "has one seed" if used[0] in ("--seeds", "--jobs") else "keeps no run"
        raise typer.BadParameter(f"{used[0]} cannot be used with --smoke: a smoke test {reason}.")
    if "--resume" in used and len(used) > 1:
        reason = "keeps its directory" if "--run-dir" in used else "has one seed"
        raise typer.BadParameter(f"{used[1]} cannot be used with --resume: a resumed run {reason}.")


def _parse_seeds(text: str) -> int | list[int]:
    """Return the value of ``--seeds``: a number of seeds, or the seeds of a list.

    Raises:
        BadParameter: It is neither, or a seed is invalid.
    """
    items = text.split(",")
    if not all(re.fullmatch(r"\s*\d{1,10}\s*", item, re.ASCII) for item in items):
        message = f"expected a number of seeds such as 5, or a list such as 1,2,3, got {text!r}."
        raise typer.BadParameter(message, param_hint="--seeds")
    numbers = [int(item) for item in items]
    try:
        return parse_seeds(numbers if len(numbers) > 1 else numbers[0])
    except PydanticCustomError as error:
        message = str((error.context or {})["message"])
        raise typer.BadParameter(message[0].lower() + message[1:], param_hint="--seeds") from None


def _train_seeds(
    request: GroupRequest, seeds: int | list[int], out: Console, *, quiet: bool, json: bool
) -> None:
    """Train all seeds, and print their mean and deviation."""
    if request.file == STDIN:
        raise typer.BadParameter(
            "CONFIG must be a file with several seeds, because several processes read it."
        )
    opened = open_seeds(request, seeds)
    directory = opened.directory
    print_problems(make_console(error=True), opened.valid.check_result.problems, advice=ALL_ADVICE)
    members = [*directory.list_members()]
    done = sum(map(directory.is_finished, members))
    finished_note = f"; {done} are finished" if done else ""
    shown = make_console(error=json)
    shown.quiet = quiet
    shown.print(f"{len(members)} seeds in {directory.path}{finished_note}.", soft_wrap=True)
    progress = make_seed_progress(shown, is_live=is_terminal(error=json) and not quiet, total=len(members))
    summary = train_seeds(opened, progress)
    if json:
        print_json(summary)
    elif quiet:
        out.print(summary["directory"], soft_wrap=True)
    else:
        print_seed_summary(out, summary)
