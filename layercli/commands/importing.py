"""A config from a Keras model: read, folded, written, rebuilt and held against the model."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layercli.check import Valid, check, require
from layercli.commands.ready import require_memory, require_trust
from layercli.errors import LayercliError, Problem, has_errors
from layercli.importing.archive import Archive, foreign_modules, read_model
from layercli.importing.calls import Described
from layercli.importing.folding import fold
from layercli.importing.leaves import Leaf, leaves_of, leaves_of_config
from layercli.importing.reading import read_stack
from layercli.importing.training import train_section
from layercli.importing.writing import output_names, write
from layercli.reports.problems import problems_json
from layercli.runs import directory as runs
from layercli.runs.opening import open_run
from layercli.source.nodes import printable

if TYPE_CHECKING:
    from layercli.engine.importing import Proof

_MADE_UP = re.compile(r"(functional|sequential|model)(_\d+)?")
"""Names that Keras gives to models."""


class Imported:
    """A config that was written, and what is known of it."""

    def __init__(
        self,
        config: Path,
        weights: Path | None,
        valid: Valid,
        blocks: int,
        proof: Proof,
        problems: list[Problem],
    ) -> None:
        self.config, self.weights, self.valid, self.blocks = config, weights, valid, blocks
        self.proof, self.problems = proof, problems

    def as_json(self) -> dict[str, Any]:
        """What ``import --json`` prints."""
        return {
            "model": self.valid.checked.name,
            "config": str(self.config),
            "weights": None if self.weights is None else str(self.weights),
            "layers": self.proof.layers,
            "blocks": self.blocks,
            "parameters": self.proof.parameters,
            "shapes_compared": self.proof.shapes,
            "largest_difference": self.proof.difference,
            **problems_json(self.problems),
        }

    def told(self) -> list[str]:
        """The same for a person, line by line."""
        proof = self.proof
        if proof.difference is None:
            outputs = "outputs not compared"
        else:
            outputs = (
                f"outputs within {proof.difference:.1g}" if proof.difference else "outputs equal in every bit"
            )
        count = "1 block" if self.blocks == 1 else f"{self.blocks} blocks"
        blocks = f", with {count}" if self.blocks else ""
        lines = [
            f"Wrote {self.config}: {proof.layers} layers{blocks}.",
            f"Rebuilt and compared: the same layers and wiring, {proof.parameters:,} parameters, {outputs}.",
        ]
        if self.weights is not None:
            lines.append(f"Weights: {self.weights}")
        return lines


def import_model(model: str, config: Path, *, weights: Path | None = None, trust: bool = False) -> Imported:
    """Write a config that rebuilds a model, once the rebuilt one has been found equal.

    Raises:
        LayercliError: the model cannot be read, holds what a config cannot express (all of that), or differs.
    """
    if Path(model).is_dir() and (Path(model) / runs.MANIFEST).exists():
        open_run(model)  # its files are those that the training wrote
    archive = read_model(model)
    if weights is not None and archive.kind == "json":
        message = "This is the JSON of a model, which holds no weights."
        hint = "Import the .keras file, or leave `--weights` out."
        raise LayercliError(Problem(code="no-weights", message=message, hint=hint, file=printable(model)))
    custom = _custom(config.parent, trust=trust)
    stack, problems = read_stack(archive.document, custom)
    if not has_errors(problems) and not trust:
        problems += [_foreign(name) for name in foreign_modules({"config": archive.document["config"]})]
    if has_errors(problems):
        raise LayercliError([_in(archive.path, problem) for problem in problems])
    leaves, outputs = leaves_of(stack)
    blocks = fold(stack)
    names = output_names(stack)
    train, untold = train_section(archive.document.get("compile_config"), stack.output_layers, names)
    given = stack.name if stack.name and not _MADE_UP.fullmatch(stack.name) else config.stem
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", given).strip("-_")[:60] or "model"
    checked = check(str(config), text=write(stack, blocks, name=name, train=train))
    wrong = [problem for problem in checked.problems if problem.severity == "error"]
    if wrong and all(problem.path.startswith("train") for problem in wrong):
        untold += [problem.message for problem in wrong]  # such as an output without a loss
        train = None
        checked = check(str(config), text=write(stack, blocks, name=name))
    problems += [_not_carried(what) for what in untold]
    valid = require(checked)
    again, ends = leaves_of_config(valid)
    if not (len(again) == len(leaves) and all(map(Leaf.same, leaves, again)) and ends == outputs):
        raise AssertionError("the config that was written stands for other layers")
    proof = _proven(archive, valid, leaves, outputs, custom, weights, trust=trust)
    text = write(stack, blocks, name=name, train=train, weights=None if weights is None else weights.name)
    try:
        runs.write_text(config, text)
    except OSError as error:
        raise _unwritten(config, error) from None
    if proof.difference is None:
        problems.append(_not_run(proof.reason))
    told = [_in(archive.path, problem) for problem in problems] + valid.checked.problems
    return Imported(config, weights, valid, len(blocks), proof, told)


def _proven(
    archive: Archive, valid: Valid, leaves: list[Leaf], outputs: Any, custom: Callable[[Described], str | None],
    weights: Path | None, *, trust: bool,
) -> Proof:  # fmt: skip
    require_trust(valid, trust=trust)
    require_memory(valid, copies=2)
    from layercli.engine.assemble import assemble
    from layercli.engine.importing import load_original, move_weights, prove

    assembled = assemble(valid)
    original = load_original(archive, assembled, valid)
    move_weights(original, assembled, valid, leaves, fresh=archive.kind == "json")
    proof = prove(original, assembled, valid, leaves, outputs, custom)
    if weights is not None:
        try:
            with runs.staged(weights) as staging:
                assembled.model.save(staging)
        except OSError as error:
            raise _unwritten(weights, error) from None
    return proof


def _custom(folder: Path, *, trust: bool) -> Callable[[Described], str | None]:
    """How a config names a class that is not Keras's: its file beside the config, or a module that is installed."""

    def named(layer: Described) -> str | None:
        if not trust or not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", layer.module):
            return None
        place = Path(*layer.module.split(".")).with_suffix(".py")
        if (folder / place).is_file():
            return f"{place.as_posix()}:{layer.type}"
        try:
            found = importlib.util.find_spec(layer.module)
        except (ImportError, ValueError):
            found = None
        return None if found is None else f"{layer.module}:{layer.type}"

    return named


def _foreign(name: str) -> Problem:
    message = f"The model names the module {printable(name, limit=60)}, which is no part of Keras."
    return Problem(
        code="custom-class", message=message, hint="If you know its code, allow it with `--trust`."
    )


def _not_carried(what: str) -> Problem:
    message = f"How the model was compiled is not all in the config: {what.rstrip('.')}."
    return Problem(code="not-carried", message=message, hint="Write it under `train`.", severity="warning")


def _not_run(reason: str) -> Problem:
    message = f"The model itself does not run here, so that its outputs were not compared: {reason}"
    hint = "Its layers, wiring, shapes and parameters were; compare outputs on a machine that runs it."
    return Problem(code="not-compared", message=message, hint=hint, severity="warning")


def _in(path: Path, problem: Problem) -> Problem:
    return Problem(code=problem.code, message=problem.message, hint=problem.hint, severity=problem.severity,
                   file=printable(str(path)))  # fmt: skip


def _unwritten(path: Path, error: OSError) -> LayercliError:
    message = f"It cannot be written: {error.strerror or error}."
    return LayercliError(Problem(code="cannot-write", message=message, file=str(path)))
