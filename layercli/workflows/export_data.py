"""The examples of a run or config with which an export is compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from layercli.check import ValidConfig
from layercli.errors import LayercliError, Problem, find_first_error
from layercli.workflows.dataset import load_splits
from layercli.workflows.evaluate import SPLIT_NAMES, SplitName

if TYPE_CHECKING:
    from layercli.data.examples import Examples, Splits, Subset
    from layercli.data.types import Array

_MAX_COMPARED_BYTES: Final = 1 << 28
"""The largest examples that are read a second time for the comparison with a script."""
_SCRIPT_SETS: Final = ("train", "val", "test")


def load_splits_or_warning(valid: ValidConfig, *, trust: bool) -> tuple[Splits | None, list[Problem]]:
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
    first = find_first_error(error.problems)
    message = f"Cannot read the data of the run, so the comparison uses random inputs: {first.message}"
    return valid.make_problem(("data",), first.code, message, first.hint, "warning")


def list_set_arrays(splits: Splits) -> dict[str, Array]:
    """Return the arrays of each set, by their names in a script.

    They are empty if they would take too much memory, or are streamed: then their rows are in another order.
    """
    from layercli.data.examples import load_examples
    from layercli.data.tables.streamed import StreamedRows
    from layercli.data.targets_and_weights import encode_one_hot

    arrays: dict[str, Array] = {}
    encoded = encode_one_hot(splits)
    if any(isinstance(subset, StreamedRows) for subset in splits.subsets):
        return {}
    if sum(len(subset) * subset.count_example_bytes() for subset in encoded.subsets) > _MAX_COMPARED_BYTES:
        return {}
    for name, subset in zip(_SCRIPT_SETS, encoded.subsets, strict=True):
        if not len(subset):
            continue
        examples = load_examples(subset)
        for variable, values in (("x", examples.x), ("y", examples.y), ("weights", examples.weights)):
            has_names = isinstance(values, Mapping) and len(values) > 1
            items = values.items() if isinstance(values, Mapping) else [(None, values)]
            arrays |= {
                f"{variable}_{name}" + (f"/{key}" if has_names else ""): array
                for key, array in items
                if array is not None
            }
    return arrays


def count_sets(splits: Splits | None) -> dict[str, int]:
    """Return the number of examples of each set."""
    return {} if splits is None else {name: len(getattr(splits, name)) for name in SPLIT_NAMES}


def take_held_out_examples(splits: Splits) -> Examples:
    """Return examples of the held-out split for the comparison."""
    from layercli.engine.comparison_inputs import COMPARED_EXAMPLES

    return next(choose_held_out_split(splits).batches(COMPARED_EXAMPLES))


def choose_held_out_split(splits: Splits) -> Subset:
    """Return the first nonempty split of test, validation and train."""
    split: Subset = getattr(splits, choose_split_name(splits))
    return split


def choose_split_name(splits: Splits) -> SplitName:
    """Return the name of the first nonempty split of test, validation and train."""
    return "test" if len(splits.test) else "validation" if len(splits.validation) else "train"
