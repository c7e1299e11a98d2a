"""``layercli build``: the Keras model and its summary."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from layercli import runs
from layercli.check import Valid, check, require
from layercli.commands.options import ConfigArgument, JsonOption, SetOption, TrustOption
from layercli.commands.ready import require_memory, require_trust
from layercli.errors import LayercliError, Problem
from layercli.reports.console import console, print_json
from layercli.reports.layers import print_summary
from layercli.reports.problems import print_problems


def command(
    config: ConfigArgument,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Save the model there, as a .keras file.")
    ] = None,
    json: JsonOption = False,
    set_: SetOption = None,
    trust: TrustOption = False,
) -> None:
    """Build the Keras model and show its summary; save it with --output."""
    target = _target(output)
    valid = require(check(config, set_ or ()))
    model, valid = build(valid, trust=trust)
    if target is not None:
        save(model, target)
    if json:
        print_json({"ok": True, **build_json(valid), "output": output})
        return
    print_problems(console(error=True), valid.checked.problems)
    out = console()
    out.print(f"{valid.checked.name}: {len(valid.graph.nodes)} layers")
    batch_size = valid.config.train.batch_size if valid.config.train else 32
    print_summary(out, valid, batch_size)
    if target is not None:
        out.print(f"Saved to {target}.")


def build(valid: Valid, *, trust: bool = False) -> tuple[Any, Valid]:
    """The Keras model of a config, its weights drawn from the config's seed; and the config with all that is now known.

    Raises:
        LayercliError: the user's code is not trusted, the machine is too small, or Keras refuses a layer.
    """
    require_trust(valid, trust=trust)
    require_memory(valid, copies=1)
    from layercli.engine.assemble import assemble, completed

    assembled = assemble(valid)
    return assembled.model, completed(valid, assembled)


def save(model: Any, target: Path) -> None:
    """Save the model, all of it or nothing.

    Raises:
        LayercliError: it cannot be written there.
    """
    try:
        with runs.staged(target) as staging:
            model.save(staging)
    except OSError as error:
        message = f"The model cannot be written: {error.strerror or error}."
        raise LayercliError(Problem(code="cannot-write", message=message, file=str(target))) from None


def build_json(valid: Valid) -> dict[str, Any]:
    """The counts that ``build --json`` prints."""
    found = valid.shapes
    return {
        "model": valid.checked.name,
        "layers": len(valid.graph.nodes),
        "trainable": found.trainable,
        "non_trainable": found.non_trainable,
        "flops": found.flops,
    }


def _target(output: str | None) -> Path | None:
    if output is None:
        return None
    target = Path(output)
    if target.suffix != ".keras":
        message = f"--output is {output}; Keras saves models as files that end in .keras."
        raise typer.BadParameter(message, param_hint="--output")
    if not target.parent.is_dir():
        raise typer.BadParameter(f"there is no directory {target.parent}.", param_hint="--output")
    return target
