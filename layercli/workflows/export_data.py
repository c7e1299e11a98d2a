"""The examples of a run or config with which an export is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layercli.check import ValidConfig
from layercli.errors import LayercliError, Problem
from layercli.workflows.dataset import load_splits

if TYPE_CHECKING:
    from layercli.data.examples import Examples, Splits, Subset


def load_run_splits(valid: ValidConfig, *, trust: bool) -> tuple[Splits | None, list[Problem]]:
    """Return the examples of the run, or None and a warning if they cannot be read."""
    data = valid.config.data
    if data is None:
        return None, []
    try:
        return load_splits(valid, data, trust=trust)[0], []
    except LayercliError as error:
        return None, [make_unreadable_data_warning(valid, error)]


def make_unreadable_data_warning(valid: ValidConfig, error: LayercliError) -> Problem:
    """Return the warning that the data cannot be read."""
    first = error.problems[0]
    message = f"Cannot read the data of the run, so the comparison uses random inputs: {first.message}"
    return valid.make_problem(("data",), first.code, message, first.hint, "warning")


def take_held_out_examples(splits: Splits) -> Examples:
    """Return examples of the held-out split for the comparison."""
    from layercli.engine.comparison_inputs import COMPARED_EXAMPLES

    return next(choose_held_out_split(splits).batches(COMPARED_EXAMPLES))


def choose_held_out_split(splits: Splits) -> Subset:
    """Return the first nonempty split of test, validation and train."""
    return splits.test if len(splits.test) else splits.validation if len(splits.validation) else splits.train
