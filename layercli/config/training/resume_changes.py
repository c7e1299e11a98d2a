"""A training that goes on under another config: what of its state goes over, and what begins anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

_METRIC_KEYS = ("loss", "loss_weights", "metrics", "weighted_metrics")


@dataclass(frozen=True, slots=True)
class ResumeChanges:
    """How two ``train`` sections differ, where that matters to the state of a training."""

    learning_rate: Any = None
    """The rate, or schedule, that the config says now; None: that which was reached goes on."""
    optimizer: str | None = None
    """The type of an optimizer that begins anew."""
    has_new_metrics: bool = False
    """Whether losses and metrics are others, and what was measured of the running epoch is let go."""
    batch_sizes: tuple[int, int] = (1, 1)
    """Before and now."""
    callback_sources: tuple[tuple[str, int | None], ...] = ()
    """The type of each callback, and which of those before hands its memory on; None: it begins anew."""

    @classmethod
    def between(cls, before: Mapping[str, Any], after: Mapping[str, Any]) -> Self:
        """What differs between two sections in which every default is written out."""
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
        """The step of an epoch up to which its first ``step`` steps of before reach: those examples are done."""
        old_size, new_size = self.batch_sizes
        return step * old_size // new_size

    @property
    def summary(self) -> str:
        """One line for people."""
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
            reset.append("what is measured of the running epoch")
        return f"Taken over: {', '.join(kept)}. " + (f"Anew: {', '.join(reset)}." if reset else "")


def _match_callbacks(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> list[tuple[str, int | None]]:
    """For each callback the first of those before that is of its type and watches the same, each handed on once."""
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
