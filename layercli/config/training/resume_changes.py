"""Changes of the ``train`` section on resume: which state is kept, and which is reset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

_METRIC_KEYS = ("loss", "loss_weights", "metrics", "weighted_metrics")


@dataclass(frozen=True, slots=True)
class ResumeChanges:
    """Differences of two ``train`` sections that affect the state of a training."""

    learning_rate: Any = None
    """The new learning rate or schedule; None keeps the current learning rate."""
    optimizer: str | None = None
    """The type of a new optimizer, whose state is reset."""
    has_new_metrics: bool = False
    """Whether losses or metrics changed, so that the metrics of the current epoch are reset."""
    batch_sizes: tuple[int, int] = (1, 1)
    """The old and the new batch size."""
    callback_sources: tuple[tuple[str, int | None], ...] = ()
    """The type of each callback and the index of the old callback whose state it inherits; None resets it."""

    @classmethod
    def from_sections(cls, before: Mapping[str, Any], after: Mapping[str, Any]) -> Self:
        """Return the differences of two sections with all defaults."""
        old_optimizer, new_optimizer = before["optimizer"], after["optimizer"]
        is_new_optimizer = old_optimizer["type"] != new_optimizer["type"]
        same_rate = old_optimizer.get("learning_rate") == new_optimizer.get("learning_rate")
        return cls(
            learning_rate=None if same_rate and not is_new_optimizer else new_optimizer.get("learning_rate"),
            optimizer=new_optimizer["type"] if is_new_optimizer else None,
            has_new_metrics=any(before[key] != after[key] for key in _METRIC_KEYS),
            batch_sizes=(before["batch_size"], after["batch_size"]),
            callback_sources=tuple(_match_callbacks(before["callbacks"], after["callbacks"])),
        )

    def map_step(self, step: int) -> int:
        """Return the number of new steps that cover the examples of ``step`` old steps."""
        old_size, new_size = self.batch_sizes
        return step * old_size // new_size

    @property
    def summary(self) -> str:
        """Return a one-line summary."""
        kept = ["weights", "random numbers", *([] if self.optimizer else ["the optimizer's state"])]
        reset = [f"the optimizer {self.optimizer}"] if self.optimizer else []
        if self.learning_rate is not None:
            rate = self.learning_rate
            reset.append(f"the learning rate {rate['type'] if isinstance(rate, Mapping) else f'{rate:g}'}")
        elif not self.optimizer:
            kept.append("the learning rate")
        for name, source in self.callback_sources:
            (reset if source is None else kept).append(name)
        if self.has_new_metrics:
            reset.append("metrics of the current epoch")
        return f"Kept: {', '.join(kept)}." + (f" Reset: {', '.join(reset)}." if reset else "")


def select_stage(section: Mapping[str, Any], stage: int) -> dict[str, Any]:
    """Return a section with the optimizer and the callbacks of a stage, counted from 0, as those of the training."""
    stages = section.get("stages") or [{"optimizer": None, "callbacks": []}]
    optimizers = [section["optimizer"], *(each["optimizer"] for each in stages[: stage + 1])]
    return {
        **section,
        "optimizer": next(each for each in reversed(optimizers) if each is not None),
        "callbacks": [*section["callbacks"], *stages[stage]["callbacks"]] if stage < len(stages) else [],
    }


def _match_callbacks(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> list[tuple[str, int | None]]:
    """Return, for each new callback, the first unmatched old one of the same type and monitor."""
    unmatched = dict(enumerate(map(_callback_identity, before)))
    matches: list[tuple[str, int | None]] = []
    for callback in after:
        source = next(
            (index for index, one in unmatched.items() if one == _callback_identity(callback)), None
        )
        if source is not None:
            del unmatched[source]
        matches.append((callback["type"], source))
    return matches


def _callback_identity(callback: Mapping[str, Any]) -> tuple[Any, ...]:
    return callback["type"], callback.get("monitor"), callback.get("mode")
