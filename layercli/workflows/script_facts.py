"""What reading the data tells of itself, for a script that reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layercli.check import ValidConfig
from layercli.errors import LayercliError, Problem, has_errors
from layercli.script.facts import DatasetFacts, ScriptFacts, gather_facts
from layercli.workflows.dataset import check_dataset
from layercli.workflows.export import make_unreadable_data_warning

if TYPE_CHECKING:
    from layercli.data.examples import Splits


def collect_script_facts(
    valid: ValidConfig, *, trust: bool = False
) -> tuple[ScriptFacts, Splits | None, list[Problem]]:
    """What the data tells of itself, its parts, and a warning where it cannot be read.

    Raises:
        LayercliError: a function of the user's gives the data, and it is not trusted.
    """
    data = valid.config.data
    if data is None:
        return gather_facts(valid, None), None, []
    from layercli.data.split import BLOCK_ROWS

    try:
        report = check_dataset(valid, data, trust=trust)
        if report.splits is None or has_errors(report.problems):
            raise LayercliError(report.problems)
    except LayercliError as error:
        if error.problems[0].code == "trust-required":
            raise
        return gather_facts(valid, None), None, [make_unreadable_data_warning(valid, error)]
    empty_batch = report.splits.train.empty_batch
    arrays = [array for _, array in empty_batch.inputs]
    dataset_facts = DatasetFacts(
        report.dataset.facts(),
        {name: empty_batch.class_names_of(name) or () for name, _ in empty_batch.targets},
        tuple(str(name) for name, _ in empty_batch.inputs) if len(arrays) > 1 else (),
        has_weights=empty_batch.weights is not None,
        has_float_inputs=any(array.dtype.kind == "f" for array in arrays),
    )
    warnings = []
    if data.shuffle and len(report.dataset) > BLOCK_ROWS:
        message = f"layercli divides {len(report.dataset):,} examples block by block; the script's parts hold other ones."
        hint = "Do not judge trained weights on the script's test part: they have seen some of it."
        warnings.append(valid.make_problem(("data", "split"), "other-parts", message, hint, "warning"))
    return gather_facts(valid, dataset_facts), report.splits, warnings
