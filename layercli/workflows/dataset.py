"""The examples that a config names: read, divided, held against the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from layercli.check import Valid
from layercli.config.data.section import Data
from layercli.errors import LayercliError, Problem, has_errors
from layercli.graph.checks.consistency import disagreements, one_hot_units
from layercli.graph.inputs import model_inputs
from layercli.workflows.preflight import machine_memory, require_data_trust

if TYPE_CHECKING:
    from layercli.data.examples import Parts
    from layercli.data.statistics import Statistics
    from layercli.data.subset import Source


@dataclass(frozen=True, slots=True)
class Examined:
    """All examples, what one pass over them told, the parts into which they are divided, and what is wrong with them."""

    source: Source
    statistics: Statistics
    parts: Parts | None
    """None where nothing would be left to train on."""
    problems: list[Problem]


def examine(valid: Valid, data: Data, *, trust: bool = False) -> Examined:
    """Read all examples and find everything that is wrong with them.

    Raises:
        LayercliError: they cannot be read, or a function gives them that is not trusted.
    """
    require_data_trust(valid, data, trust=trust)
    from layercli.data.checks import findings, part_findings, type_findings
    from layercli.data.examples import RefusedDataError
    from layercli.data.readers.registry import read
    from layercli.data.statistics import survey

    try:
        source = read(valid.located(data), memory=machine_memory(), integers=_integers(valid))
        facts, statistics = source.facts(), survey(source.surveyed)
    except RefusedDataError as error:
        raise LayercliError(valid.placed(found) for found in error.findings) from None
    found = [*model_inputs(valid.config, facts)[1], *findings(statistics, data, _units(valid))]
    found.extend(type_findings(statistics, {name: x.dtype for name, x in valid.graph.inputs.items()}))
    if data.facts() is None:  # else the check of the config has told it already
        found.extend(disagreements(valid.config, valid.shapes, facts))
    problems = [valid.placed(finding) for finding in found]
    if data.split.counts(len(source))[0] < 1:
        message = f"Of {len(source)} examples none are left to train on."
        hint = "Use smaller parts, such as `split: {validation: 0.1, test: 0.1}`."
        problems.append(valid.problem(("data", "split"), "bad-split", message, hint))
        return Examined(source, statistics, None, problems)
    parts = source.divide(data.split, seed=valid.config.seed, shuffle=data.shuffle)
    if not has_errors(problems):
        problems.extend(valid.placed(finding) for finding in part_findings(parts, data, facts))
    return Examined(source, statistics, parts, problems)


def _units(valid: Valid) -> dict[str | None, int | None]:
    """How many classes each output can tell apart, by its name and, where it is the only one, by None."""
    units: dict[str | None, int | None] = {}
    graph = valid.graph
    for name, pick, title in zip(graph.outputs, graph.output_picks, graph.output_references, strict=True):
        output = valid.shapes.output(name, pick)
        known = output is not None and output.rank == 2 and output.shape[-1] != 1
        units[title] = output.shape[-1] if known and output is not None else None
    return units | ({None: units[title]} if len(units) == 1 else {})


def _integers(valid: Valid) -> dict[str | None, str]:
    """The inputs that the model takes as whole numbers, and their dtypes; None is the name of the only one, too."""
    inputs = valid.graph.inputs
    found: dict[str | None, str] = {
        name: x.dtype for name, x in inputs.items() if x.dtype in ("int32", "int64")
    }
    return found | ({None: next(iter(found.values()))} if found and len(inputs) == 1 else {})


def read_parts(valid: Valid, data: Data, *, trust: bool = False) -> tuple[Parts, list[Problem]]:
    """The examples as the model is fed with them: to train on, to validate on and to test on; and warnings.

    Raises:
        LayercliError: they cannot be read, or do not fit the model: every finding at once.
    """
    from layercli.data.examples import RefusedDataError
    from layercli.data.targets_and_weights import one_hot, weighted

    examined = examine(valid, data, trust=trust)
    if examined.parts is None or has_errors(examined.problems):
        raise LayercliError(examined.problems)
    parts = examined.parts
    if valid.config.train is not None:
        try:
            parts = weighted(parts, valid.config.train.class_weight)
        except RefusedDataError as error:
            raise LayercliError(valid.placed(found) for found in error.findings) from None
    return one_hot(
        parts, one_hot_units(valid.config, valid.shapes, examined.source.facts())
    ), examined.problems
