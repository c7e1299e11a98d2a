"""The examples that a config names: read, held against the model, divided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layercli.check import Valid
from layercli.commands.ready import machine_memory
from layercli.config.data import Data
from layercli.errors import LayercliError, has_errors
from layercli.graph.agreement import disagreements
from layercli.graph.inputs import model_inputs

if TYPE_CHECKING:
    from layercli.data.arrays import Parts


def read_parts(valid: Valid, data: Data) -> Parts:
    """The examples to train on, to validate on and to test on.

    Raises:
        LayercliError: they cannot be read, or do not fit the model: every finding at once.
    """
    from layercli.data.arrays import RefusedDataError, divide
    from layercli.data.contract import filled, findings
    from layercli.data.readers import read

    try:
        examples = read(data.located(valid.checked.directory_of(("data", "path"))), memory=machine_memory())
    except RefusedDataError as error:
        raise LayercliError(valid.placed(found) for found in error.findings) from None
    facts = examples.facts()
    output = valid.shapes.output(valid.graph.outputs[0], valid.graph.output_picks[0])
    units = output.shape[-1] if output is not None and output.rank == 2 and output.shape[-1] != 1 else None
    problems = [
        valid.placed(found)
        for found in (
            *model_inputs(valid.config, facts)[1],
            *findings(examples, data, units),
            *(disagreements(valid.config, valid.shapes, facts) if data.facts() is None else ()),
        )
    ]
    train, _, _ = data.split.counts(len(examples))
    if train < 1:
        problems.append(
            valid.problem(("data", "split"), "bad-split", f"Of {len(examples)} examples none are left to train on.",
                          "Use smaller parts, such as `split: {validation: 0.1, test: 0.1}`.")
        )  # fmt: skip
    if has_errors(problems):
        raise LayercliError(problems)
    return filled(divide(examples, data.split, seed=valid.config.seed, shuffle=data.shuffle), data)
