"""``layercli train``: a config in, a run directory out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layercli.check import Valid, check, require
from layercli.commands.build import save
from layercli.commands.examples import read_parts
from layercli.commands.options import ConfigArgument, JsonOption, SetOption, TrustOption
from layercli.commands.ready import require_memory, require_sections, require_trust
from layercli.commands.transferring import take_weights, told
from layercli.errors import LayercliError, Problem
from layercli.reports.console import console, finite, is_terminal, kept_for_json, print_json
from layercli.reports.problems import print_problems
from layercli.reports.progress import Progress, Quiet, Silent
from layercli.reports.training import print_outcome
from layercli.runs import directory as runs

if TYPE_CHECKING:
    from layercli.config.data import Data
    from layercli.data.arrays import Parts
    from layercli.engine.assemble import Assembled

_COPIES = 4
"""Weights, gradients and an optimizer's two slots are in memory together."""


def command(
    config: ConfigArgument,
    run_dir: Annotated[
        str | None,
        typer.Option(
            "--run-dir", metavar="DIR", help="The run's own directory; without it runs/<name>/<number>."
        ),
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="No progress: only warnings, and at the end the run's directory."),
    ] = False,
    json: JsonOption = False,
    set_: SetOption = None,
    trust: TrustOption = False,
) -> None:
    """Train the model on its data; what comes of it is a run directory."""
    valid = require(check(config, set_ or ()))
    out = console(error=json)
    print_problems(console(error=True), valid.checked.problems)
    with kept_for_json(json):
        progress = Quiet(console(error=True)) if quiet else Progress(out, live=is_terminal(error=json))
        summary = train(valid, run_dir=run_dir, trust=trust, progress=progress)
    if json:
        print_json(summary)
    elif quiet:
        out.print(summary["run"], soft_wrap=True)
    else:
        print_outcome(out, summary)


def train(
    valid: Valid,
    *,
    run_dir: str | None = None,
    trust: bool = False,
    progress: Progress | Silent | None = None,
) -> dict[str, Any]:
    """Train a config and leave a run directory; the summary that is returned stands in it, too.

    Raises:
        LayercliError: nothing to train on, code that is not trusted, a machine too small, an infinite loss.
    """
    began = time.perf_counter()
    progress = progress or Silent()
    data, section = require_sections(valid)
    require_trust(valid, trust=trust, data=data)
    require_memory(valid, copies=_COPIES)
    run = runs.create(valid.checked.name, run_dir)
    progress.say(f"Run {run}: loading TensorFlow and the data.")
    from layercli.data.learned import Learned

    try:
        parts, warnings, assembled = _prepare(valid, data, progress)
        runs.write_config(run, valid)
        runs.write_json(run / runs.LEARNED, Learned.of(parts).to_json())
    except BaseException:
        runs.discard(run)  # so that the same command works once the mistake is mended
        raise
    from layercli.engine.execution import plan
    from layercli.engine.fit import fit

    for warning in warnings:
        progress.warn(warning)
    counts = tuple(len(part) for part in (parts.train, parts.validation, parts.test))
    execution = plan(valid, section, parts.train)
    progress.begin(counts, section)
    progress.say(execution.told)
    with progress:
        fitted = fit(assembled, valid, section, parts, _Recorder(run, progress), run, execution)
    save(assembled.model, run / runs.MODEL)
    summary = {
        "ok": True,
        "run": str(run),
        "epochs": len(fitted.records),
        "history": fitted.history,
        "best": fitted.best,
        "test": fitted.test,
        "seconds": round(time.perf_counter() - began, 3),
        "examples_per_second": round(fitted.examples_per_second, 1),
        "parameters": assembled.model.count_params(),
        "resumed_from": None,
    }
    runs.write_json(run / runs.SUMMARY, finite(summary))
    runs.write_manifest(
        run, valid, counts=counts, fingerprint=parts.fingerprint(), execution=execution.as_json()
    )
    return summary


def _prepare(valid: Valid, data: Data, progress: Silent) -> tuple[Parts, list[Problem], Assembled]:
    """The examples, divided, and a model that can be trained and saved.

    Raises:
        LayercliError: Keras, or a layer of the user's, refuses what the static check let pass.
    """
    from layercli.engine.assemble import assemble, check_savable, misstated

    parts, warnings = read_parts(valid, data)
    assembled = assemble(valid)
    if problems := misstated(assembled, valid):
        raise LayercliError(problems)
    check_savable(assembled, valid)
    transfer = take_weights(assembled, valid)
    for line in told(transfer, valid) if transfer is not None else ():
        progress.say(line)
    return parts, warnings, assembled


class _Recorder:
    """Writes each epoch into the history and passes the news on."""

    def __init__(self, run: Path, progress: Progress | Silent) -> None:
        self._history = run / runs.HISTORY
        self.step = progress.step
        self._show = progress.epoch

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Record and show a finished epoch."""
        runs.append_line(self._history, finite(record))
        self._show(record)
