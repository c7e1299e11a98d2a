"""The targets of examples as columns, next to which predictions are written."""

from __future__ import annotations

from collections.abc import Collection

from layercli.data.examples import Examples
from layercli.data.labels import to_class_values
from layercli.data.reader_state import ReaderState
from layercli.data.types import Array


def list_target_columns(
    examples: Examples, state: ReaderState, number_targets: Collection[str | None] = ()
) -> dict[str, Array]:
    """Return the targets by column: the classes as the data has them, or numbers.

    Args:
        examples: The examples.
        state: What training knew about the targets.
        number_targets: Targets whose classes are numbers in the data.
    """
    columns: dict[str, Array] = {}
    for name, array in examples.targets:
        names, values = state.class_names_of(name) or examples.class_names_of(name), array
        if state.target_kinds.get(name) == "one-hot" and array.dtype.kind == "f":
            values = array.argmax(axis=-1)
            has_names = names is not None and array.shape[-1] == len(names)
            names = names if has_names else None
        if names is not None and values.dtype.kind in "iu":
            values = to_class_values(names, are_numbers=name in number_targets)[values]
        title = "target" if name is None else f"{name}_target"
        units = examples.target_columns.get(name, ())
        if values.ndim > 1 and len(units) == values.shape[-1] > 1:
            columns |= {f"{title}_{unit}": values[..., index] for index, unit in enumerate(units)}
        else:
            columns[title] = values
    return columns
