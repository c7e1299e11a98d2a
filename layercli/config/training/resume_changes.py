"""A training that goes on under another config: what of its state goes over, and what begins anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

_MEASURES = ("loss", "loss_weights", "metrics", "weighted_metrics")


@dataclass(frozen=True, slots=True)
class Changes:
    """How two ``train`` sections differ, where that matters to the state of a training."""

    learning_rate: Any = None
    """The rate, or schedule, that the config says now; None: that which was reached goes on."""
    optimizer: str | None = None
    """The type of an optimizer that begins anew."""
    measures: bool = False
    """Whether losses and metrics are others, and what was measured of the running epoch is let go."""
    batch_sizes: tuple[int, int] = (1, 1)
    """Before and now."""
    callbacks: tuple[tuple[str, int | None], ...] = ()
    """The type of each callback, and which of those before hands its memory on; None: it begins anew."""

    @classmethod
    def between(cls, before: Mapping[str, Any], after: Mapping[str, Any]) -> Self:
        """What differs between two sections in which every default is written out."""
        was, now = before["optimizer"], after["optimizer"]
        another = was["type"] != now["type"]
        same_rate = was.get("learning_rate") == now.get("learning_rate")
        return cls(
            learning_rate=None if same_rate and not another else now.get("learning_rate"),
            optimizer=now["type"] if another else None,
            measures=any(before[key] != after[key] for key in _MEASURES),
            batch_sizes=(before["batch_size"], after["batch_size"]),
            callbacks=tuple(_inherited(before["callbacks"], after["callbacks"])),
        )

    def step(self, step: int) -> int:
        """The step of an epoch up to which its first ``step`` steps of before reach: those examples are done."""
        was, now = self.batch_sizes
        return step * was // now

    @property
    def told(self) -> str:
        """One line for people."""
        kept = ["weights", "random numbers", *([] if self.optimizer else ["the optimizer's state"])]
        new = [f"the optimizer {self.optimizer}"] if self.optimizer else []
        if self.learning_rate is not None:
            rate = self.learning_rate
            new.append(f"the learning rate {rate['type'] if isinstance(rate, Mapping) else f'{rate:g}'}")
        elif not self.optimizer:
            kept.append("the learning rate")
        for name, source in self.callbacks:
            (new if source is None else kept).append(name)
        if self.measures:
            new.append("what is measured of the running epoch")
        return f"Taken over: {', '.join(kept)}. " + (f"Anew: {', '.join(new)}." if new else "")


def _inherited(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> list[tuple[str, int | None]]:
    """For each callback the first of those before that is of its type and watches the same, each handed on once."""
    left = dict(enumerate(map(_identity, before)))
    found: list[tuple[str, int | None]] = []
    for callback in after:
        place = next((index for index, one in left.items() if one == _identity(callback)), None)
        if place is not None:
            del left[place]
        found.append((callback["type"], place))
    return found


def _identity(callback: Mapping[str, Any]) -> tuple[Any, ...]:
    return callback["type"], callback.get("monitor"), callback.get("mode")
