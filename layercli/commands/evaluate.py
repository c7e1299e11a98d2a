"""``layercli evaluate``: the metrics of a run's model, from the run alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from layercli.commands.options import JsonOption, TrustOption
from layercli.errors import LayercliError
from layercli.graph.checks.consistency import one_hot_units
from layercli.reports.console import console, kept_for_json, print_json
from layercli.reports.formatting import metrics
from layercli.workflows.dataset import read_parts
from layercli.workflows.finished_run import Trained
from layercli.workflows.preflight import require_sections, require_trust

if TYPE_CHECKING:
    from layercli.data.subset import Part

PartName = Literal["train", "validation", "test"]
PARTS = get_args(PartName)


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
        PartName, typer.Option("--part", help="Which part of the run's own data, without --data.")
    ] = "test",
    json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Evaluate a run's model on its test examples, on another part of its data, or on new examples."""
    with kept_for_json(json):
        found = evaluate(run, data=data, part=part, trust=trust)
    if json:
        print_json(found)
        return
    which = "new" if data else part
    console().print(f"{found['examples']:,} {which} examples: {metrics(found['metrics'])}", soft_wrap=True)


def evaluate(
    run: str, *, data: list[str] | None = None, part: PartName = "test", trust: bool = False
) -> dict[str, Any]:
    """The loss and metrics of a run's model over a part of its data, or over all examples at ``data``.

    Raises:
        LayercliError: it is no finished run, its code is not trusted, or the examples do not fit.
    """
    trained = Trained.open(run, trust=trust)
    _, section = require_sections(trained.valid)
    examples = _new(trained, data) if data else _part(trained, part, trust=trust)
    from layercli.data.examples import RefusedDataError
    from layercli.engine.evaluate import evaluate as evaluate_model
    from layercli.engine.load_model import load_model

    model = load_model(trained.model_file, trained.valid)
    try:
        found = evaluate_model(model, trained.valid, section, examples)
    except RefusedDataError as error:  # of data that are read as they are needed
        raise LayercliError(trained.valid.placed(found) for found in error.findings) from None
    return {"ok": True, "run": str(trained.path), "examples": len(examples), "metrics": found, "problems": []}


def _part(trained: Trained, part: PartName, *, trust: bool) -> Part:
    valid = trained.valid
    data, _ = require_sections(valid)
    require_trust(valid, trust=trust, data=data)
    examples: Part = getattr(read_parts(valid, data, trust=trust)[0], part)
    if not len(examples):
        message = f"The run has no {part} examples."
        hint = "Choose another part by --part: " + ", ".join(name for name in PARTS if name != part) + "."
        raise LayercliError(valid.problem(("data", "split"), "bad-split", message, hint))
    return examples


def _new(trained: Trained, paths: list[str]) -> Part:
    """New examples, as the model is fed with them."""
    source = trained.read_new(paths, targets=True)
    from layercli.data.examples import Parts
    from layercli.data.targets_and_weights import one_hot

    units = one_hot_units(trained.valid.config, trained.valid.shapes, source.facts())
    return one_hot(Parts(source, source, source), units).train
