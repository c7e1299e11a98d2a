"""``layercli train``: a config in, a run directory out; ``--resume``: a run that was interrupted goes on."""

from __future__ import annotations

import json as json_module
import sys
import time
from dataclasses import replace
from typing import Annotated, Any

import typer

from layercli import process
from layercli.check import Valid, check, require
from layercli.commands.cluster import copied, gpus_to_share, join, place_of_follower, tell_run
from layercli.commands.members import Members
from layercli.commands.options import JsonOption, SetOption, TrustOption
from layercli.commands.resuming import Begun, reopen, require_same_data
from layercli.commands.training import carry_out, prepare, require_trainable
from layercli.errors import LayercliError, Problem
from layercli.reports.console import console, is_terminal, kept_for_json, print_json
from layercli.reports.problems import print_problems
from layercli.reports.progress import Progress, Quiet, Silent
from layercli.reports.training import print_outcome
from layercli.runs import directory as runs
from layercli.runs import manifest as manifests
from layercli.runs.checkpoints import Checkpoints
from layercli.runs.lock import locked
from layercli.source.load import STDIN


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
        summary = {"ok": True, "worker": process.cluster.rank if process.cluster else 0}
    if json:
        print_json(summary)
    elif quiet and place is None:
        out.print(summary["run"], soft_wrap=True)
    elif place is None:
        print_outcome(out, summary)


def train(
    valid: Valid,
    *,
    run_dir: str | None = None,
    trust: bool = False,
    progress: Silent | None = None,
    interruptible: bool = False,
) -> dict[str, Any]:
    """Train a config and leave a run directory; the summary that is returned stands in it, too.

    With ``interruptible``, Ctrl-C and SIGTERM end it between two steps, with a checkpoint.

    Raises:
        LayercliError: nothing to train on, code that is not trusted, a machine too small, an infinite loss.
    """
    began = time.perf_counter()
    progress = progress or Silent()
    require_trainable(valid, trust=trust)
    run = runs.create(valid.checked.name, run_dir)
    tell_run(run)
    with locked(run):
        progress.say(f"Run {run}: loading TensorFlow and the data.")
        from layercli.data.learned import Learned

        try:
            material = prepare(valid, progress, begins=True, trust=trust)
            runs.write_config(run, valid)
            runs.write_json(run / runs.LEARNED, Learned.of(material.parts).to_json())
        except BaseException:
            runs.discard(run)  # so that the same command works once the mistake is mended
            raise
        from layercli.engine.execution import plan

        execution = plan(valid, material.parts.train)
        manifest = manifests.begun(
            valid,
            counts=material.counts,
            fingerprint=material.parts.fingerprint(),
            execution=execution.as_json(),
        )
        manifests.write_manifest(run, manifest)
        runs.point_latest(run)
        return carry_out(
            run, material, execution, manifest, progress=progress, began=began, interruptible=interruptible
        )


def go_on(
    begun: Begun, *, trust: bool = False, progress: Silent | None = None, interruptible: bool = False
) -> dict[str, Any]:
    """Go on with a run from its last checkpoint, to end as if it had never been interrupted; a finished one says so.

    Raises:
        LayercliError: as ``train``; or the data are others, or another process works on the run.
    """
    began = time.perf_counter()
    progress = progress or Silent()
    run, valid = begun.run, begun.valid
    if begun.finished:
        progress.say(f"Run {run} is finished; `--set train.epochs=N` with more epochs goes on from its end.")
        summary: dict[str, Any] = json_module.loads((run / runs.SUMMARY).read_text(encoding="utf-8"))
        return summary
    require_trainable(valid, trust=trust)
    with locked(run):
        runs.tidy(run)
        checkpoints = Checkpoints(run)
        checkpoints.tidy()
        checkpoint, damaged = checkpoints.latest()
        for told in damaged:
            progress.warn(
                Problem(
                    code="damaged-checkpoint",
                    severity="warning",
                    message=f"The checkpoint {told}; the one before it is used.",
                    file=str(run),
                )
            )
        position = (
            {"epoch": checkpoint.epoch, "step": checkpoint.step} if checkpoint else {"epoch": 0, "step": 0}
        )
        progress.say(f"Run {run}: going on after {position['epoch']} epochs and {position['step']} steps.")
        material = prepare(valid, progress, begins=checkpoint is None, trust=trust)
        require_same_data(begun, material.parts.fingerprint())
        from layercli.engine.execution import Plan, plan
        from layercli.engine.snapshot import UnfitSnapshotError

        kept = begun.manifest["execution"]
        execution = plan(valid, material.parts.train) if begun.replanned else Plan.from_json(kept)
        again = {"command": sys.argv, **position, "versions": manifests.versions()}
        manifest = {
            **begun.manifest,
            "execution": execution.as_json(),
            "resumed": [*begun.manifest.get("resumed", []), again],
        }
        written = (run / runs.CONFIG).read_text(encoding="utf-8")
        if begun.changed:
            manifests.write_manifest(run, manifest, without=runs.CONFIG)  # a kill may come between the two
            runs.write_config(run, valid)
        manifests.write_manifest(run, manifest)
        try:
            return carry_out(
                run, material, execution, manifest, progress=progress, began=began, checkpoint=checkpoint,
                resumed_from=position, interruptible=interruptible,
            )  # fmt: skip
        except UnfitSnapshotError as error:
            runs.write_text(run / runs.CONFIG, written)
            manifests.write_manifest(run, begun.manifest)
            message = f"The checkpoint is of another model: {error}."
            raise LayercliError(valid.problem(("model",), "resume-differs", message)) from None
