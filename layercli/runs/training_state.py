"""The part of a checkpoint's state that is read before the model exists, checked because the file may be from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from layercli.io.regular import has_valid_characters
from layercli.source.scalars import is_number

_MAX_NUMBER: Final = 1e308
_MAX_SECONDS: Final = 1e12
_MAX_STEPS: Final = 1 << 53


def check_training_state(state: Mapping[str, Any], epoch: int) -> None:
    """Check the records, times and counts in the state of a checkpoint after ``epoch`` epochs.

    Raises:
        ValueError: a value is missing, or is not of the kind that a training writes.
    """
    watch = state.get("watch")
    is_valid = (
        type(state.get("epochs")) is int
        and type(state.get("stopped")) is bool
        and _is_duration(state.get("elapsed"))
        and isinstance(watch, dict)
        and all(_is_duration(watch.get(key)) for key in ("seconds", "before"))
    )
    if not is_valid:
        raise ValueError("its counts and times are malformed")
    until = state.get("until")
    if until is not None and not _is_limit_state(until):
        raise ValueError("its state of `until` is malformed")
    stages = state.get("stages")
    if stages is not None and not _is_stage_state(stages, epoch):
        raise ValueError("its state of `stages` is malformed")
    records = state.get("records")
    if not isinstance(records, list) or len(records) != epoch or not all(map(_is_record, records)):
        raise ValueError("its records of epochs are malformed")
    layers = state.get("layers", [])
    if not isinstance(layers, list) or not all(map(_is_layer_state, layers)):
        raise ValueError("its state of the layers is malformed")


def _is_layer_state(state: Any) -> bool:
    """Return whether a value is what a layer learned from the data; as a vocabulary, Keras would take a file name."""
    if not isinstance(state, dict):
        return False
    if "vocabulary" in state:
        words, weights = state["vocabulary"], state.get("idf_weights")
        return (
            isinstance(words, list)
            and all(type(word) in (str, int) for word in words)
            and (weights is None or (isinstance(weights, list) and _are_numbers(weights)))
        )
    values = state.get("bin_boundaries", state.get("variables"))
    return isinstance(values, list) and _are_numbers(values)


def _are_numbers(value: Any) -> bool:
    """Return whether a value is a number, or a list of numbers or such lists."""
    return all(map(_are_numbers, value)) if isinstance(value, list) else is_number(value)


def _is_limit_state(state: Any) -> bool:
    """Return whether a value is what a training records of `train.until`."""
    return (
        isinstance(state, dict)
        and _is_duration(state.get("seconds"))
        and type(state.get("steps")) is int
        and 0 <= state["steps"] <= _MAX_STEPS
        and type(state.get("is_reached")) is bool
    )


def _is_stage_state(state: Any, epoch: int) -> bool:
    """Return whether a value is what a training records of its stages after ``epoch`` epochs."""
    if not isinstance(state, dict) or type(state.get("has_ended")) is not bool:
        return False
    starts: Any = state.get("starts")
    epochs: Any = state.get("epochs")
    return (
        _are_counts(starts)
        and _are_counts(epochs)
        and 0 < len(starts) <= len(epochs)
        and starts[0] == 0
        and starts == sorted(starts)
        and starts[-1] <= epoch
    )


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(each) is int and 0 <= each <= _MAX_STEPS for each in value)


def _is_record(record: Any) -> bool:
    """Return whether a value is what a training records of an epoch: numbers, or lists of numbers, by name."""
    return (
        isinstance(record, dict)
        and type(record.get("epoch")) is int
        and _is_duration(record.get("seconds"))
        and all(has_valid_characters(name) and _is_metric(value) for name, value in record.items())
    )


def _is_metric(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(is_number(each) and (isinstance(each, float) or abs(each) <= _MAX_NUMBER) for each in values)


def _is_duration(value: Any) -> bool:
    return is_number(value) and 0 <= value <= _MAX_SECONDS
