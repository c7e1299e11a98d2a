"""Check columns that have one value in all examples, or in all training examples but not in the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from layercli.config.data.section import DataConfig
from layercli.config.data.tables import TableConfig
from layercli.data.checks import list_names_briefly
from layercli.data.examples import Splits, iterate_batches
from layercli.data.statistics import ArrayStatistics, Statistics
from layercli.data.types import Array
from layercli.graph.finding import Finding
from layercli.source.nodes import quote_value, sanitize_text

_MAX_HINT_COLUMNS: Final = 8
_SUMMED_ROWS: Final = 1 << 14
_MAX_DEVIATIONS: Final = 1000
"""Distance from the mean, in standard deviations, that even rare values do not have."""
_KERAS_EPSILON: Final = 1e-7
"""The smallest standard deviation by which Normalization divides."""


def check_constant_columns(
    statistics: Statistics, data: DataConfig, *, model_inputs: Sequence[str], is_normalized: bool
) -> Iterator[Finding]:
    """Warn about named columns, and targets, with the same value in every example.

    ``is_normalized`` is true if a Normalization layer learns the mean and the variance of the columns.
    """
    for name, values in statistics.inputs.items():
        if not values.columns or values.row_count < 2:
            continue
        is_constant = ~_find_varying_columns(values) & (values.missing_counts + values.infinite_counts == 0)
        columns = np.flatnonzero(is_constant).tolist()
        if not columns:
            continue
        verb, pronoun = ("are", "them") if len(columns) > 1 else ("is", "it")
        hint = f"Leave {pronoun} out with `inputs`, or keep {pronoun}; this is harmless."
        reason = f", so nothing can be learned from {pronoun}"
        if is_normalized and values.dtype != "text":
            reason += (
                f". Normalization divides {pronoun} by almost zero, so any other value later becomes huge"
            )
            hint = _suggest_removal(values, name, columns, data, model_inputs)
        yield Finding(
            code="constant-column",
            message=f"{_list_columns(values, columns)} {verb} the same in every example{reason}.",
            path=("data",) if name is None else ("data", "inputs", name),
            hint=hint,
            severity="warning",
        )
    for name, values in statistics.targets.items():
        constants = np.flatnonzero(values.minima == values.maxima).tolist()
        is_constant = len(constants) == len(values.minima)
        if values.row_count > 1 and constants and (is_constant or values.columns):
            title = f"The target `{sanitize_text(name, limit=40)}`" if name else "The target"
            if values.columns:
                title = f"The target {_list_columns(values, constants)}"
            yield Finding(
                code="constant-column",
                message=f"{title} is the same in every example, so there is nothing to learn.",
                path=("data", "target") if name is None else ("data", "target", name),
                hint="Check that `data` names the right target, and that the data is complete.",
                severity="warning",
            )


def check_training_columns(
    splits: Splits,
    statistics: Statistics,
    data: DataConfig,
    *,
    model_inputs: Sequence[str],
    is_normalized: bool,
) -> Iterator[Finding]:
    """Warn about columns with the same value in every training example, and other values in other examples.

    Columns without names, such as pixels, are reported only if ``is_normalized``: their other values are then huge.
    """
    checked = {
        name: values
        for name, values in statistics.inputs.items()
        if values.columns or (is_normalized and len(values.shape) == 1)
    }
    if len(splits.train) < 2:
        return

    def make_finding(name: str | None, columns: list[int], description: str) -> Finding:
        values = checked[name]
        pronoun = "them" if len(columns) > 1 else "it"
        reason = f"nothing can be learned from {pronoun}"
        if is_normalized and values.dtype != "text":
            reason = f"Normalization divides {pronoun} by almost zero, and the other values become huge"
        hint = _suggest_removal(values, name, columns, data, model_inputs)
        if not data.shuffle and not (isinstance(data, TableConfig) and data.windows):
            hint = f"{hint.removesuffix('.')}; or split the examples at random: `shuffle: true`."
        return Finding(
            code="constant-in-training",
            message=f"{description} in every training example, but not in all others: {reason}.",
            path=("data",) if name is None else ("data", "inputs", name),
            hint=hint,
            severity="warning",
        )

    constant_values = _find_training_constants(splits, checked)
    for name, constants in constant_values.items():
        if constants:
            yield make_finding(name, list(constants), _describe_constants(checked[name], constants))
    for name, columns in _find_nearly_constant(splits, checked).items() if is_normalized else ():
        others = [column for column in columns if column not in constant_values.get(name, {})]
        if others:
            verb = "have almost one value each" if len(others) > 1 else "is almost the same"
            yield make_finding(name, others, f"{_list_columns(checked[name], others)} {verb}")


def _find_nearly_constant(
    splits: Splits, checked: Mapping[str | None, ArrayStatistics]
) -> dict[str | None, list[int]]:
    """Return each column with a value elsewhere that is very many standard deviations from the mean in training."""
    totals: dict[str | None, Array] = {}
    starts: dict[str | None, Array] = {}
    count = 0
    for batch in iterate_batches(splits.train):
        count += len(batch)
        for name, array in batch.inputs:
            if name in checked and array.size and array.dtype.kind in "iuf":
                values = array.reshape(-1, array.shape[-1])
                start = starts.setdefault(name, values[0].astype(np.float64))
                for first in range(0, len(values), _SUMMED_ROWS):
                    # The difference keeps the digits of a small deviation.
                    offset = values[first : first + _SUMMED_ROWS] - start
                    rows = np.full(offset.shape[1], len(offset))
                    totals[name] = totals.get(name, 0) + np.stack([rows, offset.sum(0), (offset**2).sum(0)])
    limit = max(_MAX_DEVIATIONS, 2 * np.sqrt(count))  # no training example can be so far from the mean
    found = {}
    for name, (rows, total, squares) in totals.items():
        mean = total / rows
        deviation = np.sqrt(np.maximum(squares / rows - mean**2, 0))
        low, high = checked[name].minima - starts[name], checked[name].maxima - starts[name]
        farthest = np.maximum(np.abs(low - mean), np.abs(high - mean))
        is_huge = np.isfinite(farthest) & (farthest > limit * np.maximum(deviation, _KERAS_EPSILON))
        found[name] = np.flatnonzero(is_huge).tolist()
    return found


def _find_varying_columns(values: ArrayStatistics) -> Array:
    """Return whether each column has several values: bool of shape (columns,)."""
    if values.dtype == "text":
        return np.array(
            [len(values.distinct_values.get(index, "  ")) != 1 for index in range(len(values.minima))]
        )
    return np.asarray(values.minima < values.maxima)


def _find_training_constants(
    splits: Splits, checked: Mapping[str | None, ArrayStatistics]
) -> dict[str | None, dict[int, Any]]:
    """Return each varying column that is constant in training, with its value; stop reading when none is left."""
    candidates = {name: np.flatnonzero(_find_varying_columns(values)) for name, values in checked.items()}
    first_rows: dict[str | None, Array] = {}
    for batch in iterate_batches(splits.train):
        for name, array in batch.inputs:
            if name not in candidates or not array.size:
                continue
            flat = array.reshape(-1, array.shape[-1])
            first_row = first_rows.setdefault(name, flat[0])
            columns = candidates[name]
            candidates[name] = columns[(flat[:, columns] == first_row[columns]).all(axis=0)]
        if not any(map(len, candidates.values())):
            break
    return {
        name: {int(column): first_rows[name][column] for column in columns}
        for name, columns in candidates.items()
        if name in first_rows
    }


def _describe_constants(values: ArrayStatistics, constants: Mapping[int, Any]) -> str:
    """Return ``\\`year\\` is 2013``, or the names of several columns."""
    names = _list_columns(values, list(constants))
    if len(constants) > 1:
        return f"{names} have one value each"
    (value,) = constants.values()
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and plain.is_integer():
        plain = int(plain)
    return f"{names} is {quote_value(plain)}"


def _list_columns(values: ArrayStatistics, columns: Sequence[int]) -> str:
    if values.columns:
        return list_names_briefly([values.columns[column] for column in columns])
    numbers = ", ".join(map(str, columns[:_MAX_HINT_COLUMNS]))
    more = f" and {len(columns) - _MAX_HINT_COLUMNS} more" if len(columns) > _MAX_HINT_COLUMNS else ""
    return f"Column{'s' * (len(columns) > 1)} {numbers}{more} of the input"


def _suggest_removal(
    values: ArrayStatistics,
    name: str | None,
    columns: Sequence[int],
    data: DataConfig,
    model_inputs: Sequence[str],
) -> str:
    """Return a hint: the config's keys without these columns."""
    pronoun = "them" if len(columns) > 1 else "it"
    kept = [column for index, column in enumerate(values.columns) if index not in columns]
    if not isinstance(data, TableConfig):
        return f"Remove {pronoun} from the data."
    key = name or (model_inputs[0] if len(model_inputs) == 1 else "input")
    if not kept:
        return f"Remove the input `{key}` from `data` and `model`."
    size_key = "model.input" if list(model_inputs) == ["input"] else f"model.inputs.{key}"
    size = f"reduce `{size_key}` to {len(kept)} column{'s' * (len(kept) > 1)}"
    if len(kept) > _MAX_HINT_COLUMNS:
        return f"Leave {pronoun} out: list the other columns in `data.inputs.{key}`, and {size}."
    listed = ", ".join(sanitize_text(column, limit=40) for column in kept)
    return f"Leave {pronoun} out: write `inputs: {{{key}: [{listed}]}}` in `data`, and {size}."
