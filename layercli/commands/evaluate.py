"""``layercli evaluate``: the metrics of a run's model, from the run alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from layercli.commands.options import JsonOption, TrustOption
from layercli.errors import LayercliError
from layercli.graph.checks.consistency import one_hot_units
from layercli.reports.console import make_console, redirect_stdout_for_json, print_json
from layercli.reports.formatting import format_metrics
from layercli.workflows.dataset import load_splits
from layercli.workflows.finished_run import FinishedRun
from layercli.workflows.preflight import require_sections, require_trust

if TYPE_CHECKING:
    from layercli.data.subset import Subset

SplitName = Literal["train", "validation", "test"]
SPLIT_NAMES = get_args(SplitName)


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The directory of a finished run.")],
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="PATH",
            help="New examples with targets, of the kind that the run read; several tables may be named.",
        ),
    ] = None,
    part: Annotated[
        SplitName, typer.Option("--part", help="Which part of the run's own data, without --data.")
    ] = "test",
    json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Evaluate a run's model on its test examples, on another part of its data, or on new examples."""
    with redirect_stdout_for_json(json):
        found = evaluate_run(run, data=data, split=part, trust=trust)
    if json:
        print_json(found)
        return
    which = "new" if data else part
    make_console().print(
        f"{found['examples']:,} {which} examples: {format_metrics(found['metrics'])}", soft_wrap=True
    )


def evaluate_run(
    run: str, *, data: list[str] | None = None, split: SplitName = "test", trust: bool = False
) -> dict[str, Any]:
    """The loss and metrics of a run's model over a part of its data, or over all examples at ``data``.

    Raises:
        LayercliError: it is no finished run, its code is not trusted, or the examples do not fit.
    """
    finished_run = FinishedRun.open(run, trust=trust)
    _, section = require_sections(finished_run.valid)
    examples = (
        _load_new_examples(finished_run, data) if data else _load_split(finished_run, split, trust=trust)
    )
    from layercli.data.examples import DataError
    from layercli.engine.evaluate import evaluate_model
    from layercli.engine.load_model import load_model

    model = load_model(finished_run.model_file, finished_run.valid)
    try:
        metrics_by_name = evaluate_model(model, finished_run.valid, section, examples)
    except DataError as error:  # of data that are read as they are needed
        raise LayercliError(
            finished_run.valid.problem_from_finding(found) for found in error.findings
        ) from None
    return {
        "ok": True,
        "run": str(finished_run.path),
        "examples": len(examples),
        "metrics": metrics_by_name,
        "problems": [],
    }


def _load_split(finished_run: FinishedRun, split: SplitName, *, trust: bool) -> Subset:
    valid = finished_run.valid
    data, _ = require_sections(valid)
    require_trust(valid, trust=trust, data=data)
    examples: Subset = getattr(load_splits(valid, data, trust=trust)[0], split)
    if not len(examples):
        message = f"The run has no {split} examples."
        hint = (
            "Choose another part by --part: " + ", ".join(name for name in SPLIT_NAMES if name != split) + "."
        )
        raise LayercliError(valid.make_problem(("data", "split"), "bad-split", message, hint))
    return examples


def _load_new_examples(finished_run: FinishedRun, paths: list[str]) -> Subset:
    """New examples, as the model is fed with them."""
    source = finished_run.read_new_examples(paths, targets=True)
    from layercli.data.examples import Splits
    from layercli.data.targets_and_weights import encode_one_hot

    units = one_hot_units(finished_run.valid.config, finished_run.valid.shapes, source.facts())
    return encode_one_hot(Splits(source, source, source), units).train
