"""Check of the trials in a storage, which may be from elsewhere, before anything is computed with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from layercli.source.scalars import is_number
from layercli.sweep.model_limits import SIZE_NOUNS
from layercli.sweep.trials import (
    EPOCH_KEY,
    EPOCHS_KEY,
    EXCEEDED,
    LOSS_KEY,
    PROBLEM_KEY,
    RUN_KEY,
    SIZES_KEY,
    WORKER_KEY,
)

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


class StoredValueError(ValueError):
    """A value in a storage that no sweep writes, or too many."""


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_count(value: Any) -> bool:
    return value is None or (type(value) is int and abs(value) < 1 << 63)


def _is_optional_number(value: Any) -> bool:
    return value is None or is_number(value)


def _is_worker(value: Any) -> bool:
    """Return whether a value is a host, a process and the number of a trial."""
    return (
        isinstance(value, list)
        and len(value) == 3
        and isinstance(value[0], str)
        and all(type(each) is int for each in value[1:])
    )


def _are_sizes(value: Any) -> bool:
    """Return whether a value has the sizes of a model, and the limits that it exceeds."""
    if not isinstance(value, dict) or not isinstance(value.get(EXCEEDED, []), list):
        return False
    are_numbers = all(_is_optional_number(size) for key, size in value.items() if key != EXCEEDED)
    return are_numbers and all(map(_is_exceeded, value.get(EXCEEDED, [])))


def _is_exceeded(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"limit", "value", "maximum"}
        and isinstance(value["limit"], str)
        and value["limit"] in SIZE_NOUNS
        and is_number(value["value"])
        and is_number(value["maximum"])
    )


def _are_numbers_of_trials(value: Any) -> bool:
    return isinstance(value, list) and all(type(each) is int for each in value)


_USER_ATTRIBUTES: Final[Mapping[str, Callable[[Any], bool]]] = {
    WORKER_KEY: _is_worker,
    RUN_KEY: _is_text,
    PROBLEM_KEY: _is_text,
    EPOCH_KEY: _is_count,
    EPOCHS_KEY: _is_count,
    LOSS_KEY: _is_optional_number,
    SIZES_KEY: _are_sizes,
}
_SYSTEM_ATTRIBUTES: Final[Mapping[str, Callable[[Any], bool]]] = {"retry_history": _are_numbers_of_trials}


def require_valid_trials(trials: Iterable[FrozenTrial], objective_count: int) -> None:
    """Check the values and attributes that a sweep reads of its trials.

    Raises:
        StoredValueError: One has a type that no sweep writes.
    """
    for number, trial in enumerate(trials):
        if trial.number != number:
            raise StoredValueError(f"its trial {number} has the number {trial.number}.")
        for attributes, kinds in (
            (trial.user_attrs, _USER_ATTRIBUTES),
            (trial.system_attrs, _SYSTEM_ATTRIBUTES),
        ):
            for name, is_valid in kinds.items():
                if name in attributes and not is_valid(attributes[name]):
                    raise StoredValueError(f"its trial {number} has an invalid value of `{name}`.")
        values = trial.values or []
        if trial.state.name == "COMPLETE" and len(values) != objective_count:
            raise StoredValueError(f"its trial {number} must have a value for each objective.")
        if not all(map(is_number, (*values, *trial.intermediate_values.values()))):
            raise StoredValueError(f"its trial {number} has a value that is not a number.")
        if not all(type(epoch) is int for epoch in trial.intermediate_values):
            raise StoredValueError(f"its trial {number} has an epoch that is not an integer.")
        times = (trial.datetime_start, trial.datetime_complete)
        if any(time is not None and time.tzinfo is not None for time in times):
            raise StoredValueError(f"its trial {number} has a time with a time zone.")
