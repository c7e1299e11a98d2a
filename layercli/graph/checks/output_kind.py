"""What an output means, by the loss that it was trained with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from layercli.config.config import Config
from layercli.graph.checks.loss import BINARY, ONE_HOT, SPARSE, loss_name
from layercli.graph.shapes import Shapes


@dataclass(frozen=True, slots=True)
class Meaning:
    """How the numbers of an output are to be read."""

    kind: Literal["classes", "two", "numbers"]
    """A probability for each class; that of the second of two; or numbers of another kind."""
    logits: bool = False
    """Whether they are logits yet, not probabilities."""


def meaning_of(config: Config, shapes: Shapes, index: int) -> Meaning:
    """What the output of that number means."""
    graph, train = shapes.graph, config.train
    output = shapes.output(graph.outputs[index], graph.output_picks[index])
    loss = train.loss_of(graph.output_references[index]) if train is not None else None
    if loss is None or output is None or output.rank != 2:
        return Meaning("numbers")
    name, logits = loss_name(loss, output), bool(getattr(loss, "from_logits", False))
    if name in SPARSE | ONE_HOT - {"CategoricalHinge"} and output.shape[-1] != 1:
        return Meaning("classes", logits)
    return Meaning("two", logits) if name in BINARY and output.shape[-1] == 1 else Meaning("numbers")
