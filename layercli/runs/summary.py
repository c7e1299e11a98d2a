"""The file summary.json of a run: what its training ended with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from layercli.io.regular import parse_json
from layercli.runs.directory import SUMMARY
from layercli.runs.manifest import open_verified

_Score: TypeAlias = float | list[float | None] | None
"""The value of a metric, or its values for each class."""


class _Baseline(BaseModel):
    set: str
    predicts: str
    metrics: dict[str, _Score]


class _Summary(BaseModel):
    """The keys of a summary that are printed, as a training writes them; others can have any value."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    epochs: int
    seconds: float
    examples_per_second: float
    parameters: int
    history: dict[str, list[_Score]]
    best: dict[str, str | int | _Score]
    test: dict[str, _Score]
    baseline: _Baseline | None = None
    stop_reason: str | None = None
    restored_epoch: int | None = None
    lora: Any = None
    trainable_parameters: int = 0
    notes: list[str] = []

    @model_validator(mode="after")
    def _check_epochs(self) -> Self:
        epoch, monitor = self.restored_epoch or self.epochs, self.best.get("monitor")
        if not all(1 <= epoch <= len(values) for values in self.history.values()):
            raise ValueError("a metric has no value for the epoch whose weights the model has")
        if self.best and not (
            isinstance(monitor, str)
            and type(self.best.get("epoch")) is int
            and not isinstance(self.best.get(monitor, ""), str)
        ):
            raise ValueError("the best epoch has no number or no monitored value")
        if "lora" in self.model_fields_set and "trainable_parameters" not in self.model_fields_set:
            raise ValueError("the number of trainable parameters is missing")
        return self


def is_printable_summary(document: Any) -> bool:
    """Return whether a value is the summary of a training, with every key that is printed."""
    try:
        _Summary.model_validate(document)
    except ValidationError:
        return False
    return True


_MAX_BYTES: Final = 64 << 20


def read_summary(path: Path) -> Mapping[str, Any]:
    """Return the content of a run's summary; empty if it cannot be read.

    Raises:
        LayercliError: It was modified after training.
    """
    try:
        with open_verified(path, SUMMARY) as file:
            content = file.read(_MAX_BYTES + 1)
        document = parse_json(content) if len(content) <= _MAX_BYTES else None
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def find_guess(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a guess from the training targets predicts, as nested lists by output; empty if it is unknown."""
    baseline = summary.get("baseline")
    constants = baseline.get("constants") if isinstance(baseline, dict) else None
    return constants if isinstance(constants, dict) else {}
