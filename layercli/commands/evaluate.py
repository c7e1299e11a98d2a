"""``layercli evaluate``: the metrics of a run's model, from the run alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from layercli.commands.examples import read_parts
from layercli.commands.options import JsonOption, TrustOption
from layercli.commands.ready import require_memory, require_sections, require_trust
from layercli.errors import LayercliError
from layercli.reports.console import console, kept_for_json, print_json
from layercli.reports.numbers import metrics
from layercli.runs import directory as runs
from layercli.runs.opening import open_run

if TYPE_CHECKING:
    from layercli.data.part import Part

PartName = Literal["train", "validation", "test"]
PARTS = get_args(PartName)


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The directory of a finished run.")],
    part: Annotated[PartName, typer.Option("--part", help="Which part of the run's data.")] = "test",
    json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Evaluate a run's model on its test examples, or on another part of its data."""
    with kept_for_json(json):
        found = evaluate(run, part=part, trust=trust)
    if json:
        print_json(found)
        return
    console().print(f"{found['examples']:,} {part} examples: {metrics(found['metrics'])}", soft_wrap=True)


def evaluate(run: str, *, part: PartName = "test", trust: bool = False) -> dict[str, Any]:
    """The loss and metrics of a run's model over a part of its data.

    Raises:
        LayercliError: it is no finished run, its code is not trusted, or the examples do not fit.
    """
    path, valid = open_run(run)
    data, section = require_sections(valid)
    require_trust(valid, trust=trust, data=data)
    require_memory(valid, copies=1)
    examples: Part = getattr(read_parts(valid, data)[0], part)
    if not len(examples):
        message = f"The run has no {part} examples."
        hint = "Choose another part by --part: " + ", ".join(name for name in PARTS if name != part) + "."
        raise LayercliError(valid.problem(("data", "split"), "bad-split", message, hint))
    from layercli.engine.evaluating import evaluate as evaluate_model
    from layercli.engine.loading import load_model

    model = load_model(path / runs.MODEL, valid)
    found = evaluate_model(model, valid, section, examples)
    return {"ok": True, "run": str(path), "examples": len(examples), "metrics": found, "problems": []}
